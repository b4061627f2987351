/* Any text as an identifier: what is accepted has one text, which means the same. */
#include "base/assert.h"
#include "lorawan/ids.h"
#include "lorawan/region.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The text written is the text read, but for the case of hex digits. */
static void check_same_text(lpx_str in, const char *out)
{
    lpx_assert(strlen(out) == in.len);
    for (size_t i = 0; i < in.len; i++) {
        lpx_assert(out[i] == in.ptr[i] || (in.ptr[i] >= 'a' && in.ptr[i] <= 'f' && out[i] == in.ptr[i] - 'a' + 'A'));
    }
}

static void fuzz_numbers(lpx_str in)
{
    char out[LW_EUI64_PREFIX_TEXT_BYTES];
    lw_netid net;
    lw_devaddr addr;
    lw_eui64 eui;
    if (!lpx_failed(lw_netid_parse(in, "f", NULL, &net))) {
        lw_netid_format(net, out);
        check_same_text(in, out);
        lpx_assert(lw_netid_valid(net.value));
    }
    if (!lpx_failed(lw_devaddr_parse(in, "f", NULL, &addr))) {
        lw_devaddr_format(addr, out);
        check_same_text(in, out);
        lpx_assert(lw_devaddr_netid(addr, &net) == (addr.value < 0xFF000000));
        lpx_assert(addr.value >= 0xFF000000 || lw_devaddr_prefix_matches(lw_netid_prefix(net), addr));
    }
    if (!lpx_failed(lw_eui64_parse(in, "f", NULL, &eui))) {
        lw_eui64_format(eui, out);
        check_same_text(in, out);
    }
}

static void fuzz_prefixes(lpx_str in)
{
    char out[LW_EUI64_PREFIX_TEXT_BYTES];
    lw_devaddr_prefix prefix;
    lw_eui64_prefix eui_prefix;
    if (!lpx_failed(lw_devaddr_prefix_parse(in, "f", NULL, &prefix))) {
        lw_devaddr_prefix_format(prefix, out);
        check_same_text(in, out);
        lpx_assert(lw_devaddr_prefix_matches(prefix, lw_devaddr_prefix_first(prefix)));
        lpx_assert(lw_devaddr_prefix_matches(prefix, lw_devaddr_prefix_last(prefix)));
    }
    if (!lpx_failed(lw_eui64_prefix_parse(in, "f", NULL, &eui_prefix))) {
        lw_eui64_prefix_format(eui_prefix, out);
        check_same_text(in, out);
        lpx_assert(lw_eui64_prefix_matches(eui_prefix, (lw_eui64){eui_prefix.value}));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lpx_str in = {(const char *)data, size};
    lpx_note note = {""};
    lw_region region;
    fuzz_numbers(in);
    fuzz_prefixes(in);
    bool tenant = !lpx_failed(lw_tenant_id_check(in, "tenant_id", &note));
    bool cluster = !lpx_failed(lw_cluster_id_check(in, "cluster_id", &note));
    bool key = !lpx_failed(lw_key_id_check(in, "key_id", &note));
    /* A tenant id of allowed length is always one label of a host name. */
    lpx_assert(!tenant || cluster);
    lpx_assert(!key || in.len == 16);
    lpx_assert(!lw_region_find(in, &region) || lw_region_short_name(region) != NULL);
    return 0;
}
