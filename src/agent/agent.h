/* Client of an exchange, as the command line uses it: one channel per service, credentials (Basic, OAuth 2.0 client
 * credentials or a token that the caller has), unary calls that block or that run side by side, and subscriptions that
 * come back after a loss. Level 6. Thread: one; agents may share a loop, and the loop is theirs to turn. */
#pragma once
#include <protobuf-c/protobuf-c.h>

#include "agent/limits.h"
#include "base/arena.h"
#include "base/buf.h"
#include "io/loop.h"

typedef struct agent agent;
typedef struct agent_stream agent_stream;

/** The services of an exchange; each has an address of its own, which may be the same for all. */
typedef enum agent_service {
    AGENT_IAM,
    AGENT_CONTROL,
    AGENT_REPORTS,
    AGENT_ROUTER,
    AGENT_MAPPER,
    AGENT_SERVICE_COUNT
} agent_service;

/** How to reach an exchange and as whom. Text is copied; NULL means absent. */
typedef struct agent_opts {
    io_loop *loop;                            /* borrowed; NULL: the agent makes one of its own */
    const char *address[AGENT_SERVICE_COUNT]; /* "host[:port]", port 443 when absent */
    bool insecure;                            /* HTTP/2 in plaintext (h2c) */
    const char *ca_file;                      /* PEM; trusted in place of the system's roots */
    const char *cert_file, *key_file;         /* PEM; client certificate to show over gRPC; both or neither */
    const char *loopback_ca_file;             /* the same for loopback addresses only, when ca_file is absent */
    const char *username, *password;          /* Basic; both or neither. IAM gets them first, the others last */
    const char *client_id, *client_secret;    /* OAuth 2.0 client credentials; both or neither */
    const char *token_url;                    /* where tokens come from */
    const char *token;                        /* access token that the caller has; used in place of fetching */
    const char *loopback_username, *loopback_password; /* Basic for loopback addresses, when none of the above is */
    int64_t call_timeout_us;                           /* of a unary call; 0: AGENT_CALL_TIMEOUT_US */
} agent_opts;

/** Why a call failed, for a person: code, what the exchange said and what to do next. */
typedef struct agent_failure {
    lpx_code code;
    char text[AGENT_FAILURE_BYTES];
} agent_failure;

/** End of a unary call. why is NULL when it succeeded; message is the serialised answer, borrowed for the call. */
typedef void agent_done_fn(void *ctx, const agent_failure *why, lpx_bytes message);

/** What happens to a subscription. Views are borrowed for the call. */
typedef struct agent_stream_events {
    void (*on_message)(void *ctx, lpx_bytes message);
    void (*on_lost)(void *ctx, const agent_failure *why,
                    int64_t pause_us);                   /* reconnects after the pause; may be NULL */
    void (*on_end)(void *ctx, const agent_failure *why); /* final; why is NULL after an orderly end; the stream is gone
                                                            after it returns; never comes after agent_stream_close */
} agent_stream_events;

/** Name of a service as in its flag: "iam", "controlplane", "reports", "router", "mapper". */
const char *agent_service_name(agent_service service);
/** Host of "host[:port]", "[v6]:port" or "v6" into out, without brackets.
 * @return false when it is empty or longer than AGENT_HOST_BYTES - 1 */
bool agent_host_of(const char *address, char out[static AGENT_HOST_BYTES]);
/** "host:port" with port 443 when the address has none; brackets around IPv6.
 * @return false when the host or port is malformed */
bool agent_address_full(const char *address, char out[static AGENT_ADDRESS_BYTES]);
/** Is the host of the address this machine: 127.0.0.0/8, ::1 or localhost? */
bool agent_is_loopback(const char *address);

/** New agent; connects to nothing yet.
 * @param note names the setting that is wrong
 * @err INVALID_ARGUMENT: AGENT_BAD_SETTING, FAILED_PRECONDITION: AGENT_BAD_CA */
LPX_RESULT agent_open(const agent_opts *opts, agent **out, lpx_note *note);
/** Cancel what runs and free: unary calls end with CANCELLED, subscriptions without on_end; clears the pointer; accepts
 * NULL. Must not be called from a callback of this agent. */
void agent_close(agent **a);
/** Its loop. */
io_loop *agent_loop(const agent *a);

/** Call and wait, turning the loop. Never from a callback.
 * @param path  "/package.Service/Method"
 * @param desc  of the answer; *out lies in the arena
 * @param why   filled on failure
 * @return the code of the failure with reason AGENT_CALL_FAILED */
LPX_RESULT agent_call(agent *a, agent_service service, const char *path, const ProtobufCMessage *in,
                      const ProtobufCMessageDescriptor *desc, lpx_arena *arena, ProtobufCMessage **out,
                      agent_failure *why);

/** What came back over HTTP. */
typedef struct agent_page {
    int status;
    lpx_bytes body;        /* in the arena; also of a refusal */
    agent_failure failure; /* when agent_get failed */
} agent_page;

/** GET a URL and wait. Never from a callback.
 * @param authorised with the credentials of calls to the service
 * @return AGENT_CALL_FAILED when nothing came back (then status is 0) or a status other than 2xx */
LPX_RESULT agent_get(agent *a, agent_service service, bool authorised, const char *url, lpx_arena *arena,
                     agent_page *out);

/** Start a unary call; done comes on a later turn, once. From anywhere on the loop's thread.
 * @return false when memory is short or the agent is being closed; then done does not come */
bool agent_start(agent *a, agent_service service, const char *path, const ProtobufCMessage *in, agent_done_fn *done,
                 void *ctx);
/** Unary calls that have not ended. */
unsigned agent_in_flight(const agent *a);
/** Turn the loop until at most that many calls are in flight. Never from a callback. */
void agent_wait_below(agent *a, unsigned calls);

/** Open a server stream.
 * @param reconnect come back after a loss with pauses of 0.1, 1, 10 s (reset after a minute of life); refusals that
 *                  will not pass (bad request, no permission, unknown method) end it all the same
 * @return NULL when memory is short */
agent_stream *agent_subscribe(agent *a, agent_service service, const char *path, const ProtobufCMessage *in,
                              bool reconnect, const agent_stream_events *events, void *ctx);
/** End it without on_end; clears the pointer; accepts NULL. From anywhere on the loop's thread but its own on_end. */
void agent_stream_close(agent_stream **stream);
