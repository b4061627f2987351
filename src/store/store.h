/* Storage: one interface, two engines (SQLite by default, PostgreSQL by connection string). All statements run on
 * worker threads, inside a transaction, never on a loop; the result comes back on the loop that asked. Writes are
 * committed in groups: done runs only after the commit is durable. Level 3. */
#pragma once
#include "base/arena.h"
#include "io/loop.h"

typedef struct store store;
typedef struct store_tx store_tx;     /* one transaction, on one worker thread */
typedef struct store_rows store_rows; /* result of a query, inside its transaction */

/** Topics of the change feed: what a committed transaction touched. */
typedef enum store_topic {
    STORE_TOPIC_NETWORKS, /* networks, tenants, DevAddr blocks */
    STORE_TOPIC_POLICIES,
    STORE_TOPIC_KEYS,    /* API keys */
    STORE_TOPIC_SIGNING, /* token signing keys */
    STORE_TOPIC_JOIN_SERVERS,
    STORE_TOPIC_SETTINGS,     /* of home networks */
    STORE_TOPIC_VISIBILITIES, /* of gateways */
    STORE_TOPIC_CERTIFICATES, /* client certificates */
    STORE_TOPIC_GATEWAYS,     /* what forwarders tell of their gateways */
    STORE_TOPIC_COUNT
} store_topic;

/** One unit of work. work runs on a worker thread and may be run again from the start when the engine asks for it
 * (serialisation failure), so it must not leave effects outside the transaction but in its own job, overwritten on
 * each run. A statement that failed ends its job: later statements of the job answer the same error, and when work
 * answers success all the same, that error is the job's. To go on after a conflict, write ON CONFLICT DO NOTHING and
 * look at the count of changed rows. Lives inside its owner, which must outlive done. */
typedef struct store_job {
    io_task task;                                         /* private */
    io_loop *home;                                        /* where done runs */
    bool write;                                           /* takes part in a group commit */
    lpx_err (*work)(store_tx *tx, struct store_job *job); /* an error rolls this job back, and only this job */
    void (*done)(struct store_job *job, lpx_err err);     /* after the commit; err of work, or STORE_UNAVAILABLE
                                                             (nothing was changed), STORE_UNKNOWN (a commit that may
                                                             or may not have happened); may free the job */
    struct store_job *next;                               /* private */
    lpx_err err;                                          /* private */
} store_job;

typedef struct store_opts {
    const char *url;       /* "sqlite:/path/file.db" (or a bare path), or "postgres://..." / "postgresql://..." */
    unsigned readers;      /* read threads; 0: 2 */
    unsigned max_queue;    /* jobs that may wait; 0: 4,096 */
    int64_t group_wait_us; /* how long a group waits for company; 0: none, a group is what queued up meanwhile */
    void (*report)(void *ctx, const char *text); /* what went wrong inside, for the log only; NULL: nobody listens;
                                                    runs on worker threads and must not call the store */
    void *report_ctx;
} store_opts;

/** Open, migrate to the newest version, start the workers. Blocks: for start-up. An SQLite file that is not there is
 * made, for its owner alone (mode 0600); a PostgreSQL database must be there.
 * @err FAILED_PRECONDITION: STORE_NEWER_VERSION (database of a newer program: refused, untouched),
 *      STORE_CHANGED_MIGRATION (its schema was made by other migrations: refused, untouched);
 *      INVALID_ARGUMENT: STORE_BAD_URL; UNAVAILABLE: STORE_CANNOT_OPEN, STORE_FAILED */
LPX_RESULT store_open(const store_opts *opts, store **out, lpx_note *note);
/** Finish queued work, close; clears the pointer; accepts NULL. The done calls of the last jobs are posted when this
 * returns: turn their loops once more. Watches that still run end here and must not be stopped afterwards. */
void store_close(store **store);
/** Queue a job. Jobs that write run in the order of their submission; jobs that read run beside them, each on a
 * snapshot of what was committed when it began.
 * @err RESOURCE_EXHAUSTED: STORE_BUSY; UNAVAILABLE: STORE_UNAVAILABLE (closing); then done never runs
 * @thread any */
LPX_RESULT store_submit(store *store, store_job *job);
/** Run a job now on the calling thread (start-up, command line, tests): its home and done are not used.
 * @return what done would be told. @thread any but a loop that serves; never from inside work */
