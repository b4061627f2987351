/* The kernel's generator by getrandom: no state of our own that a fork could copy. */
#include "crypto/random.h"

#include <errno.h>
#include <sys/random.h>

#include "lpx_reasons.h"

LPX_RESULT crypto_random(lpx_space out)
{
    size_t done = 0;
    while (done < out.len) {
        ssize_t got = getrandom(out.ptr + done, out.len - done, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            memset(out.ptr, 0, out.len);
            return lpx_err_of(CRYPTO_NO_RANDOM);
        }
        done += (size_t)got;
    }
    return LPX_SUCCESS;
}
