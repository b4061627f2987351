/* The ring of signing keys: cases, and a simulation of years with clocks that stop and jump. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "iam/iam_core_test_kit.h"
#include "iam/iam_keyring_core.h"
#include "iam/limits.h"
#include "lpx_reasons.h"

static const int64_t second = 1000000;

static lpx_utc at(int64_t seconds)
{
    return (lpx_utc){INT64_C(1700000000) * 1000000 + seconds * 1000000};
}

/* What a store does with an effect. */
static void carry_out(iam_keyring *ring, const iam_ring_effect *effect)
{
    if (effect->action == IAM_RING_DROP) {
        ring->keys[effect->drop] = ring->keys[--ring->count];
        return;
    }
    for (size_t i = 0; i < ring->count; i++) {
        iam_ring_key *key = &ring->keys[i];
        key->sign_until = key->sign_until.us > effect->followed_sign.us ? effect->followed_sign : key->sign_until;
        key->verify_until =
            key->verify_until.us > effect->followed_verify.us ? effect->followed_verify : key->verify_until;
    }
    assert_true(ring->count < IAM_MAX_SIGNING_KEYS);
    ring->keys[ring->count++] = effect->create;
}

static unsigned run(iam_keyring *ring, lpx_utc now)
{
    unsigned created = 0;
    for (int i = 0; i < 100; i++) {
        iam_ring_effect effect = iam_keyring_step(ring, now);
        if (effect.action == IAM_RING_NOTHING) {
            return created;
        }
        created += effect.action == IAM_RING_CREATE ? 1 : 0;
        carry_out(ring, &effect);
    }
    fail_msg("the ring finds no rest");
    return created;
}

static void first_key_signs_at_once(void **state)
{
    (void)state;
    iam_keyring ring = {.count = 0};
    assert_int_equal(iam_keyring_signer(&ring, at(0)), -1);
    assert_int_equal(run(&ring, at(0)), 1);
    assert_int_equal(ring.count, 1);
    assert_int_equal(ring.keys[0].use_from.us, at(0).us);
    assert_int_equal(iam_keyring_signer(&ring, at(0)), 0);
    assert_int_equal(run(&ring, at(0)), 0);
}

static void next_key_is_published_an_hour_before_it_signs(void **state)
{
    (void)state;
    const int64_t rotate = IAM_KEY_ROTATE_S;
    iam_keyring ring = {.count = 0};
    run(&ring, at(0));
    assert_int_equal(run(&ring, at(rotate - 3601)), 0);
    assert_int_equal(run(&ring, at(rotate - 3600)), 1);
    assert_int_equal(ring.count, 2);
    assert_int_equal(iam_keyring_signer(&ring, at(rotate - 1)), 0);
    assert_int_equal(iam_keyring_signer(&ring, at(rotate)), 1);
    /* The old key goes when its last token has expired, and some time later. */
    assert_int_equal(run(&ring, at(rotate + IAM_TOKEN_S + IAM_KEY_GRACE_S - 1)), 0);
    assert_int_equal(ring.count, 2);
    assert_int_equal(run(&ring, at(rotate + IAM_TOKEN_S + IAM_KEY_GRACE_S)), 0);
    assert_int_equal(ring.count, 1);
    assert_int_equal(ring.keys[0].use_from.us, at(rotate).us);
}

static void old_key_signs_on_while_the_next_warms_up(void **state)
{
    (void)state;
    const int64_t late = 3 * (int64_t)IAM_KEY_ROTATE_S; /* nobody looked for months */
    iam_keyring ring = {.count = 0};
    run(&ring, at(0));
    assert_int_equal(iam_keyring_signer(&ring, at(late)), 0);
    assert_int_equal(run(&ring, at(late)), 1);
    assert_int_equal(iam_keyring_signer(&ring, at(late + 3599)), 0);
    assert_int_equal(iam_keyring_signer(&ring, at(late + 3600)), 1);
    assert_int_equal(run(&ring, at(late + 3600 + IAM_TOKEN_S)), 0);
    assert_int_equal(ring.count, 2);
}

