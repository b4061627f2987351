#include "codec/pb/pb.h"
#include "control/control_visibility.h"
#include "lpx_reasons.h"

static uint32_t flag(protobuf_c_boolean on, unsigned field)
{
    return on ? 1U << (field - 1) : 0U;
}

static uint32_t read_flags(const Pb__V3__GatewayVisibility *in)
{
    return flag(in->location, 1) | flag(in->antenna_placement, 2) | flag(in->antenna_count, 3) |
           flag(in->fine_timestamps, 4) | flag(in->contact_info, 5) | flag(in->status, 6) |
           flag(in->frequency_plan, 8) | flag(in->packet_rates, 9);
}

lpx_err control_visibility_read(const Pb__Mapping__V2__SetGatewayVisibilityRequest *request, bool is_default,
                                control_visibility *out, lpx_note *note)
{
    const Pb__V3__GatewayVisibility *in = request->visibility;
    if (in == NULL) {
        return lpx_fail(note, CONTROL_MISSING_FIELD, "visibility is missing.");
    }
    control_visibility v = {
        .forwarder = {.net_id = in->forwarder_net_id, .tenant_id = pb_str(in->forwarder_tenant_id)},
        .is_default = is_default,
        .home = {.net_id = in->home_network_net_id, .tenant_id = pb_str(in->home_network_tenant_id)},
        .flags = read_flags(in),
    };
    bool names_home = v.home.net_id != 0 || v.home.tenant_id.len > 0;
    if (is_default && names_home) {
        return lpx_fail(note, CONTROL_HOME_GIVEN,
                        "visibility.home_network_net_id and home_network_tenant_id must be empty in a default.");
    }
    if (!is_default && !names_home) {
        return lpx_fail(note, CONTROL_HOME_MISSING,
                        "visibility.home_network_net_id is missing; what everybody may see is the default.");
    }
    LPX_TRY(control_id_check(&v.forwarder, "visibility.forwarder_net_id", "visibility.forwarder_tenant_id", note));
    LPX_TRY(control_id_check(&v.home, "visibility.home_network_net_id", "visibility.home_network_tenant_id", note));
    *out = v;
    return LPX_SUCCESS;
}

static bool has(const control_visibility *visibility, unsigned field)
{
    return (visibility->flags >> (field - 1) & 1U) != 0;
}

Pb__V3__GatewayVisibility *control_visibility_to_message(const control_visibility *visibility, lpx_arena *arena)
{
    Pb__V3__GatewayVisibility *m = lpx_arena_get(arena, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    pb__v3__gateway_visibility__init(m);
    m->forwarder_net_id = visibility->forwarder.net_id;
    m->forwarder_tenant_id = lpx_arena_cstr(arena, visibility->forwarder.tenant_id);
    m->home_network_net_id = visibility->home.net_id;
    m->home_network_tenant_id = lpx_arena_cstr(arena, visibility->home.tenant_id);
    m->updated_at = control_time_to_message(visibility->updated_at, arena);
    m->location = has(visibility, 1);
    m->antenna_placement = has(visibility, 2);
    m->antenna_count = has(visibility, 3);
    m->fine_timestamps = has(visibility, 4);
    m->contact_info = has(visibility, 5);
    m->status = has(visibility, 6);
    m->frequency_plan = has(visibility, 8);
    m->packet_rates = has(visibility, 9);
    return m->forwarder_tenant_id != NULL && m->home_network_tenant_id != NULL && m->updated_at != NULL ? m : NULL;
}
