/* Passwords of people by Argon2id (RFC 9106), stored as PHC strings. One hash takes about 30 ms of CPU and 19 MiB,
 * which go back to the kernel before the call returns: run it on a worker, never on a loop. Level 1. Thread: any. */
#pragma once
#include "base/bytes.h"
#include "base/err.h"

enum {
    CRYPTO_PASSWORD_TEXT_BYTES = 128, /* "$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>" and its NUL */
    CRYPTO_PASSWORD_MAX_BYTES = 1024, /* longer passwords are refused, so that hashing one stays cheap */
};

/** Hash a password with a fresh salt.
 * @param out NUL-ended PHC string, written on success only
 * @err INVALID_ARGUMENT: CRYPTO_BAD_PASSWORD (empty or too long); INTERNAL: CRYPTO_NO_RANDOM;
 *      RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT crypto_password_hash(lpx_str password, char out[static CRYPTO_PASSWORD_TEXT_BYTES]);

/** Is it the password of this PHC string? Compares in constant time; false also when phc is no Argon2id string or asks
 * for more memory or passes than the limits allow. */
bool crypto_password_verify(lpx_str password, const char *phc);
