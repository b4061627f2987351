/* Claims as JSON. The claim of the IAM keeps the name that clients look for, whoever the issuer is. */
#include "codec/json/json.h"
#include "codec/jwt/jwt_priv.h"
#include "lpx_reasons.h"

static const char iam_claim[] = "https://iam.packetbroker.net/claims";

enum { LEEWAY_S = 60, RIGHTS_BITS = 64 };
/* The end of the year 9999: times fit microseconds with room to add a leeway. */
static const double time_max_s = 253402300799.0;

/* ---- writing ---- */

static void text_member(json_writer *w, const char *name, lpx_str value)
{
    if (value.len > 0) {
        json_write_member(w, name, value);
    }
}

static void audiences_write(json_writer *w, const jwt_claims *claims)
{
    json_write_key(w, LPX_STR("aud"));
    json_write_array(w);
    for (size_t i = 0; i < claims->audience_count; i++) {
        json_write_str(w, claims->audiences[i]);
    }
    json_write_array_end(w);
}

static void networks_write(json_writer *w, const jwt_claims *claims)
{
    json_write_key(w, LPX_STR("ns"));
    json_write_array(w);
    for (size_t i = 0; i < claims->network_count; i++) {
        json_write_object(w);
        json_write_member_int(w, "nid", claims->networks[i].net_id);
        text_member(w, "tid", claims->networks[i].tenant_id);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void rights_write(json_writer *w, const jwt_claims *claims)
{
    json_write_key(w, LPX_STR("rights"));
    json_write_array(w);
    for (unsigned i = 0; i < RIGHTS_BITS; i++) {
        if ((claims->rights >> i & 1) != 0) {
            json_write_int(w, i);
        }
    }
    json_write_array_end(w);
}

static int64_t seconds_of(lpx_utc time)
{
    return time.us / 1000000;
}

void jwt_claims_write(const jwt_claims *claims, lpx_buf *out)
{
    json_writer w;
    json_writer_init(&w, out, 0);
    json_write_object(&w);
    text_member(&w, "iss", claims->issuer);
    text_member(&w, "sub", claims->subject);
    if (claims->audience_count > 0) {
        audiences_write(&w, claims);
    }
    json_write_member_int(&w, "iat", seconds_of(claims->issued_at));
    json_write_member_int(&w, "nbf", seconds_of(claims->not_before));
    json_write_member_int(&w, "exp", seconds_of(claims->expires_at));
    text_member(&w, "jti", claims->token_id);
    json_write_key(&w, lpx_str_of(iam_claim));
    json_write_object(&w);
    if (claims->cluster) {
        json_write_key(&w, LPX_STR("c"));
        json_write_bool(&w, true);
    }
    if (claims->network_count > 0) {
        networks_write(&w, claims);
    }
    rights_write(&w, claims);
    json_write_object_end(&w);
    json_write_object_end(&w);
}

/* ---- reading ---- */

static lpx_err bad_claim(lpx_note *note, const char *name, const char *want)
{
    return lpx_fail(note, JWT_MALFORMED, "The token's claim %s must be %s.", name, want);
}

static lpx_err text_read(const json_value *claims, const char *name, lpx_str *out, lpx_note *note)
{
    const json_value *value = json_member(claims, name);
    if (value != NULL && value->kind != JSON_KIND_STRING) {
        return bad_claim(note, name, "text");
    }
    *out = json_text(value);
    return LPX_SUCCESS;
}

/* Seconds since 1970, perhaps with decimals; absent: 0. */
static lpx_err time_read(const json_value *claims, const char *name, lpx_utc *out, lpx_note *note)
{
    const json_value *value = json_member(claims, name);
    double seconds = 0;
    if (value != NULL && (!json_double(value, &seconds) || seconds < 0 || seconds > time_max_s)) {
        return bad_claim(note, name, "a number of seconds since 1970");
    }
    *out = (lpx_utc){(int64_t)(seconds * 1e6)};
    return LPX_SUCCESS;
}

/* One text or a list of texts. */
static lpx_err audiences_read(const json_value *claims, jwt_claims *out, lpx_note *note)
{
    const json_value *value = json_member(claims, "aud");
    if (value == NULL) {
        return LPX_SUCCESS;
    }
    if (value->kind == JSON_KIND_STRING) {
        out->audiences[out->audience_count++] = value->text;
        return LPX_SUCCESS;
    }
    if (value->kind != JSON_KIND_ARRAY || value->count > JWT_MAX_AUDIENCES) {
        return bad_claim(note, "aud", "text or a list of at most 16 texts");
    }
    for (const json_value *v = json_first(value); v != NULL; v = json_next(value, v)) {
        if (v->kind != JSON_KIND_STRING) {
            return bad_claim(note, "aud", "text or a list of texts");
        }
        out->audiences[out->audience_count++] = v->text;
    }
    return LPX_SUCCESS;
}

static lpx_err networks_read(const json_value *claim, jwt_claims *out, lpx_note *note)
{
    const json_value *list = json_member(claim, "ns");
    if (list == NULL) {
        return LPX_SUCCESS;
    }
    if (list->kind != JSON_KIND_ARRAY || list->count > JWT_MAX_NETWORKS) {
        return bad_claim(note, "ns", "a list of at most 64 networks");
    }
    for (const json_value *v = json_first(list); v != NULL; v = json_next(list, v)) {
        jwt_network *network = &out->networks[out->network_count++];
        int64_t net_id;
        if (!json_int(json_member(v, "nid"), &net_id) || net_id < 0 || net_id > UINT32_MAX) {
            return bad_claim(note, "ns", "a list of objects with a number nid");
        }
        network->net_id = (uint32_t)net_id;
        LPX_TRY(text_read(v, "tid", &network->tenant_id, note));
    }
    return LPX_SUCCESS;
}

static lpx_err rights_read(const json_value *claim, jwt_claims *out, lpx_note *note)
{
    const json_value *list = json_member(claim, "rights");
    if (list == NULL) {
        return LPX_SUCCESS;
    }
    if (list->kind != JSON_KIND_ARRAY) {
        return bad_claim(note, "rights", "a list of numbers");
    }
    for (const json_value *v = json_first(list); v != NULL; v = json_next(list, v)) {
        int64_t right;
        if (!json_int(v, &right) || right < 0 || right >= RIGHTS_BITS) {
            return bad_claim(note, "rights", "a list of numbers from 0 to 63");
        }
        out->rights |= (uint64_t)1 << right;
    }
    return LPX_SUCCESS;
}

static lpx_err iam_read(const json_value *claims, jwt_claims *out, lpx_note *note)
{
    const json_value *claim = json_member(claims, iam_claim);
    if (claim == NULL) {
        return LPX_SUCCESS;
    }
    const json_value *cluster = json_member(claim, "c");
    bool is_bool = cluster == NULL || cluster->kind == JSON_KIND_TRUE || cluster->kind == JSON_KIND_FALSE;
    if (claim->kind != JSON_KIND_OBJECT || !is_bool) {
        return bad_claim(note, iam_claim, "an object, and c in it true or false");
    }
    out->cluster = json_flag(cluster);
    LPX_TRY(networks_read(claim, out, note));
    return rights_read(claim, out, note);
}

LPX_RESULT jwt_claims_read(lpx_str json, lpx_arena *arena, jwt_claims *out, lpx_note *note)
{
    const json_value *claims = NULL;
    jwt_claims result = {0};
    lpx_err err = json_parse(json, arena, &claims, NULL);
    if (err.reason == BASE_NO_MEMORY) {
        return err;
    }
    if (lpx_failed(err) || claims->kind != JSON_KIND_OBJECT) {
        return lpx_fail(note, JWT_MALFORMED, "The token's claims are not a JSON object.");
    }
    LPX_TRY(text_read(claims, "iss", &result.issuer, note));
    LPX_TRY(text_read(claims, "sub", &result.subject, note));
    LPX_TRY(text_read(claims, "jti", &result.token_id, note));
    LPX_TRY(audiences_read(claims, &result, note));
    LPX_TRY(time_read(claims, "iat", &result.issued_at, note));
    LPX_TRY(time_read(claims, "nbf", &result.not_before, note));
    LPX_TRY(time_read(claims, "exp", &result.expires_at, note));
    LPX_TRY(iam_read(claims, &result, note));
    if (json_member(claims, "exp") == NULL) {
        return bad_claim(note, "exp", "there");
    }
    *out = result;
    return LPX_SUCCESS;
}

/* ---- checking ---- */

static bool audience_granted(const jwt_claims *claims, const lpx_str *own, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < claims->audience_count; j++) {
            if (lpx_str_equal(own[i], claims->audiences[j])) {
                return true;
            }
        }
    }
    return count == 0;
}

