#include "router/router_settings.h"

#include "crypto/hash.h"
#include "lorawan/phy.h"
#include "router/router_map.h"

static bool covers(const traffic_endpoint *party, traffic_endpoint forwarder)
{
    return party->net_id == forwarder.net_id &&
           (party->tenant_id.len == 0 || lpx_str_equal(party->tenant_id, forwarder.tenant_id)) &&
           (party->cluster_id.len == 0 || lpx_str_equal(party->cluster_id, forwarder.cluster_id));
}

static bool any_covers(const traffic_endpoint *parties, size_t count, traffic_endpoint forwarder)
{
    bool found = false;
    for (size_t i = 0; !found && i < count; i++) {
        found = covers(&parties[i], forwarder);
    }
    return found;
}

bool router_settings_want(const router_settings *settings, traffic_endpoint forwarder)
{
    bool allowed = settings->allow_count == 0 || any_covers(settings->allow, settings->allow_count, forwarder);
    return allowed && !any_covers(settings->deny, settings->deny_count, forwarder);
}

bool router_settings_take_copy(const router_settings *settings, const router_uplink *uplink, traffic_member home)
{
    if (settings->meter == NULL) {
        return true;
    }
    uint8_t digest[CRYPTO_SHA256_BYTES];
    lpx_bytes hash = uplink->payload_hash;
    if (hash.len != sizeof digest && uplink->plain.len <= LW_MIC_BYTES) {
        return true; /* encrypted without a hash: nothing tells its copies from others */
    }
    if (hash.len != sizeof digest) {
        crypto_sha256((lpx_bytes){uplink->plain.ptr, uplink->plain.len - LW_MIC_BYTES}, digest);
        hash = lpx_bytes_of(digest, sizeof digest);
    }
    uint64_t payload = router_hash_member(router_hash_text(settings->seed, lpx_bytes_str(hash)), home);
    return router_meter_take(settings->meter, payload, settings->max_copies, settings->window_us, uplink->now);
}
