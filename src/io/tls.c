#include "io/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "io/limits.h"
#include "lpx_reasons.h"

/* Names of ALPN as TLS writes them: each with its length before it. Lives as long as the SSL_CTX, which sessions keep
 * alive after the io_tls is gone. */
typedef struct alpn_list {
    unsigned len;
    unsigned char wire[IO_ALPN_BYTES];
} alpn_list;

struct io_tls {
    pthread_mutex_t lock; /* guards ctx */
    SSL_CTX *ctx;
    bool server;
    bool client_cert_required;
    bool insecure_no_verify;
    char *cert_file, *key_file;
    char *ca_files[IO_TLS_CA_FILES_MAX + 1]; /* of the peers; NULL-ended */
    alpn_list alpn;
};

/* Server and client options under one roof; borrowed. */
typedef struct tls_wish {
    bool server, client_cert_required, insecure_no_verify;
    const char *cert_file, *key_file;
    const char *const *ca_files;
    const char *const *alpn;
} tls_wish;

/* TLS 1.2 with forward secrecy and AEAD only; TLS 1.3 has nothing else. */
static const char ciphers_tls12[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

static int alpn_index = -1;

static void free_alpn(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
    (void)parent;
    (void)ad;
    (void)index;
    (void)argl;
    (void)argp;
    free(ptr);
}

static void make_alpn_index(void)
{
    alpn_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_alpn);
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned in_len, void *arg)
{
    (void)ssl;
    const alpn_list *ours = arg;
    unsigned char *chosen = NULL;
    /* Takes the first of ours that the client offers. */
    if (SSL_select_next_proto(&chosen, out_len, ours->wire, ours->len, in, in_len) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* A key with a pass phrase is refused: without this OpenSSL would ask on the terminal. */
static int no_pass_phrase(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static const char *openssl_words(void)
{
    const char *words = ERR_reason_error_string(ERR_peek_last_error());
    return words != NULL ? words : "no reason given";
}

static lpx_err file_bad(lpx_note *note, const char *what, const char *path)
{
    return lpx_fail(note, IO_TLS_FILE_BAD, "cannot use the %s file %s: %s", what, path, openssl_words());
}

static bool set_alpn(SSL_CTX *ctx, const io_tls *tls)
{
    if (tls->alpn.len == 0) {
        return true;
    }
    if (!tls->server) {
        return SSL_CTX_set_alpn_protos(ctx, tls->alpn.wire, tls->alpn.len) == 0;
    }
    alpn_list *list = malloc(sizeof *list);
    if (list == NULL) {
        return false;
    }
    *list = tls->alpn;
    if (SSL_CTX_set_ex_data(ctx, alpn_index, list) != 1) {
        free(list);
        return false;
    }
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, list);
    return true;
}

static bool set_protocol(SSL_CTX *ctx, const io_tls *tls)
{
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets do */
    SSL_CTX_set_default_passwd_cb(ctx, no_pass_phrase);
    static const unsigned char session_context[] = "lpx";
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, ciphers_tls12) == 1 && SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
           SSL_CTX_set_session_id_context(ctx, session_context, sizeof session_context - 1) == 1 && set_alpn(ctx, tls);
}

static lpx_err load_own_cert(SSL_CTX *ctx, const io_tls *tls, lpx_note *note)
{
    if (tls->cert_file == NULL) {
        return LPX_SUCCESS;
    }
    if (SSL_CTX_use_certificate_chain_file(ctx, tls->cert_file) != 1) {
        return file_bad(note, "certificate", tls->cert_file);
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, tls->key_file, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
        return file_bad(note, "key", tls->key_file);
    }
    return LPX_SUCCESS;
}

/* Trust for the certificates of clients. A certificate for servers alone passes no more than one of a stranger does:
 * OpenSSL checks what a client's certificate may be used for. Whatever the files name is an anchor, so that of a large
 * CA one part alone can be trusted. Tickets of one context are worth nothing in another, so
 * that a session without a certificate is not resumed where one is required, nor one that a reload no longer trusts. */
static lpx_err load_client_cas(SSL_CTX *ctx, const io_tls *tls, lpx_note *note)
{
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    for (char *const *file = tls->ca_files; names != NULL && *file != NULL; file++) {
        if (SSL_CTX_load_verify_file(ctx, *file) != 1 || SSL_add_file_cert_subjects_to_stack(names, *file) != 1) {
            sk_X509_NAME_pop_free(names, X509_NAME_free);
            return file_bad(note, "CA", *file);
        }
    }
    if (names == NULL) {
        return lpx_err_of(IO_NO_RESOURCES);
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    (void)X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (tls->client_cert_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    return LPX_SUCCESS;
}

static lpx_err load_peer_ca(SSL_CTX *ctx, const io_tls *tls, lpx_note *note)
{
    const char *ca_file = tls->ca_files[0];
    if (tls->server) {
        return ca_file != NULL ? load_client_cas(ctx, tls, note) : LPX_SUCCESS;
    }
    int loaded = ca_file != NULL ? SSL_CTX_load_verify_file(ctx, ca_file) : SSL_CTX_set_default_verify_paths(ctx);
    if (loaded != 1) {
        return file_bad(note, "CA", ca_file != NULL ? ca_file : "of the system");
    }
    SSL_CTX_set_verify(ctx, tls->insecure_no_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    return LPX_SUCCESS;
}

static lpx_err ctx_new(const io_tls *tls, SSL_CTX **out, lpx_note *note)
{
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(tls->server ? TLS_server_method() : TLS_client_method());
    if (ctx == NULL || !set_protocol(ctx, tls)) {
        SSL_CTX_free(ctx);
        return lpx_fail(note, IO_NO_RESOURCES, "cannot make a TLS context: %s", openssl_words());
    }
    lpx_err err = load_own_cert(ctx, tls, note);
    if (!lpx_failed(err)) {
        err = load_peer_ca(ctx, tls, note);
    }
    if (lpx_failed(err)) {
        SSL_CTX_free(ctx);
        return err;
    }
    *out = ctx;
    return LPX_SUCCESS;
}

static void copy_alpn(alpn_list *list, const char *const *names)
{
    for (; names != NULL && *names != NULL; names++) {
        size_t len = strlen(*names);
        lpx_assert(len > 0 && len < sizeof list->wire - list->len);
        list->wire[list->len] = (unsigned char)len;
        memcpy(list->wire + list->len + 1, *names, len);
        list->len += (unsigned)len + 1;
    }
}

static bool copy_path(char **to, const char *path)
{
    *to = path != NULL ? strdup(path) : NULL;
    return path == NULL || *to != NULL;
}

static size_t count_files(const char *const *files)
{
    size_t count = 0;
    while (files != NULL && files[count] != NULL) {
        count++;
    }
    return count;
}

static bool copy_ca_files(io_tls *tls, const char *const *files)
{
    for (size_t i = 0; files != NULL && files[i] != NULL; i++) {
        if (!copy_path(&tls->ca_files[i], files[i])) {
            return false;
        }
    }
    return true;
}

static lpx_err tls_new(const tls_wish *wish, io_tls **out, lpx_note *note)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_alpn_index);
    if ((wish->cert_file == NULL) != (wish->key_file == NULL) || (wish->server && wish->cert_file == NULL)) {
        return lpx_fail(note, IO_TLS_FILE_BAD, "TLS needs a certificate file and its key file, both");
    }
    if (count_files(wish->ca_files) > IO_TLS_CA_FILES_MAX) {
        return lpx_fail(note, IO_TLS_FILE_BAD, "there are more than %d CA files", (int)IO_TLS_CA_FILES_MAX);
    }
    io_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL || pthread_mutex_init(&tls->lock, NULL) != 0) {
        free(tls);
        return lpx_err_of(IO_NO_RESOURCES);
    }
    tls->server = wish->server;
    tls->client_cert_required = wish->client_cert_required;
    tls->insecure_no_verify = wish->insecure_no_verify;
    copy_alpn(&tls->alpn, wish->alpn);
    bool copied = copy_path(&tls->cert_file, wish->cert_file) && copy_path(&tls->key_file, wish->key_file) &&
                  copy_ca_files(tls, wish->ca_files);
    lpx_err err = copied ? ctx_new(tls, &tls->ctx, note) : lpx_err_of(IO_NO_RESOURCES);
    if (lpx_failed(err)) {
        io_tls_free(&tls);
        return err;
    }
    *out = tls;
    return LPX_SUCCESS;
}

LPX_RESULT io_tls_server_new(const io_tls_server_opts *opts, io_tls **out, lpx_note *note)
{
    return tls_new(&(tls_wish){.server = true,
                               .cert_file = opts->cert_file,
                               .key_file = opts->key_file,
                               .ca_files = opts->client_ca_files,
                               .client_cert_required = opts->client_cert_required,
                               .alpn = opts->alpn},
                   out, note);
}

LPX_RESULT io_tls_client_new(const io_tls_client_opts *opts, io_tls **out, lpx_note *note)
{
    const char *const ca_files[] = {opts->ca_file, NULL};
    return tls_new(&(tls_wish){.cert_file = opts->cert_file,
                               .key_file = opts->key_file,
                               .ca_files = ca_files,
                               .insecure_no_verify = opts->insecure_no_verify,
                               .alpn = opts->alpn},
                   out, note);
}

LPX_RESULT io_tls_reload(io_tls *tls, lpx_note *note)
{
    SSL_CTX *fresh = NULL;
    LPX_TRY(ctx_new(tls, &fresh, note));
    (void)pthread_mutex_lock(&tls->lock);
    SSL_CTX *old = tls->ctx;
    tls->ctx = fresh;
    (void)pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(old);
    return LPX_SUCCESS;
}

void io_tls_free(io_tls **tls_ptr)
{
    io_tls *tls = *tls_ptr;
    *tls_ptr = NULL;
    if (tls == NULL) {
        return;
    }
    SSL_CTX_free(tls->ctx);
    free(tls->cert_file);
    free(tls->key_file);
    for (char **file = tls->ca_files; *file != NULL; file++) {
        free(*file);
    }
    (void)pthread_mutex_destroy(&tls->lock);
    free(tls);
}

/* The name that the certificate must carry, and SNI (which is for names only). */
static bool set_host(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    unsigned char address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1) {
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    }
    char name[IO_HOST_BYTES]; /* OpenSSL's call takes no const text */
    (void)snprintf(name, sizeof name, "%s", host);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

SSL *io_tls_session_new(io_tls *tls, const char *host)
{
    lpx_assert(tls->server || host != NULL);
    (void)pthread_mutex_lock(&tls->lock);
    SSL *ssl = SSL_new(tls->ctx); /* holds a reference to the context from here on */
    (void)pthread_mutex_unlock(&tls->lock);
    if (ssl == NULL) {
        return NULL;
    }
    if (tls->server) {
        SSL_set_accept_state(ssl);
        return ssl;
    }
    SSL_set_connect_state(ssl);
    if (!set_host(ssl, host)) {
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

void io_tls_session_free(SSL *session)
{
    SSL_free(session);
}

static bool name_text(const X509_NAME *name, char out[static IO_CERT_NAME_BYTES])
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL) {
        return false;
    }
    char *text = NULL;
    bool printed = X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0;
    long len = BIO_get_mem_data(bio, &text);
    bool fits = printed && len >= 0 && len < IO_CERT_NAME_BYTES;
    if (fits && len > 0) {
        memcpy(out, text, (size_t)len);
    }
    out[fits ? len : 0] = 0;
    BIO_free(bio);
    return fits;
}

bool io_tls_session_fingerprint(const SSL *session, char out[static IO_CERT_FINGERPRINT_BYTES])
{
    X509 *cert = SSL_get0_peer_certificate(session); /* borrowed */
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    bool shown = cert != NULL && X509_digest(cert, EVP_sha256(), digest, &len) == 1;
    out[0] = 0;
    if (shown) {
        lpx_hex_encode(lpx_bytes_of(digest, len), out);
    }
    return shown;
}

bool io_tls_session_cert(const SSL *session, io_peer_cert *out)
{
    X509 *cert = SSL_get0_peer_certificate(session); /* borrowed */
    io_peer_cert found;
    if (cert == NULL || !io_tls_session_fingerprint(session, found.fingerprint) ||
        !name_text(X509_get_subject_name(cert), found.subject) ||
        !name_text(X509_get_issuer_name(cert), found.issuer)) {
        return false;
    }
    *out = found;
    return true;
}
