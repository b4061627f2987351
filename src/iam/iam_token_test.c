/* Tokens from the form to a verified caller; signing keys, snapshots, administrators. */
#include "iam/iam_test_kit.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "crypto/password.h"
#include "iam/limits.h"

#define FORM "application/x-www-form-urlencoded"

/* Requests. */

typedef struct answer {
    atomic_uint done;
    unsigned status;
    char www_authenticate[64];
    char json[JWT_TOKEN_MAX_BYTES];
    char token[JWT_TOKEN_MAX_BYTES];
} answer;

static void keep(void *ctx, const iam_token_answer *a)
{
    answer *out = ctx;
    out->status = a->status;
    snprintf(out->www_authenticate, sizeof out->www_authenticate, "%s",
             a->www_authenticate != NULL ? a->www_authenticate : "");
    assert_true(a->json.len < sizeof out->json);
    memcpy(out->json, a->json.ptr, a->json.len);
    out->json[a->json.len] = '\0';
    const char *token = strstr(out->json, "\"access_token\":\"");
    if (token != NULL) {
        sscanf(token, "\"access_token\":\"%[^\"]", out->token);
    }
    atomic_fetch_add(&out->done, 1);
}

static answer *request(fixture *f, const char *authorization, const char *body)
{
    answer *a = lpx_arena_get(&f->arena, sizeof *a);
    const iam_token_form form = {.content_type = LPX_STR(FORM),
                                 .authorization = lpx_str_of(authorization),
                                 .body = lpx_str_bytes(lpx_str_of(body))};
    assert_ok(iam_token_request(f->iam, f->k->loop, &form, keep, a));
    assert_int_equal(atomic_load(&a->done), 0); /* never before it returns */
    kit_turn_until(f->k, &a->done, 1);
    assert_int_equal(atomic_load(&a->done), 1);
    return a;
}

static answer *request_token(fixture *f, const char *id, const char *secret, const char *audience)
{
    char body[512];
    snprintf(body, sizeof body,
             "audience=%s&client_id=%s&client_secret=%s&grant_type=client_credentials&scope=networks", audience, id,
             secret);
    return request(f, "", body);
}

static void set_state(fixture *f, const char *key_id, Pb__V3__APIKeyState s)
{
    Pb__Iam__V2__UpdateAPIKeyStateRequest update = PB__IAM__V2__UPDATE_APIKEY_STATE_REQUEST__INIT;
    update.key_id = fixture_text(f, key_id);
    update.state = s;
    fixture_ask(f, VAULT "UpdateAPIKeyState", &test_admin, &update);
}

static void members(fixture *f)
{
    fixture_network(f, 0x13, "N");
    fixture_tenant(f, 0x13, "ttn", "T");
}

/* Verify as the pipeline does. */
static lpx_err verify(fixture *f, const char *token, rpc_principal *out)
{
    rpc_auth_snapshot *snapshot;
    io_loop_turn(f->k->loop, 0);
    assert_ok(iam_snapshot_now(f->iam, &snapshot));
    lpx_err err = rpc_auth_token(snapshot, lpx_str_of(token), io_loop_now(f->k->loop).utc, &f->arena, out, &f->note);
    rpc_auth_snapshot_unref(&snapshot);
    return err;
}

