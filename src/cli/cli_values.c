/* Flag texts as values of the API: endpoints, DevAddr blocks, rights, contacts, policies. Texts have passed
 * cli_flag_check, so reading them cannot fail. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli_priv.h"
#include "lpx_reasons.h"

uint32_t cli_net_id_of(const char *text)
{
    uint64_t value = 0;
    return lpx_parse_hex(lpx_str_of(text), 6, &value) ? (uint32_t)value : 0;
}

uint64_t cli_hex_of(const char *text)
{
    uint64_t value = 0;
    return text[0] != 0 && lpx_parse_hex(lpx_str_of(text), (unsigned)strlen(text), &value) ? value : 0;
}

int64_t cli_seconds_of(const char *text)
{
    int64_t total = 0, number = 0;
    for (; *text != 0; text++) {
        if (*text >= '0' && *text <= '9') {
            number = number * 10 + (*text - '0');
        } else {
            total += number * (*text == 'h' ? 3600 : (*text == 'm' ? 60 : 1));
            number = 0;
        }
    }
    return total;
}

cli_endpoint cli_endpoint_of(cli *c, const char *actor)
{
    cli_endpoint e = {
        .net_id = cli_net_id_of(cli_actor_text(c, actor, "net-id")),
        .tenant_id = cli_actor_text(c, actor, "tenant-id"),
        .cluster_id = cli_actor_text(c, actor, "cluster-id"),
        .has_net_id = cli_actor_changed(c, actor, "net-id"),
        .has_tenant_id = cli_actor_changed(c, actor, "tenant-id"),
        .has_cluster_id = cli_actor_changed(c, actor, "cluster-id"),
    };
    return e;
}

bool cli_endpoint_is_empty(const cli_endpoint *e)
{
    return !e->has_net_id || (e->net_id == 0 && e->tenant_id[0] == 0);
}

lpx_err cli_need_member(cli *c, cli_endpoint *out)
{
    *out = cli_endpoint_of(c, "");
    return cli_endpoint_is_empty(out)
               ? cli_fail(c, CLI_USAGE, "pass your NetID (and tenant ID) via --net-id (and --tenant-id)")
               : LPX_SUCCESS;
}

lpx_err cli_need_forwarder(cli *c, cli_endpoint *out)
{
    *out = cli_endpoint_of(c, "forwarder");
    return cli_endpoint_is_empty(out)
               ? cli_fail(c, CLI_USAGE,
                          "pass your NetID (and tenant ID) via --forwarder-net-id (and --forwarder-tenant-id)")
               : LPX_SUCCESS;
}

lpx_err cli_need_home_network(cli *c, cli_endpoint *out)
{
    *out = cli_endpoint_of(c, "home-network");
    return cli_endpoint_is_empty(out)
               ? cli_fail(c, CLI_USAGE,
                          "pass the Home Network NetID (and tenant ID) via --home-network-net-id (and "
                          "--home-network-tenant-id)%s",
                          cli_line_find(&c->line, "defaults") != NULL ? ", or --defaults for all of them" : "")
               : LPX_SUCCESS;
}

static size_t count_parts(const char *text)
{
    size_t count = 0;
    lpx_str part;
    while (cli_next_part(&text, ',', &part)) {
        count++;
    }
    return count;
}

static Pb__V3__DevAddrBlock *block_of(cli *c, lpx_str part)
{
    Pb__V3__DevAddrBlock *block = cli_new(c, &pb__v3__dev_addr_block__descriptor);
    block->prefix = cli_new(c, &pb__v3__dev_addr_prefix__descriptor);
    uint64_t value = 0, length = 0;
    const char *equal = memchr(part.ptr, '=', part.len);
    lpx_str prefix = {part.ptr, equal != NULL ? (size_t)(equal - part.ptr) : part.len};
    (void)lpx_parse_hex((lpx_str){prefix.ptr, prefix.len < 8 ? prefix.len : 8}, 8, &value);
    (void)lpx_parse_u64(lpx_str_skip(prefix, 9), 32, &length);
    block->prefix->value = (uint32_t)value;
    block->prefix->length = (uint32_t)length;
    if (equal != NULL) {
        block->home_network_cluster_id = cli_printf(c, "%.*s", (int)(part.len - prefix.len - 1), equal + 1);
    }
    return block;
}

Pb__V3__DevAddrBlock **cli_blocks_of(cli *c, const char *text, size_t *count)
{
    Pb__V3__DevAddrBlock **blocks = cli_get(c, (count_parts(text) + 1) * sizeof *blocks);
    lpx_str part;
    *count = 0;
    while (cli_next_part(&text, ',', &part)) {
        blocks[(*count)++] = block_of(c, part);
    }
    return blocks;
}

Pb__V3__JoinEUIPrefix **cli_eui_prefixes_of(cli *c, const char *text, size_t *count)
{
    Pb__V3__JoinEUIPrefix **prefixes = cli_get(c, (count_parts(text) + 1) * sizeof *prefixes);
    lpx_str part;
    *count = 0;
    while (cli_next_part(&text, ',', &part)) {
        Pb__V3__JoinEUIPrefix *prefix = cli_new(c, &pb__v3__join_euiprefix__descriptor);
        uint64_t length = 0;
        (void)lpx_parse_hex((lpx_str){part.ptr, part.len < 16 ? part.len : 16}, 16, &prefix->value);
        (void)lpx_parse_u64(lpx_str_skip(part, 17), 64, &length);
        prefix->length = (uint32_t)length;
        prefixes[(*count)++] = prefix;
    }
    return prefixes;
}

static size_t find_block(Pb__V3__DevAddrBlock *const *blocks, size_t count, const Pb__V3__DevAddrBlock *wanted)
{
    size_t i = 0;
    while (i < count && (blocks[i]->prefix == NULL || blocks[i]->prefix->value != wanted->prefix->value ||
                         blocks[i]->prefix->length != wanted->prefix->length)) {
        i++;
    }
    return i;
}

Pb__V3__DevAddrBlock **cli_blocks_merge(cli *c, Pb__V3__DevAddrBlock **now, size_t *count, const char *add,
                                        const char *remove)
{
    size_t added = 0, removed = 0, n = *count;
    Pb__V3__DevAddrBlock **plus = cli_blocks_of(c, add, &added), **minus = cli_blocks_of(c, remove, &removed);
    Pb__V3__DevAddrBlock **all = cli_get(c, (n + added + 1) * sizeof *all);
    for (size_t i = 0; i < n; i++) {
        all[i] = now[i];
    }
    for (size_t i = 0; i < added; i++) {
        size_t at = find_block(all, n, plus[i]);
        all[at] = plus[i];
        n += at == n ? 1 : 0;
    }
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (all[i]->prefix == NULL || find_block(minus, removed, all[i]) == removed) {
            all[kept++] = all[i];
        }
    }
    *count = kept;
    return all;
}

lpx_err cli_blocks_change(cli *c, cli_blocks_now_fn *now, Pb__Iam__V1__DevAddrBlocksValue **out)
{
    bool replace = cli_changed(c, "dev-addr-blocks");
    bool merge = cli_changed(c, "dev-addr-blocks-add") || cli_changed(c, "dev-addr-blocks-remove");
    if (!replace && !merge) {
        return LPX_SUCCESS;
    }
    Pb__Iam__V1__DevAddrBlocksValue *value = cli_new(c, &pb__iam__v1__dev_addr_blocks_value__descriptor);
    if (replace) {
        value->value = cli_blocks_of(c, cli_text(c, "dev-addr-blocks"), &value->n_value);
    } else {
        LPX_TRY(now(c, &value->value, &value->n_value));
    }
    if (merge) {
        value->value = cli_blocks_merge(c, value->value, &value->n_value, cli_text(c, "dev-addr-blocks-add"),
                                        cli_text(c, "dev-addr-blocks-remove"));
    }
    *out = value;
    return LPX_SUCCESS;
}

static bool same_blocks(Pb__V3__DevAddrBlock *const *a, size_t a_count, Pb__V3__DevAddrBlock *const *b, size_t b_count)
{
    bool same = a_count == b_count;
    for (size_t i = 0; same && i < a_count; i++) {
        same = a[i]->prefix != NULL && b[i]->prefix != NULL && a[i]->prefix->value == b[i]->prefix->value &&
               a[i]->prefix->length == b[i]->prefix->length;
    }
    return same;
}

void cli_blocks_tell_cut(cli *c, Pb__V3__DevAddrBlock *const *wanted, size_t wanted_count,
                         Pb__V3__DevAddrBlock *const *stored, size_t count)
{
    if (c->drop_in || same_blocks(wanted, wanted_count, stored, count)) {
        return;
    }
    (void)fprintf(c->world->err, "%s: The DevAddr blocks were cut to the addresses of the NetID; stored:", c->program);
    for (size_t i = 0; i < count; i++) {
        (void)fprintf(c->world->err, " %s", cli_show_blocks(c, stored + i, 1));
    }
    (void)fprintf(c->world->err, "%s\n", count == 0 ? " none" : "");
}

void cli_blocks_check_stored(cli *c, cli_blocks_now_fn *now, const Pb__Iam__V1__DevAddrBlocksValue *wanted)
{
    Pb__V3__DevAddrBlock **stored = NULL;
    size_t count = 0;
    if (wanted == NULL || c->drop_in) {
        return;
    }
    if (lpx_failed(now(c, &stored, &count))) {
        cli_explain(c, "%s", ""); /* without READ_NETWORK nothing can be said; the update is done */
        return;
    }
    cli_blocks_tell_cut(c, wanted->value, wanted->n_value, stored, count);
}

