/* The command line without an exchange: words and flags, forms of values, settings, tables, help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cli_latency.h"
#include "cli/cli_test_world.h"
#include "cli/cli_uplink.h"
#include "lpx_reasons.h"

/* ---- words and flags ---- */

static const char *path_of(const char *command_line)
{
    static char path[200];
    cli c;
    lpx_buf out;
    test_init(&c, command_line);
    lpx_buf_init(&out, sizeof path - 1);
    cli_help_path(c.program, &c.line, &out);
    (void)snprintf(path, sizeof path, "%.*s", (int)out.len, (const char *)out.ptr);
    lpx_buf_fini(&out);
    test_fini(&c);
    return path;
}

static void test_paths(void **state)
{
    (void)state;
    assert_string_equal(path_of("lpx"), "lpx");
    assert_string_equal(path_of("/usr/bin/lpx n ls"), "lpx network list");
    assert_string_equal(path_of("lpx nwks t up target --net-id 000013 --tenant-id abc"),
                        "lpx network tenant update target");
    assert_string_equal(path_of("lpx network keys rm --key-id X"), "lpx network apikey delete");
    assert_string_equal(path_of("lpx --iam-address a:1 -d network --insecure create"), "lpx network create");
    assert_string_equal(path_of("/opt/pbadmin"), "pbadmin");
    assert_string_equal(path_of("pbadmin networks tnts list"), "pbadmin network tenant list");
    assert_string_equal(path_of("pbctl po --forwarder-net-id 000013 ns --net-id 000001"), "pbctl policy networks");
    assert_string_equal(path_of("pbsub --group x"), "pbsub");
    assert_string_equal(path_of("pbpub"), "pbpub");
    assert_string_equal(path_of("anything-else sub"), "lpx sub");
}

static void test_flag_forms(void **state)
{
    (void)state;
    cli c;
    test_init(&c, "lpx policy --forwarder-net-id=000013 set --defaults --set-uplink JMASL --set-downlink=JMA "
                  "--iam-address one --iam-address two");
    assert_int_equal(cli_net_id_of(cli_text(&c, "forwarder-net-id")), 0x13);
    assert_true(cli_on(&c, "defaults"));
    assert_string_equal(cli_text(&c, "set-uplink"), "JMASL");
    assert_string_equal(cli_text(&c, "set-downlink"), "JMA");
    assert_string_equal(cli_text(&c, "iam-address"), "two");
    assert_true(cli_changed(&c, "defaults"));
    assert_false(cli_changed(&c, "insecure"));
    assert_string_equal(cli_text(&c, "router-address"), "127.0.0.1:1900");
    assert_string_equal(cli_text(&c, "no-such-flag"), "");
    test_fini(&c);
    test_init(&c, "lpx network update --listed=false --dev-addr-blocks ''");
    assert_true(cli_changed(&c, "listed"));
    assert_false(cli_on(&c, "listed"));
    assert_true(cli_changed(&c, "dev-addr-blocks"));
    assert_string_equal(cli_text(&c, "dev-addr-blocks"), "");
    test_fini(&c);
    test_init(&c, "lpx policy set --set-downlink --JMA -d"); /* a value may begin with dashes */
    assert_string_equal(cli_text(&c, "set-downlink"), "--JMA");
    assert_true(cli_on(&c, "debug"));
    test_fini(&c);
    test_init(&c, "lpx replay --limit 5 -- --strange-name");
    assert_int_equal(c.line.arg_count, 1);
    assert_string_equal(c.line.args[0], "--strange-name");
    assert_int_equal(cli_number(&c, "limit"), 5);
    test_fini(&c);
}

static void assert_ends(const char *command_line, int status, const char *because)
{
    test_result r = test_run(command_line);
    if (r.status != status || strstr(r.err, because) == NULL || r.out[0] != 0) {
        fail_msg("%s: status %d, out \"%s\", err \"%s\", want \"%s\"", command_line, r.status, r.out, r.err, because);
    }
}

static void assert_refused(const char *command_line, const char *because)
{
    bool drop_in = strncmp(command_line, "lpx", 3) != 0; /* the existing clients know 1 alone */
    assert_ends(command_line, drop_in ? CLI_EXIT_FAILED : CLI_EXIT_USAGE, because);
}

