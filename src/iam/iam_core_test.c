/* The decisions of the registries and the key vault: tables of cases, and properties against naive versions. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "iam/iam_core.h"
#include "iam/iam_core_test_kit.h"
#include "iam/limits.h"
#include "lpx_reasons.h"

uint32_t test_seed;

uint32_t test_random(void)
{
    test_seed = test_seed * 1664525U + 1013904223U;
    return test_seed >> 8;
}

static lpx_arena arena;

static int begin(void **state)
{
    (void)state;
    lpx_arena_init(&arena, 8 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    lpx_arena_fini(&arena);
    return 0;
}

/* Text and pages. */

static bool naive_contains(const char *text, const char *part)
{
    return strcasestr(text, part) != NULL;
}

static void contains_like_the_naive_search(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        char text[8] = "";
        char part[4] = "";
        for (size_t n = test_random() % sizeof text, at = 0; at < n; at++) {
            text[at] = "aAbBzZ@["[test_random() % 8];
        }
        for (size_t n = test_random() % sizeof part, at = 0; at < n; at++) {
            part[at] = "aAbBzZ@["[test_random() % 8];
        }
        assert_int_equal(iam_text_contains_fold(lpx_str_of(text), lpx_str_of(part)), naive_contains(text, part));
        assert_int_equal(iam_text_equal_fold(lpx_str_of(text), lpx_str_of(part)), strcasecmp(text, part) == 0);
    }
}

static void pages_have_a_default_and_a_cap(void **state)
{
    (void)state;
    assert_int_equal(iam_page_limit(0), 100);
    assert_int_equal(iam_page_limit(1), 1);
    assert_int_equal(iam_page_limit(1000), 1000);
    assert_int_equal(iam_page_limit(1001), 1000);
    assert_int_equal(iam_page_limit(UINT32_MAX), 1000);
}

