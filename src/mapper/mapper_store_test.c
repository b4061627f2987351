/* The mapper's method and its statements on a real store: mapper_store_test sqlite, or mapper_store_test postgres with
 * a server's URL in LPX_TEST_POSTGRES_URL (tools/with_postgres.sh). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lpx_reasons.h"
#include "mapper/mapper_priv.h"
#include "store/store_test_kit.h"

typedef struct fixture {
    kit *k;
    lpx_arena arena;
    mapper self; /* enough of one for its method */
    lpx_utc now;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    void *k = NULL;
    kit_setup(&k);
    f->k = k;
    f->now = (lpx_utc){INT64_C(1767323045000000)};
    f->self.opts.store = f->k->store;
    f->self.opts.max_gateways = 100000;
    pthread_mutex_init(&f->self.full_lock, NULL);
    mapper_rpc_init(&f->self);
    lpx_arena_init(&f->arena, 64 << 20);
    kit_exec(f->k->store, "INSERT INTO networks (net_id, created_at, updated_at) VALUES (19, 1, 1), (66, 1, 1)");
    kit_exec(f->k->store, "INSERT INTO tenants (net_id, tenant_id, created_at, updated_at) VALUES (19, 'ttn', 1, 1)");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    void *k = f->k;
    lpx_arena_fini(&f->arena);
    pthread_mutex_destroy(&f->self.full_lock);
    free(f);
    return kit_teardown(&k);
}

/* ---- jobs ---- */

typedef struct work {
    store_job job;
    fixture *f;
    lpx_err (*run)(store_tx *tx, struct work *work);
    rpc_txn txn;
    mapper_feed after;
    mapper_row rows[MAPPER_PAGE_ROWS];
    size_t count;
    mapper_grants *grants;
    int64_t removed;
    bool flag;
} work;

static lpx_err run_work(store_tx *tx, store_job *job)
{
    work *w = LPX_CONTAINER(job, work, job);
    return w->run(tx, w);
}

static lpx_err run(fixture *f, work *w, lpx_err (*body)(store_tx *tx, work *work))
{
    w->job = (store_job){.work = run_work, .write = true};
    w->f = f;
    w->run = body;
    return store_run(f->k->store, &w->job);
}

static lpx_err call(store_tx *tx, work *w)
{
    return w->f->self.methods[0].txn(tx, &w->txn);
}

static lpx_err page(store_tx *tx, work *w)
{
    return mapper_store_page(tx, &w->after, &w->f->arena, w->rows, &w->count);
}

static lpx_err grants(store_tx *tx, work *w)
{
    return mapper_store_grants(tx, &w->grants);
}

static lpx_err sweep(store_tx *tx, work *w)
{
    return mapper_store_remove_before(tx, w->f->now, &w->removed);
}

static lpx_err purge(store_tx *tx, work *w)
{
    return mapper_store_remove_forwarder(tx, w->after.forwarder, &w->flag);
}

/* Tell of a gateway by plain id, or by its EUI alone. */
static lpx_err tell(fixture *f, uint32_t net_id, const char *tenant, const char *plain, uint64_t eui)
{
    work *w = calloc(1, sizeof *w);
    Pb__Mapping__V2__UpdateGatewayRequest request;
    Pb__V3__GatewayIdentifier id;
    Google__Protobuf__UInt64Value number;
    assert_non_null(w);
    pb__mapping__v2__update_gateway_request__init(&request);
    pb__v3__gateway_identifier__init(&id);
    google__protobuf__uint64_value__init(&number);
    number.value = eui;
    id.eui = &number;
    if (plain != NULL) {
        id.id_case = PB__V3__GATEWAY_IDENTIFIER__ID_PLAIN;
        id.plain = lpx_arena_cstr(&f->arena, lpx_str_of(plain));
    }
    request.forwarder_net_id = net_id;
    request.forwarder_tenant_id = lpx_arena_cstr(&f->arena, lpx_str_of(tenant));
    request.forwarder_gateway_id = &id;
    f->now.us++;
    w->txn = (rpc_txn){.request = &request.base, .arena = &f->arena, .now = f->now, .service = &f->self};
    lpx_err err = run(f, w, call);
    free(w);
    return err;
}

/* ---- tests ---- */