/* A command line, and what its refusal says. */
static const char *const refusals[][2] = {
    {"pbctl policy set --defaults --set-uplink X", "--forwarder-net-id"}, /* X passes, as it always did */
    {"pbadmin netwrok", "did you mean network"},
    {"pbsub --forwarder-net-id 000000", "no role"},
    {"lpx netwrok list", "did you mean network"},
    {"lpx network lst", "did you mean list"},
    {"lpx frobnicate", "see its --help"},
    {"lpx network list extra", "takes no argument"},
    {"lpx network list --nmae-contains x", "did you mean --name-contains"},
    {"lpx network list --xyzzy", "unknown flag --xyzzy"},
    {"lpx network list --defaults", "unknown flag --defaults"},
    {"lpx network create --net-id", "--net-id wants a value: --net-id NETID"},
    {"lpx network create --net-id 13", "6 hex digits"},
    {"lpx network create --net-id 00001G", "6 hex digits"},
    {"lpx network create --dev-addr-blocks 26011000/33", "length of 0 to 32"},
    {"lpx network create --dev-addr-blocks 2601100/20", "8 hex digits"},
    {"lpx network create --dev-addr-blocks 26011000=eu1", "8 hex digits"},
    {"lpx network create --dev-addr-blocks 26011000/20,", "no comma at the end"},
    {"lpx network apikey create --rights READ_NETWROK", "did you mean READ_NETWORK"},
    {"lpx network apikey update-state --state APROVED", "REQUESTED, APPROVED, REJECTED"},
    {"lpx network update target --protocol GRPC", "one of TS002_V1_0, TS002_V1_1"},
    {"lpx pub --message-type uplink", "want message or message-delivery-state"},
    {"lpx network create --listed=maybe", "true or false"},
    {"lpx replay --rate 0 x", "above 0"},
    {"lpx replay --rate 1.2.3 x", "above 0"},
    {"lpx replay --limit -1 x", "whole number"},
    {"lpx replay x --in-flight 0 --forwarder-net-id 000013", "1 to 65536"},
    {"lpx replay x --speed 2 --rate 3 --forwarder-net-id 000013", "not both"},
    {"lpx replay --forwarder-net-id 000013", "one file"},
    {"lpx pub", "no role"},
    {"lpx policy set --forwarder-net-id 000013 --defaults --set-uplink JX", "\"X\" means nothing"},
    {"lpx gateway-visibility set --forwarder-net-id 000013 --defaults --set LoXx", "\"Xx\" means nothing"},
    {"lpx gateway-visibility set --forwarder-net-id 000013 --defaults --set LoA", "\"A\" means nothing"},
    {"lpx gateway-visibility get", "--forwarder-net-id"},
    {"lpx gateway-visibility get --forwarder-net-id 000013", "--defaults"},
    {"lpx join-server create --fixed-net-id 000013 --lookup-protocol TS002_V1_0", "not both"},
    {"lpx join-server create --join-eui-prefixes EC656E/24", "16 hex digits"},
    {"lpx join-server create --join-eui-prefixes EC656E0000000000/65", "0 to 64"},
    {"lpx join-server get --id x", "whole number"},
    {"lpx catalog networks", "--net-id"},
    {"lpx settings set --net-id 000013 --allow-forwarders 13", "NETID/TENANT"},
    {"lpx settings set --net-id 000013 --copies-window 5", "want a duration"},
    {"lpx authority set --net-id 000013", "--authority"},
    {"lpx network list --output xml", "want table, json or csv"},
    {"lpx report routed-messages --net-id 000013", "of which time"},
    {"lpx report routed-messages --net-id 000013 --today --last-30d", "of which time"},
    {"lpx report routed-messages --today --net-id 000013 --forwarder-net-id 000014", "any role"},
    {"lpx report routed-messages --from 2024-13", "want a month"},
    {"lpx report routed-messages --from 2024-05 --to 2024-04", "later than"},
    {"lpx report routed-messages --from 2024-05 --to 2024-06 -f svg", "--output-file"},
    {"lpx report routed-messages --today -f gif", "want json, csv, dot, png, svg, pdf or ps"},
    {"lpx trace", "want the id"},
    {"lpx trace --live --recent --net-id 000013", "want the id"},
    {"lpx trace --live", "--net-id"},
    {"lpx test uplink --forwarder-net-id 000013", "--dev-addr"},
    {"lpx test uplink --forwarder-net-id 000013 --dev-addr 1234", "8 hex digits"},
    {"lpx test uplink --forwarder-net-id 000013 --join-eui 0000000000000001", "--dev-eui"},
    {"lpx test downlink --home-network-net-id 000013", "--forwarder-net-id"},
    {"lpx gateway update --forwarder-net-id 000013", "--gateway-id"},
    {"lpx gateway update --forwarder-net-id 000013 --gateway-id x --latitude 1", "go together"},
    {"lpx gateway list --latitude 1 --longitude 2", "go together"},
    {"lpx gateway list --latitude 1x", "want a number"},
    {"lpx call NetworkRegistry/GetNetwrk", "did you mean"},
    {"lpx call ListAPIKeys", "more than one method"},
    {"lpx call GetNetwork {\"netID\":1}", "perhaps netId"},
    {"lpx call GetNetwork {} {}", "at most one"},
    {"lpx gen man", "--out"},
    {"lpx completion tcsh", "want bash, zsh or fish"},
    {"lpx pub --home-network-net-id 000013", "--forwarder-net-id too"},
    {"lpx policy set --defaults", "--forwarder-net-id"},
    {"lpx policy get --forwarder-net-id 000013", "--home-network-net-id"},
    {"lpx policy networks --tenant-id abc", "--net-id"},
    {"lpx demo --rate 1000", "at most 100"},
    {"lpx network update --net-id 000013", "nothing to update"},
    {"pbadmin policy list", "unknown command \"policy\""},
    {"lpx network create --target-protocol TS002_V1_0 --target-address example.com", "is no URL"},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        assert_refused(refusals[i][0], refusals[i][1]);
    }
    assert_ends("lpx replay /nonexistent/x.gz --forwarder-net-id 000013", CLI_EXIT_FAILED,
                "cannot open /nonexistent/x.gz");
}

