#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"
#include "codec/json/json.h"
#include "codec/jwt/jwt.h"
#include "lpx_reasons.h"

enum { ARENA_BYTES = 256 * 1024, LINE_BYTES = 12000 };

static int arena_make(void **state)
{
    lpx_arena *arena = calloc(1, sizeof *arena);
    assert_non_null(arena);
    lpx_arena_init_wiped(arena, ARENA_BYTES);
    *state = arena;
    return 0;
}

static int arena_drop(void **state)
{
    lpx_arena_fini(*state);
    free(*state);
    return 0;
}

static lpx_utc at_s(int64_t seconds)
{
    return (lpx_utc){seconds * 1000000};
}

static jwt_claims sample_claims(void)
{
    return (jwt_claims){.issuer = LPX_STR("https://iam.example"),
                        .subject = LPX_STR("C5232IFFX4UKEELB"),
                        .token_id = LPX_STR("01KDZ\"\\"),
                        .audiences = {LPX_STR("cp.example"), LPX_STR("localhost")},
                        .audience_count = 2,
                        .issued_at = at_s(1767323045),
                        .not_before = at_s(1767323045),
                        .expires_at = at_s(1767326645),
                        .networks = {{.net_id = 19, .tenant_id = LPX_STR("ttn")}, {.net_id = 0x42}},
                        .network_count = 2,
                        .rights = 1 | 1 << 4 | (uint64_t)1 << 63};
}

static void claims_equal(const jwt_claims *a, const jwt_claims *b)
{
    assert_true(lpx_str_equal(a->issuer, b->issuer));
    assert_true(lpx_str_equal(a->subject, b->subject));
    assert_true(lpx_str_equal(a->token_id, b->token_id));
    assert_int_equal(a->audience_count, b->audience_count);
    for (size_t i = 0; i < a->audience_count; i++) {
        assert_true(lpx_str_equal(a->audiences[i], b->audiences[i]));
    }
    assert_int_equal(a->issued_at.us, b->issued_at.us);
    assert_int_equal(a->not_before.us, b->not_before.us);
    assert_int_equal(a->expires_at.us, b->expires_at.us);
    assert_int_equal(a->cluster, b->cluster);
    assert_int_equal(a->network_count, b->network_count);
    for (size_t i = 0; i < a->network_count; i++) {
        assert_int_equal(a->networks[i].net_id, b->networks[i].net_id);
        assert_true(lpx_str_equal(a->networks[i].tenant_id, b->networks[i].tenant_id));
    }
    assert_true(a->rights == b->rights);
}

static void test_round_trip(void **state)
{
    lpx_arena *arena = *state;
    jwt_key *key = NULL, *imported = NULL;
    jwt_claims claims = sample_claims(), got;
    lpx_str token, jwk, kid;
    lpx_note note;
    assert_false(lpx_failed(jwt_key_new(LPX_STR("2026-01"), &key)));
    assert_true(lpx_str_is(jwt_key_id(key), "2026-01"));
    assert_false(lpx_failed(jwt_sign(key, &claims, arena, &token)));
    assert_false(lpx_failed(jwt_peek_kid(token, arena, &kid, &note)));
    assert_true(lpx_str_is(kid, "2026-01"));
    assert_false(lpx_failed(jwt_verify(key, token, arena, &got, &note)));
    claims_equal(&claims, &got);

    assert_false(lpx_failed(jwt_key_export(key, arena, &jwk)));
    assert_false(lpx_failed(jwt_key_import(jwk, &imported)));
    assert_true(lpx_str_is(jwt_key_id(imported), "2026-01"));
    assert_false(lpx_failed(jwt_verify(imported, token, arena, &got, &note)));
    claims = (jwt_claims){.expires_at = at_s(7), .cluster = true, .subject = LPX_STR("cluster.example")};
    assert_false(lpx_failed(jwt_sign(imported, &claims, arena, &token)));
    assert_false(lpx_failed(jwt_verify(key, token, arena, &got, &note)));
    claims_equal(&claims, &got);
    jwt_key_free(&key);
    assert_null(key);
    jwt_key_free(&key);
    jwt_key_free(&imported);
}

/* Decoded part of a token. */
static const json_value *part_parse(lpx_arena *arena, const char *part)
{
    lpx_str text = {part, strcspn(part, ".")};
    lpx_space room = {lpx_arena_get(arena, text.len + 3), text.len + 3};
    int64_t len = lpx_base64_decode(text, room);
    const json_value *doc = NULL;
    lpx_note note;
    assert_true(len > 0);
    assert_false(lpx_failed(json_parse((lpx_str){(const char *)room.ptr, (size_t)len}, arena, &doc, &note)));
    return doc;
}

