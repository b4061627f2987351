/* What the files on certificates share; OpenSSL's types stay in this folder. Level 1. */
#pragma once
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "crypto/x509.h"

/** A certificate and its key, in memory or on their way to files. */
typedef struct x509_identity {
    X509 *cert;
    EVP_PKEY *key;
} x509_identity;

/** What a signed certificate is made from; borrowed. */
typedef struct x509_leaf {
    const char *common_name;
    bool client;
    unsigned days;
    lpx_utc now;
    GENERAL_NAMES *names; /* may be NULL */
} x509_leaf;

/** Empty certificate and fresh P-256 key. @return false when OpenSSL fails; what was made is to be freed */
bool x509_identity_new(x509_identity *out);
/** Free both. */
void x509_identity_free(x509_identity *id);
/** Read a certificate and its key from files. @err FAILED_PRECONDITION: CRYPTO_FILE */
LPX_RESULT x509_identity_load(const char *cert_file, const char *key_file, x509_identity *out, lpx_note *note);
/** Fill the certificate of id, whose key is there (its public half suffices), and sign it. @return false when OpenSSL
 * fails */
bool x509_leaf_sign(x509_identity *id, const x509_identity *ca, const x509_leaf *leaf);
/** Is it a common name? @err INVALID_ARGUMENT: CRYPTO_BAD_NAME */
LPX_RESULT x509_common_name_check(const char *name, lpx_note *note);
/** Add an extension by its text form. @return false when OpenSSL fails */
bool x509_extension_add(X509 *cert, X509 *issuer, int nid, const char *value);
/** Seconds since 1970; 0 for what is no time. */
int64_t x509_time_s(const ASN1_TIME *time);
/** What a certificate says. @err INTERNAL: CRYPTO_X509 */
LPX_RESULT x509_info(X509 *cert, crypto_cert_info *out, lpx_note *note);
/** Memory BIO with the PEM of a certificate; NULL when OpenSSL fails. */
BIO *x509_cert_pem(X509 *cert);
/** The same of a private key, in secure memory. */
BIO *x509_key_pem(EVP_PKEY *key);
/** Fail with the words of OpenSSL. @err INTERNAL: CRYPTO_X509 */
LPX_RESULT x509_fail(lpx_note *note, const char *what);
/** Callback for PEM: no pass phrases, because a service that starts by itself has nobody to ask. */
int x509_no_pass_phrase(char *out, int size, int writing, void *ctx);
