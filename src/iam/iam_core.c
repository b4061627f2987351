#include "iam/iam_core.h"

#include <string.h>

#include "iam/limits.h"
#include "lpx_reasons.h"

/* Text and pages. */

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool iam_text_equal_fold(lpx_str a, lpx_str b)
{
    return a.len == b.len && iam_text_contains_fold(a, b);
}

static bool starts_fold(const char *text, lpx_str part)
{
    for (size_t i = 0; i < part.len; i++) {
        if (fold(text[i]) != fold(part.ptr[i])) {
            return false;
        }
    }
    return true;
}

bool iam_text_contains_fold(lpx_str text, lpx_str part)
{
    for (size_t at = 0; part.len <= text.len && at <= text.len - part.len; at++) {
        if (starts_fold(text.ptr + at, part)) {
            return true;
        }
    }
    return false;
}

uint32_t iam_page_limit(uint32_t limit)
{
    if (limit == 0) {
        return IAM_LIST_DEFAULT;
    }
    return limit < IAM_LIST_MAX ? limit : IAM_LIST_MAX;
}

bool iam_filter_is_empty(const iam_filter *filter)
{
    return filter->id_contains.len == 0 && filter->name_contains.len == 0;
}

bool iam_filter_passes(const iam_filter *filter, lpx_str id, lpx_str name)
{
    if (iam_filter_is_empty(filter)) {
        return true;
    }
    bool by_id = filter->id_contains.len > 0 && iam_text_contains_fold(id, filter->id_contains);
    bool by_name = filter->name_contains.len > 0 && iam_text_contains_fold(name, filter->name_contains);
    return by_id || by_name;
}

/* Ids. */

lpx_err iam_net_id_check(uint32_t net_id, bool allow_private, const char *field, lpx_note *note)
{
    LPX_TRY(lw_netid_check(net_id, field, note));
    if (lw_netid_private((lw_netid){net_id}) && !allow_private) {
        return lpx_fail(note, IAM_BAD_NET_ID, "%s is %06X, which is private: this exchange takes none of these.", field,
                        (unsigned)net_id);
    }
    return LPX_SUCCESS;
}

lpx_err iam_member_id_check(uint32_t net_id, const char *tenant_id, const char *at, lpx_note *note)
{
    lpx_note plain;
    if (lpx_failed(lw_netid_check(net_id, "net_id", &plain))) {
        return lpx_fail(note, LW_NETID_INVALID, "%s%s", at, plain.text);
    }
    if (tenant_id == NULL) {
        return LPX_SUCCESS;
    }
    if (tenant_id[0] == '\0') {
        return lpx_fail(note, IAM_MISSING_FIELD, "%stenant_id is missing.", at);
    }
    if (lpx_failed(lw_tenant_id_check(lpx_str_of(tenant_id), "tenant_id", &plain))) {
        return lpx_fail(note, LW_TENANT_ID_INVALID, "%s%s", at, plain.text);
    }
    return LPX_SUCCESS;
}

/* Changes: who may. */

static lpx_err forbid(bool named, const iam_change *change, const char *field, const char *why, lpx_note *note)
{
    return named ? lpx_fail(note, IAM_FIELD_FORBIDDEN, "%s%s %s", change->at, field, why) : LPX_SUCCESS;
}

static lpx_err check_authority(const iam_change *change, lpx_note *note)
{
    const char *why = "cannot be changed here: an authority manages this member, and only listed is open to others.";
    LPX_TRY(forbid(change->has_name, change, "name", why, note));
    LPX_TRY(forbid(change->has_blocks, change, "dev_addr_blocks", why, note));
    LPX_TRY(forbid(change->has_admin, change, "administrative_contact", why, note));
    LPX_TRY(forbid(change->has_tech, change, "technical_contact", why, note));
    LPX_TRY(forbid(change->has_target, change, "target", why, note));
    return forbid(change->has_delegated, change, "delegated_net_id", why, note);
}

lpx_err iam_change_allowed(const rpc_principal *who, const iam_member *member, const iam_change *change, lpx_note *note)
{
    if (who->subject == RPC_ADMIN) {
        return LPX_SUCCESS;
    }
    if (who->subject == RPC_TENANT) {
        const char *why = "cannot be changed with the API key of a tenant: use one of the whole network.";
        LPX_TRY(forbid(change->has_blocks, change, "dev_addr_blocks", why, note));
        LPX_TRY(forbid(change->has_target, change, "target", why, note));
    }
    return member->authority.len > 0 ? check_authority(change, note) : LPX_SUCCESS;
}