static void tokens_are_issued_and_verify(void **state)
{
    fixture *f = *state;
    rpc_principal who;
    members(f);
    const Pb__V3__NetworkAPIKey *key = fixture_key(f, &test_admin, 0x13, "ttn", 1 | 1 << 10);
    answer *a = request_token(f, key->key_id, key->key, "localhost+elsewhere+IAM.example.com");
    assert_int_equal(a->status, 200);
    assert_string_equal(a->www_authenticate, "");
    assert_non_null(strstr(a->json, "\"token_type\":\"bearer\""));
    assert_non_null(strstr(a->json, "\"expires_in\":3600}"));
    assert_ok(verify(f, a->token, &who));
    assert_int_equal(who.subject, RPC_TENANT);
    assert_int_equal(who.net_id, 0x13);
    assert_string_equal(who.tenant_id, "ttn");
    assert_int_equal(who.rights, 1 | 1 << 10);
    assert_string_equal(who.key_id, key->key_id);
    /* The signing key's id stands in the header and in the published set. */
    lpx_str kid;
    assert_ok(jwt_peek_kid(lpx_str_of(a->token), &f->arena, &kid, &f->note));
    char *want = lpx_arena_printf(&f->arena, "\"kid\":\"%.*s\"", (int)kid.len, kid.ptr);
    char *jwks = lpx_arena_cstr(&f->arena, iam_jwks(f->iam));
    assert_non_null(strstr(jwks, want));
    assert_int_equal(strncmp(jwks, "{\"keys\":[{", 10), 0);
    assert_null(strstr(jwks, "\"d\":"));
    jwt_claims *claims = lpx_arena_get(&f->arena, sizeof *claims);
    const jwt_key *signer = iam_ring_signer(f->iam, io_loop_now(f->k->loop).utc);
    assert_ok(jwt_verify(signer, lpx_str_of(a->token), &f->arena, claims, &f->note));
    assert_int_equal(claims->audience_count, 2);
    assert_true(lpx_str_is(claims->audiences[0], "localhost"));
    assert_true(lpx_str_is(claims->audiences[1], "iam.example.com"));
    assert_true(lpx_str_is(claims->issuer, "https://iam.example.com"));
    assert_int_equal(claims->networks[0].net_id, 0x13);
    assert_int_equal(claims->expires_at.us - claims->issued_at.us, INT64_C(3600000000));
}

static void clients_may_use_basic(void **state)
{
    fixture *f = *state;
    rpc_principal who;
    members(f);
    const Pb__V3__NetworkAPIKey *key = fixture_key(f, &test_admin, 0x13, "", 1);
    char plain[128];
    char header[256] = "Basic ";
    snprintf(plain, sizeof plain, "%s:%s", key->key_id, key->key);
    lpx_base64_encode(lpx_str_bytes(lpx_str_of(plain)), header + 6);
    answer *a = request(f, header, "audience=localhost&grant_type=client_credentials");
    assert_int_equal(a->status, 200);
    assert_ok(verify(f, a->token, &who));
    assert_int_equal(who.subject, RPC_NETWORK);
    a = request(f, "Basic eA==", "audience=localhost&grant_type=client_credentials");
    assert_int_equal(a->status, 401);
    assert_non_null(strstr(a->json, "{\"error\":\"invalid_client\""));
    assert_string_equal(a->www_authenticate, "Basic realm=\"token\"");
}

static void clusters_get_cluster_tokens(void **state)
{
    fixture *f = *state;
    rpc_principal who;
    members(f);
    const Pb__V3__NetworkAPIKey *key = fixture_key(f, &test_admin, 0x13, "", 1);
    kit_exec(f->k->store, "UPDATE api_keys SET kind = 1, net_id = 0, cluster_id = 'eu1.example'");
    answer *a = request_token(f, key->key_id, key->key, "localhost");
    assert_int_equal(a->status, 200);
    assert_ok(verify(f, a->token, &who));
    assert_int_equal(who.subject, RPC_CLUSTER);
    assert_string_equal(who.cluster_id, "eu1.example");
    jwt_claims *claims = lpx_arena_get(&f->arena, sizeof *claims);
    assert_ok(jwt_verify(iam_ring_signer(f->iam, io_loop_now(f->k->loop).utc), lpx_str_of(a->token), &f->arena, claims,
                         &f->note));
    assert_true(claims->cluster);
    assert_true(lpx_str_is(claims->subject, "eu1.example"));
}

