/* Forms of output without an exchange: JSON and CSV beside tables, reports, traces, generated documentation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cli_report.h"
#include "cli/cli_test_world.h"
#include "cli/cli_trace.h"
#include "codec/json/json.h"
#include "lpx_reasons.h"

static const char *printed(cli *c)
{
    return cli_printf(c, "%.*s", (int)c->out.len, (const char *)c->out.ptr);
}

static const json_value *parsed(cli *c)
{
    const json_value *value = NULL;
    lpx_note note = {{0}};
    if (lpx_failed(json_parse(lpx_bytes_str(lpx_buf_view(&c->out)), &c->arena, &value, &note))) {
        fail_msg("%s: %s", printed(c), note.text);
    }
    return value;
}

/* ---- tables ---- */

static cli_table *sample_table(cli *c)
{
    static const char *const headers[] = {"NetID", "Full Name", NULL};
    const char *plain[] = {"000013", "a \"b\", c"}, *evil[] = {"000042", "x\033[2J\nnext"};
    cli_table *table = cli_table_new(c, headers);
    cli_table_row(table, NULL, plain);
    cli_table_row(table, NULL, evil);
    return table;
}

static void test_csv(void **state)
{
    cli c;
    (void)state;
    test_init(&c, "lpx");
    c.form = CLI_FORM_CSV;
    cli_table_print(&c, sample_table(&c));
    assert_string_equal(printed(&c), "NetID,Full Name\n000013,\"a \"\"b\"\", c\"\n000042,x?[2J?next\n");
    lpx_buf_clear(&c.out);
    cli_print_pairs(&c, (const char *[]){"Key ID", "A,B", "State", "", NULL});
    assert_string_equal(printed(&c), "Key ID,State\n\"A,B\",\n");
    test_fini(&c);
}

static void test_json(void **state)
{
    cli c;
    (void)state;
    test_init(&c, "lpx");
    c.form = CLI_FORM_JSON;
    cli_table_print(&c, sample_table(&c));
    const json_value *first = json_first(parsed(&c));
    assert_true(lpx_str_is(json_text(json_member(first, "full_name")), "a \"b\", c"));
    lpx_buf_clear(&c.out);
    cli_tables_print(&c, "one", sample_table(&c), "two", cli_table_new(&c, (const char *const[]){"A", NULL}));
    const json_value *both = parsed(&c);
    assert_int_equal(json_member(both, "one")->count, 2);
    assert_int_equal(json_member(both, "two")->count, 0);
    lpx_buf_clear(&c.out);
    cli_print_pairs(&c, (const char *[]){"Key ID", "A", NULL});
    assert_string_equal(printed(&c), "{\"key_id\":\"A\"}\n");
    test_fini(&c);
}

/* Text of others stays what it was, and steers no terminal. */
static void test_json_is_harmless(void **state)
{
    Pb__V3__Network n = PB__V3__NETWORK__INIT;
    cli c;
    (void)state;
    test_init(&c, "lpx");
    n.name = cli_printf(&c, "%s",
                        "a\033b\x7F\xC2\x9B"
                        "c\xC3\xA9");
    cli_print_json(&c, &n.base, false);
    for (size_t i = 0; i < c.out.len; i++) {
        assert_true(c.out.ptr[i] >= 0x20 || c.out.ptr[i] == '\n');
        assert_int_not_equal(c.out.ptr[i], 0x7F);
        assert_true(c.out.ptr[i] != 0xC2 || c.out.ptr[i + 1] >= 0xA0);
    }
    assert_true(lpx_str_is(json_text(json_member(parsed(&c), "name")), n.name));
    test_fini(&c);
}