/* Changes: what they may say. */

lpx_err iam_text_check(lpx_str text, size_t max, const char *at, const char *field, lpx_note *note)
{
    if (text.len > max) {
        return lpx_fail(note, IAM_BAD_TEXT, "%s%s has %zu bytes; at most %zu are allowed.", at, field, text.len, max);
    }
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7F) {
            return lpx_fail(note, IAM_BAD_TEXT, "%s%s has a control character at byte %zu.", at, field, i);
        }
    }
    return LPX_SUCCESS;
}

const iam_contact_names iam_admin_names = {"administrative_contact.name", "administrative_contact.email",
                                           "administrative_contact.url"};
const iam_contact_names iam_tech_names = {"technical_contact.name", "technical_contact.email", "technical_contact.url"};

lpx_err iam_contact_read(const Pb__V3__ContactInfo *in, const char *at, const iam_contact_names *names,
                         iam_contact *out, lpx_note *note)
{
    iam_contact contact = {.name = LPX_STR(""), .email = LPX_STR(""), .url = LPX_STR("")};
    if (in != NULL) {
        contact = (iam_contact){.name = pb_str(in->name), .email = pb_str(in->email), .url = pb_str(in->url)};
    }
    LPX_TRY(iam_text_check(contact.name, IAM_NAME_MAX_BYTES, at, names->name, note));
    LPX_TRY(iam_text_check(contact.email, IAM_NAME_MAX_BYTES, at, names->email, note));
    LPX_TRY(iam_text_check(contact.url, IAM_URL_MAX_BYTES, at, names->url, note));
    *out = contact;
    return LPX_SUCCESS;
}

static bool same_block(const iam_block *a, const iam_block *b)
{
    return a->prefix.value == b->prefix.value && a->prefix.length == b->prefix.length &&
           lpx_str_equal(a->cluster_id, b->cluster_id);
}

/* Blocks that fit so far. Same blocks are kept once; full is set when one more does not go in. */
typedef struct block_list {
    iam_block *blocks;
    size_t count, room;
    bool full;
} block_list;

static void add_block(block_list *list, iam_block block)
{
    for (size_t i = 0; i < list->count; i++) {
        if (same_block(&list->blocks[i], &block)) {
            return;
        }
    }
    list->full = list->full || list->count == list->room;
    if (!list->full) {
        list->blocks[list->count++] = block;
    }
}

/* Add what the block has in common with the member's own addresses, else with those of every network that it
 * represents. A block that lies inside is kept as it is, since that is what they have in common. */
static bool add_fitting(iam_block block, const iam_space *space, block_list *list)
{
    iam_block fit = block;
    if (lw_devaddr_prefix_clip(block.prefix, (lw_netid){space->net_id}, &fit.prefix)) {
        add_block(list, fit);
        return true;
    }
    bool any = false;
    for (size_t i = 0; i < space->represented_count; i++) {
        if (lw_devaddr_prefix_clip(block.prefix, (lw_netid){space->represented[i]}, &fit.prefix)) {
            add_block(list, fit);
            any = true;
        }
    }
    return any;
}

static bool same_addresses(uint32_t net_id, lw_devaddr_prefix addresses)
{
    lw_devaddr_prefix own = lw_netid_space((lw_netid){net_id});
    return own.value == addresses.value && own.length == addresses.length;
}

bool iam_space_has(const iam_space *space, lw_devaddr_prefix addresses)
{
    bool has = same_addresses(space->net_id, addresses);
    for (size_t i = 0; !has && i < space->represented_count; i++) {
        has = same_addresses(space->represented[i], addresses);
    }
    return has;
}

bool iam_space_represents(const iam_space *space, uint32_t net_id)
{
    bool represents = false;
    for (size_t i = 0; !represents && i < space->represented_count; i++) {
        represents = space->represented[i] == net_id;
    }
    return represents;
}