static void pages_of_changes(void **state)
{
    fixture *f = *state;
    enum { MANY = MAPPER_PAGE_ROWS + 7 };
    work *w = calloc(1, sizeof *w);
    assert_non_null(w);
    char sql[256];
    for (unsigned i = 0; i < MANY; i++) { /* all at one time: the keys decide */
        (void)snprintf(sql, sizeof sql,
                       "INSERT INTO gateways (forwarder_net_id, forwarder_tenant_id, gateway_key, gateway, updated_at) "
                       "VALUES (19, 'ttn', 'gateway-%05u', '', 5)",
                       i);
        kit_exec(f->k->store, sql);
    }
    w->after = (mapper_feed){.updated_at = {4}, .forwarder.tenant_id = LPX_STR(""), .key = LPX_STR("")};
    assert_ok(run(f, w, page));
    assert_int_equal(w->count, MAPPER_PAGE_ROWS);
    assert_true(lpx_str_is(w->rows[0].key, "gateway-00000") && (w->rows[0].known & MAPPER_GONE) != 0);
    const mapper_row *last = &w->rows[w->count - 1];
    w->after = (mapper_feed){last->updated_at, traffic_member_of(last->forwarder), last->key};
    assert_ok(run(f, w, page));
    assert_int_equal(w->count, MANY - MAPPER_PAGE_ROWS);
    assert_true(lpx_str_is(w->rows[w->count - 1].key, "gateway-01006"));
    for (int64_t left = MANY; left > 0; left -= w->removed) {
        assert_ok(run(f, w, sweep));
        assert_int_equal(w->removed, left < MAPPER_SWEEP_ROWS ? left : MAPPER_SWEEP_ROWS);
    }
    free(w);
}

static void one_gateway_under_two_names(void **state)
{
    fixture *f = *state;
    assert_ok(tell(f, 19, "ttn", "named", UINT64_MAX));
    assert_int_equal(kit_int(f->k->store, "SELECT eui FROM gateways"), -1);
    assert_ok(tell(f, 19, "ttn", NULL, UINT64_MAX));
    assert_int_equal(kit_int(f->k->store, "SELECT count(*) FROM gateways"), 2);
    assert_int_equal(kit_int(f->k->store, "SELECT count(*) FROM gateways WHERE eui IS NULL AND gateway_key = 'named'"),
                     1);
    assert_ok(tell(f, 19, "ttn", "named", UINT64_MAX));
    assert_int_equal(kit_int(f->k->store, "SELECT count(*) FROM gateways WHERE eui = -1 AND gateway_key = 'named'"), 1);
    assert_ok(tell(f, 19, "ttn", "other", UINT64_MAX)); /* two plain ids are two gateways */
    assert_int_equal(kit_int(f->k->store, "SELECT count(*) FROM gateways WHERE eui = -1"), 2);
}

static void who_may_tell(void **state)
{
    fixture *f = *state;
    assert_reason(tell(f, 20, "", "a", 1), MAPPER_FORWARDER_UNKNOWN);
    assert_reason(tell(f, 19, "other", "a", 1), MAPPER_FORWARDER_UNKNOWN);
    assert_ok(tell(f, 66, "", "a", 1));
    f->self.full[0] = 66;
    f->self.full_count = 1;
    assert_ok(tell(f, 66, "", "a", 1));
    assert_reason(tell(f, 66, "", "b", 2), MAPPER_NETWORK_FULL);
    assert_ok(tell(f, 66, "", NULL, 1)); /* the same one under another name */
    assert_int_equal(kit_int(f->k->store, "SELECT count(*) FROM gateways"), 2);
}

static void members_and_visibilities(void **state)
{
    fixture *f = *state;
    work *w = calloc(1, sizeof *w);
    assert_non_null(w);
    kit_exec(f->k->store,
             "INSERT INTO gateway_visibilities VALUES (19, '', 1, 0, '', 1, 1), (19, 'ttn', 0, 66, '', 2, 1)");
    assert_ok(run(f, w, grants));
    traffic_member ttn = {19, LPX_STR("ttn")};
    assert_true(mapper_grants_registered(w->grants, ttn));
    assert_false(mapper_grants_registered(w->grants, (traffic_member){19, LPX_STR("two")}));
    assert_int_equal(mapper_grants_public(w->grants, ttn), MAPPER_SEE_LOCATION);
    assert_int_equal(mapper_grants_home(w->grants, ttn, (traffic_member){66, LPX_STR("x")}), MAPPER_SEE_PLACEMENT);
    mapper_grants_free(&w->grants);
    assert_ok(tell(f, 19, "ttn", "a", 1));
    w->after.forwarder = ttn;
    assert_ok(run(f, w, purge));
    assert_false(w->flag); /* it is registered */
    kit_exec(f->k->store, "DELETE FROM tenants");
    assert_ok(run(f, w, purge));
    assert_true(w->flag);
    assert_int_equal(kit_int(f->k->store, "SELECT count(*) FROM gateways"), 0);
    free(w);
}

int main(int argc, char **argv)
{
    kit_postgres = argc > 1 && strcmp(argv[1], "postgres") == 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pages_of_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_gateway_under_two_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_may_tell, set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_and_visibilities, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("mapper_store", tests, NULL, NULL);
}