static void test_secrets_stay_hidden(void **state)
{
    Pb__V3__Network n = PB__V3__NETWORK__INIT;
    Pb__V3__NetworkOrTenant entry = PB__V3__NETWORK_OR_TENANT__INIT;
    cli c;
    (void)state;
    test_init(&c, "lpx network create --target-protocol TS002_V1_0 --target-address https://user:topsecret@h");
    assert_false(lpx_failed(cli_target_apply(&c, "target", &n.target)));
    cli_line_find(&c.line, "target-address")->text = "https://user:othersecret@h";
    cli_line_find(&c.line, "target-origin-net-id")->text = "000009";
    cli_line_find(&c.line, "target-origin-net-id")->changed = true;
    assert_false(lpx_failed(cli_target_apply(&c, "target", &n.target)));
    entry.value_case = PB__V3__NETWORK_OR_TENANT__VALUE_NETWORK;
    entry.network = &n;
    cli_print_json(&c, &entry.base, true);
    assert_non_null(strstr(printed(&c), "topsecret"));
    assert_non_null(strstr(printed(&c), "othersecret"));
    lpx_buf_clear(&c.out);
    cli_print_json(&c, &entry.base, false);
    assert_null(strstr(printed(&c), "secret"));
    assert_non_null(strstr(printed(&c), "\"username\": \"user\""));
    test_fini(&c);
}

static void test_entity_csv(void **state)
{
    Pb__V3__Network n = PB__V3__NETWORK__INIT;
    cli c;
    (void)state;
    test_init(&c, "lpx network create --dev-addr-blocks 26AA0000/16=eu1,26011000/20");
    c.form = CLI_FORM_CSV;
    n.net_id = 0x13;
    n.dev_addr_blocks = cli_blocks_of(&c, cli_text(&c, "dev-addr-blocks"), &n.n_dev_addr_blocks);
    cli_show_network(&c, &n, false);
    assert_string_equal(printed(&c), "NetID,Authority,Name,Delegated NetID,Represents NetIDs,DevAddr Blocks\n"
                                     "000013,,,,,26AA0000/16=eu1 26011000/20\n");
    test_fini(&c);
}

static void test_join_server(void **state)
{
    Pb__V3__JoinServer s = PB__V3__JOIN_SERVER__INIT;
    Pb__V3__JoinServerFixedEndpoint fixed = PB__V3__JOIN_SERVER_FIXED_ENDPOINT__INIT;
    cli c;
    (void)state;
    test_init(&c, "lpx join-server create --join-eui-prefixes "
                  "EC656E0000000000/24,70B3D57ED0000000/36,0000000000000000/0");
    s.id = 3;
    s.name = cli_printf(&c, "JS");
    s.join_eui_prefixes = cli_eui_prefixes_of(&c, cli_text(&c, "join-eui-prefixes"), &s.n_join_eui_prefixes);
    assert_string_equal(cli_show_eui_prefixes(&c, s.join_eui_prefixes, s.n_join_eui_prefixes),
                        "EC656E0000000000/24, 70B3D57ED0000000/36, +1");
    assert_string_equal(cli_show_eui_prefixes(&c, s.join_eui_prefixes, 1), "EC656E0000000000/24");
    fixed.net_id = 0x13;
    s.resolver_case = PB__V3__JOIN_SERVER__RESOLVER_FIXED;
    s.fixed = &fixed;
    cli_show_join_server(&c, &s, false);
    assert_string_equal(printed(&c), "ID:                 3        \n"
                                     "Name:               JS       \n"
                                     "Listed:             No       \n"
                                     "Fixed NetID:        000013   \n"
                                     "Fixed Tenant ID:             \n"
                                     "Fixed Cluster ID:            \n"
                                     "\nJoinEUI Prefixes:\n"
                                     "EC656E0000000000/24\n70B3D57ED0000000/36\n0000000000000000/0\n");
    test_fini(&c);
}

static void test_durations(void **state)
{
    (void)state;
    assert_int_equal(cli_seconds_of("5s"), 5);
    assert_int_equal(cli_seconds_of("1m30s"), 90);
    assert_int_equal(cli_seconds_of("2h"), 7200);
    assert_int_equal(cli_hex_of("26AA0001"), 0x26AA0001);
    assert_int_equal(cli_hex_of(""), 0);
}