static lpx_err read_block(const Pb__V3__DevAddrBlock *in, const char *at, size_t index, iam_block *out, lpx_note *note)
{
    if (in->prefix == NULL) {
        return lpx_fail(note, IAM_BAD_BLOCK, "%sdev_addr_blocks[%zu].prefix is missing.", at, index);
    }
    if (in->prefix->length > 32) {
        return lpx_fail(note, IAM_BAD_BLOCK, "%sdev_addr_blocks[%zu].prefix.length is %u; it must be 0 to 32.", at,
                        index, (unsigned)in->prefix->length);
    }
    lw_devaddr_prefix prefix = {.value = in->prefix->value, .length = (uint8_t)in->prefix->length};
    *out = (iam_block){.prefix = lw_devaddr_prefix_normal(prefix), .cluster_id = pb_str(in->home_network_cluster_id)};
    lpx_note plain;
    if (out->cluster_id.len > 0 &&
        lpx_failed(lw_cluster_id_check(out->cluster_id, "home_network_cluster_id", &plain))) {
        return lpx_fail(note, LW_CLUSTER_ID_INVALID, "%sdev_addr_blocks[%zu].%s", at, index, plain.text);
    }
    return LPX_SUCCESS;
}

static lpx_err outside(const iam_block *block, const iam_change *change, size_t index, const iam_space *space,
                       lpx_note *note)
{
    char given[LW_DEVADDR_PREFIX_TEXT_BYTES];
    char wanted[LW_DEVADDR_PREFIX_TEXT_BYTES];
    lw_devaddr_prefix_format(block->prefix, given);
    lw_devaddr_prefix_format(lw_netid_space((lw_netid){space->net_id}), wanted);
    return lpx_fail(note, IAM_BAD_BLOCK,
                    "%sdev_addr_blocks[%zu] is %s, which is outside of NetID %06X; it must lie inside %s%s.",
                    change->at, index, given, (unsigned)space->net_id, wanted,
                    space->represented_count > 0 ? " or a NetID that it represents" : "");
}

static lpx_err too_many(const iam_change *change, lpx_note *note)
{
    return lpx_fail(note, IAM_TOO_MANY_BLOCKS, "%sdev_addr_blocks has more than the %d entries that are allowed.",
                    change->at, (int)IAM_MAX_BLOCKS);
}