/* ---- settings ---- */

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static const char *setting(const char *command_line, const char *name)
{
    static char text[200];
    cli c;
    test_init(&c, command_line);
    if (lpx_failed(cli_settings_load(&c))) {
        fail_msg("%s: %s", command_line, c.why);
    }
    (void)snprintf(text, sizeof text, "%s", cli_text(&c, name));
    test_fini(&c);
    return text;
}

/* A working directory of one's own, with a home directory in it. */
static int enter_folder(void **state)
{
    char *folder = strdup("/tmp/lpx-cli-test-XXXXXX");
    *state = folder;
    return folder == NULL || mkdtemp(folder) == NULL || chdir(folder) != 0 || mkdir("home", 0700) != 0 ||
           mkdir("data", 0700) != 0;
}

static int leave_folder(void **state)
{
    static const char *const files[] = {".pb.yaml",    "home/.pb.yaml",   "other.yaml",
                                        "data/ca.pem", "data/admin.yaml", "data/.pb.yaml",
                                        "broken.yaml", "uplinks.jsonl",   NULL};
    for (size_t i = 0; files[i] != NULL; i++) {
        (void)unlink(files[i]);
    }
    int bad = rmdir("home") | rmdir("data") | chdir("/") | rmdir(*state);
    free(*state);
    test_set_env(NULL);
    return bad;
}

static void test_precedence(void **state)
{
    static const char *const home_only[] = {"HOME=home", "LPX_DATA_DIR=data", NULL};
    static const char *const with_env[] = {"HOME=home",     "LPX_DATA_DIR=data", "PB_ROUTER_ADDRESS=from-env:1",
                                           "PB_CLIENT_ID=", "PB_INSECURE=true",  NULL};
    (void)state;
    test_set_env(home_only);
    assert_string_equal(setting("lpx network list", "router-address"), "127.0.0.1:1900");
    assert_string_equal(setting("pbadmin network list", "token-url"), "https://127.0.0.1:1901/token");
    write_text("home/.pb.yaml", "router-address: from-home:1\nclient-id: HOMEKEY\n");
    assert_string_equal(setting("lpx network list", "router-address"), "from-home:1");
    write_text(".pb.yaml", "router-address: from-file:1\nclient-id: 'FILEKEY'\ninsecure: false\n");
    assert_string_equal(setting("lpx network list", "router-address"), "from-file:1");
    assert_string_equal(setting("lpx sub", "client-id"), "FILEKEY");
    test_set_env(with_env);
    assert_string_equal(setting("lpx network list", "router-address"), "from-env:1");
    assert_string_equal(setting("lpx network list", "client-id"), "FILEKEY"); /* an empty variable is none */
    assert_string_equal(setting("pbpub", "insecure"), "true");
    assert_string_equal(setting("lpx network list --router-address flag:1", "router-address"), "flag:1");
    assert_string_equal(setting("lpx network list --insecure=false", "insecure"), "false");
    write_text("other.yaml", "client-id: OTHERKEY\n");
    assert_string_equal(setting("lpx network list --config other.yaml", "client-id"), "OTHERKEY");
}

