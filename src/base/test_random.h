/* Random numbers for property tests: splitmix64, so that a printed seed repeats a run. Tests only. */
#pragma once
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct test_random {
    uint64_t state;
} test_random;

/** Start from LPX_TEST_SEED, or from a fixed seed; the seed is printed. */
static inline test_random test_random_begin(const char *test)
{
    const char *text = getenv("LPX_TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 20260102;
    (void)printf("%s: seed %" PRIu64 "\n", test, seed);
    return (test_random){seed};
}

/** Next 64 random bits. */
static inline uint64_t test_random_next(test_random *r)
{
    uint64_t z = r->state += 0x9E3779B97F4A7C15U;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
    z = (z ^ z >> 27) * 0x94D049BB133111EBU;
    return z ^ z >> 31;
}

/** A number from 0 to limit - 1. */
static inline uint64_t test_random_below(test_random *r, uint64_t limit)
{
    return test_random_next(r) % limit;
}

/** Fill room with random bytes. */
static inline void test_random_fill(test_random *r, uint8_t *ptr, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        ptr[i] = (uint8_t)test_random_next(r);
    }
}
