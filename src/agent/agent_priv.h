/* What the files of the agent share. */
#pragma once
#include "agent/agent.h"
#include "base/list.h"
#include "base/text.h"
#include "codec/oauth/oauth.h"
#include "wire/grpc/client.h"
#include "wire/http/fetch.h"

typedef struct agent_op agent_op;

/** Access token for one audience and the calls that wait for it. */
typedef struct agent_token {
    agent *agent;
    char audience[AGENT_HOST_BYTES];
    char *header;                 /* "Bearer ...", NULL until the first has come */
    int64_t expires_us, tried_us; /* monotonic; tried_us 0: never */
    fetch_call *fetch;            /* under way, or NULL */
    char *form;                   /* its body */
    lpx_list waiting;             /* agent_op.waiting */
} agent_token;

/** One service of the exchange. */
typedef struct agent_target {
    char address[AGENT_ADDRESS_BYTES]; /* empty: not configured */
    char host[AGENT_HOST_BYTES];
    bool loopback;
    grpc_client *client; /* of the first service with this address, made with the first call; others: see channel */
    size_t channel;      /* index of that first service */
    size_t token;        /* index of its audience */
} agent_target;

struct agent {
    io_loop *loop;
    bool own_loop, closing;
    agent_target targets[AGENT_SERVICE_COUNT];
    agent_token tokens[AGENT_SERVICE_COUNT];
    size_t token_count;
    io_tls *tls, *loopback_tls; /* NULL when insecure or not needed */
    bool insecure;
    bool has_cert; /* a client certificate says who calls, when nothing else does */
    char *ca_file, *loopback_ca_file;
    char *basic, *loopback_basic, *bearer; /* header values, NULL: none */
    char *client_id, *client_secret, *token_url;
    int64_t call_timeout_us;
    lpx_list ops;        /* agent_op.node: all that have not ended */
    unsigned in_flight;  /* of these, unary calls */
    lpx_list streams;    /* agent_stream.node */
    fetch_client *fetch; /* made with the first token */
};

/** How a service is told who calls. */
typedef enum agent_auth { AGENT_AUTH_NONE, AGENT_AUTH_BASIC, AGENT_AUTH_TOKEN, AGENT_AUTH_OAUTH } agent_auth;

/** A call or a stream from its start to its end; owned by the agent. */
struct agent_op {
    lpx_list node, waiting;
    agent *agent;
    agent_service service;
    char *path;
    lpx_buf request;            /* may hold a secret: wiped */
    grpc_out *out;              /* on the wire, or NULL */
    io_task later;              /* carries a failure to a later turn */
    bool later_posted, dropped; /* dropped: nobody wants to hear of its end */
    bool unary;
    bool token_only; /* waits for its token and ends without a call */
    int64_t timeout_us;
    agent_failure failure;
    void (*on_message)(agent_op *op, lpx_bytes message);
    void (*on_done)(agent_op *op, const agent_failure *why); /* NULL: success; the op is freed after it */
    void (*forget)(agent_op *op); /* frees what owner points to, when the op ends unheard; may be NULL */
    void *owner;
};

/** Why a call to a service ended: status as a sentence with what to do next. */
void agent_explain(const agent *a, agent_service service, lpx_code code, lpx_str message, agent_failure *out);
/** Which credentials a call to this service carries. */
agent_auth agent_auth_of(const agent *a, agent_service service);

/** Value of the authorization header of a call to this service; NULL: none. */
const char *agent_header_of(const agent *a, agent_service service);
/** File of trusted certificates for a URL: its host decides. NULL: the system's roots. */
const char *agent_ca_file_of(const agent *a, const char *url);

/** New op with a request, given as a message or (in NULL) encoded; NULL when memory is short. The caller sets
 * on_message, on_done, owner and starts it. */
agent_op *agent_op_new(agent *a, agent_service service, const char *path, const ProtobufCMessage *in,
                       lpx_bytes encoded);
/** Send it now, or when its token is there. on_done comes on a later turn. */
void agent_op_start(agent_op *op);
/** Free an op that has no call on the wire and no task posted. */
void agent_op_free(agent_op *op);
/** Tell its end, unless it was dropped, and free it: it has no call on the wire and no task posted. */
void agent_op_end(agent_op *op, const agent_failure *why);
/** Nobody wants to hear of its end any more: stop it and free it as soon as that can be. */
void agent_op_drop(agent_op *op);
/** End it with a failure on a later turn. */
void agent_op_fail_later(agent_op *op, const agent_failure *why);

/** Free all streams; their ops are dropped already. */
void agent_streams_free(agent *a);

/** Is there a token that can be used now? */
bool agent_token_ready(agent_token *t);
/** Fetch a token when there is none, or when it ends soon; ends those that wait when that cannot even begin. */
void agent_token_renew(agent_token *t);
/** The exchange did not accept the token: fetch another one before the next call. */
void agent_token_refused(agent_token *t);
/** Wipe and free a text; clears the pointer; accepts NULL. */
void agent_secret_free(char **text);
/** Stop fetching, wipe. */
void agent_token_fini(agent_token *t);