static void key_from_the_future_is_followed_at_once(void **state)
{
    (void)state;
    iam_keyring ring = {.count = 0};
    run(&ring, at(INT64_C(20) * 365 * 86400));
    assert_int_equal(iam_keyring_signer(&ring, at(0)), 0); /* better than none */
    assert_int_equal(run(&ring, at(0)), 1);
    assert_int_equal(ring.keys[1].use_from.us, at(0).us);
    assert_int_equal(iam_keyring_signer(&ring, at(0)), 1);
    assert_int_equal(run(&ring, at(IAM_TOKEN_S + IAM_KEY_GRACE_S)), 0);
    assert_int_equal(ring.count, 1);
    assert_int_equal(ring.keys[0].use_from.us, at(0).us);
}

static void full_ring_makes_room(void **state)
{
    (void)state;
    iam_keyring ring = {.count = IAM_MAX_SIGNING_KEYS};
    for (size_t i = 0; i < ring.count; i++) {
        ring.keys[i] = (iam_ring_key){at(-1), at(-1), at(1000 + (int64_t)(i + 5) % IAM_MAX_SIGNING_KEYS)};
    }
    iam_ring_effect effect = iam_keyring_step(&ring, at(0));
    assert_int_equal(effect.action, IAM_RING_DROP);
    assert_int_equal(effect.drop, IAM_MAX_SIGNING_KEYS - 5);
    assert_int_equal(run(&ring, at(0)), 1);
}

/* The clock goes on by itself and is looked at now and then. Tokens are signed at random times; a verifier that read
 * the set of keys up to ten minutes ago must know the key, and the key must stay until the token expires. */
typedef struct watch {
    iam_keyring ring, cached; /* as it is, as a verifier read it */
    int64_t cached_at;
    int64_t now;
    bool first;
} watch;

static bool knows(const iam_keyring *ring, const iam_ring_key *key)
{
    for (size_t i = 0; i < ring->count; i++) {
        if (ring->keys[i].use_from.us == key->use_from.us) {
            return true;
        }
    }
    return false;
}

static void one_token(watch *w)
{
    int index = iam_keyring_signer(&w->ring, at(w->now));
    assert_true(index >= 0);
    const iam_ring_key key = w->ring.keys[index];
    if (w->now - w->cached_at > 600) {
        w->cached = w->ring;
        w->cached_at = w->now;
    }
    assert_true(knows(&w->cached, &key));
    assert_true(key.verify_until.us >= at(w->now).us + IAM_TOKEN_S * second);
}

static void years_of_tokens_verify(void **state)
{
    (void)state;
    watch w = {.now = 0};
    run(&w.ring, at(0));
    w.cached = w.ring;
    for (int i = 0; i < 60000; i++) {
        w.now += (int64_t)(test_random() % 2400);
        if (test_random() % 3 == 0) {
            run(&w.ring, at(w.now));
        }
        assert_true(w.ring.count <= 3);
        one_token(&w);
        int index = iam_keyring_signer(&w.ring, at(w.now));
        /* Looked at often enough, no key signs for much longer than its time. */
        assert_true(w.ring.keys[index].use_from.us + (IAM_KEY_ROTATE_S + 86400) * second > at(w.now).us);
    }
}

int iam_keyring_core_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_key_signs_at_once),
        cmocka_unit_test(next_key_is_published_an_hour_before_it_signs),
        cmocka_unit_test(old_key_signs_on_while_the_next_warms_up),
        cmocka_unit_test(key_from_the_future_is_followed_at_once),
        cmocka_unit_test(full_ring_makes_room),
        cmocka_unit_test(years_of_tokens_verify),
    };
    return cmocka_run_group_tests_name("iam_keyring_core", tests, NULL, NULL);
}
