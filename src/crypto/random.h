/* Random bytes for keys, nonces and ids. Level 1. Thread: any. */
#pragma once
#include "base/bytes.h"
#include "base/err.h"

/** Fill out with bytes of the kernel's generator.
 * @err INTERNAL: CRYPTO_NO_RANDOM, and out is zeroed; never use it then */
LPX_RESULT crypto_random(lpx_space out);