lpx_err iam_blocks_fit(const iam_change *change, const iam_space *space, lpx_arena *arena, iam_block **out,
                       size_t *count, lpx_note *note)
{
    if (change->block_count > IAM_MAX_BLOCKS) {
        return too_many(change, note);
    }
    size_t room = change->block_count * (1 + space->represented_count);
    block_list list = {.room = room < IAM_MAX_BLOCKS ? room : IAM_MAX_BLOCKS};
    list.blocks = lpx_arena_array(arena, list.room, sizeof *list.blocks);
    if (list.blocks == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    for (size_t i = 0; i < change->block_count; i++) {
        iam_block block;
        LPX_TRY(read_block(change->blocks[i], change->at, i, &block, note));
        if (!add_fitting(block, space, &list)) {
            return outside(&block, change, i, space, note);
        }
    }
    if (list.full) {
        return too_many(change, note);
    }
    *out = list.blocks;
    *count = list.count;
    return LPX_SUCCESS;
}

/* Targets. */

static bool is_scheme_char(char c, bool first)
{
    bool alpha = fold(c) >= 'a' && fold(c) <= 'z';
    return alpha || (!first && ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'));
}

/* A URL with scheme and host; user, port, path and query may follow. */
static bool is_url(lpx_str url)
{
    size_t at = 0;
    while (at < url.len && is_scheme_char(url.ptr[at], at == 0)) {
        at++;
    }
    lpx_str rest = lpx_str_skip(url, at);
    if (at == 0 || !lpx_str_starts(rest, LPX_STR("://"))) {
        return false;
    }
    rest = lpx_str_skip(rest, 3);
    size_t host = 0;
    for (size_t i = 0; i < rest.len && rest.ptr[i] != '/' && rest.ptr[i] != '?' && rest.ptr[i] != '#'; i++) {
        host = rest.ptr[i] == '@' ? 0 : host + 1;
    }
    return host > 0 && rest.ptr[0] != ':';
}

lpx_err iam_target_check(const Pb__V3__Target *target, const char *field, lpx_note *note)
{
    if (target->protocol != PB__V3__PROTOCOL__TS002_V1_0 && target->protocol != PB__V3__PROTOCOL__TS002_V1_1) {
        return lpx_fail(note, IAM_BAD_TARGET, "%s.protocol is %d; it must be TS002_V1_0 or TS002_V1_1.", field,
                        (int)target->protocol);
    }
    lpx_str address = pb_str(target->address);
    if (address.len > 0 && !is_url(address)) {
        return lpx_fail(note, IAM_BAD_TARGET, "%s.address must be empty or a URL with scheme and host.", field);
    }
    LPX_TRY(iam_text_check(address, IAM_URL_MAX_BYTES, field, ".address", note));
    LPX_TRY(iam_text_check(pb_str(target->f_ns_path), IAM_URL_MAX_BYTES, field, ".f_ns_path", note));
    LPX_TRY(iam_text_check(pb_str(target->s_ns_path), IAM_URL_MAX_BYTES, field, ".s_ns_path", note));
    LPX_TRY(iam_text_check(pb_str(target->h_ns_path), IAM_URL_MAX_BYTES, field, ".h_ns_path", note));
    for (size_t i = 0; i < target->n_origin_net_id_authentication; i++) {
        uint32_t origin = target->origin_net_id_authentication[i]->key;
        if (!lw_netid_valid(origin)) {
            return lpx_fail(note, IAM_BAD_TARGET, "%s.origin_net_id_authentication has the key %u, which is no NetID.",
                            field, (unsigned)origin);
        }
    }
    return LPX_SUCCESS;
}

lpx_err iam_target_read(const Pb__V3__Target *target, const char *field, lpx_arena *arena, lpx_bytes *out,
                        lpx_note *note)
{
    lpx_bytes bytes;
    LPX_TRY(iam_target_check(target, field, note));
    LPX_TRY(pb_encode(&target->base, arena, &bytes));
    if (bytes.len > IAM_TARGET_MAX_BYTES) {
        return lpx_fail(note, IAM_BAD_TARGET, "%s has %zu bytes; at most %d are allowed.", field, bytes.len,
                        (int)IAM_TARGET_MAX_BYTES);
    }
    *out = bytes;
    return LPX_SUCCESS;
}

static lpx_err apply_target(iam_member *member, const iam_change *change, lpx_arena *arena, lpx_note *note)
{
    if (change->target == NULL) {
        member->has_target = false;
        member->target = lpx_bytes_of(NULL, 0);
        return LPX_SUCCESS;
    }
    const char *field = lpx_arena_printf(arena, "%starget", change->at);
    if (field == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    LPX_TRY(iam_target_read(change->target, field, arena, &member->target, note));
    member->has_target = true;
    return LPX_SUCCESS;
}

static lpx_err apply_delegated(iam_member *member, const iam_change *change, lpx_note *note)
{
    member->delegated = change->delegated != NULL;
    member->delegated_net_id = change->delegated != NULL ? change->delegated->value : 0;
    if (!member->delegated) {
        return LPX_SUCCESS;
    }
    LPX_TRY(lw_netid_check(member->delegated_net_id, "delegated_net_id", note));
    if (member->delegated_net_id == member->net_id) {
        return lpx_fail(note, IAM_BAD_NET_ID, "%sdelegated_net_id must name another network than %06X itself.",
                        change->at, (unsigned)member->net_id);
    }
    return LPX_SUCCESS;
}

static lpx_err apply_texts(iam_member *member, const iam_change *change, lpx_note *note)
{
    if (change->has_name) {
        LPX_TRY(iam_text_check(change->name, IAM_NAME_MAX_BYTES, change->at, "name", note));
        member->name = change->name;
    }
    if (change->has_admin) {
        LPX_TRY(iam_contact_read(change->admin, change->at, &iam_admin_names, &member->admin, note));
    }
    return change->has_tech ? iam_contact_read(change->tech, change->at, &iam_tech_names, &member->tech, note)
                            : LPX_SUCCESS;
}

lpx_err iam_change_apply(iam_member *member, const iam_change *change, const iam_space *space, lpx_arena *arena,
                         lpx_note *note)
{
    iam_member changed = *member;
    LPX_TRY(apply_texts(&changed, change, note));
    if (change->has_listed) {
        changed.listed = change->listed;
    }
    if (change->has_blocks) {
        iam_block *blocks;
        LPX_TRY(iam_blocks_fit(change, space, arena, &blocks, &changed.block_count, note));
        changed.blocks = blocks;
    }
    if (change->has_target) {
        LPX_TRY(apply_target(&changed, change, arena, note));
    }
    if (change->has_delegated) {
        LPX_TRY(apply_delegated(&changed, change, note));
    }
    *member = changed;
    return LPX_SUCCESS;
}

/* Who sees what. */

bool iam_has_right(const rpc_principal *who, unsigned right)
{
    return who->subject == RPC_ADMIN || (who->subject != RPC_ANONYMOUS && (who->rights >> right & 1) != 0);
}

iam_view iam_view_of(const rpc_principal *who, uint32_t net_id)
{
    bool own = (who->subject == RPC_NETWORK || who->subject == RPC_TENANT) && who->net_id == net_id;
    return (iam_view){.contacts = own || iam_has_right(who, IAM_RIGHT_READ_NETWORK_CONTACT),
                      .secrets = iam_has_right(who, IAM_RIGHT_READ_TARGET_AUTH)};
}

iam_view iam_view_of_catalog(const rpc_principal *who)
{
    return (iam_view){.contacts = iam_has_right(who, IAM_RIGHT_READ_NETWORK_CONTACT)};
}

lpx_err iam_member_own(const rpc_principal *who, uint32_t net_id, lpx_str tenant_id, const char *at, lpx_note *note)
{
    LPX_TRY(iam_member_id_check(net_id, tenant_id.len > 0 ? tenant_id.ptr : NULL, at, note));
    if (who->subject != RPC_NETWORK && who->subject != RPC_TENANT) {
        return LPX_SUCCESS;
    }
    if (net_id != who->net_id) {
        return lpx_fail(note, RPC_NOT_OWN, "%snet_id must be %06X with these credentials.", at, (unsigned)who->net_id);
    }
    if (who->subject == RPC_TENANT && !lpx_str_is(tenant_id, who->tenant_id)) {
        return lpx_fail(note, RPC_NOT_OWN, "%stenant_id must be \"%s\" with these credentials.", at, who->tenant_id);
    }
    return LPX_SUCCESS;
}

/* API keys. */

#define BIT(right) (UINT64_C(1) << (right))

static const uint64_t network_rights =
    BIT(PB__V3__RIGHT__READ_NETWORK) | BIT(PB__V3__RIGHT__READ_NETWORK_CONTACT) | BIT(PB__V3__RIGHT__READ_JOIN_SERVER) |
    BIT(PB__V3__RIGHT__READ_JOIN_SERVER_CONTACT) | BIT(PB__V3__RIGHT__READ_ROUTING_POLICY) |
    BIT(PB__V3__RIGHT__WRITE_ROUTING_POLICY) | BIT(PB__V3__RIGHT__READ_GATEWAY_VISIBILITY) |
    BIT(PB__V3__RIGHT__WRITE_GATEWAY_VISIBILITY) | BIT(PB__V3__RIGHT__READ_TRAFFIC) |
    BIT(PB__V3__RIGHT__WRITE_TRAFFIC) | BIT(PB__V3__RIGHT__READ_REPORT);
static const uint64_t cluster_rights = BIT(PB__V3__RIGHT__READ_ROUTE_TABLE) | BIT(PB__V3__RIGHT__READ_TARGET_AUTH);

lpx_err iam_rights_mask(const Pb__V3__Right *rights, size_t count, uint64_t *out, lpx_note *note)
{
    uint64_t mask = 0;
    for (size_t i = 0; i < count; i++) {
        int right = (int)rights[i];
        if (right < 0 || right > 63 || ((network_rights | cluster_rights) & BIT(right)) == 0) {
            return lpx_fail(note, IAM_BAD_RIGHT, "rights[%zu] is %d, which is no right of this API.", i, right);
        }
        mask |= BIT(right);
    }
    *out = mask;
    return LPX_SUCCESS;
}

/* Name of the lowest right of a mask, as the API has it. */
static const char *right_name(uint64_t mask)
{
    for (unsigned i = 0; i < pb__v3__right__descriptor.n_values; i++) {
        const ProtobufCEnumValue *value = &pb__v3__right__descriptor.values[i];
        if (value->value >= 0 && value->value < 64 && (mask & BIT(value->value)) != 0) {
            return value->name;
        }
    }
    return "a right";
}

uint64_t iam_key_first_rights(const rpc_principal *who)
{
    const uint64_t contacts = BIT(PB__V3__RIGHT__READ_NETWORK_CONTACT) | BIT(PB__V3__RIGHT__READ_JOIN_SERVER_CONTACT);
    uint64_t rights = network_rights & ~contacts;
    return who->subject == RPC_ADMIN ? rights : rights & who->rights;
}

lpx_err iam_key_allowed(const rpc_principal *who, uint64_t rights, lpx_str cluster_id, lpx_note *note)
{
    if (who->subject == RPC_ADMIN) {
        return LPX_SUCCESS;
    }
    if (who->subject == RPC_ANONYMOUS) {
        uint64_t more = rights & ~network_rights;
        return more == 0
                   ? LPX_SUCCESS
                   : lpx_fail(note, IAM_BAD_RIGHT,
                              "rights has %s, which keys of networks get from administrators only.", right_name(more));
    }
    uint64_t more = rights & ~who->rights;
    if (more != 0) {
        return lpx_fail(note, IAM_RIGHTS_EXCEEDED, "rights has %s, which the credentials of this call lack themselves.",
                        right_name(more));
    }
    if (who->cluster_id[0] != '\0' && !lpx_str_is(cluster_id, who->cluster_id)) {
        return lpx_fail(note, IAM_FIELD_FORBIDDEN,
                        "cluster_id must be \"%s\", to which the credentials of this call are bound.", who->cluster_id);
    }
    return LPX_SUCCESS;
}

int iam_key_first_state(const rpc_principal *who)
{
    return who->subject == RPC_ANONYMOUS ? IAM_KEY_REQUESTED : IAM_KEY_APPROVED;
}

lpx_err iam_secret_check(lpx_str secret, lpx_note *note)
{
    bool ok = secret.len >= IAM_SECRET_MIN_BYTES && secret.len <= IAM_SECRET_MAX_BYTES;
    for (size_t i = 0; ok && i < secret.len; i++) {
        ok = secret.ptr[i] > ' ' && secret.ptr[i] < 0x7F;
    }
    return ok ? LPX_SUCCESS
              : lpx_fail(note, IAM_BAD_SECRET, "key must have %d to %d printable ASCII characters without spaces.",
                         (int)IAM_SECRET_MIN_BYTES, (int)IAM_SECRET_MAX_BYTES);
}

lpx_err iam_key_filter_of(const Pb__Iam__V2__ListNetworkAPIKeysRequest *request, const rpc_principal *who,
                          iam_key_filter *out, lpx_note *note)
{
    iam_key_filter filter = {
        .has_net_id = request->net_id != NULL,
        .net_id = request->net_id != NULL ? request->net_id->value : 0,
        .has_tenant_id = request->tenant_id != NULL,
        .tenant_id = pb_str(request->tenant_id != NULL ? request->tenant_id->value : NULL),
        .has_cluster_id = request->cluster_id != NULL,
        .cluster_id = pb_str(request->cluster_id != NULL ? request->cluster_id->value : NULL),
    };
    if (filter.has_net_id) {
        LPX_TRY(lw_netid_check(filter.net_id, "net_id", note));
    }
    if (filter.has_net_id && filter.has_tenant_id && filter.tenant_id.len == 0) {
        return lpx_fail(note, IAM_BAD_FILTER, "tenant_id is empty: leave it out, or name the tenant of the network.");
    }
    if (who->subject == RPC_NETWORK && !filter.has_net_id) {
        filter.has_net_id = true;
        filter.net_id = who->net_id;
    }
    *out = filter;
    return LPX_SUCCESS;
}

bool iam_bucket_take(int64_t *full_at_us, int64_t now_us, int64_t interval_us, uint32_t burst)
{
    int64_t most_us = interval_us * (int64_t)burst;
    int64_t owed_us = *full_at_us > now_us ? *full_at_us - now_us : 0;
    if (owed_us > most_us) {
        owed_us = most_us;
        *full_at_us = now_us + most_us;
    }
    if (owed_us + interval_us > most_us) {
        return false;
    }
    *full_at_us = now_us + owed_us + interval_us;
    return true;
}
