#include "mapper/mapper_params.h"

#include "base/text.h"
#include "codec/json/json.h"
#include "lorawan/ids.h"
#include "lpx_reasons.h"
#include "mapper/limits.h"
#include "wire/http/http1_text.h"

/* ---- names and values ---- */

/* Which parameters there are; each may come once. */
typedef enum param {
    PARAM_LATITUDE,
    PARAM_LONGITUDE,
    PARAM_DISTANCE,
    PARAM_OFFSET,
    PARAM_LIMIT,
    PARAM_UPDATED_SINCE,
    PARAM_ONLINE,
    PARAM_NET_ID,
    PARAM_TENANT_ID,
    PARAM_CLUSTER_ID,
    PARAM_HOME_NET_ID,
    PARAM_HOME_TENANT_ID,
    PARAM_ID,
    PARAM_COUNT
} param;

static const char *const names[PARAM_COUNT] = {
    [PARAM_LATITUDE] = "distanceWithin[latitude]",
    [PARAM_LONGITUDE] = "distanceWithin[longitude]",
    [PARAM_DISTANCE] = "distanceWithin[distance]",
    [PARAM_OFFSET] = "offset",
    [PARAM_LIMIT] = "limit",
    [PARAM_UPDATED_SINCE] = "updatedSince",
    [PARAM_ONLINE] = "online",
    [PARAM_NET_ID] = "netID",
    [PARAM_TENANT_ID] = "tenantID",
    [PARAM_CLUSTER_ID] = "clusterID",
    [PARAM_HOME_NET_ID] = "homeNetworkNetID",
    [PARAM_HOME_TENANT_ID] = "homeNetworkTenantID",
    [PARAM_ID] = "id",
};

#define BIT(p) (1u << (p))
#define IN_LIST (BIT(PARAM_ID) - 1)
#define IN_ID (BIT(PARAM_NET_ID) | BIT(PARAM_TENANT_ID) | BIT(PARAM_ID))

typedef struct params {
    unsigned given; /* bit N: parameter N */
    lpx_str values[PARAM_COUNT];
    double latitude, longitude, distance_m;
} params;

/* How much of a bad name or value is shown. */
static int shown(lpx_str text)
{
    enum { MOST = 40 };
    return (int)(text.len < MOST ? text.len : MOST);
}

static lpx_err bad(lpx_note *note, param which, lpx_str value, const char *want)
{
    return lpx_fail(note, MAPPER_BAD_PARAMETER, "%s is \"%.*s\"; want %s.", names[which], shown(value), value.ptr,
                    want);
}

static lpx_err unknown(lpx_note *note, lpx_str name, unsigned allowed)
{
    unsigned best = 4; /* a guess farther off is none */
    const char *guess = NULL;
    for (unsigned i = 0; i < PARAM_COUNT; i++) {
        unsigned distance = lpx_edit_distance(name, lpx_str_of(names[i]));
        if ((allowed & BIT(i)) != 0 && distance < best) {
            best = distance;
            guess = names[i];
        }
    }
    return lpx_fail(note, MAPPER_BAD_PARAMETER, "There is no parameter \"%.*s\"%s%s.", shown(name), name.ptr,
                    guess != NULL ? "; did you mean " : "", guess != NULL ? guess : "");
}

/* One name=value, as sent. */
static lpx_err take(params *in, lpx_str pair, bool plus, unsigned allowed, lpx_arena *arena, lpx_note *note)
{
    lpx_str name = pair;
    lpx_str value = {"", 0};
    const char *equals = pair.len > 0 ? memchr(pair.ptr, '=', pair.len) : NULL;
    if (equals != NULL) {
        name.len = (size_t)(equals - pair.ptr);
        value = lpx_str_skip(pair, name.len + 1);
    }
    if (!http1_percent_decode(name, plus, arena, &name) || !http1_percent_decode(value, plus, arena, &value)) {
        return lpx_fail(note, MAPPER_BAD_PARAMETER, "\"%.*s\" has a %% without two hex digits behind it.", shown(pair),
                        pair.ptr);
    }
    if (!lpx_utf8_valid(lpx_str_bytes(name)) || !lpx_utf8_valid(lpx_str_bytes(value))) {
        return lpx_fail(note, MAPPER_BAD_PARAMETER, "A parameter is not UTF-8.");
    }
    for (unsigned i = 0; i < PARAM_COUNT; i++) {
        if ((allowed & BIT(i)) == 0 || !lpx_str_is(name, names[i])) {
            continue;
        }
        if ((in->given & BIT(i)) != 0) {
            return lpx_fail(note, MAPPER_BAD_PARAMETER, "%s is there twice; want it once.", names[i]);
        }
        in->given |= BIT(i);
        in->values[i] = value;
        return LPX_SUCCESS;
    }
    return unknown(note, name, allowed);
}

