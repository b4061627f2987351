/* The ring of token signing keys: when one is made, which one signs, when one goes. Pure.
 *
 * A key is published at once and signs IAM_KEY_WARMUP_S later, so that verifiers, which cache the set for minutes, know
 * it before they meet its tokens; the first key of all signs at once. The following key is made so early that it takes
 * over after IAM_KEY_ROTATE_S. A key that was followed stays until its last token has expired. */
#pragma once
#include <stddef.h>

#include "base/time.h"
#include "iam/limits.h"

/** Times of one key. verify_until is IAM_KEY_FOREVER until another key follows. */
typedef struct iam_ring_key {
    lpx_utc use_from, sign_until, verify_until;
} iam_ring_key;

#define IAM_KEY_FOREVER ((lpx_utc){INT64_MAX})

/** The keys of a ring, in any order. */
typedef struct iam_keyring {
    iam_ring_key keys[IAM_MAX_SIGNING_KEYS];
    size_t count;
} iam_keyring;

typedef enum iam_ring_action { IAM_RING_NOTHING, IAM_RING_CREATE, IAM_RING_DROP } iam_ring_action;

/** What is to be done. */
typedef struct iam_ring_effect {
    iam_ring_action action;
    iam_ring_key
        create; /* CREATE: the new key; no other key may sign beyond followed_sign, or verify beyond followed_verify */
    lpx_utc followed_sign, followed_verify;
    size_t drop; /* DROP: index */
} iam_ring_effect;

/** The next step; carry it out and ask again until it is nothing. */
iam_ring_effect iam_keyring_step(const iam_keyring *ring, lpx_utc now);

/** Index of the key that signs now: the one that took over last; before any did, the first that will. -1: none. */
int iam_keyring_signer(const iam_keyring *ring, lpx_utc now);