static void test_bad_settings(void **state)
{
    static const char *const env[] = {"HOME=home", "LPX_DATA_DIR=data", "PB_INSECURE=perhaps", NULL};
    (void)state;
    test_set_env(env);
    assert_refused("lpx policy networks --net-id 000013", "the environment variable PB_INSECURE: want true or false");
    test_set_env(env + 3);
    write_text("broken.yaml", "client-id: [\n");
    test_result r = test_run("lpx pub --config broken.yaml");
    assert_non_null(strstr(r.err, "broken.yaml is ignored"));
    r = test_run("lpx pub --config missing.yaml");
    assert_non_null(strstr(r.err, "missing.yaml"));
    assert_non_null(strstr(r.err, "going on without it"));
}

static void test_local_exchange(void **state)
{
    static const char *const env[] = {"HOME=home", "LPX_DATA_DIR=data", NULL};
    cli c;
    (void)state;
    test_set_env(env);
    write_text("data/ca.pem", "x");
    write_text("data/admin.yaml", "iam-username: admin\niam-password: secret\n");
    test_init(&c, "lpx network list");
    assert_false(lpx_failed(cli_settings_load(&c)));
    assert_string_equal(c.local_ca_file, "data/ca.pem");
    assert_string_equal(c.local_username, "admin");
    assert_string_equal(c.local_password, "secret");
    test_fini(&c);
    test_init(&c, "lpx network list --client-id X"); /* somebody who says who he is, is not made administrator */
    assert_false(lpx_failed(cli_settings_load(&c)));
    assert_null(c.local_username);
    test_fini(&c);
}

