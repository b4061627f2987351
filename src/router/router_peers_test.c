/* Other exchanges: the file that names them, what they get, for whom they may speak, and what the core hands over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "router/router_core.h"
#include "router/router_peers.h"

/* ---- the file ---- */

static char file[] = "/tmp/router_peers.XXXXXX", secret[] = "/tmp/router_secret.XXXXXX";

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fputs(text, out) >= 0, 1);
    assert_int_equal(fclose(out), 0);
}

static int make_files(void **state)
{
    (void)state;
    int a = mkstemp(file), b = mkstemp(secret);
    assert_true(a >= 0 && b >= 0);
    (void)close(a);
    (void)close(b);
    write_file(secret, "very secret\n");
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    (void)unlink(file);
    (void)unlink(secret);
    return 0;
}

/* One peer with all that it must have, then more. */
static lpx_err read_with(const char *more, router_peers **out, lpx_note *note)
{
    char text[2000];
    (void)snprintf(text, sizeof text,
                   "peers:\n"
                   "  - name: west\n"
                   "    address: '[::1]:1900'\n"
                   "    token-url: https://west.example.org/token\n"
                   "    client-id: ID\n"
                   "    client-secret-file: %s\n"
                   "%s",
                   secret, more);
    write_file(file, text);
    *note = (lpx_note){""};
    return router_peers_read(file, out, note);
}

static void a_file_says_it_all(void **state)
{
    (void)state;
    router_peers *peers;
    lpx_note note;
    lpx_err err = read_with("    key-id: KEY\n"
                            "    uplinks: [C00053, 26000000/8, 26010000/16]\n"
                            "    join-requests: [EC656E0000000000/24]\n"
                            "    forwarders: [000013]\n"
                            "    speaks-for: [000042, 000043]\n",
                            &peers, &note);
    if (lpx_failed(err)) {
        fail_msg("%s", note.text);
    }
    assert_int_equal(peers->count, 1);
    const router_peer *west = &peers->list[0];
    assert_string_equal(west->name, "west");
    assert_string_equal(west->host, "::1");
    assert_string_equal(west->client_secret, "very secret");
    assert_null(west->ca_file);
    assert_int_equal(router_peers_by_key(peers, "KEY"), 0);
    assert_int_equal(router_peers_by_key(peers, ""), ROUTER_NO_PEER);
    assert_int_equal(router_peers_by_key(peers, "OTHER"), ROUTER_NO_PEER);
    const router_peer_addrs *at = router_peer_for_address(&peers->routes, 0x26010203);
    assert_true(at != NULL && at->prefix.length == 16);
    at = router_peer_for_address(&peers->routes, 0xfc014c01); /* C00053: type 6, NwkID 053 */
    assert_true(at != NULL && at->net_id == 0xC00053);
    assert_null(router_peer_for_address(&peers->routes, 0x28000000));
    assert_int_equal(router_peer_for_join(&peers->routes, UINT64_C(0xEC656EFF00000000)), 0);
    assert_int_equal(router_peer_for_join(&peers->routes, 1), ROUTER_NO_PEER);
    assert_int_equal(router_peer_for_forwarder(&peers->routes, 0x13), 0);
    assert_int_equal(router_peer_for_forwarder(&peers->routes, 0x42), ROUTER_NO_PEER);
    assert_true(router_peer_speaks_for(west, 0x42, true) && router_peer_speaks_for(west, 0x43, true));
    assert_false(router_peer_speaks_for(west, 0x13, true));
    assert_true(router_peer_speaks_for(west, 0x13, false));
    router_peers_free(&peers);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    const struct {
        const char *more, *says;
    } rows[] = {{"    adress: x\n", "line 7: \"adress\" is no setting of a peer"},
                {"    uplinks: [C0]\n", "line 7: uplinks"},
                {"    uplinks: [26000000/33]\n", "line 7: uplinks"},
                {"    join-requests: [EC65/8]\n", "line 7: join-requests"},
                {"    ca-file: [x]\n", "is no setting of a peer"},
                {"  - name: east\n", "peer east needs name, address"},
                {"other: 1\n", "line 7: a list \"peers\""}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        router_peers *peers = NULL;
        lpx_note note;
        assert_true(lpx_failed(read_with(rows[i].more, &peers, &note)));
        assert_null(peers);
        if (strstr(note.text, rows[i].says) == NULL) {
            fail_msg("%s: %s", rows[i].says, note.text);
        }
    }
    router_peers *peers = NULL;
    lpx_note note = {""};
    assert_true(lpx_failed(router_peers_read("/nowhere/at/all", &peers, &note)));
    assert_non_null(strstr(note.text, "/nowhere/at/all"));
}

static void who_was_heard_is_forgotten_in_time(void **state)
{
    (void)state;
    router_peers *peers;
    lpx_note note;
    assert_false(lpx_failed(read_with("", &peers, &note)));
    const lpx_mono start = {1000};
    router_peers_hear(peers, 7, 3, start);
    assert_int_equal(router_peers_heard(peers, 7, (lpx_mono){start.us + ROUTER_HEARD_US - 1}), 3);
    assert_int_equal(router_peers_heard(peers, 7, (lpx_mono){start.us + ROUTER_HEARD_US}), ROUTER_NO_PEER);
    assert_int_equal(router_peers_heard(peers, 7 + ROUTER_HEARD_SLOTS, start), ROUTER_NO_PEER);
    router_peers_hear(peers, 7 + ROUTER_HEARD_SLOTS, 1, start); /* takes the place */
    assert_int_equal(router_peers_heard(peers, 7, start), ROUTER_NO_PEER);
    router_peers_free(&peers);
}

/* ---- the core ---- */

