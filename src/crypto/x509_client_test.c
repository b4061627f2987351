/* Certificates of clients: from requests that OpenSSL makes, and what is refused. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/limits.h"
#include "crypto/x509.h"
#include "lpx_reasons.h"

static const lpx_utc some_time = {1767225600LL * 1000000}; /* 2026-01-01 */
static const int64_t day_us = 86400LL * 1000000;

typedef struct surroundings {
    char folder[64], cert[96], key[96];
    crypto_ca *ca;
    lpx_arena arena;
    lpx_note note;
} surroundings;

static int begin(void **state)
{
    surroundings *s = calloc(1, sizeof *s);
    assert_non_null(s);
    (void)snprintf(s->folder, sizeof s->folder, "/tmp/lpx-client-test-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    (void)snprintf(s->cert, sizeof s->cert, "%s/ca.pem", s->folder);
    (void)snprintf(s->key, sizeof s->key, "%s/ca.key", s->folder);
    lpx_arena_init_wiped(&s->arena, 1 << 20);
    assert_false(lpx_failed(crypto_ca_create(s->cert, s->key, "lpx local CA", some_time, &s->note)));
    assert_false(lpx_failed(crypto_ca_load(s->cert, s->key, &s->ca, &s->note)));
    *state = s;
    return 0;
}

static int end(void **state)
{
    surroundings *s = *state;
    crypto_ca_free(&s->ca);
    assert_null(s->ca);
    lpx_arena_fini(&s->arena);
    (void)unlink(s->cert);
    (void)unlink(s->key);
    int result = rmdir(s->folder);
    free(s);
    return result;
}

static lpx_err issue(surroundings *s, lpx_str csr, crypto_client_cert *out)
{
    crypto_client_opts opts = {.csr_pem = csr, .common_name = "000013", .days = 30, .now = some_time};
    return crypto_client_issue(s->ca, &opts, &s->arena, out, &s->note);
}

static X509 *cert_of(lpx_str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(cert);
    return cert;
}

/* Would a TLS server with this CA take it at this time, for this purpose? */
static bool holds(const surroundings *s, lpx_str pem, int purpose, lpx_utc when)
{
    X509 *ca = cert_of(crypto_ca_pem(s->ca)), *cert = cert_of(pem);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_add_cert(store, ca), 1);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, cert, NULL), 1);
    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(ctx), (time_t)(when.us / 1000000));
    assert_int_equal(X509_STORE_CTX_set_purpose(ctx, purpose), 1);
    bool good = X509_verify_cert(ctx) == 1;
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    X509_free(ca);
    X509_free(cert);
    return good;
}

static void test_with_a_key_of_ours(void **state)
{
    surroundings *s = *state;
    crypto_client_cert made;
    assert_false(lpx_failed(issue(s, LPX_STR(""), &made)));
    assert_true(holds(s, made.cert_pem, X509_PURPOSE_SSL_CLIENT, some_time));
    assert_false(holds(s, made.cert_pem, X509_PURPOSE_SSL_SERVER, some_time));
    assert_false(holds(s, made.cert_pem, X509_PURPOSE_SSL_CLIENT, (lpx_utc){some_time.us + 31 * day_us}));
    BIO *bio = BIO_new_mem_buf(made.key_pem.ptr, (int)made.key_pem.len);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    X509 *cert = cert_of(made.cert_pem);
    assert_int_equal(X509_check_private_key(cert, key), 1);
    EVP_PKEY_free(key);
    X509_free(cert);
    BIO_free(bio);
    assert_string_equal(made.info.subject, "CN=000013");
    assert_string_equal(made.info.issuer, "CN=lpx local CA");
    assert_true(made.info.for_clients);
    assert_false(made.info.is_ca);
    assert_int_equal(made.info.not_after.us, some_time.us + 30 * day_us);
    assert_int_equal(strlen(made.info.serial), 32);
    crypto_cert_info info;
    assert_false(lpx_failed(crypto_cert_read_pem(made.cert_pem, &info, &s->note)));
    assert_string_equal(info.fingerprint, made.info.fingerprint);
    assert_string_equal(info.serial, made.info.serial);
    crypto_client_cert second;
    assert_false(lpx_failed(issue(s, LPX_STR(""), &second)));
    assert_string_not_equal(second.info.serial, made.info.serial);
}

static void test_never_outlives_the_ca(void **state)
{
    surroundings *s = *state;
    crypto_client_cert made;
    crypto_client_opts opts = {.common_name = "x", .days = 825, .now = {some_time.us + 3600 * day_us}};
    assert_false(lpx_failed(crypto_client_issue(s->ca, &opts, &s->arena, &made, &s->note)));
    assert_int_equal(made.info.not_after.us, some_time.us + 3653 * day_us);
}

/* A request for CN=evil with this key; spoil: its signature is wrong. */
static lpx_str request_of(surroundings *s, EVP_PKEY *key, const char *basic, bool spoil)
{
    X509_REQ *request = X509_REQ_new();
    assert_non_null(key);
    X509_NAME *name = X509_REQ_get_subject_name(request);
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"evil", -1, -1, 0), 1);
    assert_int_equal(X509_REQ_set_pubkey(request, key), 1);
    if (basic != NULL) {
        STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
        for (size_t i = 0; i < (strcmp(basic, "CA:FALSE") == 0 ? 2 : 1); i++) { /* twice is not allowed */
            sk_X509_EXTENSION_push(list, X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, basic));
        }
        sk_X509_EXTENSION_push(list, X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:evil.example"));
        assert_int_equal(X509_REQ_add_extensions(request, list), 1);
        sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    }
    bool own_digest = EVP_PKEY_is_a(key, "ED25519");
    assert_true(X509_REQ_sign(request, key, own_digest ? NULL : EVP_sha256()) > 0);
    if (spoil) {
        EVP_PKEY *other = EVP_EC_gen("P-256");
        assert_int_equal(X509_REQ_set_pubkey(request, other), 1);
        EVP_PKEY_free(other);
    }
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509_REQ(bio, request), 1);
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    lpx_str out = lpx_str_of(lpx_arena_cstr(&s->arena, (lpx_str){text, (size_t)len}));
    BIO_free(bio);
    X509_REQ_free(request);
    EVP_PKEY_free(key);
    return out;
}

