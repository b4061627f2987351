#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "crypto/hash.h"
#include "crypto/password.h"
#include "crypto/random.h"
#include "crypto/x509.h"
#include "lpx_reasons.h"

enum { LINE_BYTES = 1024, COLUMN_BYTES = 512 };

/* 2026-01-02T03:04:05Z */
static const lpx_utc some_time = {1767323045LL * 1000000};

/* Calls check with the columns of each row of a vector file; returns the number of rows. */
static int each_row(const char *name, void (*check)(char *columns[static 3]))
{
    char path[LINE_BYTES], line[LINE_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", VECTORS, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    int rows = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        char *columns[3] = {0}, *save = NULL;
        if (line[0] == '#') {
            continue;
        }
        for (int i = 0; i < 3; i++) {
            columns[i] = strtok_r(i == 0 ? line : NULL, " \n", &save);
        }
        check(columns);
        rows++;
    }
    (void)fclose(file);
    return rows;
}

static lpx_bytes unhex(const char *text, uint8_t room[static COLUMN_BYTES])
{
    lpx_space out = {room, strcmp(text, "-") == 0 ? 0 : strlen(text) / 2};
    assert_true(out.len <= COLUMN_BYTES && (out.len == 0 || lpx_hex_decode(lpx_str_of(text), out)));
    return lpx_bytes_of(room, out.len);
}

static void check_sha256(char *columns[static 3])
{
    uint8_t room[COLUMN_BYTES], digest[CRYPTO_SHA256_BYTES], again[CRYPTO_SHA256_BYTES];
    char hex[2 * CRYPTO_SHA256_BYTES + 1];
    lpx_bytes message = unhex(columns[0], room);
    crypto_sha256(message, digest);
    lpx_hex_encode(lpx_bytes_of(digest, sizeof digest), hex);
    assert_string_equal(hex, columns[1]);
    crypto_hash *hash = NULL;
    assert_false(lpx_failed(crypto_hash_new(&hash)));
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < message.len; i++) {
            crypto_hash_add(hash, lpx_bytes_of(message.ptr + i, 1));
        }
        crypto_hash_end(hash, again);
        assert_memory_equal(again, digest, sizeof digest);
    }
    crypto_hash_free(&hash);
    assert_null(hash);
    crypto_hash_free(&hash);
}

static void test_sha256_vectors(void **state)
{
    (void)state;
    assert_int_equal(each_row("sha256.txt", check_sha256), 6);
}

static void check_hmac(char *columns[static 3])
{
    uint8_t key_room[COLUMN_BYTES], room[COLUMN_BYTES], code[CRYPTO_SHA256_BYTES];
    char hex[2 * CRYPTO_SHA256_BYTES + 1];
    crypto_hmac_sha256(unhex(columns[0], key_room), unhex(columns[1], room), code);
    lpx_hex_encode(lpx_bytes_of(code, sizeof code), hex);
    assert_string_equal(hex, columns[2]);
}

static void test_hmac_vectors(void **state)
{
    (void)state;
    assert_int_equal(each_row("hmac_sha256.txt", check_hmac), 7);
}

static void *hash_many(void *expected)
{
    for (int i = 0; i < 500; i++) {
        uint8_t digest[CRYPTO_SHA256_BYTES];
        crypto_sha256(lpx_str_bytes(LPX_STR("abc")), digest);
        if (memcmp(digest, expected, sizeof digest) != 0) {
            return expected;
        }
    }
    return NULL;
}

static void test_hash_threads(void **state)
{
    (void)state;
    uint8_t expected[CRYPTO_SHA256_BYTES];
    crypto_sha256(lpx_str_bytes(LPX_STR("abc")), expected);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hash_many, expected), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *wrong = expected;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

