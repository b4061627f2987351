/* A local certificate authority (P-256), server and client certificates signed by it, and a look into PEM files.
 * Files are written whole or not at all: temporary file, fsync, rename, fsync of the folder; key files get mode 0600.
 * Level 1. Thread: any; two writers of one file are the caller's to avoid. */
#pragma once
#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/time.h"

enum {
    CRYPTO_CERT_MAX_NAMES = 32,    /* names in one certificate, the built-in ones included */
    CRYPTO_CA_DAYS = 3653,         /* 10 years */
    CRYPTO_CERT_DAYS = 825,        /* the longest that all common clients accept */
    CRYPTO_FINGERPRINT_BYTES = 65, /* lower-case hex of SHA-256 of the DER, and NUL */
    CRYPTO_SUBJECT_BYTES = 256,
    CRYPTO_SERIAL_BYTES = 65, /* lower-case hex, and NUL; RFC 5280 allows 20 bytes */
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
    char issuer[CRYPTO_SUBJECT_BYTES];  /* the same */
    char serial[CRYPTO_SERIAL_BYTES];
    bool is_ca;
    bool for_clients; /* a TLS server takes it from a client: EKU clientAuth, or no EKU at all */
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
/** Read the first certificate of a PEM text that came from outside.
 * @err INVALID_ARGUMENT: CRYPTO_BAD_PEM; INTERNAL: CRYPTO_X509 */
LPX_RESULT crypto_cert_read_pem(lpx_str pem, crypto_cert_info *out, lpx_note *note);

/** A CA in memory, which signs certificates of clients. Immutable: any thread. */
typedef struct crypto_ca crypto_ca;

/** Load a CA. @err FAILED_PRECONDITION: CRYPTO_FILE (also when it is no CA) */
LPX_RESULT crypto_ca_load(const char *cert_file, const char *key_file, crypto_ca **out, lpx_note *note);
/** Free; clears the pointer; accepts NULL. */
void crypto_ca_free(crypto_ca **ca);
/** PEM of its certificate; lives as long as the CA. */
lpx_str crypto_ca_pem(const crypto_ca *ca);

/** What a client's certificate is made from. */
typedef struct crypto_client_opts {
    lpx_str csr_pem;         /* PKCS #10 from outside: its key counts, and nothing else; empty: a fresh P-256 key */
    const char *common_name; /* of the subject */
    unsigned days;           /* 1 to CRYPTO_CERT_DAYS; it never outlives the CA */
    lpx_utc now;             /* backdated by an hour */
} crypto_client_opts;

/** A client's certificate. Texts are NUL-ended too. */
typedef struct crypto_client_cert {
    lpx_str cert_pem;
    lpx_str key_pem; /* PKCS #8, a secret; empty when there was a CSR */
    crypto_cert_info info;
} crypto_client_cert;

/** Make a certificate with which a TLS client shows who it is.
 * @param arena a wiped one: holds what *out points to
 * @err INVALID_ARGUMENT: CRYPTO_BAD_CSR (unreadable, its signature is wrong, it wants to be a CA, or its key is neither
 *      RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, nor Ed25519), CRYPTO_BAD_NAME;
 *      RESOURCE_EXHAUSTED: BASE_NO_MEMORY; INTERNAL: CRYPTO_X509 */
LPX_RESULT crypto_client_issue(const crypto_ca *ca, const crypto_client_opts *opts, lpx_arena *arena,
                               crypto_client_cert *out, lpx_note *note);