static const router_peer_addrs addrs[] = {{{0x26000000, 8}, 0x42, 1}};
static const router_peer_joins joins[] = {{{UINT64_C(0xEC656E0000000000), 24}, 2}};
static const router_peer_net forwarders[] = {{0x55, 0}, {0x13, 0}};
static const router_peer_routes routes = {.addrs = addrs,
                                          .addrs_count = 1,
                                          .joins = joins,
                                          .joins_count = 1,
                                          .forwarders = forwarders,
                                          .forwarders_count = 2};

typedef struct scene {
    router_tables *tables;
    router_dir *dir;
    lpx_arena arena;
    router_effects effects;
} scene;

static void open_scene(scene *s)
{
    static const uint32_t members[] = {0x99, 0x13};
    static const router_block_row block = {.owner = {.net_id = 0x99}, .prefix = 0x26010000, .length = 16};
    static const router_policy_row policy = {
        .forwarder = {.net_id = 0x13}, .home = {.net_id = 0x42}, .policy = {ROUTER_UP_APPLICATION_DATA, 0}};
    router_rows rows = {.blocks = &block,
                        .block_count = 1,
                        .policies = &policy,
                        .policy_count = 1,
                        .members = members,
                        .member_count = 2,
                        .peers = &routes,
                        .default_open = true,
                        .seed = 1};
    *s = (scene){.tables = router_tables_new(&rows), .dir = router_dir_new(1)};
    assert_true(s->tables != NULL && s->dir != NULL);
    lpx_arena_init(&s->arena, 1 << 20);
}

static void close_scene(scene *s)
{
    router_tables_unref(&s->tables);
    router_dir_free(&s->dir);
    lpx_arena_fini(&s->arena);
}

/* @return number of the peer that gets it plus 1, 0: none */
static uint32_t route_up(scene *s, router_uplink uplink)
{
    s->effects = (router_effects){.arena = &s->arena};
    assert_false(lpx_failed(router_route_uplink(s->tables, s->dir, &uplink, &s->effects)));
    assert_int_equal(s->effects.outcome_count, 1);
    const traffic_outcome *o = &s->effects.outcomes[0];
    assert_int_equal(o->delivered, s->effects.hand_over.to > 0);
    assert_true(!o->delivered || (o->route == TRAFFIC_ROUTE_PEER && o->copies == 1));
    return s->effects.hand_over.to;
}

static void uplinks_that_nobody_has_are_handed_over(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    router_uplink data = {.forwarder = {.net_id = 0x13},
                          .kind = TRAFFIC_DATA,
                          .dev_addr = 0x26020000,
                          .f_port = 1,
                          .has_metadata = true,
                          .has_localization = true};
    assert_int_equal(route_up(&s, data), 2);
    assert_int_equal(s.effects.outcomes[0].home.net_id, 0x42);
    assert_int_equal(s.effects.hand_over.strip, ROUTER_STRIP_LOCALIZATION | ROUTER_STRIP_TEASER);
    data.came_by = 2; /* never back */
    assert_int_equal(route_up(&s, data), 0);
    assert_int_equal(s.effects.outcomes[0].drop, TRAFFIC_DROP_NO_ROUTE);
    data.came_by = 1;
    assert_int_equal(route_up(&s, data), 2);
    data.f_port = 0; /* the policy toward that network says no */
    assert_int_equal(route_up(&s, data), 0);
    assert_int_equal(s.effects.outcomes[0].drop, TRAFFIC_DROP_POLICY);
    data.dev_addr = 0x26010000; /* somebody's here, who is not there now */
    assert_int_equal(route_up(&s, data), 0);
    assert_int_equal(s.effects.outcomes[0].drop, TRAFFIC_DROP_NO_ENDPOINT);
    data.dev_addr = 0x27000000;
    assert_int_equal(route_up(&s, data), 0);
    const router_uplink join = {
        .forwarder = {.net_id = 0x13}, .kind = TRAFFIC_JOIN, .join_eui = UINT64_C(0xEC656E0000000001)};
    assert_int_equal(route_up(&s, join), 3);
    close_scene(&s);
}

static uint32_t route_down(scene *s, uint32_t forwarder, uint32_t heard_by, uint32_t came_by)
{
    const router_downlink down = {.home = {.net_id = 0x99},
                                  .forwarder = {.net_id = forwarder},
                                  .kind = TRAFFIC_DATA,
                                  .heard_by = heard_by,
                                  .came_by = came_by};
    s->effects = (router_effects){.arena = &s->arena};
    assert_false(lpx_failed(router_route_downlink(s->tables, s->dir, &down, &s->effects)));
    assert_int_equal(s->effects.outcome_count, 1);
    return s->effects.hand_over.to;
}

static void downlinks_go_where_the_forwarder_was_heard(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    assert_int_equal(route_down(&s, 0x55, 0, 0), 1); /* by the file */
    assert_int_equal(route_down(&s, 0x55, 3, 0), 3); /* heard through another */
    assert_int_equal(route_down(&s, 0x56, 3, 0), 3);
    assert_int_equal(route_down(&s, 0x56, 3, 3), 0); /* never back */
    assert_int_equal(s.effects.outcomes[0].drop, TRAFFIC_DROP_NO_ENDPOINT);
    assert_int_equal(route_down(&s, 0x56, 0, 0), 0);
    assert_int_equal(route_down(&s, 0x13, 3, 0), 0); /* a member here, whatever the file says */
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_says_it_all),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(who_was_heard_is_forgotten_in_time),
        cmocka_unit_test(uplinks_that_nobody_has_are_handed_over),
        cmocka_unit_test(downlinks_go_where_the_forwarder_was_heard),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
