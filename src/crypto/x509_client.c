/* Certificates of clients: made by a CA in memory, from a signing request or with a key of our own; and a look at those
 * that others made. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/limits.h"
#include "crypto/x509_priv.h"
#include "lpx_reasons.h"

struct crypto_ca {
    x509_identity id;
    lpx_str pem;
    char text[];
};

/* What a memory BIO holds, as a NUL-ended copy. @return false when there is none, or no memory */
static bool bio_text(BIO *bio, lpx_arena *arena, lpx_str *out)
{
    char *held = NULL;
    long len = bio != NULL ? BIO_get_mem_data(bio, &held) : 0;
    char *copy = len > 0 ? lpx_arena_cstr(arena, (lpx_str){held, (size_t)len}) : NULL;
    *out = (lpx_str){copy, copy != NULL ? (size_t)len : 0};
    return copy != NULL;
}

static lpx_err ca_new(x509_identity *id, const char *cert_file, crypto_ca **out, lpx_note *note)
{
    if (X509_check_ca(id->cert) != 1) {
        return lpx_fail(note, CRYPTO_FILE, "The certificate in %s is not that of a CA.", cert_file);
    }
    BIO *bio = x509_cert_pem(id->cert);
    char *held = NULL;
    long len = bio != NULL ? BIO_get_mem_data(bio, &held) : 0;
    crypto_ca *ca = len > 0 ? malloc(sizeof *ca + (size_t)len + 1) : NULL;
    if (ca != NULL) {
        memcpy(ca->text, held, (size_t)len);
        ca->text[len] = '\0';
        ca->pem = (lpx_str){ca->text, (size_t)len};
        ca->id = *id;
        *id = (x509_identity){0};
        *out = ca;
    }
    BIO_free(bio);
    return ca != NULL ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

LPX_RESULT crypto_ca_load(const char *cert_file, const char *key_file, crypto_ca **out, lpx_note *note)
{
    x509_identity id = {0};
    LPX_TRY(x509_identity_load(cert_file, key_file, &id, note));
    lpx_err err = ca_new(&id, cert_file, out, note);
    x509_identity_free(&id);
    return err;
}

void crypto_ca_free(crypto_ca **ca_at)
{
    crypto_ca *ca = *ca_at;
    *ca_at = NULL;
    if (ca != NULL) {
        x509_identity_free(&ca->id);
        free(ca);
    }
}

lpx_str crypto_ca_pem(const crypto_ca *ca)
{
    return ca->pem;
}

static lpx_err csr_bad(lpx_note *note, const char *why)
{
    ERR_clear_error();
    return lpx_fail(note, CRYPTO_BAD_CSR, "The certificate signing request is not usable: %s.", why);
}

/* Kinds of keys that every TLS server of today verifies and nobody breaks. */
static bool key_is_good(const EVP_PKEY *key)
{
    int bits = EVP_PKEY_get_bits(key);
    if (EVP_PKEY_is_a(key, "RSA")) {
        return bits >= CRYPTO_RSA_MIN_BITS && bits <= CRYPTO_RSA_MAX_BITS;
    }
    char group[32] = "";
    size_t len = 0;
    if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, &len) == 1) {
        return strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0 || strcmp(group, "secp521r1") == 0;
    }
    return EVP_PKEY_is_a(key, "ED25519");
}

/* A request that wants to be a CA was made for something else: what it gets here would not do. */
static bool wants_ca(const X509_REQ *request)
{
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions((X509_REQ *)(uintptr_t)request);
    int critical = -1;
    BASIC_CONSTRAINTS *basic = X509V3_get_d2i(extensions, NID_basic_constraints, &critical, NULL);
    bool wants = basic != NULL ? basic->ca != 0 : critical != -1; /* unreadable or twice: refused as well */
    BASIC_CONSTRAINTS_free(basic);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return wants;
}

