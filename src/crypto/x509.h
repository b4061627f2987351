/* A local certificate authority (P-256), server and client certificates signed by it, and a look into PEM files.
 * Files are written whole or not at all: temporary file, fsync, rename, fsync of the folder; key files get mode 0600.
 * Level 1. Thread: any; two writers of one file are the caller's to avoid. */
#pragma once
#include "base/bytes.h"
#include "base/err.h"
#include "base/time.h"

enum {
    CRYPTO_CERT_MAX_NAMES = 32,    /* names in one certificate, the built-in ones included */
    CRYPTO_CA_DAYS = 3653,         /* 10 years */
    CRYPTO_CERT_DAYS = 825,        /* the longest that all common clients accept */
    CRYPTO_FINGERPRINT_BYTES = 65, /* lower-case hex of SHA-256 of the DER, and NUL */
    CRYPTO_SUBJECT_BYTES = 128,
};

/** What a certificate is made from. Texts are borrowed. */
typedef struct crypto_cert_opts {
    const char *ca_cert_file, *ca_key_file; /* PEM, signer */
    const char *cert_file, *key_file;       /* PEM, written */
    const char *common_name;
    const char *const *names; /* further DNS names and IP addresses, name_count of them */
    size_t name_count;
    bool client; /* a client's certificate: no built-in names */
    lpx_utc now;
} crypto_cert_opts;

/** What a PEM certificate says. Texts are NUL-ended. */
typedef struct crypto_cert_info {
    lpx_utc not_before, not_after;
    char fingerprint[CRYPTO_FINGERPRINT_BYTES];
    char subject[CRYPTO_SUBJECT_BYTES]; /* RFC 2253, cut when longer */
    bool is_ca;
} crypto_cert_info;

/** Make a self-signed CA with a fresh P-256 key, valid for CRYPTO_CA_DAYS from now (backdated by an hour).
 * @err INTERNAL: CRYPTO_X509 (OpenSSL refused); FAILED_PRECONDITION: CRYPTO_FILE (note names the file and why) */
LPX_RESULT crypto_ca_create(const char *cert_file, const char *key_file, const char *common_name, lpx_utc now,
                            lpx_note *note);

/** Make a certificate with a fresh P-256 key, signed by the CA, valid for CRYPTO_CERT_DAYS but not past the CA's end.
 * A server's certificate also names localhost, the host name, 127.0.0.1 and ::1.
 * @err INVALID_ARGUMENT: CRYPTO_BAD_NAME; FAILED_PRECONDITION: CRYPTO_FILE; INTERNAL: CRYPTO_X509 */
LPX_RESULT crypto_cert_issue(const crypto_cert_opts *opts, lpx_note *note);

/** Read the first certificate of a PEM file. @err FAILED_PRECONDITION: CRYPTO_FILE (note names the file and why) */
LPX_RESULT crypto_cert_read(const char *file, crypto_cert_info *out, lpx_note *note);