/* ---- reports ---- */

static const char columns[] =
    "date,forwarder_net_id,forwarder_tenant_id,forwarder_name,home_network_net_id,home_network_tenant_id,"
    "home_network_name,"
    "uplink_join_routed,uplink_join_processed_success,uplink_join_processed_error_duplicate_payload,"
    "uplink_join_processed_error_internal,uplink_join_processed_error_no_home_network_endpoints,"
    "uplink_join_processed_error_not_found,uplink_join_processed_error_routing_policy,"
    "uplink_join_processed_error_unknown,"
    "uplink_data_routed,uplink_data_processed_success,uplink_data_processed_error_duplicate_payload,"
    "uplink_data_processed_error_internal,uplink_data_processed_error_no_home_network_endpoints,"
    "uplink_data_processed_error_not_found,uplink_data_processed_error_routing_policy,"
    "uplink_data_processed_error_unknown,"
    "downlink_join_routed,downlink_join_processed_success,downlink_join_processed_error_collision_beacon,"
    "downlink_join_processed_error_collision_packet,downlink_join_processed_error_gateway_not_connected,"
    "downlink_join_processed_error_gps_unlocked,downlink_join_processed_error_internal,"
    "downlink_join_processed_error_routing_policy,downlink_join_processed_error_too_early,"
    "downlink_join_processed_error_too_late,downlink_join_processed_error_tx_frequency,"
    "downlink_join_processed_error_tx_power,downlink_join_processed_error_unknown,"
    "downlink_data_routed,downlink_data_processed_success,downlink_data_processed_error_collision_beacon,"
    "downlink_data_processed_error_collision_packet,downlink_data_processed_error_gateway_not_connected,"
    "downlink_data_processed_error_gps_unlocked,downlink_data_processed_error_internal,"
    "downlink_data_processed_error_routing_policy,downlink_data_processed_error_too_early,"
    "downlink_data_processed_error_too_late,downlink_data_processed_error_tx_frequency,"
    "downlink_data_processed_error_tx_power,downlink_data_processed_error_unknown\n";

typedef struct sample {
    report_record record;
    Google__Protobuf__Timestamp to;
    Pb__Reporting__V1__RoutedMessagesRecord__Uplink up;
    Pb__Reporting__V1__RoutedMessagesRecord__Uplink__ErrorCount not_found, *up_errors[1];
    Pb__Reporting__V1__RoutedMessagesRecord__Downlink down;
    Pb__Reporting__V1__RoutedMessagesRecord__Downlink__ErrorCount too_late, *down_errors[1];
    char tenant[8];
} sample;

static void make_sample(sample *s, int64_t day)
{
    pb__reporting__v1__routed_messages_record__init(&s->record);
    google__protobuf__timestamp__init(&s->to);
    pb__reporting__v1__routed_messages_record__uplink__init(&s->up);
    pb__reporting__v1__routed_messages_record__downlink__init(&s->down);
    pb__reporting__v1__routed_messages_record__uplink__error_count__init(&s->not_found);
    pb__reporting__v1__routed_messages_record__downlink__error_count__init(&s->too_late);
    memcpy(s->tenant, "ten", 4);
    s->to.seconds = day * 86400;
    s->record.to = &s->to;
    s->record.forwarder_net_id = 0x13;
    s->record.home_network_net_id = 0x42;
    s->record.home_network_tenant_id = s->tenant;
    s->record.uplink = &s->up;
    s->record.downlink = &s->down;
    s->up.join_requests_routed_count = 1;
    s->up.data_messages_routed_count = 99;
    s->up.data_messages_processed_success_count = 50;
    s->not_found.error_type = PB__V3__UPLINK_MESSAGE_PROCESSING_ERROR__NOT_FOUND;
    s->not_found.count = 7;
    s->up_errors[0] = &s->not_found;
    s->up.data_messages_processed_error_count = s->up_errors;
    s->up.n_data_messages_processed_error_count = 1;
    s->down.data_messages_routed_count = 4;
    s->down.data_messages_processed_success_count = 3;
    s->too_late.error_type = PB__V3__DOWNLINK_MESSAGE_PROCESSING_ERROR__TOO_LATE;
    s->too_late.count = 1;
    s->down_errors[0] = &s->too_late;
    s->down.data_messages_processed_error_count = s->down_errors;
    s->down.n_data_messages_processed_error_count = 1;
}