static void wrong_clients_are_refused(void **state)
{
    fixture *f = *state;
    members(f);
    const Pb__V3__NetworkAPIKey *key = fixture_key(f, &test_stranger, 0x13, "ttn", 1);
    static const char refused[] =
        "{\"error\":\"invalid_client\",\"error_description\":\"The client ID or the client secret "
        "is wrong.\"}";
    answer *a = request_token(f, key->key_id, "WRONG", "localhost");
    assert_int_equal(a->status, 401);
    assert_string_equal(a->json, refused);
    assert_string_equal(request_token(f, "AAAAAAAAAAAAAAAA", key->key, "localhost")->json, refused);
    assert_string_equal(request_token(f, "not-an-id", key->key, "localhost")->json, refused);
    a = request_token(f, key->key_id, key->key, "localhost");
    assert_int_equal(a->status, 401);
    assert_non_null(strstr(a->json, "waits for approval"));
    set_state(f, key->key_id, PB__V3__APIKEY_STATE__APPROVED);
    assert_int_equal(request_token(f, key->key_id, key->key, "localhost")->status, 200);
    set_state(f, key->key_id, PB__V3__APIKEY_STATE__REJECTED);
    a = request_token(f, key->key_id, key->key, "localhost");
    assert_int_equal(a->status, 401);
    assert_non_null(strstr(a->json, "rejected"));
}

static void malformed_requests_are_refused(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *body, *error;
    } rows[] = {
        {"", "invalid_request"},
        {"audience=localhost&client_id=a&client_secret=b", "invalid_request"},
        {"audience=localhost&client_id=a&client_secret=b&grant_type=password", "unsupported_grant_type"},
        {"audience=localhost&client_id=a&client_secret=b&grant_type=client_credentials&scope=x", "invalid_scope"},
        {"audience=elsewhere&client_id=a&client_secret=b&grant_type=client_credentials", "invalid_request"},
        {"a=%", "invalid_request"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char want[64];
        answer *a = request(f, "", rows[i].body);
        snprintf(want, sizeof want, "{\"error\":\"%s\",", rows[i].error);
        assert_int_equal(a->status, 400);
        assert_int_equal(strncmp(a->json, want, strlen(want)), 0);
        assert_string_equal(a->www_authenticate, "");
    }
    static char huge[IAM_FORM_MAX_BYTES + 2];
    memset(huge, 'a', sizeof huge - 1);
    assert_int_equal(request(f, "", huge)->status, 400);
}

static int64_t last_used(fixture *f)
{
    return kit_int(f->k->store, "SELECT authenticated_at FROM api_keys");
}

static void put_last_used(fixture *f, int64_t us)
{
    char sql[96];
    snprintf(sql, sizeof sql, "UPDATE api_keys SET authenticated_at = %lld", (long long)us);
    kit_exec(f->k->store, sql);
}

static void last_used_is_kept(void **state)
{
    fixture *f = *state;
    members(f);
    const Pb__V3__NetworkAPIKey *key = fixture_key(f, &test_admin, 0x13, "", 1);
    request_token(f, key->key_id, "WRONG", "localhost");
    assert_int_equal(kit_int(f->k->store, "SELECT COUNT(*) FROM api_keys WHERE authenticated_at IS NULL"), 1);
    io_loop_turn(f->k->loop, 0);
    int64_t before = io_loop_now(f->k->loop).utc.us;
    request_token(f, key->key_id, key->key, "localhost");
    assert_true(last_used(f) >= before);
    /* Recent: stays. Older than a minute, or from the future: written. */
    put_last_used(f, before - 20 * INT64_C(1000000));
    request_token(f, key->key_id, key->key, "localhost");
    assert_int_equal(last_used(f), before - 20 * INT64_C(1000000));
    put_last_used(f, before - 61 * INT64_C(1000000));
    request_token(f, key->key_id, key->key, "localhost");
    assert_true(last_used(f) >= before);
    put_last_used(f, before + INT64_C(86400) * 1000000);
    request_token(f, key->key_id, key->key, "localhost");
    assert_true(last_used(f) < before + INT64_C(3600) * 1000000);
}

static void deleted_keys_end_their_tokens(void **state)
{
    fixture *f = *state;
    rpc_principal who;
    members(f);
    const Pb__V3__NetworkAPIKey *key = fixture_key(f, &test_admin, 0x13, "", 1);
    answer *a = request_token(f, key->key_id, key->key, "localhost");
    assert_ok(verify(f, a->token, &who));
    set_state(f, key->key_id, PB__V3__APIKEY_STATE__REJECTED);
    /* The token is young: for all that this snapshot knows its key may still come. */
    assert_reason(verify(f, a->token, &who), RPC_KEY_NOT_YET);
}

