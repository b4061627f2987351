/* The decisions of the token endpoint. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "iam/iam_core.h"
#include "iam/iam_core_test_kit.h"
#include "iam/iam_token_core.h"
#include "iam/limits.h"
#include "lpx_reasons.h"
#include "rpc/authn.h"

static lpx_arena arena;

static int begin(void **state)
{
    (void)state;
    lpx_arena_init(&arena, 4 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    lpx_arena_fini(&arena);
    return 0;
}

/* Form. */

static lpx_err parse(const char *text, iam_form_field **out, size_t *count, lpx_note *note)
{
    return iam_form_parse(lpx_str_bytes(lpx_str_of(text)), &arena, out, count, note);
}

static void forms_are_decoded(void **state)
{
    (void)state;
    lpx_note note;
    iam_form_field *f;
    size_t count;
    assert_ok(parse("&a=1&&b=x+y%20z&c&=v&d=%C3%A9%2b&e=a=b&", &f, &count, &note));
    static const char *const want[][2] = {{"a", "1"}, {"b", "x y z"}, {"c", ""}, {"", "v"}, {"d", "é+"}, {"e", "a=b"}};
    assert_int_equal(count, 6);
    for (size_t i = 0; i < count; i++) {
        assert_true(lpx_str_is(f[i].name, want[i][0]));
        assert_true(lpx_str_is(f[i].value, want[i][1]));
    }
    assert_ok(parse("", &f, &count, &note));
    assert_int_equal(count, 0);
}

static void bad_forms_are_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {"a=%",    "a=%4", "a=%zz", "a=%4g", "a=%00",     "a=%0A",
                                       "a=\x7f", "a=\n", "a=%ff", "%C3=1", "a=\xC3\x28"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lpx_note note = {""};
        iam_form_field *f;
        size_t count;
        assert_reason(parse(rows[i], &f, &count, &note), IAM_TOKEN_BAD_REQUEST);
        assert_int_equal(strncmp(note.text, "Field 1 ", 8), 0);
    }
}

static void forms_have_limits(void **state)
{
    (void)state;
    lpx_note note;
    iam_form_field *f;
    size_t count;
    static char text[IAM_FORM_MAX_BYTES + 2];
    memset(text, 'a', IAM_FORM_MAX_BYTES);
    assert_ok(parse(text, &f, &count, &note));
    text[IAM_FORM_MAX_BYTES] = 'a';
    assert_reason(parse(text, &f, &count, &note), IAM_TOKEN_BAD_REQUEST);
    char many[2 * (IAM_FORM_MAX_FIELDS + 1) + 1] = "";
    for (size_t i = 0; i < IAM_FORM_MAX_FIELDS; i++) {
        strcat(many, "a&");
    }
    assert_ok(parse(many, &f, &count, &note));
    assert_int_equal(count, IAM_FORM_MAX_FIELDS);
    strcat(many, "a");
    assert_reason(parse(many, &f, &count, &note), IAM_TOKEN_BAD_REQUEST);
}

static void encode(lpx_str text, char *out)
{
    static const char hex[] = "0123456789abcdefABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.ptr[i];
        bool plain = c < 0x7F && c > ' ' && c != '%' && c != '+' && c != '&' && c != '=';
        if (plain && test_random() % 2 == 0) {
            *out++ = (char)c;
        } else if (c == ' ' && test_random() % 2 == 0) {
            *out++ = '+';
        } else {
            *out++ = '%';
            *out++ = hex[c >> 4];
            unsigned low = c & 15;
            *out++ = hex[low >= 10 && test_random() % 2 == 0 ? low + 6 : low];
        }
    }
    *out = '\0';
}

static void what_was_encoded_comes_back(void **state)
{
    (void)state;
    for (int i = 0; i < 5000; i++) {
        char plain[2][24] = {"", ""};
        char coded[160] = "";
        for (int k = 0; k < 2; k++) {
            size_t len = test_random() % 20 + (k == 0 ? 1 : 0);
            for (size_t at = 0; at < len; at++) {
                plain[k][at] = (char)(' ' + test_random() % 0x5F);
            }
            encode(lpx_str_of(plain[k]), coded + strlen(coded));
            strcat(coded, k == 0 ? "=" : "");
        }
        lpx_note note;
        iam_form_field *f;
        size_t count;
        assert_ok(parse(coded, &f, &count, &note));
        assert_int_equal(count, 1);
        assert_true(lpx_str_is(f[0].name, plain[0]));
        assert_true(lpx_str_is(f[0].value, plain[1]));
        lpx_arena_reset(&arena);
    }
}

