/* Requests to changes, members and keys to messages. Pure. */
#include "codec/pb/pb.h"
#include "iam/iam_core.h"

/* Requests. */

iam_change iam_change_of_network(const Pb__V3__Network *network)
{
    return (iam_change){
        .at = "network.",
        .has_name = true,
        .name = pb_str(network->name),
        .has_admin = true,
        .admin = network->administrative_contact,
        .has_tech = true,
        .tech = network->technical_contact,
        .has_listed = true,
        .listed = network->listed != 0,
        .has_blocks = true,
        .blocks = network->dev_addr_blocks,
        .block_count = network->n_dev_addr_blocks,
        .has_target = true,
        .target = network->target,
        .has_delegated = true,
        .delegated = network->delegated_net_id,
    };
}

iam_change iam_change_of_tenant(const Pb__V3__Tenant *tenant)
{
    return (iam_change){
        .at = "tenant.",
        .has_name = true,
        .name = pb_str(tenant->name),
        .has_admin = true,
        .admin = tenant->administrative_contact,
        .has_tech = true,
        .tech = tenant->technical_contact,
        .has_listed = true,
        .listed = tenant->listed != 0,
        .has_blocks = true,
        .blocks = tenant->dev_addr_blocks,
        .block_count = tenant->n_dev_addr_blocks,
        .has_target = true,
        .target = tenant->target,
    };
}

iam_change iam_change_of_network_update(const Pb__Iam__V1__UpdateNetworkRequest *request)
{
    iam_change c = {.at = ""};
    c.has_name = request->name != NULL;
    c.name = pb_str(c.has_name ? request->name->value : NULL);
    c.has_admin = request->administrative_contact != NULL;
    c.admin = c.has_admin ? request->administrative_contact->value : NULL;
    c.has_tech = request->technical_contact != NULL;
    c.tech = c.has_tech ? request->technical_contact->value : NULL;
    c.has_listed = request->listed != NULL;
    c.listed = c.has_listed && request->listed->value != 0;
    c.has_blocks = request->dev_addr_blocks != NULL;
    c.blocks = c.has_blocks ? request->dev_addr_blocks->value : NULL;
    c.block_count = c.has_blocks ? request->dev_addr_blocks->n_value : 0;
    c.has_target = request->target != NULL;
    c.target = c.has_target ? request->target->value : NULL;
    c.has_delegated = request->delegated_net_id != NULL;
    c.delegated = c.has_delegated ? request->delegated_net_id->value : NULL;
    return c;
}

iam_change iam_change_of_tenant_update(const Pb__Iam__V1__UpdateTenantRequest *request)
{
    iam_change c = {.at = ""};
    c.has_name = request->name != NULL;
    c.name = pb_str(c.has_name ? request->name->value : NULL);
    c.has_admin = request->administrative_contact != NULL;
    c.admin = c.has_admin ? request->administrative_contact->value : NULL;
    c.has_tech = request->technical_contact != NULL;
    c.tech = c.has_tech ? request->technical_contact->value : NULL;
    c.has_listed = request->listed != NULL;
    c.listed = c.has_listed && request->listed->value != 0;
    c.has_blocks = request->dev_addr_blocks != NULL;
    c.blocks = c.has_blocks ? request->dev_addr_blocks->value : NULL;
    c.block_count = c.has_blocks ? request->dev_addr_blocks->n_value : 0;
    c.has_target = request->target != NULL;
    c.target = c.has_target ? request->target->value : NULL;
    return c;
}

/* Answers. Each maker answers NULL, or false, when memory is short. */

bool iam_put_text(lpx_str text, lpx_arena *arena, char **out)
{
    *out = lpx_arena_cstr(arena, text);
    return *out != NULL;
}

bool iam_put_contact(const iam_contact *contact, lpx_arena *arena, Pb__V3__ContactInfo **out)
{
    if (contact->name.len == 0 && contact->email.len == 0 && contact->url.len == 0) {
        *out = NULL;
        return true;
    }
    Pb__V3__ContactInfo *info = lpx_arena_get(arena, sizeof *info);
    *out = info;
    if (info == NULL) {
        return false;
    }
    pb__v3__contact_info__init(info);
    return iam_put_text(contact->name, arena, &info->name) && iam_put_text(contact->email, arena, &info->email) &&
           iam_put_text(contact->url, arena, &info->url);
}

