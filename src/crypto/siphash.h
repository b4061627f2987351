/* SipHash-2-4 with 128 bits of output: a keyed code for short texts where HMAC-SHA-256 would cost ten times the rest of
 * the work. It is made as a MAC (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012) with a key of 128 bits;
 * it is no hash without a key. Level 1. Thread: any. */
#pragma once
#include "base/bytes.h"

enum { CRYPTO_SIPHASH_BYTES = 16 };

/** A key: 16 random bytes, secret. */
typedef struct crypto_siphash_key {
    uint8_t bytes[CRYPTO_SIPHASH_BYTES];
} crypto_siphash_key;

/** Code of in under a key. */
void crypto_siphash(const crypto_siphash_key *key, lpx_bytes in, uint8_t out[static CRYPTO_SIPHASH_BYTES]);
