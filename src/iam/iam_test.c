/* Identity and access management on a real store: iam_test sqlite, or iam_test postgres with a server's URL in
 * LPX_TEST_POSTGRES_URL (tools/with_postgres.sh). */
#include "iam/iam_test_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const rpc_principal test_admin = {.subject = RPC_ADMIN, .rights = ~UINT64_C(0)};
const rpc_principal test_stranger = {.subject = RPC_ANONYMOUS};
const rpc_principal test_cluster = {
    .subject = RPC_CLUSTER, .cluster_id = "eu1", .rights = 1, .key_id = "CLUSTERCLUSTER22"};
const rpc_principal test_network = {
    .subject = RPC_NETWORK, .net_id = 0x13, .rights = 1 | 1 << 10, .key_id = "NETWORKNETWORK22"};
const rpc_principal test_other_network = {
    .subject = RPC_NETWORK, .net_id = 0x14, .rights = 1, .key_id = "OTHEROTHEROTHER2"};
const rpc_principal test_tenant = {
    .subject = RPC_TENANT, .net_id = 0x13, .tenant_id = "ttn", .rights = 1, .key_id = "TENANTTENANT2222"};

static const int64_t start_us = INT64_C(1700000000) * 1000000;

static int set_up(void **state, bool private_net_ids)
{
    static const char *const audiences[] = {"localhost", "iam.example.com"};
    fixture *f = calloc(1, sizeof *f);
    void *k = NULL;
    kit_setup(&k);
    f->k = k;
    f->now = (lpx_utc){start_us};
    lpx_arena_init(&f->arena, 64 << 20);
    const iam_opts opts = {.issuer = "https://iam.example.com",
                           .audiences = audiences,
                           .audience_count = 2,
                           .allow_private_net_ids = private_net_ids,
                           .anonymous_burst = 3};
    assert_ok(iam_new(f->k->store, &opts, f->now, &f->iam, &f->note));
    *state = f;
    return 0;
}

int fixture_setup(void **state)
{
    return set_up(state, false);
}

int fixture_setup_private(void **state)
{
    return set_up(state, true);
}

int fixture_teardown(void **state)
{
    fixture *f = *state;
    void *k = f->k;
    iam_free(&f->iam);
    lpx_arena_fini(&f->arena);
    free(f);
    return kit_teardown(&k);
}

char *fixture_text(fixture *f, const char *text)
{
    return lpx_arena_cstr(&f->arena, lpx_str_of(text));
}

typedef struct call_job {
    store_job job;
    const rpc_method *method;
    rpc_txn txn;
} call_job;

static lpx_err call_work(store_tx *tx, store_job *job)
{
    call_job *c = LPX_CONTAINER(job, call_job, job);
    c->txn.reply = NULL;
    c->txn.note.text[0] = '\0';
    return c->method->txn(tx, &c->txn);
}

static const rpc_method *find_method(fixture *f, const char *name)
{
    const rpc_method *methods;
    size_t count = iam_methods(f->iam, &methods);
    for (size_t i = 0; i < count; i++) {
        const char *path = methods[i].path;
        if (strcmp(path, name) == 0 || (lpx_str_starts(lpx_str_of(path), LPX_STR("/org.packetbroker.")) &&
                                        strcmp(path + strlen("/org.packetbroker."), name) == 0)) {
            return &methods[i];
        }
    }
    fail_msg("there is no method %s", name);
    return NULL;
}

/* A message as its receiver decodes it. */
static const void *over_the_wire(fixture *f, const ProtobufCMessage *message, const ProtobufCMessageDescriptor *type)
{
    lpx_bytes bytes;
    ProtobufCMessage *out;
    assert_ptr_equal(message->descriptor, type);
    assert_ok(pb_encode(message, &f->arena, &bytes));
    assert_ok(pb_decode(type, bytes, &f->arena, &out, &f->note));
    return out;
}

lpx_err fixture_try(fixture *f, const char *method, const rpc_principal *who, const void *request, const void **reply)
{
    const rpc_method *m = find_method(f, method);
    call_job call = {.job = {.work = call_work, .write = m->flavour == RPC_WRITE}, .method = m};
    call.txn = (rpc_txn){.who = who,
                         .request = over_the_wire(f, request, m->in),
                         .arena = &f->arena,
                         .now = f->now,
                         .service = m->service};
    f->now.us += 1000;
    lpx_err err = store_run(f->k->store, &call.job);
    f->note = call.txn.note;
    assert_true(m->flavour == RPC_READ || m->flavour == RPC_WRITE);
    if (!lpx_failed(err) && reply != NULL) {
        *reply = call.txn.reply != NULL ? over_the_wire(f, call.txn.reply, m->out) : NULL;
    }
    return err;
}