static void test_requests(void **state)
{
    surroundings *s = *state;
    EVP_PKEY *keys[] = {EVP_EC_gen("P-256"), EVP_EC_gen("P-384"), EVP_EC_gen("P-521"), EVP_RSA_gen(2048),
                        EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        assert_int_equal(EVP_PKEY_up_ref(keys[i]), 1);
        crypto_client_cert made;
        assert_false(lpx_failed(issue(s, request_of(s, keys[i], NULL, false), &made)));
        assert_int_equal(made.key_pem.len, 0);
        assert_true(holds(s, made.cert_pem, X509_PURPOSE_SSL_CLIENT, some_time));
        assert_string_equal(made.info.subject, "CN=000013"); /* ours, not what the request says */
        X509 *cert = cert_of(made.cert_pem);
        assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(cert), keys[i]), 1);
        assert_int_equal(X509_get_ext_by_NID(cert, NID_subject_alt_name, -1), -1);
        X509_free(cert);
        EVP_PKEY_free(keys[i]);
    }
}

static void refuse(surroundings *s, lpx_str csr, const char *words)
{
    crypto_client_cert made;
    assert_int_equal(issue(s, csr, &made).reason, CRYPTO_BAD_CSR);
    assert_non_null(strstr(s->note.text, words));
}

static void test_bad_requests(void **state)
{
    surroundings *s = *state;
    refuse(s, LPX_STR("hello"), "BEGIN CERTIFICATE REQUEST");
    refuse(s, crypto_ca_pem(s->ca), "BEGIN CERTIFICATE REQUEST");
    refuse(s, request_of(s, EVP_EC_gen("P-256"), NULL, true), "signature");
    refuse(s, request_of(s, EVP_RSA_gen(1024), NULL, false), "RSA of 2048");
    refuse(s, request_of(s, EVP_EC_gen("secp256k1"), NULL, false), "P-256");
    refuse(s, request_of(s, EVP_EC_gen("P-256"), "CA:TRUE", false), "CA");
    refuse(s, request_of(s, EVP_EC_gen("P-256"), "CA:FALSE", false), "CA");
    /* Encrypted PEM: nobody is asked for a pass phrase. */
    refuse(
        s,
        LPX_STR("-----BEGIN CERTIFICATE REQUEST-----\nProc-Type: 4,ENCRYPTED\n"
                "DEK-Info: AES-128-CBC,00000000000000000000000000000000\n\nAAAA\n-----END CERTIFICATE REQUEST-----\n"),
        "PEM");
    char *large = lpx_arena_get(&s->arena, CRYPTO_PEM_TEXT_MAX_BYTES + 1);
    memset(large, '\n', CRYPTO_PEM_TEXT_MAX_BYTES + 1);
    refuse(s, (lpx_str){large, CRYPTO_PEM_TEXT_MAX_BYTES + 1}, "PEM");
    crypto_client_cert made;
    crypto_client_opts no_name = {.common_name = "", .days = 1, .now = some_time};
    assert_int_equal(crypto_client_issue(s->ca, &no_name, &s->arena, &made, &s->note).reason, CRYPTO_BAD_NAME);
}

static void test_reading(void **state)
{
    surroundings *s = *state;
    crypto_cert_info info;
    assert_int_equal(crypto_cert_read_pem(LPX_STR("no"), &info, &s->note).reason, CRYPTO_BAD_PEM);
    assert_int_equal(crypto_cert_read_pem(LPX_STR(""), &info, &s->note).reason, CRYPTO_BAD_PEM);
    assert_false(lpx_failed(crypto_cert_read_pem(crypto_ca_pem(s->ca), &info, &s->note)));
    assert_true(info.is_ca);
    crypto_ca *none = NULL;
    assert_int_equal(crypto_ca_load("/nonexistent/ca.pem", s->key, &none, &s->note).reason, CRYPTO_FILE);
    /* A leaf signs nothing. */
    char cert[128], key[128];
    (void)snprintf(cert, sizeof cert, "%s/leaf.pem", s->folder);
    (void)snprintf(key, sizeof key, "%s/leaf.key", s->folder);
    crypto_cert_opts server = {.ca_cert_file = s->cert,
                               .ca_key_file = s->key,
                               .cert_file = cert,
                               .key_file = key,
                               .common_name = "server",
                               .now = some_time};
    assert_false(lpx_failed(crypto_cert_issue(&server, &s->note)));
    assert_false(lpx_failed(crypto_cert_read(cert, &info, &s->note)));
    assert_false(info.for_clients);
    assert_int_equal(crypto_ca_load(cert, key, &none, &s->note).reason, CRYPTO_FILE);
    assert_null(none);
    (void)unlink(cert);
    (void)unlink(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_with_a_key_of_ours, begin, end),
        cmocka_unit_test_setup_teardown(test_never_outlives_the_ca, begin, end),
        cmocka_unit_test_setup_teardown(test_requests, begin, end),
        cmocka_unit_test_setup_teardown(test_bad_requests, begin, end),
        cmocka_unit_test_setup_teardown(test_reading, begin, end),
    };
    return cmocka_run_group_tests_name("x509_client", tests, NULL, NULL);
}