static void test_random(void **state)
{
    (void)state;
    uint8_t a[1024] = {0}, b[1024] = {0};
    assert_false(lpx_failed(crypto_random((lpx_space){a, sizeof a})));
    assert_false(lpx_failed(crypto_random((lpx_space){b, sizeof b})));
    assert_memory_not_equal(a, b, sizeof a);
    assert_false(lpx_failed(crypto_random((lpx_space){NULL, 0})));
    /* Four zeros are expected; a short read would leave hundreds. */
    size_t zeros = 0;
    for (size_t i = 0; i < sizeof a; i++) {
        zeros += a[i] == 0;
    }
    assert_true(zeros < 64);
}

static void check_argon2(char *columns[static 3])
{
    assert_true(crypto_password_verify(lpx_str_of(columns[0]), columns[1]));
    assert_false(crypto_password_verify(LPX_STR("passwore"), columns[1]));
}

static void test_password_vectors(void **state)
{
    (void)state;
    assert_int_equal(each_row("argon2id.txt", check_argon2), 4);
}

static void test_password_hash(void **state)
{
    (void)state;
    char first[CRYPTO_PASSWORD_TEXT_BYTES], second[CRYPTO_PASSWORD_TEXT_BYTES];
    lpx_str password = LPX_STR("correct horse");
    assert_false(lpx_failed(crypto_password_hash(password, first)));
    assert_false(lpx_failed(crypto_password_hash(password, second)));
    assert_string_not_equal(first, second);
    assert_true(lpx_str_starts(lpx_str_of(first), LPX_STR("$argon2id$v=19$m=19456,t=2,p=1$")));
    assert_true(crypto_password_verify(password, first));
    assert_true(crypto_password_verify(password, second));
    assert_false(crypto_password_verify(LPX_STR("correct hors"), first));
    assert_false(crypto_password_verify(LPX_STR(""), first));
    assert_int_equal(crypto_password_hash(LPX_STR(""), first).reason, CRYPTO_BAD_PASSWORD);
    char long_password[CRYPTO_PASSWORD_MAX_BYTES + 1];
    memset(long_password, 'x', sizeof long_password);
    assert_int_equal(crypto_password_hash((lpx_str){long_password, sizeof long_password}, first).reason,
                     CRYPTO_BAD_PASSWORD);
    assert_false(lpx_failed(crypto_password_hash((lpx_str){long_password, sizeof long_password - 1}, first)));
}

static void test_password_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "$argon2id$v=19$",
        "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=16$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=4000000000,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=0$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=1$$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4!",
        "$argon2id$v=19$m=256,t=2$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(crypto_password_verify(LPX_STR("password"), bad[i]));
    }
    assert_false(crypto_password_verify(LPX_STR("password"), NULL));
}

/* ---- certificates ---- */

typedef struct cert_files {
    char folder[64], ca_cert[96], ca_key[96], cert[96], key[96];
} cert_files;

static int files_make(void **state)
{
    cert_files *files = calloc(1, sizeof *files);
    assert_non_null(files);
    (void)snprintf(files->folder, sizeof files->folder, "/tmp/lpx-crypto-test-XXXXXX");
    assert_non_null(mkdtemp(files->folder));
    (void)snprintf(files->ca_cert, sizeof files->ca_cert, "%s/ca.pem", files->folder);
    (void)snprintf(files->ca_key, sizeof files->ca_key, "%s/ca.key", files->folder);
    (void)snprintf(files->cert, sizeof files->cert, "%s/server.pem", files->folder);
    (void)snprintf(files->key, sizeof files->key, "%s/server.key", files->folder);
    *state = files;
    return 0;
}

static int files_remove(void **state)
{
    cert_files *files = *state;
    (void)unlink(files->ca_cert);
    (void)unlink(files->ca_key);
    (void)unlink(files->cert);
    (void)unlink(files->key);
    /* Fails when a temporary file was left behind. */
    int result = rmdir(files->folder);
    free(files);
    return result;
}

static X509 *cert_open(const char *path)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    X509 *cert = PEM_read_X509(file, NULL, NULL, NULL);
    (void)fclose(file);
    assert_non_null(cert);
    return cert;
}