/* Other programs read these tokens: names and JSON types are part of the contract. */
static void test_shape(void **state)
{
    lpx_arena *arena = *state;
    jwt_key *key = NULL;
    jwt_claims claims = sample_claims();
    lpx_str token;
    int64_t number;
    assert_false(lpx_failed(jwt_key_new(LPX_STR("k"), &key)));
    assert_false(lpx_failed(jwt_sign(key, &claims, arena, &token)));
    const json_value *header = part_parse(arena, token.ptr);
    assert_int_equal(header->count, 3);
    assert_true(lpx_str_is(json_text(json_member(header, "alg")), "ES256"));
    assert_true(lpx_str_is(json_text(json_member(header, "kid")), "k"));
    assert_true(lpx_str_is(json_text(json_member(header, "typ")), "JWT"));
    const json_value *payload = part_parse(arena, strchr(token.ptr, '.') + 1);
    assert_int_equal(json_member(payload, "aud")->kind, JSON_KIND_ARRAY);
    assert_true(json_int(json_member(payload, "exp"), &number) && number == 1767326645);
    const json_value *iam = json_member(payload, "https://iam.packetbroker.net/claims");
    assert_null(json_member(iam, "c"));
    const json_value *first = json_first(json_member(iam, "ns"));
    assert_true(json_int(json_member(first, "nid"), &number) && number == 19);
    assert_true(lpx_str_is(json_text(json_member(first, "tid")), "ttn"));
    const json_value *second = json_next(json_member(iam, "ns"), first);
    assert_null(json_member(second, "tid"));
    assert_true(json_int(json_first(json_member(iam, "rights")), &number) && number == 0);
    jwt_key_free(&key);
}

static void test_public_key(void **state)
{
    lpx_arena *arena = *state;
    jwt_key *key = NULL;
    lpx_buf buf;
    const json_value *doc = NULL;
    lpx_note note;
    static const struct {
        const char *name, *value;
    } rows[] = {{"kty", "EC"}, {"crv", "P-256"}, {"kid", "k\"1"}, {"alg", "ES256"}, {"use", "sig"}};
    assert_false(lpx_failed(jwt_key_new(LPX_STR("k\"1"), &key)));
    lpx_buf_init(&buf, 1000);
    assert_false(lpx_failed(jwt_key_public(key, &buf)));
    assert_false(lpx_failed(json_parse(lpx_bytes_str(lpx_buf_view(&buf)), arena, &doc, &note)));
    assert_int_equal(doc->count, 7);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(lpx_str_is(json_text(json_member(doc, rows[i].name)), rows[i].value));
    }
    assert_int_equal(json_text(json_member(doc, "x")).len, 43);
    assert_int_equal(json_text(json_member(doc, "y")).len, 43);
    assert_null(json_member(doc, "d"));
    lpx_buf_fini(&buf);
    lpx_buf_init(&buf, 50);
    assert_int_equal(jwt_key_public(key, &buf).reason, BASE_NO_ROOM);
    lpx_buf_fini(&buf);
    jwt_key_free(&key);
}

/* ---- vectors ---- */

static void vector_accepted(lpx_arena *arena, const jwt_key *key, bool full, const char *token)
{
    jwt_claims got;
    lpx_note note = {{0}};
    if (lpx_failed(jwt_verify(key, lpx_str_of(token), arena, &got, &note))) {
        fail_msg("%s", note.text);
    }
    if (full) {
        assert_true(lpx_str_is(got.issuer, "https://iam.packetbroker.net"));
        assert_int_equal(got.audience_count, 2);
        assert_true(lpx_str_is(got.audiences[1], "localhost"));
        assert_int_equal(got.network_count, 2);
        assert_int_equal(got.networks[0].net_id, 19);
        assert_true(lpx_str_is(got.networks[0].tenant_id, "ttn"));
        assert_int_equal(got.networks[1].net_id, 66);
        assert_int_equal(got.networks[1].tenant_id.len, 0);
        assert_int_equal(got.rights, 1 | 1 << 4 | 0x1F << 7);
        assert_false(got.cluster);
    } else {
        assert_int_equal(got.expires_at.us, 1767326645500000);
        assert_int_equal(got.audience_count, 1);
        assert_true(lpx_str_is(got.audiences[0], "iam.example"));
        assert_true(got.cluster);
        assert_int_equal(got.rights, 1 << 14);
    }
}

