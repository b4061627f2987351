/* Insides of the HTTP/2 session, for h2_session.c, h2_recv.c and h2_stream.c alone. */
#pragma once
#include "base/list.h"
#include "wire/http/h2_fields.h"
#include "wire/http/h2_guard.h"
#include "wire/http/h2_mem.h"

/* Bytes that wait to be sent: content is [head, head + len) of room. */
typedef struct h2_queue {
    uint8_t *ptr;
    size_t head, len, room;
} h2_queue;

enum { H2_TAIL_FIELDS = 4, H2_MEMO_FIELDS = 24 };

struct h2_stream {
    h2_session *session; /* NULL once closed */
    h2_stream *next_spare;
    h2_pool *pool;
    lpx_list node;       /* in session->streams, or unlinked */
    lpx_list spent_node; /* in session->spent: had its turn */
    lpx_list room_node;  /* in session->writable: below the low mark again */
    int32_t id;
    unsigned holds;

    h2_fields *head_fields, *tail_fields; /* NULL: none yet */
    uint32_t same_fields;                 /* how many of the head's first ones are those of session->last_head */
    uint32_t field_bytes;                 /* of head and tail */
    h2_head head;
    uint64_t credential;
    uint64_t body_bytes; /* received, compared with content-length */

    h2_queue queue;
    uint32_t turn; /* session->turn in which turn_bytes were given */
    uint32_t turn_bytes;
    size_t unconsumed;
    uint32_t tail_count;
    h2_field tail[H2_TAIL_FIELDS];
    char *tail_text; /* values of tail; NULL: they lie in tail_inline */
    char tail_inline[16];

    bool shown;      /* the user knows of it: owes on_close */
    bool same_head;  /* all fields so far are those of session->last_head, and none is kept yet */
    bool head_done;  /* head complete and told */
    bool head_cut;   /* more fields than allowed */
    bool tail_read;  /* fields after head_count are a tail */
    bool ending;     /* what on_data tells of ends the stream */
    bool remote_end; /* the peer sent END_STREAM */
    bool local_end;  /* END_STREAM left from here */
    bool answered;   /* head sent from here */
    bool finishing;  /* END_STREAM after the queue */
    bool deferred;   /* nghttp2 waits for resume */
    bool above_high; /* owes on_writable */
    bool reset;      /* RST_STREAM is on its way */

    _Alignas(16) uint8_t user[];
};

struct h2_pool {
    size_t user_bytes;
    void (*user_fini)(void *user);
    h2_stream *spare;
    size_t spare_count, live_count;
    h2_fields *spare_fields;
    size_t spare_fields_count;
    uint64_t last_credential, last_number;
    size_t unsent_bytes, max_unsent_bytes;
    h2_mem mem; /* of the sessions */
};

/* A field that was checked before. Its references keep the addresses from being used again. */
typedef struct h2_memo {
    h2_ref ref;
    h2_kind kind;
} h2_memo;

struct h2_session {
    nghttp2_session *ng;
    const h2_events *events;
    void *ctx;
    h2_pool *pool;
    h2_pool *own_pool; /* when opts named none */
    h2_role role;
    lpx_list streams, spent, writable;
    size_t stream_count;
    size_t unsent_bytes;
    size_t head_bytes; /* of all open streams */
    size_t unconsumed; /* connection window */
    uint32_t turn;
    h2_stream *heading; /* whose fields are being read */
    size_t data_left;   /* of the DATA frame that is being read */
    h2_guard guard;
    lpx_mono now;
    lpx_buf *out; /* during h2_session_fill */
    size_t out_max;
    bool out_full;
    bool busy;   /* inside recv, fill or free */
    bool asked;  /* want_write was told since the last fill */
    bool ready;  /* SETTINGS came */
    bool ending; /* GOAWAY after a violation or an abort: nothing else is read */
    bool goaway_sent;
    bool peer_goaway;
    uint16_t why_reason;
    lpx_note why;
    h2_fields *last_head;         /* of a client's last request, for those that are the same */
    h2_memo memo[H2_MEMO_FIELDS]; /* of the last heads, by position */
    h2_ref credential_ref;        /* of the last authorization value */
    uint64_t credential;
};

/** New stream for a session, from its pool; NULL when out of memory. */
h2_stream *h2_stream_new(h2_session *session, int32_t id);
/** The stream is over: tell its user if it was shown, take it from the session, free unless held. */
void h2_stream_gone(h2_stream *stream, uint32_t code);
/** Drop what waits to be sent. */
void h2_stream_drop_queue(h2_stream *stream);
/** Keep a field in the stream. @return false: too many or too much */
bool h2_stream_keep_field(h2_stream *stream, nghttp2_rcbuf *name, nghttp2_rcbuf *value);
/** Does so much more fit into what a head and all heads of the connection may have? */
bool h2_stream_fields_fit(const h2_stream *stream, size_t bytes);
/** nghttp2 asks how much of a stream's queue goes into the next DATA frame. */
ssize_t h2_stream_pull(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t length, uint32_t *flags,
                       nghttp2_data_source *source, void *ctx);
/** nghttp2 wants a DATA frame written out. */
int h2_stream_push(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *frame_head, size_t length,
                   nghttp2_data_source *source, void *ctx);
/** Give all streams that had their turn another one. */
void h2_stream_next_turn(h2_session *session);
/** Fill in the callbacks for what is received. */
void h2_recv_callbacks(nghttp2_session_callbacks *callbacks);
/** Tell the user that there is something to send. */
void h2_session_want(h2_session *session);
/** The peer broke a rule: GOAWAY with this code, nothing more is read. First reason wins. */
void h2_session_violated(h2_session *session, uint32_t code, uint16_t reason, const char *text);
/** Too many frames of a kind: GOAWAY ENHANCE_YOUR_CALM. */
void h2_session_flooded(h2_session *session, h2_flood kind);
/** nghttp2 field array from ours. */
size_t h2_fields_to_nv(const h2_field *fields, size_t count, uint8_t flags, nghttp2_nv *nv);
