#include "crypto/siphash.h"

enum { WORD_BYTES = 8, BLOCK_ROUNDS = 2, LAST_ROUNDS = 4 };

typedef struct state {
    uint64_t v0, v1, v2, v3;
} state;

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

/* Little-endian; compilers make one instruction of either. */
static inline uint64_t load(const uint8_t *at)
{
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 |
           (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
}

static inline void store(uint8_t *at, uint64_t word)
{
    for (unsigned i = 0; i < WORD_BYTES; i++) {
        at[i] = (uint8_t)(word >> (8 * i));
    }
}

static inline void run(state *s, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 = rotate(s->v2, 32);
    }
}

static inline void absorb(state *s, uint64_t word)
{
    s->v3 ^= word;
    run(s, BLOCK_ROUNDS);
    s->v0 ^= word;
}

static inline uint64_t squeeze(state *s)
{
    run(s, LAST_ROUNDS);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

void crypto_siphash(const crypto_siphash_key *key, lpx_bytes in, uint8_t out[static CRYPTO_SIPHASH_BYTES])
{
    uint64_t k0 = load(key->bytes), k1 = load(key->bytes + WORD_BYTES);
    state s = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d ^ 0xEE, k0 ^ 0x6c7967656e657261,
               k1 ^ 0x7465646279746573};
    size_t whole = in.len - in.len % WORD_BYTES;
    for (size_t i = 0; i < whole; i += WORD_BYTES) {
        absorb(&s, load(in.ptr + i));
    }
    uint8_t last[WORD_BYTES] = {0};
    if (in.len > whole) {
        memcpy(last, in.ptr + whole, in.len - whole);
    }
    last[WORD_BYTES - 1] = (uint8_t)in.len;
    absorb(&s, load(last));
    s.v2 ^= 0xEE;
    store(out, squeeze(&s));
    s.v1 ^= 0xDD;
    store(out + WORD_BYTES, squeeze(&s));
}