static lpx_err take_all(params *in, lpx_str text, char separator, unsigned allowed, lpx_arena *arena, lpx_note *note)
{
    while (text.len > 0) {
        const char *end = memchr(text.ptr, separator, text.len);
        size_t len = end != NULL ? (size_t)(end - text.ptr) : text.len;
        if (len > 0) {
            LPX_TRY(take(in, (lpx_str){text.ptr, len}, separator == '&', allowed, arena, note));
        }
        text = lpx_str_skip(text, len + 1);
    }
    return LPX_SUCCESS;
}

static bool given(const params *in, param which)
{
    return (in->given & BIT(which)) != 0;
}

/* ---- values ---- */

static lpx_err read_number(const params *in, param which, double least, double most, const char *want, double *out,
                           lpx_note *note)
{
    if (!given(in, which)) {
        return lpx_fail(note, MAPPER_BAD_PARAMETER,
                        "%s is missing; distanceWithin needs [latitude], [longitude] and [distance].", names[which]);
    }
    if (!json_number_double(in->values[which], out) || *out < least || *out > most) {
        return bad(note, which, in->values[which], want);
    }
    return LPX_SUCCESS;
}

static lpx_err read_near(const params *in, mapper_query *out, lpx_note *note)
{
    double latitude;
    double longitude;
    double distance;
    if ((in->given & (BIT(PARAM_LATITUDE) | BIT(PARAM_LONGITUDE) | BIT(PARAM_DISTANCE))) == 0) {
        return LPX_SUCCESS;
    }
    LPX_TRY(read_number(in, PARAM_LATITUDE, -90, 90, "degrees from -90 to 90", &latitude, note));
    LPX_TRY(read_number(in, PARAM_LONGITUDE, -180, 180, "degrees from -180 to 180", &longitude, note));
    LPX_TRY(read_number(in, PARAM_DISTANCE, 0, 1e300, "metres from 0", &distance, note));
    out->has_near = true;
    out->near = mapper_circle_of(latitude, longitude, distance);
    return LPX_SUCCESS;
}

static lpx_err read_count(const params *in, param which, uint64_t *out, lpx_note *note)
{
    if (given(in, which) && !lpx_parse_u64(in->values[which], UINT64_MAX, out)) {
        return bad(note, which, in->values[which], "a whole number from 0");
    }
    return LPX_SUCCESS;
}

static lpx_err read_times(const params *in, mapper_query *out, lpx_note *note)
{
    out->has_since = given(in, PARAM_UPDATED_SINCE);
    if (out->has_since && !lpx_utc_parse(in->values[PARAM_UPDATED_SINCE], &out->since)) {
        return bad(note, PARAM_UPDATED_SINCE, in->values[PARAM_UPDATED_SINCE], "a time like 2026-01-02T03:04:05Z");
    }
    out->has_online = given(in, PARAM_ONLINE);
    out->online = lpx_str_is(in->values[PARAM_ONLINE], "true");
    if (out->has_online && !out->online && !lpx_str_is(in->values[PARAM_ONLINE], "false")) {
        return bad(note, PARAM_ONLINE, in->values[PARAM_ONLINE], "true or false");
    }
    return LPX_SUCCESS;
}

