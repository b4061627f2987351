#include "iam/iam_keyring_core.h"

enum { US_PER_S = 1000000 };

static lpx_utc later(lpx_utc t, int64_t seconds)
{
    return (lpx_utc){t.us + seconds * US_PER_S};
}

/* Does a key sign now, and long enough for a successor to warm up? A key from the future (the clock was wrong when it
 * was made) does not count: it may never be followed otherwise. */
static bool is_current(const iam_ring_key *key, lpx_utc now)
{
    return key->use_from.us <= later(now, IAM_KEY_WARMUP_S).us && key->sign_until.us > later(now, IAM_KEY_WARMUP_S).us;
}

static iam_ring_effect create(const iam_keyring *ring, lpx_utc now)
{
    bool any_signs = false;
    for (size_t i = 0; i < ring->count; i++) {
        any_signs = any_signs || ring->keys[i].use_from.us <= now.us;
    }
    lpx_utc from = any_signs ? later(now, IAM_KEY_WARMUP_S) : now;
    return (iam_ring_effect){
        .action = IAM_RING_CREATE,
        .create = {.use_from = from, .sign_until = later(from, IAM_KEY_ROTATE_S), .verify_until = IAM_KEY_FOREVER},
        .followed_sign = from,
        .followed_verify = later(from, (int64_t)IAM_TOKEN_S + IAM_KEY_GRACE_S),
    };
}

iam_ring_effect iam_keyring_step(const iam_keyring *ring, lpx_utc now)
{
    size_t first_to_end = 0;
    bool current = false;
    for (size_t i = 0; i < ring->count; i++) {
        if (ring->keys[i].verify_until.us < ring->keys[first_to_end].verify_until.us) {
            first_to_end = i;
        }
        current = current || is_current(&ring->keys[i], now);
    }
    bool ended = ring->count > 0 && ring->keys[first_to_end].verify_until.us <= now.us;
    if (ended || (!current && ring->count == IAM_MAX_SIGNING_KEYS)) {
        return (iam_ring_effect){.action = IAM_RING_DROP, .drop = first_to_end};
    }
    return current ? (iam_ring_effect){.action = IAM_RING_NOTHING} : create(ring, now);
}

int iam_keyring_signer(const iam_keyring *ring, lpx_utc now)
{
    int last = -1;
    int first = -1;
    for (size_t i = 0; i < ring->count; i++) {
        int64_t from = ring->keys[i].use_from.us;
        if (from <= now.us && (last < 0 || from > ring->keys[last].use_from.us)) {
            last = (int)i;
        }
        if (first < 0 || from < ring->keys[first].use_from.us) {
            first = (int)i;
        }
    }
    return last >= 0 ? last : first;
}