static lpx_err request_check(X509_REQ *request, lpx_note *note)
{
    EVP_PKEY *key = X509_REQ_get0_pubkey(request);
    if (key == NULL || !key_is_good(key)) {
        return csr_bad(note, "its key must be ECDSA on P-256, P-384 or P-521, Ed25519, or RSA of 2048 to 8192 bits");
    }
    if (X509_REQ_verify(request, key) != 1) {
        return csr_bad(note, "its signature is wrong");
    }
    return wants_ca(request) ? csr_bad(note, "it asks for the certificate of a CA") : LPX_SUCCESS;
}

/* The public key of a request. */
static lpx_err request_key(lpx_str pem, EVP_PKEY **out, lpx_note *note)
{
    BIO *bio = pem.len <= CRYPTO_PEM_TEXT_MAX_BYTES ? BIO_new_mem_buf(pem.ptr, (int)pem.len) : NULL;
    X509_REQ *request = bio != NULL ? PEM_read_bio_X509_REQ(bio, NULL, x509_no_pass_phrase, NULL) : NULL;
    BIO_free(bio);
    if (request == NULL) {
        return csr_bad(note, "it is no PEM text that begins with -----BEGIN CERTIFICATE REQUEST-----");
    }
    lpx_err err = request_check(request, note);
    if (!lpx_failed(err)) {
        *out = X509_REQ_get_pubkey(request);
    }
    X509_REQ_free(request);
    return err;
}

static lpx_err identity_for(const crypto_client_opts *opts, x509_identity *id, lpx_note *note)
{
    if (opts->csr_pem.len == 0) {
        return x509_identity_new(id) ? LPX_SUCCESS : x509_fail(note, "make a key");
    }
    LPX_TRY(request_key(opts->csr_pem, &id->key, note));
    id->cert = X509_new();
    return id->cert != NULL ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

static lpx_err write_out(const x509_identity *id, bool key_too, lpx_arena *arena, crypto_client_cert *out,
                         lpx_note *note)
{
    BIO *cert = x509_cert_pem(id->cert);
    BIO *key = key_too ? x509_key_pem(id->key) : NULL;
    bool good = bio_text(cert, arena, &out->cert_pem);
    good = good && (!key_too || bio_text(key, arena, &out->key_pem));
    BIO_free(cert);
    BIO_free(key);
    return good ? x509_info(id->cert, &out->info, note) : lpx_err_of(BASE_NO_MEMORY);
}

LPX_RESULT crypto_client_issue(const crypto_ca *ca, const crypto_client_opts *opts, lpx_arena *arena,
                               crypto_client_cert *out, lpx_note *note)
{
    LPX_TRY(x509_common_name_check(opts->common_name, note));
    x509_identity id = {0};
    crypto_client_cert made = {.key_pem = LPX_STR("")};
    x509_leaf leaf = {.common_name = opts->common_name, .client = true, .days = opts->days, .now = opts->now};
    lpx_err err = identity_for(opts, &id, note);
    if (!lpx_failed(err) && !x509_leaf_sign(&id, &ca->id, &leaf)) {
        err = x509_fail(note, "sign a client's certificate");
    }
    if (!lpx_failed(err)) {
        err = write_out(&id, opts->csr_pem.len == 0, arena, &made, note);
    }
    x509_identity_free(&id);
    if (!lpx_failed(err)) {
        *out = made;
    }
    return err;
}

LPX_RESULT crypto_cert_read_pem(lpx_str pem, crypto_cert_info *out, lpx_note *note)
{
    BIO *bio = pem.len <= CRYPTO_PEM_TEXT_MAX_BYTES ? BIO_new_mem_buf(pem.ptr, (int)pem.len) : NULL;
    X509 *cert = bio != NULL ? PEM_read_bio_X509(bio, NULL, x509_no_pass_phrase, NULL) : NULL;
    BIO_free(bio);
    if (cert == NULL) {
        ERR_clear_error();
        return lpx_fail(note, CRYPTO_BAD_PEM,
                        "The text holds no certificate: it must be PEM and begin with "
                        "-----BEGIN CERTIFICATE-----, and be at most %d bytes long.",
                        (int)CRYPTO_PEM_TEXT_MAX_BYTES);
    }
    lpx_err err = x509_info(cert, out, note);
    X509_free(cert);
    return err;
}