static void vector_refused(lpx_arena *arena, const jwt_key *key, char *rest)
{
    char *token = strchr(rest, ' ');
    jwt_claims got = {.rights = 77};
    lpx_note note = {{0}};
    assert_non_null(token);
    *token++ = '\0';
    lpx_err err = jwt_verify(key, lpx_str_of(token), arena, &got, &note);
    if (strcmp(lpx_reason_name(err.reason), rest) != 0 || err.code != LPX_UNAUTHENTICATED || note.text[0] == '\0') {
        fail_msg("%s\nwant %s, got %s: %s", token, rest, lpx_reason_name(err.reason), note.text);
    }
    assert_int_equal(got.rights, 77);
}

static void test_vectors(void **state)
{
    lpx_arena *arena = *state;
    FILE *file = fopen(VECTORS "/jwt.txt", "r");
    static char line[LINE_BYTES];
    jwt_key *key = NULL;
    int good = 0, bad = 0;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        lpx_arena_reset(arena);
        if (strncmp(line, "key ", 4) == 0) {
            assert_false(lpx_failed(jwt_key_import(lpx_str_of(line + 4), &key)));
        } else if (strncmp(line, "bad ", 4) == 0) {
            vector_refused(arena, key, line + 4);
            bad++;
        } else if (line[0] != '#') {
            vector_accepted(arena, key, line[0] == 'f', strchr(line, ' ') + 1);
            good++;
        }
    }
    (void)fclose(file);
    assert_int_equal(good, 2);
    assert_int_equal(bad, 50);
    jwt_key_free(&key);
}

/* No single changed character of a token is accepted with other claims. */
static void test_tampered(void **state)
{
    lpx_arena *arena = *state;
    jwt_key *key = NULL;
    jwt_claims claims = sample_claims(), got;
    lpx_str token;
    lpx_note note;
    assert_false(lpx_failed(jwt_key_new(LPX_STR("k"), &key)));
    assert_false(lpx_failed(jwt_sign(key, &claims, arena, &token)));
    char *copy = malloc(token.len);
    for (size_t i = 0; i < token.len; i += 3) {
        memcpy(copy, token.ptr, token.len);
        copy[i] = copy[i] == 'A' ? 'B' : 'A';
        lpx_arena scratch;
        lpx_arena_init(&scratch, ARENA_BYTES);
        assert_int_equal(jwt_verify(key, (lpx_str){copy, token.len}, &scratch, &got, &note).code, LPX_UNAUTHENTICATED);
        lpx_arena_fini(&scratch);
    }
    for (size_t len = 0; len < token.len; len += 7) {
        assert_int_equal(jwt_verify(key, (lpx_str){token.ptr, len}, arena, &got, &note).code, LPX_UNAUTHENTICATED);
    }
    free(copy);
    jwt_key_free(&key);
}

static void test_bad_keys(void **state)
{
    lpx_arena *arena = *state;
    jwt_key *key = NULL;
    lpx_str jwk;
    char long_kid[JWT_KID_BYTES];
    memset(long_kid, 'k', sizeof long_kid);
    assert_int_equal(jwt_key_new(LPX_STR(""), &key).reason, JWT_BAD_KEY);
    assert_int_equal(jwt_key_new((lpx_str){long_kid, sizeof long_kid}, &key).reason, JWT_BAD_KEY);
    assert_int_equal(jwt_key_new(LPX_STR("\xff"), &key).reason, JWT_BAD_KEY);
    assert_false(lpx_failed(jwt_key_new((lpx_str){long_kid, sizeof long_kid - 1}, &key)));
    assert_false(lpx_failed(jwt_key_export(key, arena, &jwk)));
    jwt_key_free(&key);
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "null",
        "{\"kty\":\"oct\",\"k\":\"AAAA\",\"kid\":\"k\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\",\"x\":\"AA\",\"y\":\"AA\",\"d\":\"AA\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(jwt_key_import(lpx_str_of(bad[i]), &key).reason, JWT_BAD_KEY);
    }
    /* A private part that is not the one of the public part. */
    char *text = lpx_arena_cstr(arena, jwk);
    char *d = strstr(text, "\"d\":\"") + 5;
    *d = *d == 'A' ? 'B' : 'A';
    assert_int_equal(jwt_key_import(lpx_str_of(text), &key).reason, JWT_BAD_KEY);
    assert_null(key);
}

