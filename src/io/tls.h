/* TLS contexts over OpenSSL 3: TLS 1.3 and 1.2, ALPN, certificates that can be replaced while connections live.
 * Level 2. */
#pragma once
#include <stdbool.h>

#include "base/bytes.h"
#include "base/err.h"

typedef struct io_tls io_tls;
struct ssl_st;

enum { IO_CERT_NAME_BYTES = 256, IO_CERT_FINGERPRINT_BYTES = 65 };

/** Who the certificate of a peer says that it is; verified by the handshake. Texts are NUL-ended. */
typedef struct io_peer_cert {
    char subject[IO_CERT_NAME_BYTES]; /* RFC 2253 */
    char issuer[IO_CERT_NAME_BYTES];
    char fingerprint[IO_CERT_FINGERPRINT_BYTES]; /* lower-case hex of SHA-256 of the DER */
} io_peer_cert;

/** What a server context is made from. Paths are borrowed for the call and kept as copies for reloads. */
typedef struct io_tls_server_opts {
    const char *cert_file, *key_file;   /* PEM; the certificate file holds the chain */
    const char *const *client_ca_files; /* NULL-ended; NULL or none: no client certificates asked for. Else one that is
                                           shown must be good (for clients, in its time, of one of these CAs), or the
                                           handshake fails */
    bool client_cert_required;
    const char *const *alpn; /* NULL-ended, in order of preference ("h2", "http/1.1") */
} io_tls_server_opts;

/** What a client context is made from. */
typedef struct io_tls_client_opts {
    const char *ca_file;              /* NULL: the system's roots (SSL_CERT_FILE and SSL_CERT_DIR count) */
    const char *cert_file, *key_file; /* NULL: no client certificate */
    const char *const *alpn;
    bool insecure_no_verify; /* tests only */
} io_tls_client_opts;

/** Context for servers, usable by all loops. @param note says which file and why on failure */
LPX_RESULT io_tls_server_new(const io_tls_server_opts *opts, io_tls **out, lpx_note *note);
/** Context for clients, usable by all loops. */
LPX_RESULT io_tls_client_new(const io_tls_client_opts *opts, io_tls **out, lpx_note *note);
/** Read the files again; new connections use them, old ones live on; on failure the old ones stay. @thread any */
LPX_RESULT io_tls_reload(io_tls *tls, lpx_note *note);
/** Free; clears the pointer; accepts NULL. Connections hold references of their own. */
void io_tls_free(io_tls **tls);

/** New session (SSL) for what does its own I/O (the HTTP/1.1 server); the caller's to free.
 * @param host of a client: sent as SNI and checked against the certificate; NULL on a server
 * @return NULL when memory is short or host is no name   @thread any */
struct ssl_st *io_tls_session_new(io_tls *tls, const char *host);
/** Free a session that nothing else has taken; accepts NULL. @thread any */
void io_tls_session_free(struct ssl_st *session);
/** Fingerprint of the certificate that the peer showed. @return false without one; then out is empty */
bool io_tls_session_fingerprint(const struct ssl_st *session, char out[static IO_CERT_FINGERPRINT_BYTES]);
/** Certificate that the peer showed. @return false when it showed none, or one with a name too long for *out */
bool io_tls_session_cert(const struct ssl_st *session, io_peer_cert *out);
