/* SipHash-2-4-128 against OpenSSL's, and one vector of its authors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those before it */
#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/test_random.h"
#include "crypto/siphash.h"

enum { MAX_BYTES = 130, KEYS = 20 };

static void the_vector_of_its_authors(void **state)
{
    (void)state;
    static const crypto_siphash_key key = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
    static const uint8_t empty[] = {0xA3, 0x81, 0x7F, 0x04, 0xBA, 0x25, 0xA8, 0xE6,
                                    0x6D, 0xF6, 0x72, 0x14, 0xC7, 0x55, 0x02, 0x93};
    uint8_t code[CRYPTO_SIPHASH_BYTES];
    crypto_siphash(&key, (lpx_bytes){NULL, 0}, code);
    assert_memory_equal(code, empty, sizeof code);
}

static void every_length_as_openssl_says(void **state)
{
    (void)state;
    test_random random = test_random_begin("siphash");
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    assert_non_null(ctx);
    size_t size = CRYPTO_SIPHASH_BYTES;
    OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size), OSSL_PARAM_construct_end()};
    for (unsigned k = 0; k < KEYS; k++) {
        crypto_siphash_key key;
        uint8_t in[MAX_BYTES], code[CRYPTO_SIPHASH_BYTES], want[CRYPTO_SIPHASH_BYTES];
        test_random_fill(&random, key.bytes, sizeof key.bytes);
        test_random_fill(&random, in, sizeof in);
        for (size_t len = 0; len <= sizeof in; len++) {
            size_t got = 0;
            assert_int_equal(EVP_MAC_init(ctx, key.bytes, sizeof key.bytes, params), 1);
            assert_int_equal(EVP_MAC_update(ctx, in, len), 1);
            assert_int_equal(EVP_MAC_final(ctx, want, &got, sizeof want), 1);
            assert_int_equal(got, sizeof want);
            crypto_siphash(&key, lpx_bytes_of(in, len), code);
            assert_memory_equal(code, want, sizeof code);
        }
    }
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vector_of_its_authors),
        cmocka_unit_test(every_length_as_openssl_says),
    };
    return cmocka_run_group_tests_name("siphash", tests, NULL, NULL);
}