/* A member: its tenant may be missing or empty. */
static lpx_err read_member(const params *in, param net, param tenant, traffic_member *out, lpx_note *note)
{
    lw_netid net_id;
    if (!given(in, net)) {
        return lpx_fail(note, MAPPER_BAD_PARAMETER, "%s is missing; want six hex digits like 000013.", names[net]);
    }
    LPX_TRY(lw_netid_parse(in->values[net], names[net], note, &net_id));
    if (in->values[tenant].len > 0) {
        LPX_TRY(lw_tenant_id_check(in->values[tenant], names[tenant], note));
    }
    *out = (traffic_member){.net_id = net_id.value, .tenant_id = in->values[tenant]};
    return LPX_SUCCESS;
}

static lpx_err read_forwarder(const params *in, mapper_query *out, lpx_note *note)
{
    traffic_member member;
    if ((in->given & (BIT(PARAM_NET_ID) | BIT(PARAM_TENANT_ID) | BIT(PARAM_CLUSTER_ID))) == 0) {
        return LPX_SUCCESS;
    }
    LPX_TRY(read_member(in, PARAM_NET_ID, PARAM_TENANT_ID, &member, note));
    if (in->values[PARAM_CLUSTER_ID].len > 0) {
        LPX_TRY(lw_cluster_id_check(in->values[PARAM_CLUSTER_ID], names[PARAM_CLUSTER_ID], note));
    }
    out->has_forwarder = true;
    out->has_tenant = given(in, PARAM_TENANT_ID);
    out->has_cluster = given(in, PARAM_CLUSTER_ID);
    out->forwarder = (traffic_endpoint){member.net_id, member.tenant_id, in->values[PARAM_CLUSTER_ID]};
    return LPX_SUCCESS;
}

static lpx_err read_home(const params *in, mapper_query *out, lpx_note *note)
{
    out->has_home = given(in, PARAM_HOME_NET_ID) || given(in, PARAM_HOME_TENANT_ID);
    return out->has_home ? read_member(in, PARAM_HOME_NET_ID, PARAM_HOME_TENANT_ID, &out->home, note) : LPX_SUCCESS;
}

/* ---- what is asked for ---- */

lpx_err mapper_params_list(lpx_str query, lpx_arena *arena, mapper_query *out, lpx_note *note)
{
    params in = {.given = 0};
    mapper_query made = {.limit = UINT64_MAX};
    LPX_TRY(take_all(&in, query, '&', IN_LIST, arena, note));
    LPX_TRY(read_near(&in, &made, note));
    LPX_TRY(read_count(&in, PARAM_OFFSET, &made.offset, note));
    LPX_TRY(read_count(&in, PARAM_LIMIT, &made.limit, note));
    LPX_TRY(read_times(&in, &made, note));
    LPX_TRY(read_forwarder(&in, &made, note));
    LPX_TRY(read_home(&in, &made, note));
    *out = made;
    return LPX_SUCCESS;
}

lpx_err mapper_params_id(lpx_str text, lpx_arena *arena, mapper_gateway_id *out, lpx_note *note)
{
    params in = {.given = 0};
    bool plain = text.len > 0 && memchr(text.ptr, '=', text.len) != NULL;
    if (!plain && !http1_percent_decode(text, false, arena, &text)) { /* some encode the whole */
        return lpx_fail(note, MAPPER_BAD_PARAMETER, "The id of the gateway has a %% without two hex digits behind it.");
    }
    LPX_TRY(take_all(&in, text, ',', IN_ID, arena, note));
    mapper_gateway_id made = {.key = in.values[PARAM_ID]};
    LPX_TRY(read_member(&in, PARAM_NET_ID, PARAM_TENANT_ID, &made.forwarder, note));
    if (made.key.len == 0 || made.key.len > MAPPER_KEY_BYTES) {
        return lpx_fail(
            note, MAPPER_BAD_PARAMETER,
            "id has %zu bytes; want a gateway's id of 1 to %d bytes, as in netID=000013,tenantID=ttn,id=gw-1.",
            made.key.len, MAPPER_KEY_BYTES);
    }
    *out = made;
    return LPX_SUCCESS;
}
