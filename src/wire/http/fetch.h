/* Outbound HTTP and HTTPS, over libcurl: one call that blocks, for the command line, and calls on a loop. No redirects
 * are followed, no proxies other than those of the environment (https_proxy) are used. Level 3. */
#pragma once
#include "base/arena.h"
#include "io/loop.h"

typedef struct fetch_client fetch_client;
typedef struct fetch_call fetch_call;

/** What to ask for. Everything is borrowed for the call that takes it. 0 and NULL take the default. */
typedef struct fetch_opts {
    const char *method;         /* NULL: GET, or POST with a body */
    const char *url;            /* http:// or https:// */
    const char *const *headers; /* "Name: value", NULL-ended; may be NULL */
    lpx_bytes body;
    const char *ca_file;              /* PEM; NULL: the system's roots (SSL_CERT_FILE counts) */
    const char *cert_file, *key_file; /* PEM; NULL: no client certificate */
    lpx_bytes ca_pem;                 /* the same from memory, in place of the file; empty: none */
    lpx_bytes cert_pem, key_pem;      /* a chain may follow the certificate */
    int64_t connect_timeout_us;       /* 10 s */
    int64_t timeout_us;               /* for all of it; 30 s */
    size_t max_body_bytes;            /* of the answer; 4 MiB */
} fetch_opts;

enum { FETCH_HOST_BYTES = 256 };

/** Host of an http:// or https:// URL without port, NUL-ended; an IPv6 address without brackets.
 * @return false when the text is no such URL, or the host is longer; out untouched then. @thread any */
bool fetch_url_host(const char *url, char out[static FETCH_HOST_BYTES]);

/** What came back: any status counts as an answer. */
typedef struct fetch_result {
    int status;
    lpx_str content_type; /* empty without */
    lpx_bytes body;
} fetch_result;

/** Ask and wait for the answer. @thread any that may block
 * @param arena  holds what *out points to; its cap bounds the answer too
 * @param note   says the URL's host and why, on failure
 * @err FETCH_BAD_REQUEST, FETCH_FAILED, FETCH_UNTRUSTED, FETCH_TIMED_OUT, FETCH_TOO_LONG, IO_NO_RESOURCES */
LPX_RESULT fetch_blocking(const fetch_opts *opts, lpx_arena *arena, fetch_result *out, lpx_note *note);

/** New client on a loop; keeps connections for reuse. NULL when memory is short. @thread owner */
fetch_client *fetch_client_new(io_loop *loop);
/** Free; calls under way end without their done; clears the pointer; accepts NULL. */
void fetch_client_free(fetch_client **client);

/** How a call ended; the call is gone after it.
 * @param result borrowed for the call; NULL on failure */
typedef void fetch_done(void *ctx, lpx_err err, const fetch_result *result, const lpx_note *note);

/** Start asking; done follows once, never before this returns. @thread owner
 * @param out may be NULL; else the call, valid until done
 * @err FETCH_BAD_REQUEST, FETCH_BUSY, IO_NO_RESOURCES: then done does not come */
LPX_RESULT fetch_start(fetch_client *client, const fetch_opts *opts, fetch_done *done, void *ctx, fetch_call **out,
                       lpx_note *note);
/** Give up: done will not come; clears the pointer; accepts NULL. */
void fetch_cancel(fetch_call **call);