static void test_save(void **state)
{
    static const char *const env[] = {"HOME=home", "LPX_DATA_DIR=data", NULL};
    const cli_setting settings[] = {{"client-id", "2222222222222222"}, {"client-secret", "it's: #secret"}};
    struct stat st;
    cli c;
    (void)state;
    test_set_env(env);
    write_text(".pb.yaml", "iam-address: here:1\nclient-id: OLD\n");
    test_init(&c, "lpx network list");
    assert_false(lpx_failed(cli_settings_load(&c)));
    assert_false(lpx_failed(cli_settings_save(&c, settings, 2)));
    test_fini(&c);
    assert_int_equal(stat(".pb.yaml", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_string_equal(setting("lpx network list", "iam-address"), "here:1");
    assert_string_equal(setting("lpx network list", "client-id"), "2222222222222222");
    assert_string_equal(setting("lpx network list", "client-secret"), "it's: #secret");
    test_init(&c, "lpx network list --config /nonexistent/.pb.yaml");
    c.config_file = "/nonexistent/.pb.yaml";
    assert_true(lpx_failed(cli_settings_save(&c, settings, 2)));
    assert_non_null(strstr(c.why, "cannot write /nonexistent/.pb.yaml"));
    test_fini(&c);
}

static void test_read_limit(void **state)
{
    cli c;
    lpx_str text;
    (void)state;
    write_text("other.yaml", "12345678");
    test_init(&c, "lpx");
    assert_false(lpx_failed(cli_read_file(&c, "other.yaml", 8, &text)));
    assert_true(lpx_str_is(text, "12345678"));
    assert_true(lpx_failed(cli_read_file(&c, "other.yaml", 7, &text)));
    assert_non_null(strstr(c.why, "too long"));
    test_fini(&c);
}

/* ---- values ---- */

static void test_blocks(void **state)
{
    cli c;
    size_t count = 0;
    (void)state;
    test_init(&c, "lpx");
    Pb__V3__DevAddrBlock **b = cli_blocks_of(&c, "26011000/20=eu1,26012000/8,26AA0000/16=eu-2.example", &count);
    assert_int_equal(count, 3);
    assert_int_equal(b[0]->prefix->value, 0x26011000);
    assert_int_equal(b[0]->prefix->length, 20);
    assert_string_equal(b[0]->home_network_cluster_id, "eu1");
    assert_string_equal(b[1]->home_network_cluster_id, "");
    assert_int_equal(b[1]->prefix->length, 8);
    assert_string_equal(cli_show_blocks(&c, b, count), "26011000/20 (eu1), +2");
    assert_string_equal(cli_show_blocks(&c, b + 1, 1), "26012000/8");
    assert_string_equal(cli_show_blocks(&c, b, 0), "");
    b = cli_blocks_merge(&c, b, &count, "26012000/8=eu3,27000000/8", "26011000/20");
    assert_int_equal(count, 3);
    assert_string_equal(b[0]->home_network_cluster_id, "eu3"); /* the same prefix: replaced in its place */
    assert_int_equal(b[1]->prefix->value, 0x26AA0000);
    assert_int_equal(b[2]->prefix->value, 0x27000000);
    (void)cli_blocks_of(&c, "", &count);
    assert_int_equal(count, 0);
    test_fini(&c);
}

static void test_rights_and_policies(void **state)
{
    cli c;
    size_t count = 0;
    (void)state;
    test_init(&c, "lpx");
    Pb__V3__Right *rights = cli_rights_of(&c, "WRITE_TRAFFIC,READ_NETWORK,READ_TRAFFIC", &count);
    assert_int_equal(count, 3);
    assert_int_equal(rights[0], 11);
    assert_int_equal(rights[1], 0);
    assert_string_equal(cli_show_rights(&c, rights, count), "READ_NETWORK,READ_TRAFFIC,WRITE_TRAFFIC");
    rights[0] = (Pb__V3__Right)99;
    assert_string_equal(cli_show_rights(&c, rights, 1), "99");
    Pb__V3__RoutingPolicy__Uplink *up = cli_uplink_policy_of(&c, "JS");
    assert_true(up->join_request && up->signal_quality);
    assert_false(up->mac_data || up->application_data || up->localization);
    Pb__V3__RoutingPolicy__Downlink *down = cli_downlink_policy_of(&c, "--JMA");
    assert_true(down->join_accept && down->mac_data && down->application_data);
    test_fini(&c);
}

static void test_endpoints(void **state)
{
    cli c;
    (void)state;
    test_init(&c, "lpx sub --home-network-tenant-id abc");
    cli_endpoint e = cli_endpoint_of(&c, "home-network");
    assert_true(cli_endpoint_is_empty(&e)); /* a tenant without its NetID */
    test_fini(&c);
    test_init(&c, "lpx sub --home-network-net-id 000000 --home-network-tenant-id abc --home-network-cluster-id eu1");
    e = cli_endpoint_of(&c, "home-network");
    assert_false(cli_endpoint_is_empty(&e));
    assert_string_equal(e.cluster_id, "eu1");
    test_fini(&c);
}

static Pb__V3__Target *target_of(cli *c, const char *command_line)
{
    Pb__V3__Target *target = NULL;
    test_init(c, command_line);
    if (lpx_failed(cli_target_apply(c, "target", &target))) {
        fail_msg("%s: %s", command_line, c->why);
    }
    return target;
}

static void test_targets(void **state)
{
    cli c;
    (void)state;
    assert_null(target_of(&c, "lpx network create --target-address https://example.com"));
    test_fini(&c);
    Pb__V3__Target *t = target_of(&c, "lpx network create --target-protocol TS002_V1_1 --target-hns-path /hns "
                                      "--target-address https://us%40er:p%3Ass@example.com:8886/path?x=a@b");
    assert_int_equal(t->protocol, PB__V3__PROTOCOL__TS002_V1_1);
    assert_string_equal(t->address, "https://example.com:8886/path?x=a@b");
    assert_int_equal(t->default_authentication_case, PB__V3__TARGET__DEFAULT_AUTHENTICATION_BASIC_AUTH);
    assert_string_equal(t->basic_auth->username, "us@er");
    assert_string_equal(t->basic_auth->password, "p:ss");
    assert_string_equal(t->h_ns_path, "/hns");
    assert_string_equal(cli_show_target(&c, t),
                        "TS002_V1_1: https://example.com:8886/path?x=a@b (with HTTP basic auth)");
    test_fini(&c);
    /* a token of the exchange goes before a user in the URL */
    t = target_of(&c,
                  "lpx network create --target-protocol TS002_V1_0 --target-address https://u:p@h --target-pb-token");
    assert_int_equal(t->default_authentication_case, PB__V3__TARGET__DEFAULT_AUTHENTICATION_PB_TOKEN_AUTH);
    assert_string_equal(t->address, "https://h");
    test_fini(&c);
    t = target_of(&c, "lpx network create --target-protocol TS002_V1_0 --target-address https://h "
                      "--target-authorization 'Custom x' --target-origin-net-id 000009");
    assert_int_equal(t->default_authentication_case, PB__V3__TARGET__DEFAULT_AUTHENTICATION__NOT_SET);
    assert_int_equal(t->n_origin_net_id_authentication, 1);
    assert_int_equal(t->origin_net_id_authentication[0]->key, 9);
    assert_string_equal(cli_show_target(&c, t), "TS002_V1_0: https://h (+1 with custom origin)");
    Pb__V3__Target *again = t;
    cli_line_find(&c.line, "target-authorization")->text = "";
    assert_false(lpx_failed(cli_target_apply(&c, "target", &again))); /* without authentication: removed */
    assert_int_equal(t->n_origin_net_id_authentication, 0);
    test_fini(&c);
}

static void test_since(void **state)
{
    Google__Protobuf__Timestamp then = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    cli c;
    (void)state;
    test_init(&c, "lpx");
    then.seconds = 1000;
    assert_string_equal(cli_show_since(&c, NULL, 0), "never");
    assert_string_equal(cli_show_since(&c, &then, 1000 * 1000000LL), "0s");
    assert_string_equal(cli_show_since(&c, &then, 999 * 1000000LL), "0s");
    assert_string_equal(cli_show_since(&c, &then, 1061 * 1000000LL), "1m1s");
    assert_string_equal(cli_show_since(&c, &then, (1000 + 90061) * 1000000LL), "25h1m1s");
    test_fini(&c);
}

/* ---- printing ---- */

static const char *printed(cli *c)
{
    return cli_printf(c, "%.*s", (int)c->out.len, (const char *)c->out.ptr);
}

static void test_table(void **state)
{
    static const char *const headers[] = {"NetID", "Name", "Listed", NULL};
    const char *first[] = {"000013", "Müller ▲", "Yes"}, *second[] = {"000042", "", "No"};
    cli c;
    (void)state;
    test_init(&c, "lpx");
    cli_table *table = cli_table_new(&c, headers);
    cli_table_row(table, NULL, first);
    cli_table_row(table, NULL, second);
    cli_table_print(&c, table);
    assert_string_equal(printed(&c), "NetID    Name       Listed   \n"
                                     "000013   Müller ▲   Yes      \n"
                                     "000042              No       \n");
    test_fini(&c);
}

static void test_control_characters(void **state)
{
    static const char *const headers[] = {"Name", NULL};
    const char *evil[] = {"a\033[2Jb\nc\x7f\xC2\x9B"
                          "d\xC3\xA9"},
               *pairs[] = {"Key", "x\ny\033", NULL};
    cli c;
    (void)state;
    test_init(&c, "lpx");
    cli_table *table = cli_table_new(&c, headers);
    cli_table_row(table, NULL, evil);
    cli_table_print(&c, table);
    assert_string_equal(printed(&c), "Name           \na?[2Jb?c??d\xC3\xA9   \n");
    lpx_buf_clear(&c.out);
    cli_print_pairs(&c, pairs);
    assert_string_equal(printed(&c), "Key:   x\ny?   \n");
    test_fini(&c);
}

static void test_big_table(void **state)
{
    static const char *const headers[] = {"A", NULL};
    const char *cell[] = {"x"};
    cli c;
    (void)state;
    test_init(&c, "lpx");
    cli_table *table = cli_table_new(&c, headers);
    for (size_t i = 0; i < 1000; i++) {
        cli_table_row(table, NULL, cell);
    }
    cli_table_print(&c, table);
    assert_int_equal(c.out.len, 1001 * 5);
    test_fini(&c);
}

static void test_terminal_table(void **state)
{
    static const char *const headers[] = {"NetID", "", "Name", NULL};
    const char *row[] = {"000013", "x", "a name"};
    cli_world world;
    cli c;
    (void)state;
    test_init(&c, "lpx");
    world = *c.world;
    world.out_is_terminal = true;
    c.world = &world;
    cli_table *table = cli_table_new(&c, headers);
    cli_table_row(table, NULL, row);
    cli_table_print(&c, table);
    assert_non_null(strstr(printed(&c), "NetID"));
    assert_non_null(strstr(printed(&c), "a name"));
    test_fini(&c);
}

static void test_network(void **state)
{
    Pb__V3__Network n = PB__V3__NETWORK__INIT;
    Google__Protobuf__UInt32Value delegated = GOOGLE__PROTOBUF__UINT32_VALUE__INIT;
    uint32_t represents[] = {0x13, 0x42};
    cli c;
    (void)state;
    test_init(&c, "lpx network create --dev-addr-blocks 26AA0000/16=eu1,26011000/20 --target-protocol TS002_V1_0 "
                  "--target-address https://user:secret@h --admin-name Ann");
    n.net_id = 0x13;
    n.name = cli_printf(&c, "Name");
    delegated.value = 0xC00042;
    n.delegated_net_id = &delegated;
    n.represents_net_ids = represents;
    n.n_represents_net_ids = 2;
    n.administrative_contact = cli_contact_of(&c, "admin");
    n.dev_addr_blocks = cli_blocks_of(&c, cli_text(&c, "dev-addr-blocks"), &n.n_dev_addr_blocks);
    assert_false(lpx_failed(cli_target_apply(&c, "target", &n.target)));
    cli_show_network(&c, &n, false);
    assert_string_equal(printed(&c), "NetID:                 000013           \n"
                                     "Authority:                              \n"
                                     "Name:                  Name             \n"
                                     "Delegated NetID:       C00042           \n"
                                     "Represents NetIDs:     000013, 000042   \n"
                                     "Administrator Name:    Ann              \n"
                                     "Administrator Email:                    \n"
                                     "Administrator URL:                      \n"
                                     "Target Protocol:       TS002_V1_0       \n"
                                     "Target Address:        https://h        \n"
                                     "Target fNS Path:                        \n"
                                     "Target sNS Path:                        \n"
                                     "Target hNS Path:                        \n"
                                     "\nTarget Authorization\n"
                                     "Basic username:   user   \n"
                                     "\nDevAddr Blocks:\n"
                                     "26011000/20         \n"
                                     "26AA0000/16   eu1   \n");
    lpx_buf_clear(&c.out);
    cli_show_network(&c, &n, true);
    assert_non_null(strstr(printed(&c), "Basic password:   secret"));
    test_fini(&c);
}

static void test_policies(void **state)
{
    Pb__V3__RoutingPolicy p = PB__V3__ROUTING_POLICY__INIT;
    ProtobufCMessage *only = &p.base;
    const cli_items list = {.items = &only, .count = 1};
    cli c;
    (void)state;
    test_init(&c, "lpx");
    p.forwarder_net_id = 0x13;
    p.uplink = cli_uplink_policy_of(&c, "JAL");
    p.downlink = cli_downlink_policy_of(&c, "M");
    cli_show_policies(&c, true, &list);
    assert_string_equal(printed(&c), "Forwarder      J   M   A   S   L   J   M   A   \n"
                                     "000013         ▲       ▲       ▲       ▼       \n");
    lpx_buf_clear(&c.out);
    p.uplink = NULL;
    p.home_network_net_id = 0x42;
    p.home_network_tenant_id = cli_printf(&c, "ten");
    cli_show_policies(&c, false, &list);
    assert_string_equal(printed(&c), "Forwarder      Home Network         J   M   A   S   L   J   M   A   \n"
                                     "000013         000042         ten                           ▼       \n");
    test_fini(&c);
}

/* ---- help ---- */

/* Help of a command and of all below it renders, names what it should and has no leftover placeholder. */
static size_t check_help(const char *program, const cli_command *root)
{
    const cli_command *const *next[CLI_MAX_DEPTH + 1];
    cli_line line = {.path = {root}, .depth = 1};
    size_t count = 0;
    cli c;
    test_init(&c, program);
    next[0] = root->below;
    while (line.depth > 0) {
        const cli_command *const **at = &next[line.depth - 1];
        if (*at == NULL || **at == NULL) {
            line.depth--;
            continue;
        }
        assert_in_range(line.depth, 1, CLI_MAX_DEPTH - 1);
        line.path[line.depth++] = **at;
        (*at)++;
        const cli_command *command = line.path[line.depth - 1];
        next[line.depth - 1] = command->below;
        lpx_buf_clear(&c.out);
        cli_help(&c, &line, &c.out);
        assert_false(lpx_buf_failed(&c.out));
        const char *text = printed(&c);
        assert_non_null(strstr(text, command->about != NULL ? command->about : command->brief));
        assert_non_null(strstr(text, "--help"));
        assert_non_null(strstr(text, "Usage:"));
        assert_null(strchr(text, '%'));
        if (command->run != NULL) {
            assert_non_null(command->examples);
            assert_non_null(strstr(text, "Examples:"));
        }
        count++;
    }
    test_fini(&c);
    return count;
}

static void test_help_of_all(void **state)
{
    const char *name = NULL;
    (void)state;
    assert_in_range(check_help("lpx", cli_program("lpx", &name)), 30, 200);
    assert_in_range(check_help("pbadmin", cli_program("pbadmin", &name)), 20, 200);
    assert_in_range(check_help("pbctl", cli_program("pbctl", &name)), 6, 200);
}

static void test_help_runs(void **state)
{
    (void)state;
    test_result r = test_run("lpx");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "network"));
    r = test_run("lpx network tenant");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "tenants, tnt, tnts, t"));
    r = test_run("lpx policy set --help");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "$ lpx policy set --forwarder-net-id"));
    r = test_run("pbctl policy set -h");
    assert_non_null(strstr(r.out, "$ pbctl policy set --forwarder-net-id"));
    assert_null(strstr(r.out, "--router-address"));
    r = test_run("lpx help network up target");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "lpx network update target"));
    r = test_run("pbpub --help");
    assert_non_null(strstr(r.out, "$ pbpub --forwarder-net-id 000013 < uplink.json"));
    assert_refused("lpx help network sett", "did you mean");
    r = test_run("lpx --version");
    assert_int_equal(r.status, 0);
    assert_memory_equal(r.out, "lpx ", 4);
    r = test_run("lpx network list --no-such --help"); /* a mistake elsewhere hides no help... */
    assert_int_equal(r.status, CLI_EXIT_USAGE);
    r = test_run("lpx network list --help --no-such");
    assert_int_equal(r.status, 0);
}