static unsigned file_mode(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

/* Does the chain hold at this time, for this host and purpose? */
static bool chain_holds(const cert_files *files, const char *host, int purpose, lpx_utc when)
{
    X509 *ca = cert_open(files->ca_cert), *cert = cert_open(files->cert);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_add_cert(store, ca), 1);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, cert, NULL), 1);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, (time_t)(when.us / 1000000));
    assert_int_equal(X509_VERIFY_PARAM_set_purpose(param, purpose), 1);
    if (host != NULL && X509_VERIFY_PARAM_set1_ip_asc(param, host) != 1) {
        assert_int_equal(X509_VERIFY_PARAM_set1_host(param, host, 0), 1);
    }
    bool good = X509_verify_cert(ctx) == 1;
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    X509_free(ca);
    X509_free(cert);
    return good;
}

static crypto_cert_opts server_opts(const cert_files *files, const char *const *names, size_t count)
{
    return (crypto_cert_opts){.ca_cert_file = files->ca_cert,
                              .ca_key_file = files->ca_key,
                              .cert_file = files->cert,
                              .key_file = files->key,
                              .common_name = "lpx server",
                              .names = names,
                              .name_count = count,
                              .now = some_time};
}

static void test_server_certificate(void **state)
{
    const cert_files *files = *state;
    lpx_note note = {{0}};
    static const char *const names[] = {"exchange.example", "192.0.2.7", "*.eu.example", "localhost"};
    assert_false(lpx_failed(crypto_ca_create(files->ca_cert, files->ca_key, "lpx local CA", some_time, &note)));
    crypto_cert_opts opts = server_opts(files, names, 4);
    assert_false(lpx_failed(crypto_cert_issue(&opts, &note)));
    assert_int_equal(file_mode(files->ca_key), 0600);
    assert_int_equal(file_mode(files->key), 0600);
    assert_int_equal(file_mode(files->cert), 0644);

    char host[256] = "";
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    const char *const good[] = {"localhost", "127.0.0.1", "::1", "exchange.example", "192.0.2.7", "a.eu.example", host};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(chain_holds(files, good[i], X509_PURPOSE_SSL_SERVER, some_time));
    }
    assert_false(chain_holds(files, "other.example", X509_PURPOSE_SSL_SERVER, some_time));
    assert_false(chain_holds(files, "192.0.2.8", X509_PURPOSE_SSL_SERVER, some_time));
    assert_false(chain_holds(files, NULL, X509_PURPOSE_SSL_CLIENT, some_time));
    const int64_t day_us = 86400LL * 1000000;
    assert_true(chain_holds(files, NULL, X509_PURPOSE_SSL_SERVER, (lpx_utc){some_time.us + 824 * day_us}));
    assert_false(chain_holds(files, NULL, X509_PURPOSE_SSL_SERVER, (lpx_utc){some_time.us + 826 * day_us}));
    assert_false(chain_holds(files, NULL, X509_PURPOSE_SSL_SERVER, (lpx_utc){some_time.us - day_us}));
}

static void test_certificate_info(void **state)
{
    const cert_files *files = *state;
    lpx_note note = {{0}};
    crypto_cert_info info;
    assert_false(lpx_failed(crypto_ca_create(files->ca_cert, files->ca_key, "lpx local CA", some_time, &note)));
    assert_false(lpx_failed(crypto_cert_read(files->ca_cert, &info, &note)));
    assert_true(info.is_ca);
    assert_string_equal(info.subject, "CN=lpx local CA");
    assert_int_equal(info.not_before.us, some_time.us - 3600LL * 1000000);
    assert_int_equal(info.not_after.us, some_time.us + 3653 * 86400LL * 1000000);

    X509 *cert = cert_open(files->ca_cert);
    uint8_t digest[32];
    unsigned len = 0;
    char hex[65];
    assert_int_equal(X509_digest(cert, EVP_sha256(), digest, &len), 1);
    X509_free(cert);
    lpx_hex_encode(lpx_bytes_of(digest, sizeof digest), hex);
    assert_string_equal(info.fingerprint, hex);

    crypto_cert_opts opts = server_opts(files, NULL, 0);
    opts.now.us = info.not_after.us - 10 * 86400LL * 1000000;
    assert_false(lpx_failed(crypto_cert_issue(&opts, &note)));
    int64_t ca_end_us = info.not_after.us;
    assert_false(lpx_failed(crypto_cert_read(files->cert, &info, &note)));
    assert_false(info.is_ca);
    assert_int_equal(info.not_after.us, ca_end_us);
}

