#include "iam/iam_token_core.h"

#include <string.h>

#include "base/reader.h"
#include "base/text.h"
#include "iam/iam_core.h"
#include "iam/limits.h"
#include "lpx_reasons.h"
#include "rpc/authn.h"

/* Form. */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    uint8_t lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The byte after a percent sign; -1 when no two hex digits follow. */
static int escaped_byte(lpx_reader *r)
{
    int high = hex_digit(lpx_reader_u8(r));
    int low = hex_digit(lpx_reader_u8(r));
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool iam_form_unescape(lpx_str text, lpx_arena *arena, lpx_str *out)
{
    uint8_t *room = lpx_arena_get(arena, text.len + 1);
    if (room == NULL) {
        *out = (lpx_str){.ptr = NULL, .len = 0};
        return true;
    }
    size_t len = 0;
    lpx_reader r;
    lpx_reader_init(&r, lpx_str_bytes(text));
    while (lpx_reader_left(&r) > 0) {
        int c = lpx_reader_u8(&r);
        if (c == '%') {
            c = escaped_byte(&r);
        } else if (c == '+') {
            c = ' ';
        }
        if (c < ' ' || c == 0x7F) {
            return false;
        }
        room[len++] = (uint8_t)c;
    }
    if (!lpx_utf8_valid(lpx_bytes_of(room, len))) {
        return false;
    }
    *out = (lpx_str){.ptr = (const char *)room, .len = len};
    return true;
}

/* Text up to a separator; *rest gets what follows it. */
static lpx_str split_at(lpx_str text, char separator, lpx_str *rest)
{
    const char *end = text.len > 0 ? memchr(text.ptr, separator, text.len) : NULL;
    size_t len = end != NULL ? (size_t)(end - text.ptr) : text.len;
    *rest = lpx_str_skip(text, end != NULL ? len + 1 : len);
    return (lpx_str){.ptr = text.ptr, .len = len};
}

static lpx_err parse_field(lpx_str piece, size_t number, lpx_arena *arena, iam_form_field *out, lpx_note *note)
{
    lpx_str value;
    lpx_str name = split_at(piece, '=', &value);
    if (!iam_form_unescape(name, arena, &out->name) || !iam_form_unescape(value, arena, &out->value)) {
        return lpx_fail(note, IAM_TOKEN_BAD_REQUEST,
                        "Field %zu of the form has a bad percent escape, a control character or no UTF-8.", number);
    }
    return out->name.ptr == NULL || out->value.ptr == NULL ? lpx_err_of(BASE_NO_MEMORY) : LPX_SUCCESS;
}

lpx_err iam_form_parse(lpx_bytes body, lpx_arena *arena, iam_form_field **out, size_t *count, lpx_note *note)
{
    if (body.len > IAM_FORM_MAX_BYTES) {
        return lpx_fail(note, IAM_TOKEN_BAD_REQUEST, "The form is longer than %d bytes.", (int)IAM_FORM_MAX_BYTES);
    }
    iam_form_field *fields = lpx_arena_array(arena, IAM_FORM_MAX_FIELDS, sizeof *fields);
    if (fields == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    size_t used = 0;
    lpx_str rest = lpx_bytes_str(body);
    while (rest.len > 0) {
        lpx_str piece = split_at(rest, '&', &rest);
        if (piece.len == 0) {
            continue;
        }
        if (used == IAM_FORM_MAX_FIELDS) {
            return lpx_fail(note, IAM_TOKEN_BAD_REQUEST, "The form has more than %d fields.", (int)IAM_FORM_MAX_FIELDS);
        }
        LPX_TRY(parse_field(piece, used + 1, arena, &fields[used], note));
        used++;
    }
    *out = fields;
    *count = used;
    return LPX_SUCCESS;
}

/* Request. */

static bool is_form_type(lpx_str content_type)
{
    lpx_str rest;
    lpx_str type = split_at(content_type, ';', &rest);
    while (type.len > 0 && (type.ptr[type.len - 1] == ' ' || type.ptr[type.len - 1] == '\t')) {
        type.len--;
    }
    return iam_text_equal_fold(type, LPX_STR("application/x-www-form-urlencoded"));
}

/* The only value of a field; empty when it is absent. */
static lpx_err single(const iam_form_field *fields, size_t count, const char *name, lpx_str *out, lpx_note *note)
{
    bool found = false;
    *out = LPX_STR("");
    for (size_t i = 0; i < count; i++) {
        if (!lpx_str_is(fields[i].name, name)) {
            continue;
        }
        if (found) {
            return lpx_fail(note, IAM_TOKEN_BAD_REQUEST, "The form has more than one field %s.", name);
        }
        found = true;
        *out = fields[i].value;
    }
    return LPX_SUCCESS;
}

/* A refusal speaks of Basic only when the client did. */
static lpx_err read_basic(lpx_str header, lpx_arena *arena, iam_token_ask *out, lpx_note *note)
{
    if (header.len > IAM_HEADER_MAX_BYTES) {
        return lpx_fail(note, IAM_TOKEN_BAD_REQUEST, "The Authorization header is longer than %d bytes.",
                        (int)IAM_HEADER_MAX_BYTES);
    }
    lpx_str id, secret;
    out->basic = true;
    LPX_TRY(rpc_auth_split_basic(header, arena, &id, &secret));
    if (!iam_form_unescape(id, arena, &out->client_id) || !iam_form_unescape(secret, arena, &out->client_secret)) {
        return lpx_err_of(RPC_BASIC_MALFORMED);
    }
    return out->client_id.ptr == NULL || out->client_secret.ptr == NULL ? lpx_err_of(BASE_NO_MEMORY) : LPX_SUCCESS;
}

static lpx_err read_client(const iam_token_input *in, const iam_form_field *fields, size_t count, lpx_arena *arena,
                           iam_token_ask *out, lpx_note *note)
{
    lpx_str id, secret;
    LPX_TRY(single(fields, count, "client_id", &id, note));
    LPX_TRY(single(fields, count, "client_secret", &secret, note));
    lpx_str scheme = {.ptr = in->authorization.ptr, .len = in->authorization.len < 6 ? in->authorization.len : 6};
    if (iam_text_equal_fold(scheme, LPX_STR("Basic "))) {
        LPX_TRY(read_basic(in->authorization, arena, out, note));
        if (secret.len > 0 || (id.len > 0 && !lpx_str_equal(id, out->client_id))) {
            return lpx_fail(note, IAM_TOKEN_BAD_REQUEST,
                            "Give the client's credentials either in the Authorization header or in the form.");
        }
        return LPX_SUCCESS;
    }
    if (id.len == 0 || secret.len == 0) {
        return lpx_fail(note, IAM_TOKEN_BAD_REQUEST, "The form must have the fields client_id and client_secret.");
    }
    out->client_id = id;
    out->client_secret = secret;
    return LPX_SUCCESS;
}

static lpx_err check_grant_type(const iam_form_field *fields, size_t count, lpx_note *note)
{
    lpx_str grant;
    LPX_TRY(single(fields, count, "grant_type", &grant, note));
    if (grant.len == 0) {
        return lpx_fail(note, IAM_TOKEN_BAD_REQUEST,
                        "The form must have the field grant_type with the value client_credentials.");
    }
    return lpx_str_is(grant, "client_credentials") ? LPX_SUCCESS : lpx_err_of(IAM_TOKEN_BAD_GRANT);
}

static lpx_err check_scope(const iam_form_field *fields, size_t count, lpx_note *note)
{
    lpx_str rest;
    LPX_TRY(single(fields, count, "scope", &rest, note));
    while (rest.len > 0) {
        lpx_str word = split_at(rest, ' ', &rest);
        if (word.len > 0 && !lpx_str_is(word, "networks")) {
            return lpx_err_of(IAM_TOKEN_BAD_SCOPE);
        }
    }
    return LPX_SUCCESS;
}

/* Audiences come joined by spaces, in one field or several. */
static lpx_err read_audiences(const iam_form_field *fields, size_t count, lpx_arena *arena, iam_token_ask *out)
{
    size_t room = 0;
    for (size_t i = 0; i < count; i++) {
        room += lpx_str_is(fields[i].name, "audience") ? fields[i].value.len / 2 + 1 : 0;
    }
    out->audiences = lpx_arena_array(arena, room, sizeof *out->audiences);
    if (out->audiences == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    out->audience_count = 0;
    for (size_t i = 0; i < count; i++) {
        lpx_str rest = lpx_str_is(fields[i].name, "audience") ? fields[i].value : LPX_STR("");
        while (rest.len > 0) {
            lpx_str word = split_at(rest, ' ', &rest);
            if (word.len > 0) {
                out->audiences[out->audience_count++] = word;
            }
        }
    }
    return LPX_SUCCESS;
}

lpx_err iam_token_read(const iam_token_input *in, lpx_arena *arena, iam_token_ask *out, lpx_note *note)
{
    iam_form_field *fields;
    size_t count;
    if (in->content_type.len > IAM_HEADER_MAX_BYTES || !is_form_type(in->content_type)) {
        return lpx_fail(note, IAM_TOKEN_BAD_REQUEST,
                        "The Content-Type of a token request must be application/x-www-form-urlencoded.");
    }
    LPX_TRY(iam_form_parse(in->body, arena, &fields, &count, note));
    iam_token_ask ask = {.basic = false};
    lpx_err err = read_client(in, fields, count, arena, &ask, note);
    out->basic = ask.basic;
    LPX_TRY(err);
    LPX_TRY(check_grant_type(fields, count, note));
    LPX_TRY(check_scope(fields, count, note));
    LPX_TRY(read_audiences(fields, count, arena, &ask));
    *out = ask;
    return LPX_SUCCESS;
}

/* Grant. */

static bool has_fold(const lpx_str *list, size_t count, lpx_str wanted)
{
    for (size_t i = 0; i < count; i++) {
        if (iam_text_equal_fold(list[i], wanted)) {
            return true;
        }
    }
    return false;
}

/* The name as it stands in own; the one asked for when own is empty. */
static bool own_name(const lpx_str *own, size_t own_count, lpx_str *name)
{
    for (size_t i = 0; i < own_count; i++) {
        if (iam_text_equal_fold(own[i], *name)) {
            *name = own[i];
            return true;
        }
    }
    return own_count == 0;
}

lpx_err iam_token_grant(const iam_token_ask *ask, const lpx_str *own, size_t own_count, lpx_str *out, size_t *count,
                        lpx_note *note)
{
    size_t used = 0;
    for (size_t i = 0; i < ask->audience_count && used < JWT_MAX_AUDIENCES; i++) {
        lpx_str name = ask->audiences[i];
        if (own_name(own, own_count, &name) && !has_fold(out, used, name)) {
            out[used++] = name;
        }
    }
    if (used == 0) {
        return own_count == 0 ? lpx_fail(note, IAM_TOKEN_BAD_AUDIENCE, "The form must have the field audience.")
                              : lpx_fail(note, IAM_TOKEN_BAD_AUDIENCE,
                                         "None of the audiences is a name of this exchange: one is %.*s.",
                                         (int)(own[0].len < 100 ? own[0].len : 100), own[0].ptr);
    }
    *count = used;
    return LPX_SUCCESS;
}

lpx_err iam_client_check(const iam_client_key *key, const uint8_t hash[static 32])
{
    static const uint8_t nobody[32] = {0};
    lpx_bytes want = lpx_bytes_of(key->found ? key->secret_hash : nobody, sizeof nobody);
    bool same = lpx_equal_const_time(want, lpx_bytes_of(hash, sizeof nobody));
    if (!same || !key->found) {
        return lpx_err_of(IAM_CLIENT_REFUSED);
    }
    if (key->state == IAM_KEY_REQUESTED) {
        return lpx_err_of(IAM_CLIENT_WAITING);
    }
    return key->state == IAM_KEY_APPROVED ? LPX_SUCCESS : lpx_err_of(IAM_CLIENT_REJECTED);
}

bool iam_client_is_stale(const iam_client_key *key, lpx_utc now)
{
    const int64_t every_us = IAM_AUTHENTICATED_EVERY_S * INT64_C(1000000);
    return !key->used || key->authenticated_at.us > now.us || now.us - key->authenticated_at.us >= every_us;
}

/* Token. */

void iam_ulid(lpx_utc time, const uint8_t random[static IAM_ULID_RANDOM_BYTES], char out[static IAM_ULID_BYTES])
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint64_t ms = time.us > 0 ? (uint64_t)time.us / 1000 : 0;
    for (size_t i = 0; i < 10; i++) {
        out[i] = digits[ms >> (45 - 5 * i) & 31];
    }
    uint64_t bits = 0;
    unsigned have = 0;
    size_t len = 10;
    for (size_t i = 0; i < IAM_ULID_RANDOM_BYTES; i++) {
        bits = bits << 8 | random[i];
        have += 8;
        while (have >= 5) {
            have -= 5;
            out[len++] = digits[bits >> have & 31];
        }
    }
    out[len] = '\0';
}

lpx_err iam_token_claims(const iam_token_grant_in *in, lpx_arena *arena, jwt_claims *out)
{
    char ulid[IAM_ULID_BYTES];
    iam_ulid(in->now, in->random, ulid);
    const iam_client_key *key = in->key;
    char *id = lpx_arena_printf(arena, "%s-%.*s", ulid, (int)key->key_id.len, key->key_id.ptr);
    if (id == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    *out = (jwt_claims){
        .issuer = in->issuer,
        .subject = key->is_cluster ? key->cluster_id : key->key_id,
        .token_id = lpx_str_of(id),
        .audience_count = in->audience_count,
        .issued_at = in->now,
        .not_before = in->now,
        .expires_at = {in->now.us + IAM_TOKEN_S * INT64_C(1000000)},
        .cluster = key->is_cluster,
        .rights = key->rights,
    };
    for (size_t i = 0; i < in->audience_count; i++) {
        out->audiences[i] = in->audiences[i];
    }
    if (!key->is_cluster) {
        out->networks[0] = (jwt_network){.net_id = key->net_id, .tenant_id = key->tenant_id};
        out->network_count = 1;
    }
    return LPX_SUCCESS;
}

lpx_str iam_token_json(lpx_str token, lpx_arena *arena)
{
    /* A compact JWS has no character that JSON would escape. */
    return lpx_str_of(lpx_arena_printf(arena, "{\"access_token\":\"%.*s\",\"token_type\":\"bearer\",\"expires_in\":%d}",
                                       (int)token.len, token.ptr, (int)IAM_TOKEN_S));
}

/* Refusal. */

static const char *oauth_error(lpx_err err)
{
    if (err.code == LPX_UNAUTHENTICATED) {
        return "invalid_client";
    }
    if (err.reason == IAM_TOKEN_BAD_GRANT) {
        return "unsupported_grant_type";
    }
    if (err.reason == IAM_TOKEN_BAD_SCOPE) {
        return "invalid_scope";
    }
    if (err.code == LPX_INVALID_ARGUMENT) {
        return "invalid_request";
    }
    return iam_token_status(err) == 503 ? "temporarily_unavailable" : "server_error";
}

unsigned iam_token_status(lpx_err err)
{
    if (err.code == LPX_UNAUTHENTICATED) {
        return 401;
    }
    if (err.code == LPX_INVALID_ARGUMENT) {
        return 400;
    }
    return err.code == LPX_UNAVAILABLE || err.code == LPX_RESOURCE_EXHAUSTED ? 503 : 500;
}

lpx_str iam_token_error_json(lpx_err err, const lpx_note *note, lpx_arena *arena)
{
    const char *text = note->text[0] != '\0' ? note->text : lpx_reason_text(err.reason);
    char *clean = lpx_arena_cstr(arena, lpx_str_of(text));
    if (clean == NULL) {
        return LPX_STR("");
    }
    /* Only what RFC 6749 section 5.2 allows in a description, which is also what JSON need not escape. */
    for (char *c = clean; *c != '\0'; c++) {
        if (*c < 0x20 || *c > 0x7E || *c == '"' || *c == '\\') {
            *c = '?';
        }
    }
    return lpx_str_of(
        lpx_arena_printf(arena, "{\"error\":\"%s\",\"error_description\":\"%s\"}", oauth_error(err), clean));
}
