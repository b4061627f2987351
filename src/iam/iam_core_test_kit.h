/* What the tests of the cores share. */
#pragma once
#include <stdint.h>

/** Seed, printed at the start. */
extern uint32_t test_seed;
/** Next 24 bits of the seeded generator. */
uint32_t test_random(void);

/** Has the test the error of this reason? */
#define assert_reason(err, want) assert_string_equal(lpx_reason_name((err).reason), #want)
/** Has it none? */
#define assert_ok(err) assert_string_equal(lpx_reason_name((err).reason), "NONE")

/** Tests of the token endpoint's decisions. @return number of failed tests */
int iam_token_core_tests(void);
/** Tests of the ring's decisions. */
int iam_keyring_core_tests(void);