static bool put_block(const iam_block *block, lpx_arena *arena, Pb__V3__DevAddrBlock **out)
{
    Pb__V3__DevAddrBlock *message = lpx_arena_get(arena, sizeof *message);
    Pb__V3__DevAddrPrefix *prefix = lpx_arena_get(arena, sizeof *prefix);
    if (message == NULL || prefix == NULL) {
        return false;
    }
    pb__v3__dev_addr_block__init(message);
    pb__v3__dev_addr_prefix__init(prefix);
    prefix->value = block->prefix.value;
    prefix->length = block->prefix.length;
    message->prefix = prefix;
    *out = message;
    return iam_put_text(block->cluster_id, arena, &message->home_network_cluster_id);
}

static bool put_blocks(const iam_member *member, lpx_arena *arena, Pb__V3__DevAddrBlock ***out, size_t *count)
{
    Pb__V3__DevAddrBlock **list = lpx_arena_array(arena, member->block_count, sizeof *list);
    if (list == NULL) {
        return false;
    }
    for (size_t i = 0; i < member->block_count; i++) {
        if (!put_block(&member->blocks[i], arena, &list[i])) {
            return false;
        }
    }
    *out = list;
    *count = member->block_count;
    return true;
}

bool iam_put_target(lpx_bytes stored, bool secrets, lpx_arena *arena, Pb__V3__Target **out)
{
    ProtobufCMessage *message;
    if (lpx_failed(pb_decode(&pb__v3__target__descriptor, stored, arena, &message, NULL))) {
        return false;
    }
    Pb__V3__Target *target = (Pb__V3__Target *)message;
    if (!secrets) {
        target->default_authentication_case = PB__V3__TARGET__DEFAULT_AUTHENTICATION__NOT_SET;
        target->n_origin_net_id_authentication = 0;
    }
    *out = target;
    return true;
}

static bool put_target(const iam_member *member, bool secrets, lpx_arena *arena, Pb__V3__Target **out)
{
    *out = NULL;
    return !member->has_target || iam_put_target(member->target, secrets, arena, out);
}

static bool put_delegated(const iam_member *member, lpx_arena *arena, Google__Protobuf__UInt32Value **out)
{
    *out = NULL;
    if (!member->delegated) {
        return true;
    }
    Google__Protobuf__UInt32Value *value = lpx_arena_get(arena, sizeof *value);
    if (value == NULL) {
        return false;
    }
    google__protobuf__uint32_value__init(value);
    value->value = member->delegated_net_id;
    *out = value;
    return true;
}

static bool put_represented(const iam_space *space, lpx_arena *arena, uint32_t **out, size_t *count)
{
    uint32_t *list = lpx_arena_array(arena, space->represented_count, sizeof *list);
    if (list == NULL) {
        return false;
    }
    for (size_t i = 0; i < space->represented_count; i++) {
        list[i] = space->represented[i];
    }
    *out = list;
    *count = space->represented_count;
    return true;
}

Pb__V3__Network *iam_member_to_network(const iam_member *member, const iam_space *space, iam_view view,
                                       lpx_arena *arena)
{
    Pb__V3__Network *n = lpx_arena_get(arena, sizeof *n);
    if (n == NULL) {
        return NULL;
    }
    pb__v3__network__init(n);
    n->net_id = member->net_id;
    n->listed = member->listed;
    bool ok = iam_put_text(member->authority, arena, &n->authority) && iam_put_text(member->name, arena, &n->name) &&
              put_blocks(member, arena, &n->dev_addr_blocks, &n->n_dev_addr_blocks) &&
              put_target(member, view.secrets, arena, &n->target) &&
              put_delegated(member, arena, &n->delegated_net_id) &&
              put_represented(space, arena, &n->represents_net_ids, &n->n_represents_net_ids);
    if (ok && view.contacts) {
        ok = iam_put_contact(&member->admin, arena, &n->administrative_contact) &&
             iam_put_contact(&member->tech, arena, &n->technical_contact);
    }
    return ok ? n : NULL;
}