static void many_requests_at_once(void **state)
{
    fixture *f = *state;
    enum { COUNT = 64 };
    members(f);
    const Pb__V3__NetworkAPIKey *key = fixture_key(f, &test_admin, 0x13, "", 1);
    answer *answers = lpx_arena_array(&f->arena, COUNT, sizeof *answers);
    char body[512];
    snprintf(body, sizeof body, "audience=localhost&client_id=%s&client_secret=%s&grant_type=client_credentials",
             key->key_id, key->key);
    const iam_token_form form = {
        .content_type = LPX_STR(FORM), .authorization = LPX_STR(""), .body = lpx_str_bytes(lpx_str_of(body))};
    for (int i = 0; i < COUNT; i++) {
        assert_ok(iam_token_request(f->iam, f->k->loop, &form, keep, &answers[i]));
    }
    for (int i = 0; i < COUNT; i++) {
        kit_turn_until(f->k, &answers[i].done, 1);
        assert_int_equal(answers[i].status, 200);
        assert_true(i == 0 || strcmp(answers[i].token, answers[i - 1].token) != 0);
    }
}

static void requests_have_a_limit(void **state)
{
    fixture *f = *state;
    const iam_token_form form = {.content_type = LPX_STR(""), .authorization = LPX_STR("")};
    answer *a = lpx_arena_get(&f->arena, sizeof *a);
    for (int i = 0; i < IAM_MAX_TOKEN_REQUESTS; i++) {
        assert_ok(iam_token_request(f->iam, f->k->loop, &form, keep, a));
    }
    assert_reason(iam_token_request(f->iam, f->k->loop, &form, keep, a), IAM_TOKEN_BUSY);
    kit_turn_until(f->k, &a->done, IAM_MAX_TOKEN_REQUESTS);
    assert_int_equal(a->status, 400);
    assert_ok(iam_token_request(f->iam, f->k->loop, &form, keep, a));
    kit_turn_until(f->k, &a->done, IAM_MAX_TOKEN_REQUESTS + 1);
}

/* As a program ends: requests that wait in the store are answered, without a word to the store that is gone. */
static void requests_under_way_end_with_the_store(void **state)
{
    fixture *f = *state;
    kit_gate gates[2]; /* both readers of the store */
    members(f);
    const Pb__V3__NetworkAPIKey *key = fixture_key(f, &test_admin, 0x13, "", 1);
    char body[512];
    snprintf(body, sizeof body, "audience=localhost&client_id=%s&client_secret=%s&grant_type=client_credentials",
             key->key_id, key->key);
    const iam_token_form form = {
        .content_type = LPX_STR(FORM), .authorization = LPX_STR(""), .body = lpx_str_bytes(lpx_str_of(body))};
    answer *answers = lpx_arena_array(&f->arena, 3, sizeof *answers);
    kit_gate_close(f->k, &gates[0], false);
    kit_gate_close(f->k, &gates[1], false);
    assert_ok(iam_token_request(f->iam, f->k->loop, &form, keep, &answers[0]));
    assert_ok(iam_token_request(f->iam, f->k->loop, &form, keep, &answers[1]));
    iam_stop(f->iam);
    assert_reason(iam_token_request(f->iam, f->k->loop, &form, keep, &answers[2]), IAM_TOKEN_BUSY);
    kit_gate_open(&gates[0]);
    kit_gate_open(&gates[1]);
    store_close(&f->k->store);
    io_loop_turn(f->k->loop, 0);
    assert_int_equal(atomic_load(&answers[0].done), 1);
    assert_int_equal(atomic_load(&answers[1].done), 1);
    assert_int_equal(answers[0].status, 200);
    assert_int_equal(atomic_load(&answers[2].done), 0);
}

/* Signing keys. */

typedef struct ring_job {
    store_job job;
    iam *iam;
    lpx_utc now;
    bool changed;
} ring_job;

static lpx_err ring_work(store_tx *tx, store_job *job)
{
    ring_job *r = LPX_CONTAINER(job, ring_job, job);
    LPX_TRY(iam_ring_step(tx, r->now, &r->changed));
    return iam_ring_load(r->iam, tx);
}