/* A catalog with one network and one tenant. */
static void make_names(cli *c, cli_report *r)
{
    Pb__V3__NetworkOrTenant *network = cli_new(c, &pb__v3__network_or_tenant__descriptor);
    Pb__V3__NetworkOrTenant *tenant = cli_new(c, &pb__v3__network_or_tenant__descriptor);
    network->value_case = PB__V3__NETWORK_OR_TENANT__VALUE_NETWORK;
    network->network = cli_new(c, &pb__v3__network__descriptor);
    network->network->net_id = 0x13;
    network->network->name = cli_printf(c, "%s", "For\"warder, Inc");
    tenant->value_case = PB__V3__NETWORK_OR_TENANT__VALUE_TENANT;
    tenant->tenant = cli_new(c, &pb__v3__tenant__descriptor);
    tenant->tenant->net_id = 0x42;
    tenant->tenant->tenant_id = cli_printf(c, "ten");
    tenant->tenant->name = cli_printf(c, "Ten\033ant");
    r->members.items = cli_get(c, 2 * sizeof *r->members.items);
    r->members.items[0] = &tenant->base;
    r->members.items[1] = &network->base;
    r->members.count = 2;
    cli_report_sort_members(r);
}

static void test_report_csv(void **state)
{
    sample s;
    report_record *records[] = {&s.record};
    cli_report r = {.records = records, .count = 1};
    cli c;
    (void)state;
    test_init(&c, "lpx");
    make_sample(&s, 19874); /* 2024-05-31 */
    make_names(&c, &r);
    cli_report_csv(&c, &r, &c.out);
    assert_string_equal(printed(&c), cli_printf(&c,
                                                "%s2024-05-31,000013,,\"For\"\"warder, Inc\",000042,ten,Ten?ant,"
                                                "1,0,0,0,0,0,0,0,99,50,0,0,0,7,0,0,"
                                                "0,0,0,0,0,0,0,0,0,0,0,0,0,4,3,0,0,0,0,0,0,0,1,0,0,0\n",
                                                columns));
    s.record.uplink = NULL; /* what never comes, and would not harm */
    s.record.downlink = NULL;
    lpx_buf_clear(&c.out);
    cli_report_csv(&c, &r, &c.out);
    assert_non_null(strstr(printed(&c), "ten,Ten?ant,0,0,0"));
    test_fini(&c);
}

static void test_report_dot(void **state)
{
    sample may, june;
    report_record *records[] = {&may.record, &june.record};
    cli_report r = {.records = records, .count = 2};
    cli c;
    (void)state;
    test_init(&c, "lpx");
    make_sample(&may, 19874);
    make_sample(&june, 19904);
    make_names(&c, &r);
    cli_report_dot(&c, &r, &c.out);
    const char *text = printed(&c);
    assert_non_null(strstr(text, "digraph {\n  rankdir=LR;\n"));
    assert_non_null(strstr(text, "subgraph cluster_000013 {\n    label=\"000013 For\\\"warder, Inc\";"));
    assert_non_null(strstr(text, "\"000042/ten\" [label=\"Ten?ant\"];"));
    /* both months together: 100 of 200 up, 6 of 8 down */
    assert_non_null(strstr(text, "\"000013\" -> \"000042/ten\" [label=\"↑ 100 (50%)\\n↓ 6 (75%)\", penwidth=2.16];"));
    assert_null(strstr(strstr(text, " -> ") + 4, " -> "));
    FILE *dot = access("/usr/bin/dot", X_OK) == 0 ? popen("dot -Tsvg >/dev/null", "w") : NULL;
    if (dot != NULL) {
        (void)fputs(text, dot);
        assert_int_equal(pclose(dot), 0);
    }
    test_fini(&c);
}