static void test_client_certificate(void **state)
{
    const cert_files *files = *state;
    lpx_note note = {{0}};
    assert_false(lpx_failed(crypto_ca_create(files->ca_cert, files->ca_key, "CA", some_time, &note)));
    crypto_cert_opts opts = server_opts(files, NULL, 0);
    opts.client = true;
    assert_false(lpx_failed(crypto_cert_issue(&opts, &note)));
    assert_true(chain_holds(files, NULL, X509_PURPOSE_SSL_CLIENT, some_time));
    assert_false(chain_holds(files, NULL, X509_PURPOSE_SSL_SERVER, some_time));
    X509 *cert = cert_open(files->cert);
    assert_int_equal(X509_get_ext_by_NID(cert, NID_subject_alt_name, -1), -1);
    X509_free(cert);
}

static void test_certificate_refused(void **state)
{
    const cert_files *files = *state;
    lpx_note note = {{0}};
    crypto_cert_info info;
    crypto_cert_opts opts = server_opts(files, NULL, 0);
    assert_int_equal(crypto_cert_issue(&opts, &note).reason, CRYPTO_FILE);
    assert_non_null(strstr(note.text, files->ca_cert));
    assert_false(lpx_failed(crypto_ca_create(files->ca_cert, files->ca_key, "CA", some_time, &note)));
    static const char *const bad[] = {"", "a b", "-a", "a..b", "a,DNS:evil", "*", "a.*.b", "1.2.3.4/8"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        opts = server_opts(files, &bad[i], 1);
        assert_int_equal(crypto_cert_issue(&opts, &note).reason, CRYPTO_BAD_NAME);
    }
    opts = server_opts(files, NULL, 0);
    opts.common_name = "";
    assert_int_equal(crypto_cert_issue(&opts, &note).reason, CRYPTO_BAD_NAME);
    /* A key of another CA. */
    assert_false(lpx_failed(crypto_ca_create(files->cert, files->key, "CA", some_time, &note)));
    opts = server_opts(files, NULL, 0);
    opts.ca_key_file = files->key;
    assert_int_equal(crypto_cert_issue(&opts, &note).reason, CRYPTO_FILE);
    assert_int_equal(crypto_cert_read(files->ca_key, &info, &note).reason, CRYPTO_FILE);
    assert_int_equal(crypto_ca_create("/nonexistent/ca.pem", "/nonexistent/ca.key", "CA", some_time, &note).reason,
                     CRYPTO_FILE);
    assert_non_null(strstr(note.text, "/nonexistent/ca.key"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_vectors),
        cmocka_unit_test(test_hmac_vectors),
        cmocka_unit_test(test_hash_threads),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_password_vectors),
        cmocka_unit_test(test_password_hash),
        cmocka_unit_test(test_password_refused),
        cmocka_unit_test_setup_teardown(test_server_certificate, files_make, files_remove),
        cmocka_unit_test_setup_teardown(test_certificate_info, files_make, files_remove),
        cmocka_unit_test_setup_teardown(test_client_certificate, files_make, files_remove),
        cmocka_unit_test_setup_teardown(test_certificate_refused, files_make, files_remove),
    };
    return cmocka_run_group_tests_name("crypto", tests, NULL, NULL);
}