/* Request. */

#define FORM "application/x-www-form-urlencoded"
#define GRANT "&grant_type=client_credentials"

typedef struct request_row {
    const char *type, *basic, *body; /* basic: user:password before base64 */
    const char *reason;              /* NULL: read */
} request_row;

static lpx_err read_row(const request_row *row, iam_token_ask *ask, lpx_note *note)
{
    char header[512] = "";
    if (row->basic != NULL) {
        strcpy(header, "bAsIc ");
        lpx_base64_encode(lpx_str_bytes(lpx_str_of(row->basic)), header + 6);
    }
    iam_token_input in = {.content_type = lpx_str_of(row->type),
                          .authorization = lpx_bytes_str(lpx_arena_copy(&arena, lpx_str_bytes(lpx_str_of(header)))),
                          .body = lpx_str_bytes(lpx_str_of(row->body))};
    return iam_token_read(&in, &arena, ask, note);
}

static void requests_of_real_clients_are_read(void **state)
{
    (void)state;
    static const request_row rows[] = {
        {FORM, NULL, "audience=localhost&client_id=ID&client_secret=S&grant_type=client_credentials&scope=networks",
         NULL},
        {FORM "; charset=utf-8", NULL, "audience=localhost&client_id=ID&client_secret=S" GRANT, NULL},
        {"APPLICATION/X-www-form-urlencoded ;x", "ID:S", "audience=localhost" GRANT "&scope=", NULL},
        {FORM, "ID:S", "audience=localhost&client_id=ID" GRANT "&scope=+networks++networks", NULL},
        {FORM, "%49D:%53", "audience=localhost" GRANT, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lpx_note note = {""};
        iam_token_ask ask;
        assert_ok(read_row(&rows[i], &ask, &note));
        assert_true(lpx_str_is(ask.client_id, "ID"));
        assert_true(lpx_str_is(ask.client_secret, "S"));
        assert_int_equal(ask.basic, rows[i].basic != NULL);
        assert_int_equal(ask.audience_count, 1);
        assert_true(lpx_str_is(ask.audiences[0], "localhost"));
    }
}

static void other_requests_are_refused(void **state)
{
    (void)state;
    static const request_row rows[] = {
        {"", NULL, "client_id=a&client_secret=b" GRANT, "IAM_TOKEN_BAD_REQUEST"},
        {"application/json", NULL, "{}", "IAM_TOKEN_BAD_REQUEST"},
        {FORM, NULL, "client_secret=b" GRANT, "IAM_TOKEN_BAD_REQUEST"},
        {FORM, NULL, "client_id=a" GRANT, "IAM_TOKEN_BAD_REQUEST"},
        {FORM, NULL, "client_id=a&client_secret=" GRANT, "IAM_TOKEN_BAD_REQUEST"},
        {FORM, NULL, "client_id=a&client_id=a&client_secret=b" GRANT, "IAM_TOKEN_BAD_REQUEST"},
        {FORM, NULL, "client_id=a&client_secret=b&client_secret=b" GRANT, "IAM_TOKEN_BAD_REQUEST"},
        {FORM, NULL, "client_id=a&client_secret=b", "IAM_TOKEN_BAD_REQUEST"},
        {FORM, NULL, "client_id=a&client_secret=b" GRANT GRANT, "IAM_TOKEN_BAD_REQUEST"},
        {FORM, NULL, "client_id=a&client_secret=b&grant_type=password", "IAM_TOKEN_BAD_GRANT"},
        {FORM, NULL, "client_id=a&client_secret=b&scope=all" GRANT, "IAM_TOKEN_BAD_SCOPE"},
        {FORM, NULL, "client_id=a&client_secret=b&scope=networks+all" GRANT, "IAM_TOKEN_BAD_SCOPE"},
        {FORM, NULL, "client_id=%&client_secret=b" GRANT, "IAM_TOKEN_BAD_REQUEST"},
        {FORM, "no colon", "audience=a" GRANT, "RPC_BASIC_MALFORMED"},
        {FORM, "a%zz:b", "audience=a" GRANT, "RPC_BASIC_MALFORMED"},
        {FORM, "a:b", "client_id=c" GRANT, "IAM_TOKEN_BAD_REQUEST"},
        {FORM, "a:b", "client_secret=b" GRANT, "IAM_TOKEN_BAD_REQUEST"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lpx_note note = {""};
        iam_token_ask ask = {.basic = false};
        lpx_err err = read_row(&rows[i], &ask, &note);
        assert_string_equal(lpx_reason_name(err.reason), rows[i].reason);
    }
}

static void huge_headers_are_refused(void **state)
{
    (void)state;
    static char text[IAM_HEADER_MAX_BYTES + 64];
    memset(text, 'A', sizeof text - 1);
    memcpy(text, "Basic ", 6);
    lpx_note note;
    iam_token_ask ask;
    iam_token_input in = {.content_type = LPX_STR(FORM), .authorization = lpx_str_of(text)};
    assert_reason(iam_token_read(&in, &arena, &ask, &note), IAM_TOKEN_BAD_REQUEST);
    in = (iam_token_input){.content_type = lpx_str_of(text)};
    assert_reason(iam_token_read(&in, &arena, &ask, &note), IAM_TOKEN_BAD_REQUEST);
}

/* Grant. */

static iam_token_ask ask_for(const char *body)
{
    char form[1024];
    snprintf(form, sizeof form, "client_id=a&client_secret=b" GRANT "%s", body);
    request_row row = {FORM, NULL, (const char *)lpx_arena_copy(&arena, lpx_str_bytes(lpx_str_of(form))).ptr, NULL};
    lpx_note note;
    iam_token_ask ask;
    assert_ok(read_row(&row, &ask, &note));
    return ask;
}

static void known_audiences_are_granted(void **state)
{
    (void)state;
    const lpx_str own[] = {LPX_STR("iam.example.com"), LPX_STR("localhost"), LPX_STR("::1")};
    static const struct {
        const char *body, *want; /* joined by commas; NULL: refused */
    } rows[] = {
        {"&audience=localhost", "localhost"},
        {"&audience=LocalHost+localhost+IAM.example.com", "localhost,iam.example.com"},
        {"&audience=elsewhere+localhost+other", "localhost"},
        {"&audience=::1&audience=localhost", "::1,localhost"},
        {"&audience=elsewhere", NULL},
        {"&audience=", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lpx_note note;
        lpx_str out[JWT_MAX_AUDIENCES];
        size_t count;
        iam_token_ask ask = ask_for(rows[i].body);
        lpx_err err = iam_token_grant(&ask, own, 3, out, &count, &note);
        if (rows[i].want == NULL) {
            assert_reason(err, IAM_TOKEN_BAD_AUDIENCE);
            continue;
        }
        assert_ok(err);
        char joined[256] = "";
        for (size_t k = 0; k < count; k++) {
            strcat(joined, k > 0 ? "," : "");
            strncat(joined, out[k].ptr, out[k].len);
        }
        assert_string_equal(joined, rows[i].want);
    }
}

static void without_own_names_any_audience_is_granted(void **state)
{
    (void)state;
    lpx_note note;
    lpx_str out[JWT_MAX_AUDIENCES];
    size_t count;
    iam_token_ask ask = ask_for("&audience=a+b+A");
    assert_ok(iam_token_grant(&ask, NULL, 0, out, &count, &note));
    assert_int_equal(count, 2);
    ask = ask_for("&audience=a+b+c+d+e+f+g+h+i+j+k+l+m+n+o+p+q+r+s+t");
    assert_ok(iam_token_grant(&ask, NULL, 0, out, &count, &note));
    assert_int_equal(count, JWT_MAX_AUDIENCES);
    ask = ask_for("");
    assert_reason(iam_token_grant(&ask, NULL, 0, out, &count, &note), IAM_TOKEN_BAD_AUDIENCE);
}

/* Client. */

static void only_approved_keys_with_their_secret_pass(void **state)
{
    (void)state;
    iam_client_key key = {.found = true, .state = IAM_KEY_APPROVED};
    uint8_t right[32];
    uint8_t wrong[32];
    const uint8_t zeros[32] = {0};
    memset(key.secret_hash, 7, sizeof key.secret_hash);
    memset(right, 7, sizeof right);
    memset(wrong, 7, sizeof wrong);
    wrong[31] = 8;
    assert_ok(iam_client_check(&key, right));
    assert_reason(iam_client_check(&key, wrong), IAM_CLIENT_REFUSED);
    key.state = IAM_KEY_REQUESTED;
    assert_reason(iam_client_check(&key, right), IAM_CLIENT_WAITING);
    assert_reason(iam_client_check(&key, wrong), IAM_CLIENT_REFUSED);
    key.state = IAM_KEY_REJECTED;
    assert_reason(iam_client_check(&key, right), IAM_CLIENT_REJECTED);
    key.state = 9;
    assert_reason(iam_client_check(&key, right), IAM_CLIENT_REJECTED);
    key = (iam_client_key){.found = false, .state = IAM_KEY_APPROVED};
    assert_reason(iam_client_check(&key, zeros), IAM_CLIENT_REFUSED);
}

static void last_used_is_written_once_a_minute(void **state)
{
    (void)state;
    iam_client_key key = {.used = false};
    const int64_t minute = 60000000;
    assert_true(iam_client_is_stale(&key, (lpx_utc){0}));
    key.used = true;
    key.authenticated_at = (lpx_utc){100 * minute};
    assert_false(iam_client_is_stale(&key, (lpx_utc){100 * minute}));
    assert_false(iam_client_is_stale(&key, (lpx_utc){101 * minute - 1}));
    assert_true(iam_client_is_stale(&key, (lpx_utc){101 * minute}));
    assert_true(iam_client_is_stale(&key, (lpx_utc){99 * minute})); /* written by a wrong clock */
}

/* Token. */

static void ulids_have_their_known_form(void **state)
{
    (void)state;
    char out[IAM_ULID_BYTES];
    uint8_t random[IAM_ULID_RANDOM_BYTES];
    memset(random, 0, sizeof random);
    /* Time from the examples of the ULID specification: 1469918176385 is 01ARYZ6S41. */
    iam_ulid((lpx_utc){INT64_C(1469918176385999)}, random, out);
    assert_string_equal(out, "01ARYZ6S410000000000000000");
    memset(random, 0xFF, sizeof random);
    iam_ulid((lpx_utc){INT64_C(281474976710655) * 1000}, random, out);
    assert_string_equal(out, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    iam_ulid((lpx_utc){-5}, random, out);
    assert_string_equal(out, "0000000000ZZZZZZZZZZZZZZZZ");
    memset(random, 0, sizeof random);
    random[9] = 33;
    iam_ulid((lpx_utc){0}, random, out);
    assert_string_equal(out, "00000000000000000000000011");
}

static void claims_say_who_and_for_how_long(void **state)
{
    (void)state;
    const uint8_t random[IAM_ULID_RANDOM_BYTES] = {0};
    const lpx_str audiences[] = {LPX_STR("a"), LPX_STR("b")};
    iam_client_key key = {.found = true,
                          .key_id = LPX_STR("KEYIDKEYIDKEYID2"),
                          .net_id = 0x13,
                          .tenant_id = LPX_STR("ttn"),
                          .cluster_id = LPX_STR("eu1"),
                          .rights = 0x493};
    const iam_token_grant_in in = {.key = &key,
                                   .audiences = audiences,
                                   .audience_count = 2,
                                   .issuer = LPX_STR("https://iss"),
                                   .now = {INT64_C(1700000000) * 1000000},
                                   .random = random};
    jwt_claims *claims = lpx_arena_get(&arena, sizeof *claims);
    assert_ok(iam_token_claims(&in, &arena, claims));
    assert_int_equal(claims->expires_at.us - claims->issued_at.us, INT64_C(3600) * 1000000);
    assert_int_equal(claims->issued_at.us, in.now.us);
    assert_int_equal(claims->not_before.us, in.now.us);
    assert_true(lpx_str_is(rpc_token_key_id(claims->token_id), "KEYIDKEYIDKEYID2"));
    assert_true(lpx_str_is(claims->issuer, "https://iss"));
    assert_true(lpx_str_is(claims->subject, "KEYIDKEYIDKEYID2"));
    assert_int_equal(claims->audience_count, 2);
    assert_true(lpx_str_is(claims->audiences[1], "b"));
    assert_false(claims->cluster);
    assert_int_equal(claims->network_count, 1);
    assert_int_equal(claims->networks[0].net_id, 0x13);
    assert_true(lpx_str_is(claims->networks[0].tenant_id, "ttn"));
    assert_int_equal(claims->rights, 0x493);
    key.is_cluster = true;
    assert_ok(iam_token_claims(&in, &arena, claims));
    assert_true(claims->cluster);
    assert_true(lpx_str_is(claims->subject, "eu1"));
    assert_int_equal(claims->network_count, 0);
}

/* Answers. */

static void answers_have_their_form(void **state)
{
    (void)state;
    assert_true(lpx_str_is(iam_token_json(LPX_STR("a.b.c"), &arena),
                           "{\"access_token\":\"a.b.c\",\"token_type\":\"bearer\",\"expires_in\":3600}"));
    static const struct {
        uint16_t reason;
        unsigned status;
        const char *error;
    } rows[] = {
        {IAM_TOKEN_BAD_REQUEST, 400, "invalid_request"},      {IAM_TOKEN_BAD_GRANT, 400, "unsupported_grant_type"},
        {IAM_TOKEN_BAD_SCOPE, 400, "invalid_scope"},          {IAM_TOKEN_BAD_AUDIENCE, 400, "invalid_request"},
        {IAM_CLIENT_REFUSED, 401, "invalid_client"},          {IAM_CLIENT_WAITING, 401, "invalid_client"},
        {IAM_CLIENT_REJECTED, 401, "invalid_client"},         {RPC_BASIC_MALFORMED, 401, "invalid_client"},
        {STORE_UNAVAILABLE, 503, "temporarily_unavailable"},  {STORE_BUSY, 503, "temporarily_unavailable"},
        {IAM_NO_SIGNING_KEY, 503, "temporarily_unavailable"}, {BASE_INTERNAL, 500, "server_error"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char want[512];
        lpx_note note = {""};
        lpx_err err = lpx_err_of(rows[i].reason);
        assert_int_equal(iam_token_status(err), rows[i].status);
        snprintf(want, sizeof want, "{\"error\":\"%s\",\"error_description\":\"%s\"}", rows[i].error,
                 lpx_reason_text(rows[i].reason));
        assert_true(lpx_str_is(iam_token_error_json(err, &note, &arena), want));
    }
}

static void descriptions_cannot_break_the_json(void **state)
{
    (void)state;
    const lpx_note note = {"a\"b\\c\nd\xC3\xA9"};
    assert_true(lpx_str_is(iam_token_error_json(lpx_err_of(IAM_CLIENT_REFUSED), &note, &arena),
                           "{\"error\":\"invalid_client\",\"error_description\":\"a?b?c?d??\"}"));
}

static void short_memory_fails_requests(void **state)
{
    (void)state;
    static const char body[] = "audience=a+b&client_id=ID&client_secret=S" GRANT;
    bool failed = false;
    bool read = false;
    for (size_t cap = 0; cap < 32768; cap += 16) {
        lpx_arena small;
        lpx_note note;
        iam_token_ask ask;
        lpx_arena_init(&small, cap);
        iam_token_input in = {.content_type = LPX_STR(FORM),
                              .authorization = LPX_STR("Basic SUQ6Uw=="),
                              .body = lpx_str_bytes(LPX_STR("audience=a+b" GRANT))};
        lpx_err basic = iam_token_read(&in, &small, &ask, &note);
        in.authorization = LPX_STR("");
        in.body = lpx_str_bytes(LPX_STR(body));
        lpx_err plain = iam_token_read(&in, &small, &ask, &note);
        assert_true(!lpx_failed(basic) || basic.reason == BASE_NO_MEMORY);
        assert_true(!lpx_failed(plain) || plain.reason == BASE_NO_MEMORY);
        failed = failed || lpx_failed(plain);
        read = read || !lpx_failed(plain);
        lpx_arena_fini(&small);
    }
    assert_true(failed && read);
}

int iam_token_core_tests(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(forms_are_decoded),
        CASE(bad_forms_are_refused),
        CASE(forms_have_limits),
        CASE(what_was_encoded_comes_back),
        CASE(requests_of_real_clients_are_read),
        CASE(other_requests_are_refused),
        CASE(huge_headers_are_refused),
        CASE(known_audiences_are_granted),
        CASE(without_own_names_any_audience_is_granted),
        CASE(only_approved_keys_with_their_secret_pass),
        CASE(last_used_is_written_once_a_minute),
        CASE(ulids_have_their_known_form),
        CASE(claims_say_who_and_for_how_long),
        CASE(answers_have_their_form),
        CASE(descriptions_cannot_break_the_json),
        CASE(short_memory_fails_requests),
    };
    return cmocka_run_group_tests_name("iam_token_core", tests, NULL, NULL);
}