static void test_too_long(void **state)
{
    lpx_arena *arena = *state;
    jwt_key *key = NULL;
    jwt_claims claims = sample_claims(), got;
    lpx_str token;
    lpx_note note;
    static char text[JWT_TOKEN_MAX_BYTES];
    memset(text, 'x', sizeof text);
    assert_false(lpx_failed(jwt_key_new(LPX_STR("k"), &key)));
    claims.subject = (lpx_str){text, sizeof text};
    assert_int_equal(jwt_sign(key, &claims, arena, &token).reason, JWT_BAD_CLAIMS);
    claims.subject.len = sizeof text * 3 / 4;
    assert_int_equal(jwt_sign(key, &claims, arena, &token).reason, JWT_BAD_CLAIMS);
    /* The most networks that a token may name, with long tenants. */
    claims = sample_claims();
    claims.network_count = JWT_MAX_NETWORKS;
    for (size_t i = 0; i < JWT_MAX_NETWORKS; i++) {
        claims.networks[i] = (jwt_network){.net_id = UINT32_MAX, .tenant_id = {text, 36}};
    }
    assert_false(lpx_failed(jwt_sign(key, &claims, arena, &token)));
    assert_false(lpx_failed(jwt_verify(key, token, arena, &got, &note)));
    claims_equal(&claims, &got);
    lpx_arena small;
    lpx_arena_init(&small, 100);
    assert_int_equal(jwt_verify(key, token, &small, &got, &note).reason, BASE_NO_MEMORY);
    assert_int_equal(jwt_sign(key, &claims, &small, &token).reason, BASE_NO_MEMORY);
    lpx_arena_fini(&small);
    jwt_key_free(&key);
}

static void test_check(void **state)
{
    (void)state;
    jwt_claims claims = sample_claims();
    const lpx_str own[] = {LPX_STR("rp.example"), LPX_STR("localhost")}, other[] = {LPX_STR("other.example")};
    const lpx_str issuer = LPX_STR("https://iam.example");
    const int64_t start_s = 1767323045, end_s = 1767326645;
    lpx_note note;
    assert_false(lpx_failed(jwt_check(&claims, at_s(start_s), issuer, own, 2, &note)));
    assert_false(lpx_failed(jwt_check(&claims, at_s(start_s - 60), issuer, own, 2, &note)));
    assert_false(lpx_failed(jwt_check(&claims, at_s(end_s + 60), issuer, own, 2, &note)));
    assert_false(lpx_failed(jwt_check(&claims, at_s(start_s), (lpx_str){0}, NULL, 0, &note)));
    assert_int_equal(jwt_check(&claims, at_s(start_s - 61), issuer, own, 2, &note).reason, JWT_NOT_YET_VALID);
    assert_int_equal(jwt_check(&claims, at_s(end_s + 61), issuer, own, 2, &note).reason, JWT_EXPIRED);
    assert_int_equal(jwt_check(&claims, at_s(start_s), LPX_STR("https://iam.example/"), own, 2, &note).reason,
                     JWT_WRONG_ISSUER);
    assert_int_equal(jwt_check(&claims, at_s(start_s), issuer, other, 1, &note).reason, JWT_WRONG_AUDIENCE);
    assert_non_null(strstr(note.text, "other.example"));
    claims.issued_at = at_s(start_s + 1000);
    assert_int_equal(jwt_check(&claims, at_s(start_s), issuer, own, 2, &note).reason, JWT_NOT_YET_VALID);
    claims = sample_claims();
    claims.audience_count = 0;
    assert_int_equal(jwt_check(&claims, at_s(start_s), issuer, own, 2, &note).reason, JWT_WRONG_AUDIENCE);
}

/* One key, many threads: run under a thread sanitizer, too. */
static void *verify_many(void *shared)
{
    lpx_arena arena;
    jwt_claims claims = sample_claims(), got;
    lpx_str token;
    lpx_note note;
    lpx_arena_init(&arena, ARENA_BYTES);
    bool good = true;
    for (int i = 0; i < 20 && good; i++) {
        lpx_arena_reset(&arena);
        good = !lpx_failed(jwt_sign(shared, &claims, &arena, &token)) &&
               !lpx_failed(jwt_verify(shared, token, &arena, &got, &note));
    }
    lpx_arena_fini(&arena);
    return good ? NULL : shared;
}

static void test_threads(void **state)
{
    (void)state;
    jwt_key *key = NULL;
    pthread_t threads[4];
    assert_false(lpx_failed(jwt_key_new(LPX_STR("k"), &key)));
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, verify_many, key), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *wrong = key;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    jwt_key_free(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_shape, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_public_key, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_vectors, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_tampered, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_bad_keys, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_too_long, arena_make, arena_drop),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests_name("jwt", tests, NULL, NULL);
}
