/* The folder's own: what the facade asks of an engine, and the store itself. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "store/limits.h"
#include "store/store.h"

/** State of the transaction that a connection is in. */
typedef enum store_trouble {
    STORE_FINE,
    STORE_AGAIN,  /* the engine asks to run it again from the start */
    STORE_LOST,   /* the connection broke before the commit was asked for: nothing happened */
    STORE_BROKEN, /* disk full, I/O error, no memory, no connection to be had: nothing happened */
    STORE_DOUBT   /* the connection broke while the commit was under way */
} store_trouble;

/** What a connection is for. */
typedef enum store_role {
    STORE_ROLE_PROBE, /* look at the version, write nothing */
    STORE_ROLE_WRITER,
    STORE_ROLE_READER
} store_role;

/** Kind of transaction. */
typedef enum store_mode {
    STORE_MODE_READ,
    STORE_MODE_WRITE,
    STORE_MODE_MIGRATE /* one at a time in the whole cluster */
} store_mode;

struct store_engine;

/** One connection; the engine's own begins with it. Used by who holds the lock. */
typedef struct store_conn {
    const struct store_engine *engine;
    pthread_mutex_t lock;
    store_trouble trouble;
    store_mode mode;
    unsigned open_rows;
    bool quiet; /* this failure is the consequence of one that the log was told of */
    char error[STORE_MAX_ERROR_BYTES];
} store_conn;

struct store_tx {
    store_conn *conn;
    uint32_t topics;
    lpx_err err; /* of the first statement that failed */
};

struct store_rows {
    store_tx *tx;
    lpx_err err;
};

/** An engine. Calls that can fail leave their message in conn->error; those that end the transaction as a whole set
 * conn->trouble too and answer STORE_UNAVAILABLE. */
typedef struct store_engine {
    bool feed_by_server; /* the change feed comes back from the server, also for our own commits */
    /** Connect; *out is NULL for a probe of a database that is not there yet. location as in the URL, without scheme.
     */
    lpx_err (*connect)(const char *location, store_role role, store_conn **out, lpx_note *note);
    void (*disconnect)(store_conn *conn);
    /** On failure trouble is not STORE_FINE. */
    lpx_err (*begin)(store_conn *conn, store_mode mode);
    /** Commit and announce the topics. On failure trouble is not STORE_FINE. */
    lpx_err (*commit)(store_conn *conn, uint32_t topics);
    void (*rollback)(store_conn *conn);
    /** A savepoint around one job. On failure trouble is not STORE_FINE. */
    lpx_err (*savepoint)(store_conn *conn);
    lpx_err (*release)(store_conn *conn);
    lpx_err (*rollback_to)(store_conn *conn);
    /** Run a migration file. */
    lpx_err (*script)(store_conn *conn, const char *sql);
    /** SQL that answers one row when the table ?1 exists. */
    const char *has_table_sql;
    lpx_err (*exec)(store_conn *conn, const char *sql, const store_value *values, size_t count, int64_t *changed);
    lpx_err (*query)(store_conn *conn, const char *sql, const store_value *values, size_t count, store_rows **out);
    bool (*next)(store_rows *rows);
    void (*close_rows)(store_rows *rows);
    store_kind (*col_kind)(store_rows *rows, unsigned column);
    int64_t (*col_int)(store_rows *rows, unsigned column);
    double (*col_real)(store_rows *rows, unsigned column);
    /** Text or blob. */
    lpx_bytes (*col_bytes)(store_rows *rows, unsigned column);
    /** Follow the server's change feed until stop; NULL without feed_by_server. */
    lpx_err (*feed_start)(store *store, lpx_note *note);
    void (*feed_stop)(store *store);
} store_engine;

extern const store_engine store_sqlite;
extern const store_engine store_postgres;

/** Jobs that wait, first in first out. */
typedef struct store_queue {
    store_job *first;
    store_job **end;
    unsigned count;
} store_queue;

/** Watches of this store. */
typedef struct store_feed {
    pthread_mutex_t lock;
    lpx_list links;
} store_feed;

struct store {
    const store_engine *engine;
    char *location;
    unsigned max_queue;
    int64_t group_wait_us;
    void (*report)(void *ctx, const char *text);
    void *report_ctx;
    store_conn *writer;
    store_conn *readers[STORE_MAX_READERS];
    unsigned reader_count;
    pthread_t writer_thread;
    pthread_t reader_threads[STORE_MAX_READERS];
    unsigned threads_running; /* readers, then the writer */
    atomic_uint next_reader;  /* which thread takes which connection */
    pthread_mutex_t lock;     /* guards what follows */
    pthread_cond_t writes_ready;
    pthread_cond_t reads_ready;
    store_queue writes;
    store_queue reads;
    bool stopping;
    store_feed feed;
    void *listener; /* of the engine */
};

/** Make the base of a connection. */
void store_conn_init(store_conn *conn, const store_engine *engine);
/** Put an engine's message in conn->error, cut at its first line end. */
void store_conn_note(store_conn *conn, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Run the jobs of a list (all write, or one that reads) as one transaction, again where the engine asks for it, and
 * leave in each job->err what its done is to be told. The caller holds conn's lock. */
void store_group_run(store *store, store_conn *conn, store_job *first);

/** Begin the feed of a store. */
void store_feed_init(store_feed *feed);
/** End it, and with it the watches that still run. */
void store_feed_fini(store_feed *feed);
/** Tell the watches. @thread any */
void store_feed_tell(store_feed *feed, uint32_t topics);
/** Every topic there is. */
#define STORE_ALL_TOPICS ((1U << STORE_TOPIC_COUNT) - 1)

/** Is the database's version one that this program can work on? Writes nothing. */
LPX_RESULT store_migrate_check(store_conn *conn, lpx_note *note);
/** Bring the database to the newest version. */
LPX_RESULT store_migrate_apply(store_conn *conn, lpx_note *note);

/** One statement for PostgreSQL: placeholders and type words replaced outside of literals, names and comments.
 * @return false when it has a placeholder without number, an open literal, or does not fit */
bool store_dialect_postgres(const char *sql, lpx_buf *out);

/** Tell the log, if anybody listens. */
void store_report(const store *store, const char *what, const char *detail);
/** Monotonic microseconds. */
int64_t store_clock_us(void);