LPX_RESULT jwt_check(const jwt_claims *claims, lpx_utc now, lpx_str issuer, const lpx_str *audiences, size_t count,
                     lpx_note *note)
{
    const int64_t leeway_us = LEEWAY_S * 1000000LL;
    if (now.us - leeway_us > claims->expires_at.us) {
        return lpx_fail(note, JWT_EXPIRED, "The token has expired: ask for a new one.");
    }
    if (now.us + leeway_us < claims->not_before.us || now.us + leeway_us < claims->issued_at.us) {
        return lpx_fail(note, JWT_NOT_YET_VALID, "The token is not valid yet: check the clocks.");
    }
    if (issuer.len > 0 && !lpx_str_equal(issuer, claims->issuer)) {
        return lpx_fail(note, JWT_WRONG_ISSUER, "The token's issuer must be %.*s.",
                        (int)(issuer.len < 100 ? issuer.len : 100), issuer.ptr);
    }
    if (!audience_granted(claims, audiences, count)) {
        return lpx_fail(note, JWT_WRONG_AUDIENCE,
                        "The token is not for this service: ask for one with the audience %.*s.",
                        (int)(audiences[0].len < 100 ? audiences[0].len : 100), audiences[0].ptr);
    }
    return LPX_SUCCESS;
}