const void *fixture_ask(fixture *f, const char *method, const rpc_principal *who, const void *request)
{
    const void *reply = NULL;
    lpx_err err = fixture_try(f, method, who, request, &reply);
    assert_string_equal(lpx_failed(err) ? f->note.text : "", "");
    assert_ok(err);
    return reply;
}

void fixture_network(fixture *f, uint32_t net_id, const char *name)
{
    Pb__V3__Network network = PB__V3__NETWORK__INIT;
    Pb__Iam__V1__CreateNetworkRequest request = PB__IAM__V1__CREATE_NETWORK_REQUEST__INIT;
    network.net_id = net_id;
    network.name = fixture_text(f, name);
    request.network = &network;
    fixture_ask(f, NETWORKS "CreateNetwork", &test_admin, &request);
}

void fixture_tenant(fixture *f, uint32_t net_id, const char *tenant_id, const char *name)
{
    Pb__V3__Tenant tenant = PB__V3__TENANT__INIT;
    Pb__Iam__V1__CreateTenantRequest request = PB__IAM__V1__CREATE_TENANT_REQUEST__INIT;
    tenant.net_id = net_id;
    tenant.tenant_id = fixture_text(f, tenant_id);
    tenant.name = fixture_text(f, name);
    request.tenant = &tenant;
    fixture_ask(f, TENANTS "CreateTenant", &test_admin, &request);
}

Pb__V3__DevAddrBlock **fixture_blocks(fixture *f, const uint32_t *pairs, size_t *count)
{
    size_t n = 0;
    while (pairs[2 * n + 1] != 0) {
        n++;
    }
    Pb__V3__DevAddrBlock **list = lpx_arena_array(&f->arena, n, sizeof *list);
    for (size_t i = 0; i < n; i++) {
        Pb__V3__DevAddrPrefix *prefix = lpx_arena_get(&f->arena, sizeof *prefix);
        list[i] = lpx_arena_get(&f->arena, sizeof *list[i]);
        pb__v3__dev_addr_prefix__init(prefix);
        pb__v3__dev_addr_block__init(list[i]);
        prefix->value = pairs[2 * i];
        prefix->length = pairs[2 * i + 1];
        list[i]->prefix = prefix;
        list[i]->home_network_cluster_id = fixture_text(f, "eu1");
    }
    *count = n;
    return list;
}

const Pb__V3__NetworkAPIKey *fixture_key(fixture *f, const rpc_principal *who, uint32_t net_id, const char *tenant_id,
                                         uint64_t rights)
{
    Pb__Iam__V2__CreateNetworkAPIKeyRequest request = PB__IAM__V2__CREATE_NETWORK_APIKEY_REQUEST__INIT;
    Pb__V3__Right list[64];
    request.net_id = net_id;
    request.tenant_id = fixture_text(f, tenant_id);
    request.rights = list;
    for (unsigned i = 0; i < 64; i++) {
        if ((rights >> i & 1) != 0) {
            list[request.n_rights++] = (Pb__V3__Right)i;
        }
    }
    const Pb__Iam__V2__CreateNetworkAPIKeyResponse *reply = fixture_ask(f, VAULT "CreateAPIKey", who, &request);
    assert_non_null(reply->key);
    return reply->key;
}

int main(int argc, char **argv)
{
    kit_postgres = argc > 1 && strcmp(argv[1], "postgres") == 0;
    if (kit_postgres && getenv("LPX_TEST_POSTGRES_URL") == NULL) {
        puts("skipped: no PostgreSQL server is given in LPX_TEST_POSTGRES_URL");
        return 77;
    }
    int failed = iam_registry_tests();
    failed += iam_cascade_tests();
    failed += iam_keys_tests();
    failed += iam_vaults_tests();
    failed += iam_catalog_tests();
    failed += iam_certs_tests();
    failed += iam_token_tests();
    return failed == 0 ? 0 : 1;
}