static bool step(fixture *f, int64_t after_s)
{
    ring_job job = {.job = {.work = ring_work, .write = true}, .iam = f->iam, .now = f->now};
    job.now.us += after_s * 1000000;
    assert_ok(store_run(f->k->store, &job.job));
    return job.changed;
}

static unsigned published(fixture *f)
{
    unsigned count = 0;
    const char *at = lpx_arena_cstr(&f->arena, iam_jwks(f->iam));
    while ((at = strstr(at, "\"kid\"")) != NULL) {
        count++;
        at++;
    }
    return count;
}

static void signing_keys_rotate(void **state)
{
    fixture *f = *state;
    const int64_t rotate = IAM_KEY_ROTATE_S;
    const jwt_key *first = iam_ring_signer(f->iam, f->now);
    const lpx_str jwks = iam_jwks(f->iam);
    assert_non_null(first);
    assert_int_equal(published(f), 1);
    assert_false(step(f, rotate - 3700));
    assert_ptr_equal(iam_jwks(f->iam).ptr, jwks.ptr); /* the same state of the ring */
    assert_true(step(f, rotate - 3500));
    assert_int_equal(published(f), 2);
    const lpx_utc later = {f->now.us + (rotate + 200) * 1000000};
    assert_true(lpx_str_equal(jwt_key_id(iam_ring_signer(f->iam, f->now)), jwt_key_id(first)));
    const jwt_key *second = iam_ring_signer(f->iam, later);
    assert_false(lpx_str_equal(jwt_key_id(second), jwt_key_id(first)));
    assert_false(step(f, rotate + 200));
    assert_true(step(f, rotate + 200 + IAM_TOKEN_S + IAM_KEY_GRACE_S));
    assert_int_equal(published(f), 1);
    assert_true(lpx_str_equal(jwt_key_id(iam_ring_signer(f->iam, f->now)), jwt_key_id(second)));
    /* What was given out lives on: tokens of requests under way. */
    assert_int_equal(strncmp(jwks.ptr, "{\"keys\":[", 9), 0);
    assert_true(jwt_key_id(first).len > 0);
}

static void ring_survives_a_restart(void **state)
{
    fixture *f = *state;
    const iam_opts opts = {.issuer = "https://iam.example.com"};
    iam *other;
    lpx_str before = jwt_key_id(iam_ring_signer(f->iam, f->now));
    assert_ok(iam_new(f->k->store, &opts, f->now, &other, &f->note));
    assert_true(lpx_str_equal(jwt_key_id(iam_ring_signer(other, f->now)), before));
    assert_int_equal(kit_int(f->k->store, "SELECT COUNT(*) FROM signing_keys"), 1);
    iam_free(&other);
    assert_null(other);
    iam_free(&other);
}

static void bad_settings_are_named(void **state)
{
    fixture *f = *state;
    iam *other = NULL;
    iam_opts opts = {.issuer = ""};
    assert_reason(iam_new(f->k->store, &opts, f->now, &other, &f->note), IAM_BAD_SETTING);
    assert_non_null(strstr(f->note.text, "issuer"));
    const char *const empty[] = {"ok", ""};
    opts = (iam_opts){.issuer = "i", .audiences = empty, .audience_count = 2};
    assert_reason(iam_new(f->k->store, &opts, f->now, &other, &f->note), IAM_BAD_SETTING);
    assert_non_null(strstr(f->note.text, "audience"));
    opts.audience_count = IAM_MAX_AUDIENCES + 1;
    assert_reason(iam_new(f->k->store, &opts, f->now, &other, &f->note), IAM_BAD_SETTING);
    assert_null(other);
}

/* Following. */

typedef struct follower {
    atomic_uint calls;
    bool knows; /* the key that is looked for */
    char key_id[32];
} follower;

static void receive(void *ctx, rpc_auth_snapshot *snapshot)
{
    follower *w = ctx;
    w->knows = rpc_auth_find_key(snapshot, lpx_str_of(w->key_id)) != NULL;
    rpc_auth_snapshot_unref(&snapshot);
    atomic_fetch_add(&w->calls, 1);
}