static void filters_are_joined_by_or(void **state)
{
    (void)state;
    static const struct {
        const char *id, *name;
        bool passes;
    } rows[] = {{"", "", true},       {"ten", "", true}, {"", "ACME", true}, {"TEN", "none", true},
                {"no", "corp", true}, {"no", "", false}, {"", "ten", false}, {"acme", "tenant", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        iam_filter filter = {.id_contains = lpx_str_of(rows[i].id), .name_contains = lpx_str_of(rows[i].name)};
        assert_int_equal(iam_filter_passes(&filter, LPX_STR("tenant-a"), LPX_STR("Acme Corp")), rows[i].passes);
    }
}

/* Ids. */

static void private_net_ids_need_the_setting(void **state)
{
    (void)state;
    lpx_note note;
    assert_ok(iam_net_id_check(0x13, false, "network.net_id", &note));
    assert_ok(iam_net_id_check(0, true, "network.net_id", &note));
    assert_ok(iam_net_id_check(1, true, "network.net_id", &note));
    assert_reason(iam_net_id_check(0, false, "network.net_id", &note), IAM_BAD_NET_ID);
    assert_string_equal(note.text, "network.net_id is 000000, which is private: this exchange takes none of these.");
    assert_reason(iam_net_id_check(1, false, "network.net_id", &note), IAM_BAD_NET_ID);
    assert_reason(iam_net_id_check(0x1000000, true, "network.net_id", &note), LW_NETID_INVALID);
    assert_reason(iam_net_id_check(0xE00061, true, "network.net_id", &note), LW_NETID_INVALID);
    assert_ok(iam_net_id_check(0xE00060, false, "network.net_id", &note));
}

static void ids_are_checked_by_field(void **state)
{
    (void)state;
    lpx_note note;
    assert_ok(iam_member_id_check(0x13, NULL, "", &note));
    assert_ok(iam_member_id_check(0x13, "ttn", "tenant.", &note));
    assert_reason(iam_member_id_check(0x13, "", "tenant.", &note), IAM_MISSING_FIELD);
    assert_string_equal(note.text, "tenant.tenant_id is missing.");
    assert_reason(iam_member_id_check(0x13, "No", "tenant.", &note), LW_TENANT_ID_INVALID);
    assert_non_null(strstr(note.text, "tenant.tenant_id"));
    assert_reason(iam_member_id_check(0x1000013, "ttn", "tenant.", &note), LW_NETID_INVALID);
    assert_non_null(strstr(note.text, "tenant.net_id"));
}

/* Who may change what. */

static void only_some_fields_are_open_to_some_callers(void **state)
{
    (void)state;
    enum { A, N, T, CALLERS };
    static const rpc_subject subjects[CALLERS] = {RPC_ADMIN, RPC_NETWORK, RPC_TENANT};
    static const struct {
        const char *field;
        iam_change change;
        bool open[CALLERS], open_with_authority[CALLERS];
    } rows[] = {
        {"name", {.has_name = true}, {1, 1, 1}, {1, 0, 0}},
        {"administrative_contact", {.has_admin = true}, {1, 1, 1}, {1, 0, 0}},
        {"technical_contact", {.has_tech = true}, {1, 1, 1}, {1, 0, 0}},
        {"listed", {.has_listed = true}, {1, 1, 1}, {1, 1, 1}},
        {"dev_addr_blocks", {.has_blocks = true}, {1, 1, 0}, {1, 0, 0}},
        {"target", {.has_target = true}, {1, 1, 0}, {1, 0, 0}},
        {"delegated_net_id", {.has_delegated = true}, {1, 1, 1}, {1, 0, 0}}, /* no tenant has this field */
        {"nothing", {.has_name = false}, {1, 1, 1}, {1, 1, 1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int c = 0; c < CALLERS; c++) {
            for (int authority = 0; authority < 2; authority++) {
                lpx_note note = {""};
                rpc_principal who = {.subject = subjects[c], .net_id = 0x13, .tenant_id = "ttn"};
                iam_member member = {.net_id = 0x13, .authority = lpx_str_of(authority ? "ttnr" : "")};
                iam_change change = rows[i].change;
                change.at = "";
                bool open = authority ? rows[i].open_with_authority[c] : rows[i].open[c];
                lpx_err err = iam_change_allowed(&who, &member, &change, &note);
                assert_int_equal(err.code, open ? LPX_OK : LPX_PERMISSION_DENIED);
                assert_int_equal(strncmp(note.text, rows[i].field, strlen(rows[i].field)) == 0, !open);
            }
        }
    }
}

/* Changes. */

static const iam_space plain_space = {.net_id = 0x13};

static iam_member old_member(void)
{
    static const iam_block block = {.prefix = {0x26000000, 8}, .cluster_id = {"eu1", 3}};
    return (iam_member){
        .net_id = 0x13,
        .name = LPX_STR("old"),
        .admin = {.name = LPX_STR("a"), .email = LPX_STR("a@x"), .url = LPX_STR("https://a")},
        .tech = {.name = LPX_STR("t"), .email = LPX_STR("t@x"), .url = LPX_STR("https://t")},
        .listed = true,
        .has_target = true,
        .target = lpx_bytes_of("\x12\x00", 2),
        .delegated = true,
        .delegated_net_id = 0x14,
        .blocks = &block,
        .block_count = 1,
    };
}

static void assert_contact(const iam_contact *contact, const char *name, const char *email, const char *url)
{
    assert_true(lpx_str_is(contact->name, name));
    assert_true(lpx_str_is(contact->email, email));
    assert_true(lpx_str_is(contact->url, url));
}

static void absent_wrappers_change_nothing(void **state)
{
    (void)state;
    lpx_note note;
    const Pb__Iam__V1__UpdateNetworkRequest none = PB__IAM__V1__UPDATE_NETWORK_REQUEST__INIT;
    iam_change change = iam_change_of_network_update(&none);
    iam_member member = old_member();
    iam_member before = member;
    assert_ok(iam_change_apply(&member, &change, &plain_space, &arena, &note));
    assert_memory_equal(&member, &before, sizeof member);
    const Pb__Iam__V1__UpdateTenantRequest none_t = PB__IAM__V1__UPDATE_TENANT_REQUEST__INIT;
    change = iam_change_of_tenant_update(&none_t);
    assert_ok(iam_change_apply(&member, &change, &plain_space, &arena, &note));
    assert_memory_equal(&member, &before, sizeof member);
}

static void empty_wrappers_clear(void **state)
{
    (void)state;
    lpx_note note;
    Pb__Iam__V1__UpdateNetworkRequest request = PB__IAM__V1__UPDATE_NETWORK_REQUEST__INIT;
    Pb__Iam__V1__DevAddrBlocksValue blocks = PB__IAM__V1__DEV_ADDR_BLOCKS_VALUE__INIT;
    Pb__V3__ContactInfoValue contact = PB__V3__CONTACT_INFO_VALUE__INIT;
    Pb__Iam__V1__TargetValue target = PB__IAM__V1__TARGET_VALUE__INIT;
    Pb__Iam__V1__UpdateNetworkRequest__DelegatedNetID delegated =
        PB__IAM__V1__UPDATE_NETWORK_REQUEST__DELEGATED_NET_ID__INIT;
    Google__Protobuf__StringValue name = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
    Google__Protobuf__BoolValue listed = GOOGLE__PROTOBUF__BOOL_VALUE__INIT;
    request.dev_addr_blocks = &blocks;
    request.administrative_contact = &contact;
    request.technical_contact = &contact;
    request.target = &target;
    request.delegated_net_id = &delegated;
    request.name = &name;
    request.listed = &listed;
    iam_change change = iam_change_of_network_update(&request);
    iam_member member = old_member();
    assert_ok(iam_change_apply(&member, &change, &plain_space, &arena, &note));
    assert_int_equal(member.block_count, 0);
    assert_contact(&member.admin, "", "", "");
    assert_contact(&member.tech, "", "", "");
    assert_false(member.has_target);
    assert_false(member.delegated);
    assert_false(member.listed);
    assert_int_equal(member.name.len, 0);
}

static void full_wrappers_replace(void **state)
{
    (void)state;
    lpx_note note;
    Pb__Iam__V1__UpdateTenantRequest request = PB__IAM__V1__UPDATE_TENANT_REQUEST__INIT;
    Pb__V3__ContactInfo info = PB__V3__CONTACT_INFO__INIT;
    Pb__V3__ContactInfoValue contact = PB__V3__CONTACT_INFO_VALUE__INIT;
    Pb__V3__Target target = PB__V3__TARGET__INIT;
    Pb__Iam__V1__TargetValue target_value = PB__IAM__V1__TARGET_VALUE__INIT;
    info.email = (char[]){"ops@example.com"};
    contact.value = &info;
    target_value.value = &target;
    request.technical_contact = &contact;
    request.target = &target_value;
    iam_change change = iam_change_of_tenant_update(&request);
    iam_member member = old_member();
    assert_ok(iam_change_apply(&member, &change, &plain_space, &arena, &note));
    assert_contact(&member.tech, "", "ops@example.com", "");
    assert_contact(&member.admin, "a", "a@x", "https://a");
    assert_true(member.has_target); /* all defaults: TS002_V1_0 without an address */
    assert_int_equal(member.target.len, 0);
    assert_true(lpx_str_is(member.name, "old"));
}

static void new_members_take_every_field(void **state)
{
    (void)state;
    Pb__V3__Network network = PB__V3__NETWORK__INIT;
    Pb__V3__Tenant tenant = PB__V3__TENANT__INIT;
    iam_change n = iam_change_of_network(&network);
    iam_change t = iam_change_of_tenant(&tenant);
    assert_true(n.has_name && n.has_admin && n.has_tech && n.has_listed && n.has_blocks && n.has_target &&
                n.has_delegated);
    assert_true(t.has_name && t.has_admin && t.has_tech && t.has_listed && t.has_blocks && t.has_target);
    assert_false(t.has_delegated);
    assert_string_equal(n.at, "network.");
    assert_string_equal(t.at, "tenant.");
}

static void long_and_unprintable_texts_are_refused(void **state)
{
    (void)state;
    lpx_note note;
    char text[IAM_NAME_MAX_BYTES + 2];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    iam_member member = old_member();
    iam_change change = {.at = "network.", .has_name = true, .name = lpx_str_of(text)};
    assert_reason(iam_change_apply(&member, &change, &plain_space, &arena, &note), IAM_BAD_TEXT);
    assert_string_equal(note.text, "network.name has 257 bytes; at most 256 are allowed.");
    change.name.len--;
    assert_ok(iam_change_apply(&member, &change, &plain_space, &arena, &note));
    change.name = LPX_STR("two\nlines");
    assert_reason(iam_change_apply(&member, &change, &plain_space, &arena, &note), IAM_BAD_TEXT);
    assert_string_equal(note.text, "network.name has a control character at byte 3.");
    assert_int_equal(member.name.len, IAM_NAME_MAX_BYTES);
    Pb__V3__ContactInfo info = PB__V3__CONTACT_INFO__INIT;
    info.url = (char[]){"a\177"};
    change = (iam_change){.at = "", .has_tech = true, .tech = &info};
    assert_reason(iam_change_apply(&member, &change, &plain_space, &arena, &note), IAM_BAD_TEXT);
    assert_string_equal(note.text, "technical_contact.url has a control character at byte 1.");
}

static void delegation_names_another_valid_network(void **state)
{
    (void)state;
    lpx_note note;
    Google__Protobuf__UInt32Value value = GOOGLE__PROTOBUF__UINT32_VALUE__INIT;
    iam_change change = {.at = "", .has_delegated = true, .delegated = &value};
    iam_member member = {.net_id = 0x13};
    value.value = 0x13;
    assert_reason(iam_change_apply(&member, &change, &plain_space, &arena, &note), IAM_BAD_NET_ID);
    value.value = 0xFFFFFFFF;
    assert_reason(iam_change_apply(&member, &change, &plain_space, &arena, &note), LW_NETID_INVALID);
    value.value = 0x200001;
    assert_ok(iam_change_apply(&member, &change, &plain_space, &arena, &note));
    assert_true(member.delegated);
    assert_int_equal(member.delegated_net_id, 0x200001);
}

/* Blocks. */

typedef struct block_in {
    uint32_t value, length;
    const char *cluster;
} block_in;

static iam_change blocks_change(const block_in *blocks, size_t count)
{
    Pb__V3__DevAddrBlock **list = lpx_arena_array(&arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++) {
        Pb__V3__DevAddrPrefix *prefix = lpx_arena_get(&arena, sizeof *prefix);
        list[i] = lpx_arena_get(&arena, sizeof *list[i]);
        pb__v3__dev_addr_prefix__init(prefix);
        pb__v3__dev_addr_block__init(list[i]);
        prefix->value = blocks[i].value;
        prefix->length = blocks[i].length;
        list[i]->prefix = prefix;
        list[i]->home_network_cluster_id = lpx_arena_cstr(&arena, lpx_str_of(blocks[i].cluster));
    }
    return (iam_change){.at = "tenant.", .has_blocks = true, .blocks = list, .block_count = count};
}

static void assert_block(const iam_block *block, uint32_t value, unsigned length, const char *cluster)
{
    assert_int_equal(block->prefix.value, value);
    assert_int_equal(block->prefix.length, length);
    assert_true(lpx_str_is(block->cluster_id, cluster));
}

static void blocks_are_clipped_normalised_and_kept_once(void **state)
{
    (void)state;
    lpx_note note;
    const block_in in[] = {{0x00000000, 0, "eu1"}, {0x26AA1234, 16, ""},  {0x26AA0000, 16, ""},
                           {0x20000000, 4, "eu1"}, {0x26AA0000, 16, "b"}, {0x26000000, 7, ""}};
    iam_change change = blocks_change(in, 6);
    iam_block *out;
    size_t count;
    assert_ok(iam_blocks_fit(&change, &plain_space, &arena, &out, &count, &note));
    assert_int_equal(count, 4);
    assert_block(&out[0], 0x26000000, 7, "eu1");
    assert_block(&out[1], 0x26AA0000, 16, "");
    assert_block(&out[2], 0x26AA0000, 16, "b");
    assert_block(&out[3], 0x26000000, 7, "");
}

static void bad_blocks_are_named(void **state)
{
    (void)state;
    lpx_note note;
    iam_block *out;
    size_t count;
    iam_change change = blocks_change((block_in[]){{0x26000000, 8, ""}, {0x28AA0000, 16, ""}}, 2);
    assert_reason(iam_blocks_fit(&change, &plain_space, &arena, &out, &count, &note), IAM_BAD_BLOCK);
    assert_string_equal(note.text,
                        "tenant.dev_addr_blocks[1] is 28AA0000/16, which is outside of NetID 000013; it must lie "
                        "inside 26000000/7.");
    change = blocks_change((block_in[]){{0x26000000, 33, ""}}, 1);
    assert_reason(iam_blocks_fit(&change, &plain_space, &arena, &out, &count, &note), IAM_BAD_BLOCK);
    assert_string_equal(note.text, "tenant.dev_addr_blocks[0].prefix.length is 33; it must be 0 to 32.");
    change = blocks_change((block_in[]){{0x26000000, 8, "No Cluster"}}, 1);
    assert_reason(iam_blocks_fit(&change, &plain_space, &arena, &out, &count, &note), LW_CLUSTER_ID_INVALID);
    assert_non_null(strstr(note.text, "tenant.dev_addr_blocks[0].home_network_cluster_id"));
    change = blocks_change((block_in[]){{0x26000000, 8, ""}}, 1);
    change.blocks[0]->prefix = NULL;
    assert_reason(iam_blocks_fit(&change, &plain_space, &arena, &out, &count, &note), IAM_BAD_BLOCK);
    assert_string_equal(note.text, "tenant.dev_addr_blocks[0].prefix is missing.");
}

static void too_many_blocks_are_refused(void **state)
{
    (void)state;
    lpx_note note;
    iam_block *out;
    size_t count;
    static block_in in[IAM_MAX_BLOCKS + 1];
    for (uint32_t i = 0; i < IAM_MAX_BLOCKS + 1; i++) {
        in[i] = (block_in){0x26000000 + i, 32, ""};
    }
    iam_change change = blocks_change(in, IAM_MAX_BLOCKS);
    assert_ok(iam_blocks_fit(&change, &plain_space, &arena, &out, &count, &note));
    assert_int_equal(count, IAM_MAX_BLOCKS);
    change = blocks_change(in, IAM_MAX_BLOCKS + 1);
    assert_reason(iam_blocks_fit(&change, &plain_space, &arena, &out, &count, &note), IAM_TOO_MANY_BLOCKS);
    /* Each wide block becomes two, one in each represented network. */
    const uint32_t represented[] = {0x1A, 0x1B};
    const iam_space space = {.net_id = 0x13, .represented = represented, .represented_count = 2};
    char names[IAM_MAX_BLOCKS][8];
    for (uint32_t i = 0; i < IAM_MAX_BLOCKS; i++) {
        snprintf(names[i], sizeof names[i], "c%u", i);
        in[i] = (block_in){0x34000000, 6, names[i]};
    }
    change = blocks_change(in, IAM_MAX_BLOCKS);
    assert_reason(iam_blocks_fit(&change, &space, &arena, &out, &count, &note), IAM_TOO_MANY_BLOCKS);
    change = blocks_change(in, IAM_MAX_BLOCKS / 2);
    assert_ok(iam_blocks_fit(&change, &space, &arena, &out, &count, &note));
    assert_int_equal(count, IAM_MAX_BLOCKS);
}

/* Ranges of addresses as 64-bit numbers, without prefix arithmetic. */
typedef struct range {
    uint64_t first, last;
} range;

static range naive_range(uint32_t value, unsigned length)
{
    uint64_t size = UINT64_C(1) << (32 - length);
    uint64_t first = value / size * size;
    return (range){first, first + size - 1};
}

static bool overlap(range a, range b, range *out)
{
    *out = (range){a.first > b.first ? a.first : b.first, a.last < b.last ? a.last : b.last};
    return out->first <= out->last;
}

static const uint32_t net_ids[] = {0x000013, 0x000014, 0x200001, 0x600011, 0xC0002F, 0xE00060};

static range space_of(uint32_t net_id)
{
    lw_devaddr_prefix p = lw_netid_space((lw_netid){net_id});
    return naive_range(p.value, p.length);
}

/* What a block becomes: its part in the own addresses, else its parts in those of represented networks. */
static size_t naive_fit(range block, const iam_space *space, range *out)
{
    if (overlap(block, space_of(space->net_id), &out[0])) {
        return 1;
    }
    size_t count = 0;
    for (size_t i = 0; i < space->represented_count; i++) {
        count += overlap(block, space_of(space->represented[i]), &out[count]) ? 1 : 0;
    }
    return count;
}

static void one_random_block(void)
{
    lpx_note note;
    uint32_t represented[3];
    iam_space space = {.net_id = net_ids[test_random() % 6], .represented = represented};
    for (size_t i = test_random() % 4; i > 0; i--) {
        uint32_t other = net_ids[test_random() % 6];
        bool known = other == space.net_id;
        for (size_t j = 0; j < space.represented_count; j++) {
            known = known || represented[j] == other;
        }
        if (!known) {
            represented[space.represented_count++] = other;
        }
    }
    lw_devaddr_prefix near = lw_netid_space((lw_netid){net_ids[test_random() % 6]});
    block_in in = {near.value ^ (test_random() & 0xFFF), test_random() % 33, ""};
    range want[4];
    size_t want_count = naive_fit(naive_range(in.value, in.length), &space, want);
    iam_change change = blocks_change(&in, 1);
    iam_block *out;
    size_t count;
    lpx_err err = iam_blocks_fit(&change, &space, &arena, &out, &count, &note);
    assert_int_equal(err.code, want_count > 0 ? LPX_OK : LPX_INVALID_ARGUMENT);
    for (size_t i = 0; i < want_count; i++) {
        range got = naive_range(out[i].prefix.value, out[i].prefix.length);
        assert_int_equal(got.first, want[i].first);
        assert_int_equal(got.last, want[i].last);
        assert_int_equal(out[i].prefix.value, got.first);
    }
    assert_int_equal(want_count > 0 ? count : 0, want_count);
    lpx_arena_reset(&arena);
}

static void blocks_fit_like_ranges_of_addresses(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        one_random_block();
    }
}

static void spaces_know_their_addresses(void **state)
{
    (void)state;
    const uint32_t represented[] = {0x200001};
    const iam_space space = {.net_id = 0x13, .represented = represented, .represented_count = 1};
    assert_true(iam_space_has(&space, (lw_devaddr_prefix){0x26000000, 7}));
    assert_true(iam_space_has(&space, lw_netid_space((lw_netid){0x200001})));
    assert_false(iam_space_has(&space, (lw_devaddr_prefix){0x26000000, 8}));
    assert_false(iam_space_has(&space, lw_netid_space((lw_netid){0x14})));
}

/* Targets. */

static void targets_have_a_known_protocol_and_a_url(void **state)
{
    (void)state;
    static const struct {
        int protocol;
        const char *address;
        bool ok;
    } rows[] = {
        {0, "", true},
        {1, "https://ns.example.com:8443/path", true},
        {0, "http://user:secret@host", true},
        {0, "https://[::1]:443", true},
        {2, "https://a", false},
        {3, "", false},
        {77, "", false},
        {0, "ns.example.com", false},
        {0, "ns.example.com:443", false},
        {0, "https://", false},
        {0, "https:///path", false},
        {0, "https://:443", false},
        {0, "https://user@", false},
        {0, "://host", false},
        {0, "1https://host", false},
        {0, "https:/host", false},
        {0, "https://ho\nst", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lpx_note note = {""};
        Pb__V3__Target target = PB__V3__TARGET__INIT;
        target.protocol = (Pb__V3__Protocol)rows[i].protocol;
        target.address = lpx_arena_cstr(&arena, lpx_str_of(rows[i].address));
        lpx_err err = iam_target_check(&target, "target", &note);
        assert_int_equal(err.code, rows[i].ok ? LPX_OK : LPX_INVALID_ARGUMENT);
        assert_int_equal(strncmp(note.text, "target.", 7) == 0, !rows[i].ok);
    }
}

static void targets_name_valid_origins_and_are_not_huge(void **state)
{
    (void)state;
    lpx_note note;
    Pb__V3__Target target = PB__V3__TARGET__INIT;
    Pb__V3__Target__OriginNetIdAuthenticationEntry entry = PB__V3__TARGET__ORIGIN_NET_ID_AUTHENTICATION_ENTRY__INIT;
    Pb__V3__Target__OriginNetIdAuthenticationEntry *entries[] = {&entry};
    target.origin_net_id_authentication = entries;
    target.n_origin_net_id_authentication = 1;
    entry.key = 0x13;
    assert_ok(iam_target_check(&target, "target", &note));
    entry.key = 0xE00061;
    assert_reason(iam_target_check(&target, "target", &note), IAM_BAD_TARGET);
    entry.key = 0x13;
    static uint8_t roots[IAM_TARGET_MAX_BYTES];
    target.root_cas = (ProtobufCBinaryData){.data = roots, .len = sizeof roots};
    iam_member member = old_member();
    iam_change change = {.at = "", .has_target = true, .target = &target};
    assert_reason(iam_change_apply(&member, &change, &plain_space, &arena, &note), IAM_BAD_TARGET);
    target.root_cas.len -= 64;
    assert_ok(iam_change_apply(&member, &change, &plain_space, &arena, &note));
}

/* What is seen. */

static iam_member secret_member(void)
{
    iam_member member = old_member();
    Pb__V3__Target target = PB__V3__TARGET__INIT;
    Pb__V3__Target__BasicAuth basic = PB__V3__TARGET__BASIC_AUTH__INIT;
    Pb__V3__Target__OriginNetIdAuthenticationEntry entry = PB__V3__TARGET__ORIGIN_NET_ID_AUTHENTICATION_ENTRY__INIT;
    Pb__V3__Target__OriginNetIdAuthenticationEntry *entries[] = {&entry};
    basic.username = (char[]){"user"};
    basic.password = (char[]){"secret"};
    target.address = (char[]){"https://ns.example.com"};
    target.default_authentication_case = PB__V3__TARGET__DEFAULT_AUTHENTICATION_BASIC_AUTH;
    target.basic_auth = &basic;
    entry.key = 0x14;
    target.origin_net_id_authentication = entries;
    target.n_origin_net_id_authentication = 1;
    assert_ok(pb_encode(&target.base, &arena, &member.target));
    return member;
}

static void views_depend_on_the_caller(void **state)
{
    (void)state;
    static const struct {
        rpc_principal who;
        bool contacts, secrets;
    } rows[] = {
        {{.subject = RPC_ADMIN}, true, true},
        {{.subject = RPC_CLUSTER, .rights = 1}, false, false},
        {{.subject = RPC_CLUSTER, .rights = 1 << 1}, true, false},
        {{.subject = RPC_CLUSTER, .rights = 1 << 6}, false, true},
        {{.subject = RPC_NETWORK, .net_id = 0x13, .rights = 1}, true, false},
        {{.subject = RPC_NETWORK, .net_id = 0x14, .rights = 1}, false, false},
        {{.subject = RPC_NETWORK, .net_id = 0x14, .rights = 1 << 1 | 1 << 6}, true, true},
        {{.subject = RPC_TENANT, .net_id = 0x13, .tenant_id = "ttn"}, true, false},
        {{.subject = RPC_ANONYMOUS, .net_id = 0x13, .rights = ~UINT64_C(0)}, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        iam_view view = iam_view_of(&rows[i].who, 0x13);
        assert_int_equal(view.contacts, rows[i].contacts);
        assert_int_equal(view.secrets, rows[i].secrets);
    }
}

static void messages_show_what_the_view_allows(void **state)
{
    (void)state;
    const uint32_t represented[] = {0x15, 0x16};
    const iam_space space = {.net_id = 0x13, .represented = represented, .represented_count = 2};
    iam_member member = secret_member();
    Pb__V3__Network *all = iam_member_to_network(&member, &space, (iam_view){true, true}, &arena);
    assert_string_equal(all->administrative_contact->email, "a@x");
    assert_string_equal(all->target->basic_auth->password, "secret");
    assert_int_equal(all->target->n_origin_net_id_authentication, 1);
    assert_int_equal(all->delegated_net_id->value, 0x14);
    assert_int_equal(all->n_represents_net_ids, 2);
    assert_int_equal(all->represents_net_ids[1], 0x16);
    assert_int_equal(all->dev_addr_blocks[0]->prefix->length, 8);
    assert_string_equal(all->dev_addr_blocks[0]->home_network_cluster_id, "eu1");
    member.tenant_id = LPX_STR("ttn");
    Pb__V3__Tenant *some = iam_member_to_tenant(&member, (iam_view){false, false}, &arena);
    assert_null(some->administrative_contact);
    assert_null(some->technical_contact);
    assert_string_equal(some->target->address, "https://ns.example.com");
    assert_int_equal(some->target->default_authentication_case, PB__V3__TARGET__DEFAULT_AUTHENTICATION__NOT_SET);
    assert_int_equal(some->target->n_origin_net_id_authentication, 0);
    assert_string_equal(some->tenant_id, "ttn");
    assert_true(some->listed);
}

static void cleared_contacts_are_absent(void **state)
{
    (void)state;
    iam_member member = {.net_id = 0x13, .tech = {.url = LPX_STR("https://t")}};
    Pb__V3__Network *n = iam_member_to_network(&member, &plain_space, (iam_view){true, true}, &arena);
    assert_null(n->administrative_contact);
    assert_string_equal(n->technical_contact->url, "https://t");
    assert_string_equal(n->technical_contact->name, "");
    assert_null(n->target);
    assert_null(n->delegated_net_id);
}

static void short_memory_fails_every_answer(void **state)
{
    (void)state;
    iam_member member = secret_member();
    const uint32_t represented[] = {0x15};
    const iam_space space = {.net_id = 0x13, .represented = represented, .represented_count = 1};
    const iam_key key = {.key_id = LPX_STR("AAAAAAAAAAAAAAAA"), .rights = 1, .used = true};
    bool failed = false;
    bool made = false;
    for (size_t cap = 0; cap < 65536; cap += 16) {
        lpx_arena small;
        lpx_arena_init(&small, cap);
        bool n = iam_member_to_network(&member, &space, (iam_view){true, true}, &small) != NULL;
        bool t = iam_member_to_tenant(&member, (iam_view){true, true}, &small) != NULL;
        bool k = iam_key_to_message(&key, &small) != NULL;
        failed = failed || !n;
        made = made || (n && t && k);
        lpx_arena_fini(&small);
    }
    assert_true(failed && made);
}

/* API keys. */

static void rights_are_known_numbers(void **state)
{
    (void)state;
    lpx_note note;
    uint64_t mask;
    for (int right = -1; right < 70; right++) {
        bool known = right == 0 || right == 1 || (right >= 4 && right <= 14);
        Pb__V3__Right list[] = {PB__V3__RIGHT__READ_NETWORK, (Pb__V3__Right)right};
        lpx_err err = iam_rights_mask(list, 2, &mask, &note);
        assert_int_equal(err.code, known ? LPX_OK : LPX_INVALID_ARGUMENT);
        assert_true(!known || mask == (1U | UINT64_C(1) << right));
        assert_true(known || strncmp(note.text, "rights[1] is ", 13) == 0);
    }
    assert_ok(iam_rights_mask(NULL, 0, &mask, &note));
    assert_int_equal(mask, 0);
}

static void keys_get_rights_that_their_maker_may_give(void **state)
{
    (void)state;
    static const struct {
        rpc_principal who;
        uint64_t rights;
        const char *cluster;
        lpx_code code;
        const char *names;
    } rows[] = {
        {{.subject = RPC_ADMIN}, 1 << 5 | 1 << 6 | 1, "", LPX_OK, NULL},
        {{.subject = RPC_ANONYMOUS},
         1 | 1 << 1 | 1 << 4 | 1 << 7 | 1 << 8 | 1 << 9 | 7 << 10 | 3 << 13,
         "eu1",
         LPX_OK,
         NULL},
        {{.subject = RPC_ANONYMOUS}, 1 << 5, "", LPX_INVALID_ARGUMENT, "READ_ROUTE_TABLE"},
        {{.subject = RPC_ANONYMOUS}, 1 << 6, "", LPX_INVALID_ARGUMENT, "READ_TARGET_AUTH"},
        {{.subject = RPC_NETWORK, .rights = 1 | 1 << 10}, 1 << 10, "eu1", LPX_OK, NULL},
        {{.subject = RPC_NETWORK, .rights = 1 | 1 << 10}, 0, "", LPX_OK, NULL},
        {{.subject = RPC_NETWORK, .rights = 1 | 1 << 10}, 1 << 11, "", LPX_PERMISSION_DENIED, "WRITE_TRAFFIC"},
        {{.subject = RPC_NETWORK, .rights = 1, .cluster_id = "eu1"}, 1, "eu1", LPX_OK, NULL},
        {{.subject = RPC_NETWORK, .rights = 1, .cluster_id = "eu1"}, 1, "", LPX_PERMISSION_DENIED, "cluster_id"},
        {{.subject = RPC_NETWORK, .rights = 1, .cluster_id = "eu1"}, 1, "eu2", LPX_PERMISSION_DENIED, "cluster_id"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lpx_note note = {""};
        lpx_err err = iam_key_allowed(&rows[i].who, rows[i].rights, lpx_str_of(rows[i].cluster), &note);
        assert_int_equal(err.code, rows[i].code);
        assert_true(rows[i].names == NULL || strstr(note.text, rows[i].names) != NULL);
    }
}

static void strangers_wait(void **state)
{
    (void)state;
    assert_int_equal(iam_key_first_state(&(rpc_principal){.subject = RPC_ANONYMOUS}), IAM_KEY_REQUESTED);
    assert_int_equal(iam_key_first_state(&(rpc_principal){.subject = RPC_ADMIN}), IAM_KEY_APPROVED);
    assert_int_equal(iam_key_first_state(&(rpc_principal){.subject = RPC_NETWORK}), IAM_KEY_APPROVED);
}

static void secrets_are_printable_and_not_short(void **state)
{
    (void)state;
    lpx_note note;
    char text[IAM_SECRET_MAX_BYTES + 1];
    memset(text, '~', sizeof text);
    for (size_t len = 0; len <= sizeof text; len++) {
        bool ok = len >= IAM_SECRET_MIN_BYTES && len <= IAM_SECRET_MAX_BYTES;
        assert_int_equal(iam_secret_check((lpx_str){text, len}, &note).code, ok ? LPX_OK : LPX_INVALID_ARGUMENT);
    }
    for (int c = 1; c < 256; c++) {
        text[3] = (char)c;
        assert_int_equal(iam_secret_check((lpx_str){text, 9}, &note).code,
                         c > 0x20 && c < 0x7F ? LPX_OK : LPX_INVALID_ARGUMENT);
    }
}

static void key_filters_narrow_networks_to_their_own(void **state)
{
    (void)state;
    lpx_note note;
    iam_key_filter filter;
    const rpc_principal admin = {.subject = RPC_ADMIN};
    const rpc_principal network = {.subject = RPC_NETWORK, .net_id = 0x13};
    Pb__Iam__V2__ListNetworkAPIKeysRequest in = PB__IAM__V2__LIST_NETWORK_APIKEYS_REQUEST__INIT;
    assert_ok(iam_key_filter_of(&in, &admin, &filter, &note));
    assert_false(filter.has_net_id || filter.has_tenant_id || filter.has_cluster_id);
    assert_ok(iam_key_filter_of(&in, &network, &filter, &note));
    assert_true(filter.has_net_id && filter.net_id == 0x13);
    Google__Protobuf__UInt32Value net_id = GOOGLE__PROTOBUF__UINT32_VALUE__INIT;
    Google__Protobuf__StringValue text = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
    in.tenant_id = &text;
    in.cluster_id = &text;
    assert_ok(iam_key_filter_of(&in, &admin, &filter, &note));
    assert_true(filter.has_tenant_id && filter.has_cluster_id && !filter.has_net_id);
    in.net_id = &net_id;
    assert_reason(iam_key_filter_of(&in, &admin, &filter, &note), IAM_BAD_FILTER);
    assert_string_equal(note.text, "tenant_id is empty: leave it out, or name the tenant of the network.");
    in.tenant_id = NULL;
    net_id.value = 0x1000000;
    assert_reason(iam_key_filter_of(&in, &admin, &filter, &note), LW_NETID_INVALID);
}

static void keys_show_no_secret(void **state)
{
    (void)state;
    const iam_key key = {.key_id = LPX_STR("AAAAAAAAAAAAAAAA"),
                         .net_id = 0x13,
                         .tenant_id = LPX_STR("ttn"),
                         .cluster_id = LPX_STR("eu1"),
                         .rights = 1 | 1 << 14 | 1 << 4,
                         .state = IAM_KEY_REJECTED};
    Pb__V3__NetworkAPIKey *m = iam_key_to_message(&key, &arena);
    assert_string_equal(m->key, "");
    assert_string_equal(m->key_id, "AAAAAAAAAAAAAAAA");
    assert_int_equal(m->n_rights, 3);
    assert_int_equal(m->rights[1], 4);
    assert_int_equal(m->rights[2], 14);
    assert_int_equal(m->state, 2);
    assert_null(m->authenticated_at);
    iam_key used = key;
    used.used = true;
    used.authenticated_at = (lpx_utc){INT64_C(1600000000123456)};
    m = iam_key_to_message(&used, &arena);
    assert_int_equal(m->authenticated_at->seconds, 1600000000);
    assert_int_equal(m->authenticated_at->nanos, 123456000);
}

/* A bucket with an integer count of tokens in units of one microsecond of refill. */
static void bucket_like_a_counted_one(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        int64_t interval = 1 + (int64_t)(test_random() % 1000);
        uint32_t burst = 1 + test_random() % 10;
        int64_t level = interval * burst; /* full at first */
        int64_t now = 1000000 + (int64_t)(test_random() % 1000);
        int64_t full_at = 0;
        for (int i = 0; i < 200; i++) {
            int64_t step = (int64_t)(test_random() % (uint32_t)(2 * interval));
            now += step;
            level = level + step < interval * burst ? level + step : interval * burst;
            bool want = level >= interval;
            level -= want ? interval : 0;
            assert_int_equal(iam_bucket_take(&full_at, now, interval, burst), want);
        }
    }
}

static void bucket_survives_a_clock_that_goes_back(void **state)
{
    (void)state;
    int64_t full_at = 0;
    assert_true(iam_bucket_take(&full_at, INT64_C(1) << 50, 10, 2));
    assert_false(iam_bucket_take(&full_at, 1000, 10, 2)); /* counts as empty now … */
    assert_false(iam_bucket_take(&full_at, 1009, 10, 2));
    assert_true(iam_bucket_take(&full_at, 1010, 10, 2)); /* … and fills from there */
    assert_false(iam_bucket_take(&full_at, 1011, 10, 2));
}

int main(int argc, char **argv)
{
    test_seed = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 20260101;
    printf("seed %u\n", test_seed);
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(contains_like_the_naive_search),
        CASE(pages_have_a_default_and_a_cap),
        CASE(filters_are_joined_by_or),
        CASE(private_net_ids_need_the_setting),
        CASE(ids_are_checked_by_field),
        CASE(only_some_fields_are_open_to_some_callers),
        CASE(absent_wrappers_change_nothing),
        CASE(empty_wrappers_clear),
        CASE(full_wrappers_replace),
        CASE(new_members_take_every_field),
        CASE(long_and_unprintable_texts_are_refused),
        CASE(delegation_names_another_valid_network),
        CASE(blocks_are_clipped_normalised_and_kept_once),
        CASE(bad_blocks_are_named),
        CASE(too_many_blocks_are_refused),
        CASE(blocks_fit_like_ranges_of_addresses),
        CASE(spaces_know_their_addresses),
        CASE(targets_have_a_known_protocol_and_a_url),
        CASE(targets_name_valid_origins_and_are_not_huge),
        CASE(views_depend_on_the_caller),
        CASE(messages_show_what_the_view_allows),
        CASE(cleared_contacts_are_absent),
        CASE(short_memory_fails_every_answer),
        CASE(rights_are_known_numbers),
        CASE(keys_get_rights_that_their_maker_may_give),
        CASE(strangers_wait),
        CASE(secrets_are_printable_and_not_short),
        CASE(key_filters_narrow_networks_to_their_own),
        CASE(keys_show_no_secret),
        CASE(bucket_like_a_counted_one),
        CASE(bucket_survives_a_clock_that_goes_back),
    };
    int failed = cmocka_run_group_tests_name("iam_core", tests, NULL, NULL);
    failed += iam_token_core_tests();
    failed += iam_keyring_core_tests();
    return failed == 0 ? 0 : 1;
}