/* ---- latencies and uplinks ---- */

static int compare_int64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void test_latency(void **state)
{
    enum { COUNT = 5000 };
    static int64_t values[COUNT];
    static const double parts[] = {0.0002, 0.1, 0.5, 0.9, 0.99, 0.999, 1};
    cli_latency *h = calloc(1, sizeof *h);
    unsigned seed = 12345;
    (void)state;
    assert_non_null(h);
    assert_int_equal(cli_latency_quantile(h, 0.5), 0);
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = (int64_t)(rand_r(&seed) % (1 << (i % 24)));
        cli_latency_add(h, values[i]);
    }
    qsort(values, COUNT, sizeof *values, compare_int64);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t rank = (size_t)(parts[i] * COUNT + 0.999999);
        int64_t exact = values[rank > 0 ? rank - 1 : 0], got = cli_latency_quantile(h, parts[i]);
        if (got < exact || got > exact + exact / 25) {
            fail_msg("part %f: got %lld, exact %lld (seed 12345)", parts[i], (long long)got, (long long)exact);
        }
    }
    cli_latency_add(h, INT64_MAX / 2);
    assert_int_equal(h->max_us, INT64_MAX / 2);
    assert_int_equal(cli_latency_quantile(h, 1), INT64_MAX / 2);
    free(h);
}