static void wait_knows(fixture *f, follower *w, bool want)
{
    while (w->knows != want) {
        kit_turn_until(f->k, &w->calls, atomic_load(&w->calls) + 1);
    }
}

static void snapshots_follow_the_store(void **state)
{
    fixture *f = *state;
    follower w = {.knows = false};
    members(f);
    assert_ok(iam_start(f->iam, f->k->loop, receive, &w));
    kit_turn_until(f->k, &w.calls, 1);
    const Pb__V3__NetworkAPIKey *key = fixture_key(f, &test_stranger, 0x13, "ttn", 1);
    snprintf(w.key_id, sizeof w.key_id, "%s", key->key_id);
    set_state(f, key->key_id, PB__V3__APIKEY_STATE__APPROVED);
    wait_knows(f, &w, true);
    set_state(f, key->key_id, PB__V3__APIKEY_STATE__REJECTED);
    wait_knows(f, &w, false);
    /* Another node makes a signing key: it is published here. */
    kit_exec(f->k->store, "UPDATE signing_keys SET sign_until = 0");
    ring_job job = {.job = {.work = ring_work, .write = true}, .iam = f->iam, .now = f->now};
    assert_ok(store_run(f->k->store, &job.job));
    assert_true(job.changed);
    unsigned seen = atomic_load(&w.calls);
    kit_turn_until(f->k, &w.calls, seen + 1);
    assert_int_equal(published(f), 2);
    set_state(f, key->key_id, PB__V3__APIKEY_STATE__APPROVED); /* stop with work under way */
    iam_stop(f->iam);
    iam_stop(f->iam);
}

/* A change that comes while a snapshot is being loaded is not lost: another one follows. */
static void changes_during_a_load_are_not_lost(void **state)
{
    fixture *f = *state;
    kit_gate gates[2]; /* both readers of the store */
    follower w = {.knows = false};
    members(f);
    assert_ok(iam_start(f->iam, f->k->loop, receive, &w));
    kit_turn_until(f->k, &w.calls, 1);
    kit_gate_close(f->k, &gates[0], false);
    kit_gate_close(f->k, &gates[1], false);
    /* A load of before may still be about to end, and events may come as one: changes go on until one meets a load. */
    while (!f->iam->load_again) {
        fixture_key(f, &test_admin, 0x13, "", 1);
        io_loop_turn(f->k->loop, 100000);
    }
    unsigned seen = atomic_load(&w.calls);
    kit_gate_open(&gates[0]);
    kit_gate_open(&gates[1]);
    kit_turn_until(f->k, &w.calls, seen + 2);
    iam_stop(f->iam);
    kit_turn_until(f->k, &f->k->finished, 2);
}

static void snapshot_holds_what_authentication_needs(void **state)
{
    fixture *f = *state;
    char password[IAM_PASSWORD_BYTES];
    rpc_auth_snapshot *snapshot;
    members(f);
    const Pb__V3__NetworkAPIKey *waiting = fixture_key(f, &test_stranger, 0x13, "ttn", 1);
    const Pb__V3__NetworkAPIKey *tenant = fixture_key(f, &test_admin, 0x13, "ttn", 1 | 1 << 7);
    Pb__Iam__V2__CreateNetworkAPIKeyRequest bound = PB__IAM__V2__CREATE_NETWORK_APIKEY_REQUEST__INIT;
    bound.net_id = 0x13;
    bound.cluster_id = fixture_text(f, "eu1");
    const Pb__Iam__V2__CreateNetworkAPIKeyResponse *cluster = fixture_ask(f, VAULT "CreateAPIKey", &test_admin, &bound);
    assert_ok(iam_admin_ensure(f->k->store, f->now, password));
    assert_ok(iam_snapshot_now(f->iam, &snapshot));
    assert_null(rpc_auth_find_key(snapshot, lpx_str_of(waiting->key_id)));
    const rpc_auth_key *key = rpc_auth_find_key(snapshot, lpx_str_of(tenant->key_id));
    assert_false(key->is_cluster);
    assert_int_equal(key->net_id, 0x13);
    assert_string_equal(key->tenant_id, "ttn");
    assert_int_equal(key->rights, 1 | 1 << 7);
    assert_string_equal(rpc_auth_find_key(snapshot, lpx_str_of(cluster->key->key_id))->cluster_id, "eu1");
    assert_true(rpc_auth_check_admin(snapshot, LPX_STR("admin"), lpx_str_of(password)));
    assert_false(rpc_auth_check_admin(snapshot, LPX_STR("admin"), LPX_STR("password")));
    rpc_auth_snapshot_unref(&snapshot);
}