/* ---- traces ---- */

static void test_trace(void **state)
{
    Lpx__Trace__V1__Trace *t = NULL;
    Lpx__Trace__V1__Step *steps[2];
    cli c;
    (void)state;
    test_init(&c, "lpx");
    t = cli_new(&c, &lpx__trace__v1__trace__descriptor);
    t->id = cli_printf(&c, "ID\0331");
    t->kind = LPX__TRACE__V1__KIND__DATA;
    t->dev_addr = 0x26AA0001;
    t->f_port = 5;
    t->time = cli_new(&c, &google__protobuf__timestamp__descriptor);
    t->time->seconds = 1700000000;
    t->time->nanos = 123000000;
    t->forwarder = cli_new(&c, &lpx__trace__v1__endpoint__descriptor);
    t->forwarder->net_id = 0x13;
    t->forwarder->tenant_id = cli_printf(&c, "ten");
    t->forwarder->cluster_id = cli_printf(&c, "eu1");
    for (size_t i = 0; i < 2; i++) {
        steps[i] = cli_new(&c, &lpx__trace__v1__step__descriptor);
        steps[i]->time = cli_new(&c, &google__protobuf__timestamp__descriptor);
        steps[i]->time->seconds = 1700000000;
        steps[i]->time->nanos = 123000000 + (int32_t)i * 1500000;
        steps[i]->home_network = cli_new(&c, &lpx__trace__v1__endpoint__descriptor);
        steps[i]->home_network->net_id = 0x42;
    }
    steps[0]->event = cli_printf(&c, "routed");
    steps[0]->route = cli_printf(&c, "devaddr_block");
    steps[0]->policy = cli_printf(&c, "forwarder_default");
    steps[0]->copies = 2;
    steps[1]->event = cli_printf(&c, "dropped");
    steps[1]->reason = cli_printf(&c, "queue_full");
    steps[1]->text = cli_printf(&c, "The subscriber is slow.");
    t->steps = steps;
    t->n_steps = 2;
    cli_traces_print(&c, &t, 1);
    const char *text = printed(&c);
    assert_non_null(strstr(text, "2023-11-14T22:13:20.123Z  ID?1  data uplink, DevAddr 26AA0001, FPort 5  from "
                                 "000013/ten@eu1\n"));
    assert_non_null(strstr(text, "+0.0 ms    routed"));
    assert_non_null(strstr(text, "devaddr_block, policy forwarder_default, 2 copies\n"));
    assert_non_null(strstr(text, "+1.5 ms  ! dropped"));
    assert_non_null(strstr(text, "The subscriber is slow.\n"));
    assert_null(strchr(text, '\033'));
    lpx_buf_clear(&c.out);
    c.form = CLI_FORM_CSV;
    cli_traces_print(&c, &t, 1);
    text = printed(&c);
    assert_non_null(strstr(text, "dropped,1.500,000042,,,0,0,,queue_full,The subscriber is slow.\n"));
    test_fini(&c);
}

/* ---- documentation ---- */

/* The script goes through the shell's own check, when the shell is here. */
static void check_syntax(const char *shell, const char *script)
{
    char command[64];
    (void)snprintf(command, sizeof command, "command -v %s >/dev/null", shell);
    if (system(command) != 0) { /* NOLINT: fixed text */
        return;
    }
    FILE *file = fopen("script", "w");
    assert_non_null(file);
    (void)fputs(script, file);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(command, sizeof command, "%s -n script", shell);
    assert_int_equal(system(command), 0);
    assert_int_equal(unlink("script"), 0);
}