static void test_uplink(void **state)
{
    static const uint8_t frame[] = {0x40, 0x44, 0x33, 0x22, 0x11, 0x01, 0x01, 0x00,
                                    0x42, 0x01, 0x42, 0x01, 0x02, 0x03, 0x04};
    static const uint8_t hash[] = {0x76, 0x9f, 0xce, 0x31};
    lpx_arena arena;
    Pb__V3__UplinkMessage *m = NULL;
    lpx_note note = {{0}};
    (void)state;
    lpx_arena_init(&arena, 1 << 16);
    cli_reception r = {.phy = lpx_bytes_of(frame, sizeof frame),
                       .gateway_id = "gw",
                       .has_location = true,
                       .latitude = 45,
                       .rssi_dbm = -100,
                       .snr_db = 5,
                       .frequency_hz = 868100000,
                       .spreading_factor = 7,
                       .bandwidth_hz = 125000,
                       .gateway_us = 1000001,
                       .token = {(const uint8_t *)"abc", 3}};
    assert_false(lpx_failed(cli_uplink_make(&r, &arena, &m, &note)));
    assert_memory_equal(m->phy_payload->teaser->hash.data, hash, sizeof hash);
    assert_int_equal(m->phy_payload->teaser->mac->dev_addr, 0x11223344);
    assert_int_equal(m->gateway_receive_time->seconds, 1);
    assert_int_equal(m->gateway_receive_time->nanos, 1000);
    assert_int_equal(m->data_rate->lora->spreading_factor, 7);
    assert_true(m->gateway_metadata->plain_localization->terrestrial->antennas[0]->location->latitude == 45);
    assert_true(m->gateway_metadata->plain_signal_quality->terrestrial->antennas[0]->value->snr == 5);
    size_t size = protobuf_c_message_get_packed_size(&m->base);
    uint8_t *packed = malloc(size);
    assert_non_null(packed);
    assert_int_equal(protobuf_c_message_pack(&m->base, packed), size);
    free(packed);
    r.phy.len = 5;
    assert_true(lpx_failed(cli_uplink_make(&r, &arena, &m, &note)));
    assert_true(note.text[0] != 0);
    lpx_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_flag_forms),
        cmocka_unit_test_setup_teardown(test_refusals, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(test_precedence, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(test_bad_settings, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(test_local_exchange, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(test_save, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(test_read_limit, enter_folder, leave_folder),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_rights_and_policies),
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_since),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_big_table),
        cmocka_unit_test(test_terminal_table),
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_help_of_all),
        cmocka_unit_test(test_help_runs),
        cmocka_unit_test(test_latency),
        cmocka_unit_test(test_uplink),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
