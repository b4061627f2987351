#include <stdio.h>

#include "codec/pb/pb.h"
#include "control/control_settings.h"
#include "control/limits.h"
#include "lorawan/ids.h"
#include "lpx_reasons.h"

static bool same_party(const control_party *a, const control_party *b)
{
    return control_id_compare(&a->id, &b->id) == 0 && lpx_str_equal(a->cluster_id, b->cluster_id);
}

static lpx_err check_party(const control_party *party, const char *at, lpx_note *note)
{
    if (party->id.net_id == 0) {
        return lpx_fail(note, CONTROL_BAD_PARTY, "%s.net_id is missing; a tenant or cluster alone names nobody.", at);
    }
    char field[64];
    char tenant_field[64];
    (void)snprintf(field, sizeof field, "%s.net_id", at);
    (void)snprintf(tenant_field, sizeof tenant_field, "%s.tenant_id", at);
    LPX_TRY(control_id_check(&party->id, field, tenant_field, note));
    (void)snprintf(field, sizeof field, "%s.cluster_id", at);
    return party->cluster_id.len > 0 ? lw_cluster_id_check(party->cluster_id, field, note) : LPX_SUCCESS;
}

/* One list; a party that is given twice is kept once. */
static lpx_err read_parties(Lpx__Routing__V1__Party *const *in, size_t count, const char *name, lpx_arena *arena,
                            control_party **out, size_t *used, lpx_note *note)
{
    if (count > CONTROL_MAX_PARTIES) {
        return lpx_fail(note, CONTROL_TOO_MANY_PARTIES, "settings.%s has %zu parties; at most %d fit.", name, count,
                        CONTROL_MAX_PARTIES);
    }
    *used = 0;
    *out = lpx_arena_array(arena, count, sizeof **out);
    if (*out == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    for (size_t i = 0; i < count; i++) {
        char at[48];
        (void)snprintf(at, sizeof at, "settings.%s[%zu]", name, i);
        control_party party = {.id = {.net_id = in[i]->net_id, .tenant_id = pb_str(in[i]->tenant_id)},
                               .cluster_id = pb_str(in[i]->cluster_id)};
        LPX_TRY(check_party(&party, at, note));
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
    LPX_TRY(read_parties(in->deny_forwarders, in->n_deny_forwarders, "deny_forwarders", arena, &s.parties[0],
                         &s.party_count[0], note));
    LPX_TRY(read_parties(in->allow_forwarders, in->n_allow_forwarders, "allow_forwarders", arena, &s.parties[1],
                         &s.party_count[1], note));
    LPX_TRY(read_copies(in, &s, note));
    *out = s;
    return LPX_SUCCESS;
}