Pb__V3__Right *cli_rights_of(cli *c, const char *text, size_t *count)
{
    Pb__V3__Right *rights = cli_get(c, (count_parts(text) + 1) * sizeof *rights);
    lpx_str part;
    *count = 0;
    while (cli_next_part(&text, ',', &part)) {
        const char *name = cli_printf(c, "%.*s", (int)part.len, part.ptr);
        const ProtobufCEnumValue *value =
            protobuf_c_enum_descriptor_get_value_by_name(&pb__v3__right__descriptor, name);
        if (value != NULL) {
            rights[(*count)++] = (Pb__V3__Right)value->value;
        }
    }
    return rights;
}

Pb__V3__ContactInfo *cli_contact_of(cli *c, const char *actor)
{
    char *name = cli_actor_text(c, actor, "name"), *email = cli_actor_text(c, actor, "email"),
         *url = cli_actor_text(c, actor, "url");
    if (name[0] == 0 && email[0] == 0 && url[0] == 0) {
        return NULL;
    }
    Pb__V3__ContactInfo *contact = cli_new(c, &pb__v3__contact_info__descriptor);
    contact->name = name;
    contact->email = email;
    contact->url = url;
    return contact;
}

Pb__V3__ContactInfoValue *cli_contact_change(cli *c, const char *actor)
{
    if (!cli_actor_changed(c, actor, "name") && !cli_actor_changed(c, actor, "email") &&
        !cli_actor_changed(c, actor, "url")) {
        return NULL;
    }
    Pb__V3__ContactInfoValue *value = cli_new(c, &pb__v3__contact_info_value__descriptor);
    value->value = cli_contact_of(c, actor);
    return value;
}

