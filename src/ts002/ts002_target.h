/* Where and how a peer is asked: address, CAs and credentials, immutable and shared by reference count, wiped at the
 * end. Level 4; no I/O. Thread: any. */
#pragma once
#include "base/bytes.h"
#include "base/err.h"
#include "ts002/ts002_message.h"

typedef enum ts002_auth_kind {
    TS002_AUTH_NONE,
    TS002_AUTH_BASIC,       /* user name and password */
    TS002_AUTH_CUSTOM,      /* value of the Authorization header */
    TS002_AUTH_CERTIFICATE, /* TLS client certificate and key, PEM */
    TS002_AUTH_TOKEN,       /* a token of this exchange */
} ts002_auth_kind;

/** One way to show who asks. */
typedef struct ts002_auth {
    ts002_auth_kind kind;
    lpx_str username, password; /* TS002_AUTH_BASIC */
    lpx_str value;              /* TS002_AUTH_CUSTOM */
    lpx_bytes cert, key;        /* TS002_AUTH_CERTIFICATE */
} ts002_auth;

/** Credentials for questions on behalf of one network, in place of the default. */
typedef struct ts002_origin {
    uint32_t net_id;
    ts002_auth auth;
} ts002_origin;

/** What a target is made of; everything is copied. */
typedef struct ts002_target_spec {
    uint32_t id;           /* of its Join Server */
    uint64_t digest;       /* of all that follows: two targets with the same digest are equal */
    ts002_version version; /* TS002_1_0 or TS002_1_1 */
    lpx_str address;       /* http:// or https:// URL */
    lpx_bytes root_cas;    /* PEM; empty: the system's */
    ts002_auth auth;
    const ts002_origin *origins;
    size_t origin_count;
} ts002_target_spec;

/** Credentials as a request needs them. */
typedef struct ts002_credentials {
    ts002_auth_kind kind;
    const char *authorization; /* "Authorization: …"; BASIC and CUSTOM */
    lpx_bytes cert, key;       /* CERTIFICATE */
} ts002_credentials;

typedef struct ts002_target ts002_target;

/** New target with one reference.
 * @err INVALID_ARGUMENT: TS002_BAD_TARGET (note says what is wrong, without secrets); RESOURCE_EXHAUSTED:
 *      BASE_NO_MEMORY */
LPX_RESULT ts002_target_new(const ts002_target_spec *spec, ts002_target **out, lpx_note *note);
/** One reference more; returns its argument. */
ts002_target *ts002_target_ref(ts002_target *target);
/** One reference less, the last wipes and frees; clears the pointer; accepts NULL. */
void ts002_target_unref(ts002_target **target);

/** Number of its Join Server. */
uint32_t ts002_target_id(const ts002_target *target);
/** Digest that it was made with. */
uint64_t ts002_target_digest(const ts002_target *target);
/** Version that it speaks. */
ts002_version ts002_target_version(const ts002_target *target);
/** Its URL, NUL-ended. */
const char *ts002_target_url(const ts002_target *target);
/** Host of the URL without port: the audience of tokens. */
lpx_str ts002_target_host(const ts002_target *target);
/** CAs that it is trusted by; empty: the system's. */
lpx_bytes ts002_target_cas(const ts002_target *target);
/** Credentials for questions on behalf of a network.
 * @param own set to whether they are this network's own, not the default */
const ts002_credentials *ts002_target_credentials(const ts002_target *target, uint32_t origin_net_id, bool *own);
