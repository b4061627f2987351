/* SHA-256 and HMAC-SHA-256 by OpenSSL. The algorithm is fetched once for the process and a context is kept per thread,
 * so that a call costs the hash alone. Level 1. Thread: any. */
#pragma once
#include "base/bytes.h"
#include "base/err.h"

enum { CRYPTO_SHA256_BYTES = 32 };

/** SHA-256 of in. Cannot fail: a process without SHA-256 ends. @thread any */
void crypto_sha256(lpx_bytes in, uint8_t out[static CRYPTO_SHA256_BYTES]);

/** HMAC-SHA-256 (RFC 2104) of in under a key of any length. @thread any */
void crypto_hmac_sha256(lpx_bytes key, lpx_bytes in, uint8_t out[static CRYPTO_SHA256_BYTES]);

/** A hash over parts that come one after the other. One thread at a time. */
typedef struct crypto_hash crypto_hash;

/** Start a SHA-256. @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT crypto_hash_new(crypto_hash **out);
/** Hash the next part. */
void crypto_hash_add(crypto_hash *hash, lpx_bytes in);
/** Result of all parts so far; the hash starts anew with the next part. */
void crypto_hash_end(crypto_hash *hash, uint8_t out[static CRYPTO_SHA256_BYTES]);
/** Free; clears the pointer; accepts NULL. */
void crypto_hash_free(crypto_hash **hash);