static void test_completion(void **state)
{
    (void)state;
    static const char *const programs[] = {"lpx", "pbadmin", "pbctl", "pbpub"}, *const shells[] = {"bash", "zsh",
                                                                                                   "fish"};
    for (size_t p = 0; p < 4; p++) {
        for (size_t i = 0; i < 3; i++) {
            char line[64];
            (void)snprintf(line, sizeof line, "%s completion %s", programs[p], shells[i]);
            test_result r = test_run(line);
            assert_int_equal(r.status, 0);
            assert_null(strstr(r.out, "%"
                                      "s"));
            check_syntax(shells[i], r.out);
        }
    }
    test_result r = test_run("lpx completion bash");
    assert_non_null(strstr(r.out, "\"network tenant update\") words=\"target --net-id"));
    assert_non_null(strstr(r.out, "\"network/tnt\") word=tenant ;;"));
    assert_non_null(strstr(r.out, "--state) known=\"REQUESTED APPROVED REJECTED\" ;;"));
    assert_null(strstr(r.out, "hugodoc"));
}

/* What bash offers for a line that ends in the last word. */
static const char *offered(const char *words)
{
    static char out[4096];
    char command[512];
    (void)snprintf(command, sizeof command,
                   "bash -c '. ./script; COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _lpx_complete; "
                   "echo \"${COMPREPLY[*]}\"'",
                   words);
    FILE *bash = popen(command, "r");
    assert_non_null(bash);
    out[fread(out, 1, sizeof out - 1, bash)] = 0;
    assert_int_equal(pclose(bash), 0);
    return out;
}

static void write_script(const char *line)
{
    test_result r = test_run(line);
    FILE *file = fopen("script", "w");
    assert_non_null(file);
    (void)fputs(r.out, file);
    assert_int_equal(fclose(file), 0);
}

static void test_bash_offers(void **state)
{
    (void)state;
    write_script("lpx completion bash");
    assert_string_equal(offered("lpx netw"), "network\n");
    assert_string_equal(offered("lpx n t upd"), "update\n");
    assert_string_equal(offered("lpx network apikey create --rig"), "--rights\n");
    assert_string_equal(offered("lpx network apikey create --rights READ_TRAFFIC,READ_REP"),
                        "READ_TRAFFIC,READ_REPORT\n");
    assert_string_equal(offered("lpx report routedmsgs -f sv"), "svg\n");
    assert_int_equal(unlink("script"), 0);
}

/* Run a command for its output; NULL when the shell is not here. */
static const char *told(const char *shell, const char *command)
{
    static char out[4096];
    char check[64];
    (void)snprintf(check, sizeof check, "command -v %s >/dev/null", shell);
    if (system(check) != 0) { /* NOLINT: fixed text */
        return NULL;
    }
    FILE *file = popen(command, "r");
    assert_non_null(file);
    out[fread(out, 1, sizeof out - 1, file)] = 0;
    assert_int_equal(pclose(file), 0);
    return out;
}

static void test_fish_offers(void **state)
{
    (void)state;
    write_script("lpx completion fish");
    const char *out = told("fish", "fish -c 'source script; complete -C \"lpx netw\"; complete -C \"lpx n t upd\"; "
                                   "complete -C \"lpx network apikey update-state --state APP\"'");
    if (out != NULL) {
        assert_string_equal(out, "network\tManage networks, their tenants and API keys\nupdate\tUpdate a tenant\n"
                                 "APPROVED\tREQUESTED, APPROVED or REJECTED\n");
    }
    assert_int_equal(unlink("script"), 0);
}