LPX_RESULT store_run(store *store, store_job *job);

/** Follow the change feed: changed(watch, topics) runs on home's thread soon (well under 100 ms) after a commit that
 * touched one of the topics, on every node; bit N of topics is store_topic N. Several commits may come as one call.
 * All topics are told once after a lost connection to the database. On SQLite the nodes are the watches of this store:
 * what another process writes is not told. Lives inside its owner until store_watch_stop. */
typedef struct store_watch {
    uint32_t topics; /* interest, one bit per topic */
    io_loop *home;
    void (*changed)(struct store_watch *watch, uint32_t topics);
    struct store_watch_link *link; /* private */
} store_watch;
/** Begin to follow: what is committed from now on is told, so start first, then read the present state. @thread any */
void store_watch_start(store *store, store_watch *watch);
/** Stop; changed never runs afterwards. @thread home */
void store_watch_stop(store *store, store_watch *watch);

/* Inside a transaction. SQL is written once for both engines: placeholders ?1, ?2 … (always with a number); types
 * INTEGER (64 bit), TEXT (compared byte by byte), BLOB, REAL, in capitals; upserts as INSERT … ON CONFLICT … DO UPDATE;
 * conditions are comparisons (?1 <> 0, not ?1); one statement per call; no engine functions. A value is at most 32 MiB,
 * text is UTF-8 without NUL. PostgreSQL holds all rows of a query in memory: cut large tables into pages by their key.
 */

typedef enum store_kind { STORE_NULL, STORE_INT, STORE_TEXT, STORE_BLOB, STORE_REAL } store_kind;
/** A value to bind; views are borrowed for the call. */
typedef struct store_value {
    store_kind kind;
    int64_t num;
    double real;
    lpx_bytes bytes;
} store_value;

#define STORE_V_INT(v) ((store_value){.kind = STORE_INT, .num = (int64_t)(v)})
#define STORE_V_TEXT(s) ((store_value){.kind = STORE_TEXT, .bytes = lpx_str_bytes(s)})
#define STORE_V_BLOB(b) ((store_value){.kind = STORE_BLOB, .bytes = (b)})
#define STORE_V_REAL(v) ((store_value){.kind = STORE_REAL, .real = (v)})
#define STORE_V_NULL ((store_value){.kind = STORE_NULL})

/** Run a statement without rows.
 * @param changed rows touched; may be NULL
 * @err ALREADY_EXISTS: STORE_CONFLICT (unique or foreign key); UNAVAILABLE: STORE_FAILED (note in the log),
 *      STORE_UNAVAILABLE; INVALID_ARGUMENT: STORE_BAD_TEXT; RESOURCE_EXHAUSTED: STORE_TOO_LARGE */
LPX_RESULT store_exec(store_tx *tx, const char *sql, const store_value *values, size_t count, int64_t *changed);
/** Run a query; rows are read by store_next until it answers false, or given up by store_rows_close. Other statements
 * may run while rows are open. @err as store_exec */
LPX_RESULT store_query(store_tx *tx, const char *sql, const store_value *values, size_t count, store_rows **out);
/** Next row? On an engine error answers false and store_rows_close tells the error. */
bool store_next(store_rows *rows);
/** Close; always called once. @return the error that ended the rows early, if any */
LPX_RESULT store_rows_close(store_rows **rows);
/** Run a query and give each of its rows to read, until there are no more or read fails.
 * @param ctx for read
 * @return the error of read, else the engine's */
LPX_RESULT store_each(store_tx *tx, const char *sql, const store_value *values, size_t count,
                      lpx_err (*read)(void *ctx, store_rows *rows), void *ctx);
/** Column values of the present row, first column 0; NULL and values of another type read as 0 or empty. Views are
 * valid until the next store_next. */
int64_t store_col_int(store_rows *rows, unsigned column);
/** Text column. */
lpx_str store_col_text(store_rows *rows, unsigned column);
/** Blob column. */
lpx_bytes store_col_blob(store_rows *rows, unsigned column);
/** Real column. */
double store_col_real(store_rows *rows, unsigned column);
/** Is the column NULL? */
bool store_col_null(store_rows *rows, unsigned column);
/** Tell the change feed that this transaction touched a topic; told after the commit. */
void store_touch(store_tx *tx, store_topic topic);
/** Note on the last engine error of this transaction, for the log only; never for peers. */
const char *store_tx_error(const store_tx *tx);
