/* A thread keeps one digest and one MAC context for its life; OpenSSL's lookup of an algorithm by name costs three
 * times what the hash of a short text does. */
#include "crypto/hash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/assert.h"
#include "lpx_reasons.h"

struct crypto_hash {
    EVP_MD_CTX *ctx;
    bool begun;
};

typedef struct thread_hash {
    EVP_MD_CTX *digest;
    EVP_MAC_CTX *mac;
} thread_hash;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key;
static EVP_MD *sha256;
static EVP_MAC *hmac;

static void thread_hash_free(void *ptr)
{
    thread_hash *mine = ptr;
    EVP_MD_CTX_free(mine->digest);
    EVP_MAC_CTX_free(mine->mac);
    free(mine);
}

static void hash_setup(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    lpx_assert(sha256 != NULL && hmac != NULL);
    lpx_assert(pthread_key_create(&thread_key, thread_hash_free) == 0);
}

/* This thread's contexts, made when it first asks. */
static thread_hash *thread_hash_get(void)
{
    lpx_assert(pthread_once(&once, hash_setup) == 0);
    thread_hash *mine = pthread_getspecific(thread_key);
    if (mine != NULL) {
        return mine;
    }
    mine = calloc(1, sizeof *mine);
    lpx_assert(mine != NULL);
    mine->digest = EVP_MD_CTX_new();
    mine->mac = EVP_MAC_CTX_new(hmac);
    lpx_assert(mine->digest != NULL && mine->mac != NULL);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_end(),
    };
    lpx_assert(EVP_MAC_CTX_set_params(mine->mac, params) == 1);
    lpx_assert(pthread_setspecific(thread_key, mine) == 0);
    return mine;
}

void crypto_sha256(lpx_bytes in, uint8_t out[static CRYPTO_SHA256_BYTES])
{
    EVP_MD_CTX *ctx = thread_hash_get()->digest;
    unsigned len = 0;
    lpx_assert(EVP_DigestInit_ex2(ctx, sha256, NULL) == 1);
    lpx_assert(EVP_DigestUpdate(ctx, in.ptr, in.len) == 1);
    lpx_assert(EVP_DigestFinal_ex(ctx, out, &len) == 1 && len == CRYPTO_SHA256_BYTES);
}

void crypto_hmac_sha256(lpx_bytes key, lpx_bytes in, uint8_t out[static CRYPTO_SHA256_BYTES])
{
    EVP_MAC_CTX *ctx = thread_hash_get()->mac;
    size_t len = 0;
    /* A NULL key would mean: the one of the call before. */
    const uint8_t *key_ptr = key.len > 0 ? key.ptr : (const uint8_t *)"";
    lpx_assert(EVP_MAC_init(ctx, key_ptr, key.len, NULL) == 1);
    lpx_assert(EVP_MAC_update(ctx, in.ptr, in.len) == 1);
    lpx_assert(EVP_MAC_final(ctx, out, &len, CRYPTO_SHA256_BYTES) == 1 && len == CRYPTO_SHA256_BYTES);
}

LPX_RESULT crypto_hash_new(crypto_hash **out)
{
    (void)thread_hash_get();
    crypto_hash *hash = calloc(1, sizeof *hash);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (hash == NULL || ctx == NULL) {
        EVP_MD_CTX_free(ctx);
        free(hash);
        return lpx_err_of(BASE_NO_MEMORY);
    }
    hash->ctx = ctx;
    *out = hash;
    return LPX_SUCCESS;
}

void crypto_hash_add(crypto_hash *hash, lpx_bytes in)
{
    if (!hash->begun) {
        lpx_assert(EVP_DigestInit_ex2(hash->ctx, sha256, NULL) == 1);
        hash->begun = true;
    }
    lpx_assert(EVP_DigestUpdate(hash->ctx, in.ptr, in.len) == 1);
}

void crypto_hash_end(crypto_hash *hash, uint8_t out[static CRYPTO_SHA256_BYTES])
{
    unsigned len = 0;
    crypto_hash_add(hash, (lpx_bytes){0});
    lpx_assert(EVP_DigestFinal_ex(hash->ctx, out, &len) == 1 && len == CRYPTO_SHA256_BYTES);
    hash->begun = false;
}

void crypto_hash_free(crypto_hash **hash)
{
    if (*hash == NULL) {
        return;
    }
    EVP_MD_CTX_free((*hash)->ctx);
    free(*hash);
    *hash = NULL;
}