/* The functions of zsh's own that the script calls only print here what they are given. */
static void test_zsh_offers(void **state)
{
    (void)state;
    write_script("lpx completion zsh");
    const char *out = told("zsh", "zsh -fc 'compdef(){ :; }; compset(){ :; }; _describe(){ print -l -- $found; }; "
                                  "compadd(){ shift; print -- $@; }; source ./script; "
                                  "words=(lpx n t \"\"); CURRENT=4; _lpx | head -n 1; "
                                  "words=(lpx n keys update-state --state \"\"); CURRENT=6; _lpx'");
    if (out != NULL) {
        assert_string_equal(out, "list:List tenants of a network\nREQUESTED APPROVED REJECTED\n");
    }
    assert_int_equal(unlink("script"), 0);
}

static bool contains(const char *path, const char *wanted)
{
    static char text[200000];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    (void)fclose(file);
    return strstr(text, wanted) != NULL;
}

static void test_documentation(void **state)
{
    (void)state;
    assert_int_equal(test_run("lpx gen man --out pages").status, 0);
    assert_true(contains("pages/lpx.1", "\\fB\\-\\-iam\\-address\\fR \\fITEXT\\fR"));
    assert_true(contains("pages/lpx-network.1", ".SS \"lpx network tenant update target\"\n"));
    assert_true(contains("pages/lpx-call.1", "$ lpx call NetworkRegistry/GetNetwork"));
    assert_int_equal(access("pages/lpx-gen.1", F_OK), -1);
    if (system("command -v mandoc >/dev/null") == 0) { /* NOLINT: fixed text */
        assert_int_equal(system("mandoc -T lint -W error pages/*.1 >/dev/null"), 0);
    }
    assert_int_equal(test_run("pbctl gen hugodoc --out pages").status, 0);
    assert_true(contains("pages/pbctl_policy_set.md", "title: \"pbctl policy set\""));
    assert_true(contains("pages/pbctl_policy.md", "pbctl_policy_set.md"));
    assert_int_equal(test_run("pbadmin gen tree --out tree.json").status, 0);
    cli c;
    test_init(&c, "lpx");
    lpx_str text;
    assert_false(lpx_failed(cli_read_file(&c, "tree.json", 1 << 20, &text)));
    lpx_buf_add_str(&c.out, text);
    const json_value *tree = parsed(&c), *below = json_member(tree, "commands");
    assert_true(lpx_str_is(json_text(json_member(tree, "name")), "pbadmin"));
    assert_true(lpx_str_is(json_text(json_member(json_first(below), "name")), "network"));
    assert_true(json_member(json_first(below), "commands")->count >= 8);
    test_fini(&c);
    assert_int_equal(system("rm -r pages tree.json"), 0); /* NOLINT: fixed text */
}

/* ---- methods ---- */

static void test_call(void **state)
{
    (void)state;
    test_result r = test_run("lpx call");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "lpx.trace.v1.Tracer/GetTrace"));
    assert_null(strstr(r.out, "Subscribe"));
    r = test_run("lpx call --template SetDefaultPolicy");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "\"joinRequest\": false"));
    assert_non_null(strstr(r.out, "\"forwarderNetId\": 0"));
}

static int enter_folder(void **state)
{
    char *folder = strdup("/tmp/lpx-cli-XXXXXX");
    *state = folder;
    return folder != NULL && mkdtemp(folder) != NULL ? chdir(folder) : -1;
}

static int leave_folder(void **state)
{
    int status = chdir("/") == 0 ? rmdir(*state) : -1;
    free(*state);
    return status;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_is_harmless),
        cmocka_unit_test(test_secrets_stay_hidden),
        cmocka_unit_test(test_entity_csv),
        cmocka_unit_test(test_join_server),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_report_csv),
        cmocka_unit_test(test_report_dot),
        cmocka_unit_test(test_trace),
        cmocka_unit_test_setup_teardown(test_completion, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(test_bash_offers, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(test_fish_offers, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(test_zsh_offers, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(test_documentation, enter_folder, leave_folder),
        cmocka_unit_test(test_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
