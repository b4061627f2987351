#include "codec/pb/pb.h"
#include "control/control_settings.h"
#include "control/limits.h"
#include "lorawan/ids.h"
#include "lpx_reasons.h"

static bool same_party(const control_party *a, const control_party *b)
{
    return control_id_compare(&a->id, &b->id) == 0 && lpx_str_equal(a->cluster_id, b->cluster_id);
}

/* "settings.allow_forwarders[3].net_id"; empty when memory is short. */
static const char *field_of(const char *list, size_t index, const char *field, lpx_arena *arena)
{
    const char *made = lpx_arena_printf(arena, "settings.%s[%zu].%s", list, index, field);
    return made != NULL ? made : "";
}

static lpx_err check_party(const control_party *party, const char *list, size_t index, lpx_arena *arena, lpx_note *note)
{
    const char *net_id = field_of(list, index, "net_id", arena);
    if (party->id.net_id == 0) {
        return lpx_fail(note, CONTROL_BAD_PARTY, "%s is missing; a tenant or cluster alone names nobody.", net_id);
    }
    LPX_TRY(control_id_check(&party->id, net_id, field_of(list, index, "tenant_id", arena), note));
    return party->cluster_id.len > 0
               ? lw_cluster_id_check(party->cluster_id, field_of(list, index, "cluster_id", arena), note)
               : LPX_SUCCESS;
}

/* One list of a request. */
typedef struct party_list {
    const char *name;
    Lpx__Routing__V1__Party *const *parties;
    size_t count;
} party_list;

/* A party that is given twice is kept once. */
static lpx_err read_parties(const party_list *in, lpx_arena *arena, control_party **out, size_t *used, lpx_note *note)
{
    if (in->count > CONTROL_MAX_PARTIES) {
        return lpx_fail(note, CONTROL_TOO_MANY_PARTIES, "settings.%s has %zu parties; at most %d fit.", in->name,
                        in->count, CONTROL_MAX_PARTIES);
    }
    *used = 0;
    *out = lpx_arena_array(arena, in->count, sizeof **out);
    if (*out == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    for (size_t i = 0; i < in->count; i++) {
        const Lpx__Routing__V1__Party *given = in->parties[i];
        control_party party = {.id = {.net_id = given->net_id, .tenant_id = pb_str(given->tenant_id)},
                               .cluster_id = pb_str(given->cluster_id)};
        LPX_TRY(check_party(&party, in->name, i, arena, note));
        size_t seen = 0;
        while (seen < *used && !same_party(&(*out)[seen], &party)) {
            seen++;
        }
        (*out)[seen] = party;
        *used += seen == *used;
    }
    return LPX_SUCCESS;
}

static lpx_err read_copies(const Lpx__Routing__V1__HomeNetworkSettings *in, control_settings *out, lpx_note *note)
{
    const Google__Protobuf__Duration *window = in->copies_window;
    out->max_copies = in->max_copies;
    out->copies_window_us = in->max_copies > 0 ? CONTROL_COPIES_WINDOW_DEFAULT_S * INT64_C(1000000) : 0;
    if (in->max_copies > CONTROL_MAX_COPIES) {
        return lpx_fail(note, CONTROL_BAD_COPIES, "settings.max_copies must be at most %d; 0 is no limit.",
                        CONTROL_MAX_COPIES);
    }
    if (window == NULL) {
        return LPX_SUCCESS;
    }
    bool whole = window->nanos >= 0 && window->nanos <= 999999999;
    bool fits = window->seconds >= CONTROL_COPIES_WINDOW_MIN_S && window->seconds <= CONTROL_COPIES_WINDOW_MAX_S &&
                (window->seconds < CONTROL_COPIES_WINDOW_MAX_S || window->nanos == 0);
    if (!whole || !fits) {
        return lpx_fail(note, CONTROL_BAD_COPIES, "settings.copies_window must be from %d s to %d s.",
                        CONTROL_COPIES_WINDOW_MIN_S, CONTROL_COPIES_WINDOW_MAX_S);
    }
    out->copies_window_us = window->seconds * 1000000 + window->nanos / 1000;
    return LPX_SUCCESS;
}

lpx_err control_settings_read(const Lpx__Routing__V1__SetHomeNetworkSettingsRequest *request, lpx_arena *arena,
                              control_settings *out, lpx_note *note)
{
    const Lpx__Routing__V1__HomeNetworkSettings *in = request->settings;
    if (in == NULL) {
        return lpx_fail(note, CONTROL_MISSING_FIELD, "settings is missing.");
    }
    control_settings s = {.home = {.net_id = in->home_network_net_id, .tenant_id = pb_str(in->home_network_tenant_id)}};
    LPX_TRY(control_id_check(&s.home, "settings.home_network_net_id", "settings.home_network_tenant_id", note));
    const party_list denied = {"deny_forwarders", in->deny_forwarders, in->n_deny_forwarders};
    const party_list allowed = {"allow_forwarders", in->allow_forwarders, in->n_allow_forwarders};
    LPX_TRY(read_parties(&denied, arena, &s.parties[0], &s.party_count[0], note));
    LPX_TRY(read_parties(&allowed, arena, &s.parties[1], &s.party_count[1], note));
    LPX_TRY(read_copies(in, &s, note));
    *out = s;
    return LPX_SUCCESS;
}