Pb__V3__Tenant *iam_member_to_tenant(const iam_member *member, iam_view view, lpx_arena *arena)
{
    Pb__V3__Tenant *t = lpx_arena_get(arena, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    pb__v3__tenant__init(t);
    t->net_id = member->net_id;
    t->listed = member->listed;
    bool ok = iam_put_text(member->tenant_id, arena, &t->tenant_id) &&
              iam_put_text(member->authority, arena, &t->authority) && iam_put_text(member->name, arena, &t->name) &&
              put_blocks(member, arena, &t->dev_addr_blocks, &t->n_dev_addr_blocks) &&
              put_target(member, view.secrets, arena, &t->target);
    if (ok && view.contacts) {
        ok = iam_put_contact(&member->admin, arena, &t->administrative_contact) &&
             iam_put_contact(&member->tech, arena, &t->technical_contact);
    }
    return ok ? t : NULL;
}

/* The catalog shows who somebody is and which addresses are theirs, and not how they are reached. */
static iam_member for_catalog(const iam_member *member)
{
    iam_member shown = *member;
    shown.authority = LPX_STR("");
    shown.has_target = false;
    shown.delegated = false;
    return shown;
}

Pb__V3__NetworkOrTenant *iam_member_to_catalog(const iam_member *member, iam_view view, lpx_arena *arena)
{
    const iam_space none = {.net_id = member->net_id};
    iam_member shown = for_catalog(member);
    Pb__V3__NetworkOrTenant *either = lpx_arena_get(arena, sizeof *either);
    if (either == NULL) {
        return NULL;
    }
    pb__v3__network_or_tenant__init(either);
    if (member->tenant_id.len == 0) {
        either->value_case = PB__V3__NETWORK_OR_TENANT__VALUE_NETWORK;
        either->network = iam_member_to_network(&shown, &none, view, arena);
        return either->network != NULL ? either : NULL;
    }
    either->value_case = PB__V3__NETWORK_OR_TENANT__VALUE_TENANT;
    either->tenant = iam_member_to_tenant(&shown, view, arena);
    return either->tenant != NULL ? either : NULL;
}

bool iam_put_rights(uint64_t mask, lpx_arena *arena, Pb__V3__Right **out, size_t *count)
{
    Pb__V3__Right *list = lpx_arena_array(arena, 64, sizeof *list);
    if (list == NULL) {
        return false;
    }
    size_t used = 0;
    for (unsigned i = 0; i < 64; i++) {
        if ((mask >> i & 1) != 0) {
            list[used++] = (Pb__V3__Right)i;
        }
    }
    *out = list;
    *count = used;
    return true;
}

bool iam_put_time(bool set, lpx_utc time, lpx_arena *arena, Google__Protobuf__Timestamp **out)
{
    *out = NULL;
    if (!set) {
        return true;
    }
    Google__Protobuf__Timestamp *stamp = lpx_arena_get(arena, sizeof *stamp);
    if (stamp == NULL) {
        return false;
    }
    google__protobuf__timestamp__init(stamp);
    int64_t us = time.us % 1000000;
    stamp->seconds = time.us / 1000000 - (us < 0 ? 1 : 0);
    stamp->nanos = (int32_t)(us < 0 ? us + 1000000 : us) * 1000;
    *out = stamp;
    return true;
}

Pb__V3__NetworkAPIKey *iam_key_to_message(const iam_key *key, lpx_arena *arena)
{
    Pb__V3__NetworkAPIKey *k = lpx_arena_get(arena, sizeof *k);
    if (k == NULL) {
        return NULL;
    }
    pb__v3__network_apikey__init(k);
    k->net_id = key->net_id;
    k->state = (Pb__V3__APIKeyState)key->state;
    bool ok = iam_put_text(key->key_id, arena, &k->key_id) && iam_put_text(key->tenant_id, arena, &k->tenant_id) &&
              iam_put_text(key->cluster_id, arena, &k->cluster_id) &&
              iam_put_rights(key->rights, arena, &k->rights, &k->n_rights) &&
              iam_put_time(key->used, key->authenticated_at, arena, &k->authenticated_at);
    return ok ? k : NULL;
}

Pb__V3__ClusterAPIKey *iam_key_to_cluster_message(const iam_key *key, lpx_arena *arena)
{
    Pb__V3__ClusterAPIKey *k = lpx_arena_get(arena, sizeof *k);
    if (k == NULL) {
        return NULL;
    }
    pb__v3__cluster_apikey__init(k);
    k->state = (Pb__V3__APIKeyState)key->state;
    bool ok = iam_put_text(key->key_id, arena, &k->key_id) && iam_put_text(key->cluster_id, arena, &k->cluster_id) &&
              iam_put_rights(key->rights, arena, &k->rights, &k->n_rights) &&
              iam_put_time(key->used, key->authenticated_at, arena, &k->authenticated_at);
    return ok ? k : NULL;
}