Google__Protobuf__StringValue *cli_wrap_text(cli *c, const char *text)
{
    Google__Protobuf__StringValue *value = cli_new(c, &google__protobuf__string_value__descriptor);
    value->value = cli_printf(c, "%s", text);
    return value;
}

Google__Protobuf__BoolValue *cli_wrap_bool(cli *c, bool on)
{
    Google__Protobuf__BoolValue *value = cli_new(c, &google__protobuf__bool_value__descriptor);
    value->value = on;
    return value;
}

Google__Protobuf__UInt32Value *cli_wrap_uint32(cli *c, uint32_t number)
{
    Google__Protobuf__UInt32Value *value = cli_new(c, &google__protobuf__uint32_value__descriptor);
    value->value = number;
    return value;
}

Pb__V3__RoutingPolicy__Uplink *cli_uplink_policy_of(cli *c, const char *letters)
{
    Pb__V3__RoutingPolicy__Uplink *policy = cli_new(c, &pb__v3__routing_policy__uplink__descriptor);
    policy->join_request = strchr(letters, 'J') != NULL;
    policy->mac_data = strchr(letters, 'M') != NULL;
    policy->application_data = strchr(letters, 'A') != NULL;
    policy->signal_quality = strchr(letters, 'S') != NULL;
    policy->localization = strchr(letters, 'L') != NULL;
    return policy;
}

Pb__V3__RoutingPolicy__Downlink *cli_downlink_policy_of(cli *c, const char *letters)
{
    Pb__V3__RoutingPolicy__Downlink *policy = cli_new(c, &pb__v3__routing_policy__downlink__descriptor);
    policy->join_accept = strchr(letters, 'J') != NULL;
    policy->mac_data = strchr(letters, 'M') != NULL;
    policy->application_data = strchr(letters, 'A') != NULL;
    return policy;
}
