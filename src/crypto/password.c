/* Argon2id over memory that is mapped for one call: freed through malloc it would stay with the process, because glibc
 * raises its mmap threshold once such a block was freed. */
#include "crypto/password.h"

#include <argon2.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/text.h"
#include "crypto/limits.h"
#include "crypto/random.h"
#include "lpx_reasons.h"

/* What a PHC string holds. */
typedef struct phc_parts {
    uint64_t memory_kib, passes, lanes;
    uint8_t salt[CRYPTO_ARGON2_MAX_PART_BYTES];
    size_t salt_len;
    uint8_t hash[CRYPTO_ARGON2_MAX_PART_BYTES];
    size_t hash_len;
} phc_parts;

static int pages_get(uint8_t **memory, size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *memory = pages != MAP_FAILED ? pages : NULL;
    return pages != MAP_FAILED ? ARGON2_OK : ARGON2_MEMORY_ALLOCATION_ERROR;
}

/* libargon2 has wiped them before. */
static void pages_free(uint8_t *memory, size_t bytes)
{
    (void)munmap(memory, bytes);
}

/* Argon2id of a password with the parameters and salt of parts, hash_len bytes into out. */
static int argon2_run(lpx_str password, phc_parts *parts, uint8_t *out)
{
    uint8_t secret[CRYPTO_PASSWORD_MAX_BYTES];
    memcpy(secret, password.ptr, password.len);
    argon2_context context = {
        .out = out,
        .outlen = (uint32_t)parts->hash_len,
        .pwd = secret,
        .pwdlen = (uint32_t)password.len,
        .salt = parts->salt,
        .saltlen = (uint32_t)parts->salt_len,
        .t_cost = (uint32_t)parts->passes,
        .m_cost = (uint32_t)parts->memory_kib,
        .lanes = (uint32_t)parts->lanes,
        .threads = 1,
        .version = ARGON2_VERSION_13,
        .allocate_cbk = pages_get,
        .free_cbk = pages_free,
        .flags = ARGON2_DEFAULT_FLAGS,
    };
    int result = argon2id_ctx(&context);
    lpx_wipe(secret, sizeof secret);
    return result;
}

/* Base64 without padding, as PHC strings have it. */
static void base64_unpadded(const uint8_t *ptr, size_t len, char *out)
{
    lpx_base64_encode(lpx_bytes_of(ptr, len), out);
    out[strcspn(out, "=")] = '\0';
}

LPX_RESULT crypto_password_hash(lpx_str password, char out[static CRYPTO_PASSWORD_TEXT_BYTES])
{
    if (password.len == 0 || password.len > CRYPTO_PASSWORD_MAX_BYTES) {
        return lpx_err_of(CRYPTO_BAD_PASSWORD);
    }
    phc_parts parts = {
        .memory_kib = CRYPTO_ARGON2_MEMORY_KIB,
        .passes = CRYPTO_ARGON2_PASSES,
        .lanes = CRYPTO_ARGON2_LANES,
        .salt_len = CRYPTO_ARGON2_SALT_BYTES,
        .hash_len = CRYPTO_ARGON2_HASH_BYTES,
    };
    LPX_TRY(crypto_random((lpx_space){parts.salt, parts.salt_len}));
    if (argon2_run(password, &parts, parts.hash) != ARGON2_OK) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    char salt[CRYPTO_ARGON2_SALT_BYTES * 2], hash[CRYPTO_ARGON2_HASH_BYTES * 2 - 16];
    base64_unpadded(parts.salt, parts.salt_len, salt);
    base64_unpadded(parts.hash, parts.hash_len, hash);
    (void)snprintf(out, CRYPTO_PASSWORD_TEXT_BYTES, "$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", CRYPTO_ARGON2_MEMORY_KIB,
                   CRYPTO_ARGON2_PASSES, CRYPTO_ARGON2_LANES, salt, hash);
    lpx_wipe(&parts, sizeof parts);
    return LPX_SUCCESS;
}

/* Text up to the next separator, which is dropped too; false when there is no separator. */
static bool text_until(lpx_str *rest, char separator, lpx_str *out)
{
    const char *end = memchr(rest->ptr, separator, rest->len);
    if (end == NULL) {
        return false;
    }
    *out = (lpx_str){rest->ptr, (size_t)(end - rest->ptr)};
    *rest = lpx_str_skip(*rest, out->len + 1);
    return true;
}

/* A parameter like "m=19456" from 1 to max. */
static bool parameter_read(lpx_str text, const char *name, uint64_t max, uint64_t *out)
{
    lpx_str prefix = lpx_str_of(name);
    return lpx_str_starts(text, prefix) && lpx_parse_u64(lpx_str_skip(text, prefix.len), max, out) && *out >= 1;
}

/* Salt or hash; at least min bytes. */
static bool part_read(lpx_str text, size_t min, uint8_t out[static CRYPTO_ARGON2_MAX_PART_BYTES], size_t *len)
{
    uint8_t room[CRYPTO_ARGON2_MAX_PART_BYTES + 4];
    if (text.len > CRYPTO_ARGON2_MAX_PART_BYTES) {
        return false;
    }
    int64_t got = lpx_base64_decode(text, (lpx_space){room, sizeof room});
    if (got < (int64_t)min) {
        return false;
    }
    *len = (size_t)got;
    memcpy(out, room, *len);
    return true;
}

static bool phc_read(lpx_str phc, phc_parts *out)
{
    lpx_str head = LPX_STR("$argon2id$v=19$"), memory, passes, lanes, salt;
    if (!lpx_str_starts(phc, head)) {
        return false;
    }
    lpx_str rest = lpx_str_skip(phc, head.len);
    return text_until(&rest, ',', &memory) && text_until(&rest, ',', &passes) && text_until(&rest, '$', &lanes) &&
           text_until(&rest, '$', &salt) &&
           parameter_read(memory, "m=", CRYPTO_ARGON2_MAX_MEMORY_KIB, &out->memory_kib) &&
           parameter_read(passes, "t=", CRYPTO_ARGON2_MAX_PASSES, &out->passes) &&
           parameter_read(lanes, "p=", CRYPTO_ARGON2_MAX_LANES, &out->lanes) &&
           part_read(salt, ARGON2_MIN_SALT_LENGTH, out->salt, &out->salt_len) &&
           part_read(rest, CRYPTO_ARGON2_SALT_BYTES, out->hash, &out->hash_len);
}

bool crypto_password_verify(lpx_str password, const char *phc)
{
    phc_parts parts = {0};
    if (password.len == 0 || password.len > CRYPTO_PASSWORD_MAX_BYTES || phc == NULL ||
        !phc_read(lpx_str_of(phc), &parts)) {
        return false;
    }
    uint8_t hash[CRYPTO_ARGON2_MAX_PART_BYTES] = {0};
    bool good = argon2_run(password, &parts, hash) == ARGON2_OK &&
                lpx_equal_const_time(lpx_bytes_of(hash, parts.hash_len), lpx_bytes_of(parts.hash, parts.hash_len));
    lpx_wipe(hash, sizeof hash);
    lpx_wipe(&parts, sizeof parts);
    return good;
}
