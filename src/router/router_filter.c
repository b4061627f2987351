#include "router/router_filter.h"

#include "lpx_reasons.h"
#include "router/limits.h"

/* ---- decoding ---- */

/* A decoding of all filters of one subscription. */
typedef struct decoding {
    lpx_arena *arena;
    lpx_note *note;
    size_t index;      /* of the present filter, for notes */
    size_t conditions; /* list entries so far */
} decoding;

/* Take room for count list entries of a filter. */
static lpx_err take_list(decoding *d, size_t count, size_t size, void **out)
{
    d->conditions += count;
    if (count > ROUTER_MAX_CONDITIONS || d->conditions > ROUTER_MAX_CONDITIONS) {
        return lpx_fail(d->note, ROUTER_TOO_MANY_FILTERS,
                        "filters may have at most %d prefixes and port ranges together.", ROUTER_MAX_CONDITIONS);
    }
    *out = lpx_arena_array(d->arena, count, size);
    return *out != NULL ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

static lpx_err decode_join(decoding *d, const Pb__V3__RoutingFilter__JoinRequest *in, router_filter *out)
{
    void *list;
    LPX_TRY(take_list(d, in->n_eui_prefixes, sizeof *out->euis, &list));
    router_eui_pair *euis = list;
    for (size_t i = 0; i < in->n_eui_prefixes; i++) {
        const Pb__V3__RoutingFilter__JoinRequest__EUIPrefixes *pair = in->eui_prefixes[i];
        if (pair->join_eui_length > 64 || pair->dev_eui_length > 64) {
            return lpx_fail(d->note, ROUTER_BAD_FILTER,
                            "filters[%zu].join_request.eui_prefixes[%zu].%s is %u; an EUI prefix has 0 to 64 bits.",
                            d->index, i, pair->join_eui_length > 64 ? "join_eui_length" : "dev_eui_length",
                            pair->join_eui_length > 64 ? pair->join_eui_length : pair->dev_eui_length);
        }
        euis[i] = (router_eui_pair){
            .join_eui = {pair->join_eui, (uint8_t)pair->join_eui_length},
            .dev_eui = {pair->dev_eui, (uint8_t)pair->dev_eui_length},
        };
    }
    out->kind = ROUTER_FILTER_JOIN;
    out->euis = euis;
    out->eui_count = in->n_eui_prefixes;
    return LPX_SUCCESS;
}

static lpx_err decode_dev_addrs(decoding *d, const Pb__V3__RoutingFilter__MACPayload *in, router_filter *out)
{
    void *list;
    LPX_TRY(take_list(d, in->n_dev_addr_prefixes, sizeof *out->dev_addrs, &list));
    lw_devaddr_prefix *prefixes = list;
    for (size_t i = 0; i < in->n_dev_addr_prefixes; i++) {
        const Pb__V3__DevAddrPrefix *prefix = in->dev_addr_prefixes[i];
        if (prefix->length > 32) {
            return lpx_fail(d->note, ROUTER_BAD_FILTER,
                            "filters[%zu].mac.dev_addr_prefixes[%zu].length is %u; a DevAddr prefix has 0 to 32 bits.",
                            d->index, i, prefix->length);
        }
        prefixes[i] = (lw_devaddr_prefix){prefix->value, (uint8_t)prefix->length};
    }
    out->dev_addrs = prefixes;
    out->dev_addr_count = in->n_dev_addr_prefixes;
    return LPX_SUCCESS;
}

static lpx_err decode_ports(decoding *d, const Pb__V3__RoutingFilter__MACPayload *in, router_filter *out)
{
    void *list;
    LPX_TRY(take_list(d, in->n_f_port_ranges, sizeof *out->ports, &list));
    router_port_range *ports = list;
    for (size_t i = 0; i < in->n_f_port_ranges; i++) {
        const Pb__V3__RoutingFilter__MACPayload__FPortRange *range = in->f_port_ranges[i];
        if (range->low > range->high) {
            return lpx_fail(d->note, ROUTER_BAD_FILTER,
                            "filters[%zu].mac.f_port_ranges[%zu] has low %u above high %u; low must be at most high.",
                            d->index, i, range->low, range->high);
        }
        ports[i] = (router_port_range){range->low, range->high};
    }
    out->ports = ports;
    out->port_count = in->n_f_port_ranges;
    return LPX_SUCCESS;
}

static router_want want_of(const Google__Protobuf__BoolValue *value)
{
    if (value == NULL) {
        return ROUTER_WANT_ANY;
    }
    return value->value ? ROUTER_WANT_TRUE : ROUTER_WANT_FALSE;
}

static lpx_err decode_mac(decoding *d, const Pb__V3__RoutingFilter__MACPayload *in, router_filter *out)
{
    out->kind = ROUTER_FILTER_MAC;
    out->confirmed = want_of(in->confirmed);
    out->f_opts = want_of(in->f_opts);
    LPX_TRY(decode_dev_addrs(d, in, out));
    return decode_ports(d, in, out);
}

static lpx_err decode_one(decoding *d, const Pb__V3__RoutingFilter *in, router_filter *out)
{
    /* false asks for nothing that could be refused: what "no metadata" would mean is nowhere said, and nobody sends it
     */
    out->needs_metadata = want_of(in->gateway_metadata) == ROUTER_WANT_TRUE;
    if (in->message_case == PB__V3__ROUTING_FILTER__MESSAGE_JOIN_REQUEST && in->join_request != NULL) {
        return decode_join(d, in->join_request, out);
    }
    if (in->message_case == PB__V3__ROUTING_FILTER__MESSAGE_MAC && in->mac != NULL) {
        return decode_mac(d, in->mac, out);
    }
    out->kind = ROUTER_FILTER_ANY;
    return LPX_SUCCESS;
}

lpx_err router_filters_decode(Pb__V3__RoutingFilter *const *in, size_t count, lpx_arena *arena,
                              const router_filter **out, lpx_note *note)
{
    if (count > ROUTER_MAX_FILTERS) {
        return lpx_fail(note, ROUTER_TOO_MANY_FILTERS, "filters has %zu entries; a subscription may have at most %d.",
                        count, ROUTER_MAX_FILTERS);
    }
    router_filter *filters = lpx_arena_array(arena, count, sizeof *filters);
    if (filters == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    decoding d = {.arena = arena, .note = note};
    for (size_t i = 0; i < count; i++) {
        d.index = i;
        LPX_TRY(decode_one(&d, in[i], &filters[i]));
    }
    *out = filters;
    return LPX_SUCCESS;
}

/* ---- matching ---- */

static bool eui_pair_matches(const router_eui_pair *pair, const router_uplink *uplink)
{
    return lw_eui64_prefix_matches(pair->join_eui, (lw_eui64){uplink->join_eui}) &&
           lw_eui64_prefix_matches(pair->dev_eui, (lw_eui64){uplink->dev_eui});
}

static bool join_passes(const router_filter *filter, const router_uplink *uplink)
{
    bool passes = filter->eui_count == 0;
    for (size_t i = 0; !passes && i < filter->eui_count; i++) {
        passes = eui_pair_matches(&filter->euis[i], uplink);
    }
    return passes;
}

static bool dev_addr_passes(const router_filter *filter, uint32_t dev_addr)
{
    bool passes = filter->dev_addr_count == 0;
    for (size_t i = 0; !passes && i < filter->dev_addr_count; i++) {
        passes = lw_devaddr_prefix_matches(filter->dev_addrs[i], (lw_devaddr){dev_addr});
    }
    return passes;
}

static bool port_passes(const router_filter *filter, uint32_t f_port)
{
    bool passes = filter->port_count == 0;
    for (size_t i = 0; !passes && i < filter->port_count; i++) {
        passes = filter->ports[i].low <= f_port && f_port <= filter->ports[i].high;
    }
    return passes;
}

static bool want_passes(router_want want, bool value)
{
    return want == ROUTER_WANT_ANY || (want == ROUTER_WANT_TRUE) == value;
}

static bool filter_passes(const router_filter *filter, const router_uplink *uplink, bool metadata)
{
    if (filter->needs_metadata && !metadata) {
        return false;
    }
    switch (filter->kind) {
    case ROUTER_FILTER_ANY:
        return true;
    case ROUTER_FILTER_JOIN:
        return uplink->kind == TRAFFIC_JOIN && join_passes(filter, uplink);
    case ROUTER_FILTER_MAC:
        return uplink->kind == TRAFFIC_DATA && want_passes(filter->confirmed, uplink->confirmed) &&
               want_passes(filter->f_opts, uplink->f_opts) && dev_addr_passes(filter, uplink->dev_addr) &&
               port_passes(filter, uplink->f_port);
    }
    return false;
}

bool router_filters_pass(const router_filter *filters, size_t count, const router_uplink *uplink, bool metadata,
                         uint32_t *number)
{
    *number = 0;
    bool passes = count == 0;
    for (size_t i = 0; !passes && i < count; i++) {
        passes = filter_passes(&filters[i], uplink, metadata);
        *number = (uint32_t)i + 1;
    }
    return passes;
}

static bool pair_names(const router_eui_pair *pair)
{
    return pair->join_eui.length > 0 || pair->dev_eui.length > 0;
}

static bool filter_names(const router_filter *filter, const router_uplink *uplink, bool metadata)
{
    if (filter->kind != ROUTER_FILTER_JOIN || (filter->needs_metadata && !metadata)) {
        return false;
    }
    bool names = false;
    for (size_t i = 0; !names && i < filter->eui_count; i++) {
        names = pair_names(&filter->euis[i]) && eui_pair_matches(&filter->euis[i], uplink);
    }
    return names;
}

bool router_filters_name(const router_filter *filters, size_t count, const router_uplink *uplink, bool metadata,
                         uint32_t *number)
{
    *number = 0;
    bool names = false;
    for (size_t i = 0; !names && uplink->kind == TRAFFIC_JOIN && i < count; i++) {
        names = filter_names(&filters[i], uplink, metadata);
        *number = (uint32_t)i + 1;
    }
    return names;
}

bool router_filters_name_any(const router_filter *filters, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; filters[i].kind == ROUTER_FILTER_JOIN && j < filters[i].eui_count; j++) {
            if (pair_names(&filters[i].euis[j])) {
                return true;
            }
        }
    }
    return false;
}