/* Administrators. */

typedef struct admin_job {
    store_job job;
    const char *name, *password;
    bool set, same;
    lpx_err err;
    lpx_note note;
} admin_job;

static lpx_err admin_work(store_tx *tx, store_job *job)
{
    admin_job *a = LPX_CONTAINER(job, admin_job, job);
    if (a->set) {
        a->err = iam_admin_set(tx, lpx_str_of(a->name), lpx_str_of(a->password), (lpx_utc){1}, &a->note);
        return a->err;
    }
    a->same = iam_admin_verify(tx, lpx_str_of(a->name), lpx_str_of(a->password));
    return LPX_SUCCESS;
}

static bool is_password(fixture *f, const char *name, const char *password)
{
    admin_job job = {.job = {.work = admin_work}, .name = name, .password = password};
    assert_ok(store_run(f->k->store, &job.job));
    return job.same;
}

static void first_administrator_is_made_once(void **state)
{
    fixture *f = *state;
    char password[IAM_PASSWORD_BYTES] = "x";
    char again[IAM_PASSWORD_BYTES] = "x";
    assert_ok(iam_admin_ensure(f->k->store, f->now, password));
    assert_int_equal(strlen(password), IAM_PASSWORD_BYTES - 1);
    assert_ok(iam_admin_ensure(f->k->store, f->now, again));
    assert_string_equal(again, "");
    assert_int_equal(kit_int(f->k->store, "SELECT COUNT(*) FROM admins"), 1);
    assert_true(is_password(f, "admin", password));
    assert_false(is_password(f, "admin", "x"));
    assert_false(is_password(f, "admin", ""));
    assert_false(is_password(f, "root", password));
    assert_false(is_password(f, "", password));
}

static void administrators_are_set(void **state)
{
    fixture *f = *state;
    admin_job job = {.job = {.work = admin_work, .write = true}, .name = "ops", .password = "first", .set = true};
    assert_ok(store_run(f->k->store, &job.job));
    assert_true(is_password(f, "ops", "first"));
    job.password = "second";
    assert_ok(store_run(f->k->store, &job.job));
    assert_false(is_password(f, "ops", "first"));
    assert_true(is_password(f, "ops", "second"));
    static const char *const bad[] = {"", "a:b", "a b",
                                      "0123456789012345678901234567890123456789012345678901234567890123"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        job.name = bad[i];
        assert_reason(store_run(f->k->store, &job.job), IAM_BAD_ADMIN);
    }
    job.name = "ops";
    job.password = "";
    assert_reason(store_run(f->k->store, &job.job), CRYPTO_BAD_PASSWORD);
    assert_true(is_password(f, "ops", "second"));
}

int iam_token_tests(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(tokens_are_issued_and_verify),
        CASE(clients_may_use_basic),
        CASE(clusters_get_cluster_tokens),
        CASE(wrong_clients_are_refused),
        CASE(malformed_requests_are_refused),
        CASE(last_used_is_kept),
        CASE(deleted_keys_end_their_tokens),
        CASE(many_requests_at_once),
        CASE(requests_have_a_limit),
        CASE(requests_under_way_end_with_the_store),
        CASE(signing_keys_rotate),
        CASE(ring_survives_a_restart),
        CASE(bad_settings_are_named),
        CASE(snapshots_follow_the_store),
        CASE(changes_during_a_load_are_not_lost),
        CASE(snapshot_holds_what_authentication_needs),
        CASE(first_administrator_is_made_once),
        CASE(administrators_are_set),
    };
    return cmocka_run_group_tests_name("iam_token", tests, NULL, NULL);
}
