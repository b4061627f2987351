/* Signing keys: from rows to a ring that any thread may sign with, and the steps of rotation. */
#include <stdlib.h>

#include "crypto/random.h"
#include "iam/iam_priv.h"
#include "iam/iam_store.h"
#include "lpx_reasons.h"

enum { RING_ARENA_BYTES = 256 << 10, JWKS_MAX_BYTES = 64 << 10, MAX_STEPS = 2 * IAM_MAX_SIGNING_KEYS };

static void free_one(iam_ring *ring)
{
    for (size_t i = 0; i < ring->times.count; i++) {
        jwt_key_free(&ring->keys[i]);
    }
    free(ring->jwks);
    free(ring);
}

void iam_ring_free(iam *self)
{
    iam_ring *ring = atomic_exchange(&self->ring, NULL);
    while (ring != NULL) {
        iam_ring *older = ring->older;
        free_one(ring);
        ring = older;
    }
}

const jwt_key *iam_ring_signer(const iam *self, lpx_utc now)
{
    const iam_ring *ring = atomic_load(&self->ring);
    int index = ring != NULL ? iam_keyring_signer(&ring->times, now) : -1;
    return index >= 0 ? ring->keys[index] : NULL;
}

lpx_str iam_jwks(const iam *self)
{
    const iam_ring *ring = atomic_load(&self->ring);
    return ring != NULL ? lpx_str_of(ring->jwks) : LPX_STR("{\"keys\":[]}");
}

static bool same_times(const iam_ring_key *a, const iam_ring_key *b)
{
    return a->use_from.us == b->use_from.us && a->sign_until.us == b->sign_until.us &&
           a->verify_until.us == b->verify_until.us;
}

static bool is_same(const iam_ring *ring, const iam_signing_row *rows, size_t count)
{
    bool same = ring != NULL && ring->times.count == count;
    for (size_t i = 0; same && i < count; i++) {
        same =
            lpx_str_equal(jwt_key_id(ring->keys[i]), rows[i].kid) && same_times(&ring->times.keys[i], &rows[i].times);
    }
    return same;
}

static lpx_err make_jwks(iam_ring *ring)
{
    lpx_buf text;
    lpx_buf_init(&text, JWKS_MAX_BYTES);
    lpx_buf_add_str(&text, LPX_STR("{\"keys\":["));
    lpx_err err = LPX_SUCCESS;
    for (size_t i = 0; !lpx_failed(err) && i < ring->times.count; i++) {
        lpx_buf_add_str(&text, i > 0 ? LPX_STR(",") : LPX_STR(""));
        err = jwt_key_public(ring->keys[i], &text);
    }
    lpx_buf_add_str(&text, LPX_STR("]}"));
    if (!lpx_failed(err)) {
        ring->jwks = lpx_buf_failed(&text) ? NULL : strndup((const char *)text.ptr, text.len);
        err = ring->jwks != NULL ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
    }
    lpx_buf_fini(&text);
    return err;
}

static lpx_err fill(iam_ring *ring, const iam_signing_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        LPX_TRY(jwt_key_import(rows[i].jwk, &ring->keys[i]));
        ring->times.keys[i] = rows[i].times;
        ring->times.count = i + 1;
    }
    return make_jwks(ring);
}

static lpx_err adopt(iam *self, const iam_signing_row *rows, size_t count)
{
    if (is_same(atomic_load(&self->ring), rows, count)) {
        return LPX_SUCCESS;
    }
    iam_ring *ring = calloc(1, sizeof *ring);
    if (ring == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    lpx_err err = fill(ring, rows, count);
    if (lpx_failed(err)) {
        free_one(ring);
        return err;
    }
    ring->older = atomic_load(&self->ring);
    while (!atomic_compare_exchange_weak(&self->ring, &ring->older, ring)) {
    }
    return LPX_SUCCESS;
}

lpx_err iam_ring_load(iam *self, store_tx *tx)
{
    lpx_arena arena;
    iam_signing_row *rows;
    size_t count;
    lpx_arena_init_wiped(&arena, RING_ARENA_BYTES);
    lpx_err err = iam_store_signing_keys(tx, &arena, &rows, &count);
    if (!lpx_failed(err)) {
        err = adopt(self, rows, count);
    }
    lpx_arena_fini(&arena);
    return err;
}

/* Steps. */

static lpx_err create(store_tx *tx, const iam_ring_effect *effect, lpx_utc now, lpx_arena *arena)
{
    uint8_t random[IAM_ULID_RANDOM_BYTES];
    char kid[IAM_ULID_BYTES];
    jwt_key *key;
    LPX_TRY(crypto_random((lpx_space){.ptr = random, .len = sizeof random}));
    iam_ulid(now, random, kid);
    LPX_TRY(jwt_key_new(lpx_str_of(kid), &key));
    iam_signing_row row = {.kid = lpx_str_of(kid), .times = effect->create};
    lpx_err err = jwt_key_export(key, arena, &row.jwk);
    jwt_key_free(&key);
    LPX_TRY(err);
    LPX_TRY(iam_store_signing_insert(tx, &row, now));
    return iam_store_signing_follow(tx, row.kid, effect->followed_sign, effect->followed_verify);
}

static lpx_err one_step(store_tx *tx, lpx_utc now, lpx_arena *arena, bool *changed)
{
    iam_signing_row *rows;
    iam_keyring ring;
    LPX_TRY(iam_store_signing_keys(tx, arena, &rows, &ring.count));
    for (size_t i = 0; i < ring.count; i++) {
        ring.keys[i] = rows[i].times;
    }
    iam_ring_effect effect = iam_keyring_step(&ring, now);
    *changed = effect.action != IAM_RING_NOTHING;
    switch (effect.action) {
    case IAM_RING_NOTHING:
        return LPX_SUCCESS;
    case IAM_RING_CREATE:
        return create(tx, &effect, now, arena);
    case IAM_RING_DROP:
        return iam_store_signing_delete(tx, rows[effect.drop].kid);
    }
    return lpx_err_of(BASE_INTERNAL);
}

lpx_err iam_ring_step(store_tx *tx, lpx_utc now, bool *changed)
{
    lpx_arena arena;
    lpx_arena_init_wiped(&arena, RING_ARENA_BYTES);
    *changed = false;
    bool more = true;
    lpx_err err = LPX_SUCCESS;
    for (int i = 0; more && !lpx_failed(err) && i < MAX_STEPS; i++) {
        err = one_step(tx, now, &arena, &more);
        *changed = *changed || more;
        lpx_arena_reset(&arena);
    }
    lpx_arena_fini(&arena);
    if (!lpx_failed(err) && *changed) {
        store_touch(tx, STORE_TOPIC_SIGNING);
    }
    return err;
}
