/* Client certificates in the snapshot, alone and beside a token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lpx_reasons.h"
#include "rpc/authn.h"

enum { NET = 0x000013, READ = 1U << 10, WRITE = 1U << 11 };

static const int64_t s_us = 1000000;
static const lpx_utc noon = {1767268800LL * 1000000};

/* A fingerprint that begins with this letter. */
static const char *print(char letter)
{
    static char out[4][RPC_FINGERPRINT_BYTES];
    static unsigned next;
    char *text = out[next++ % 4];
    memset(text, '0', RPC_FINGERPRINT_BYTES - 1);
    text[0] = letter;
    return text;
}

static rpc_auth_cert cert(char letter, uint32_t net_id, const char *tenant_id)
{
    rpc_auth_cert c = {
        .net_id = net_id, .rights = READ | WRITE, .not_before = {noon.us - s_us}, .not_after = {noon.us + 100 * s_us}};
    (void)snprintf(c.fingerprint, sizeof c.fingerprint, "%s", print(letter));
    (void)snprintf(c.tenant_id, sizeof c.tenant_id, "%s", tenant_id);
    return c;
}

static rpc_auth_snapshot *snapshot_of(const rpc_auth_cert *certs, size_t count)
{
    rpc_auth_source source = {.certs = certs, .cert_count = count, .issuer = LPX_STR("https://localhost")};
    rpc_auth_snapshot *s = rpc_auth_snapshot_new(&source);
    assert_non_null(s);
    return s;
}

static uint16_t check(const rpc_auth_snapshot *s, char letter, lpx_utc now, rpc_principal *out, lpx_note *note)
{
    lpx_err err = rpc_auth_cert_check(s, print(letter), now, out, note);
    return lpx_failed(err) ? err.reason : 0;
}

static void who_a_certificate_stands_for(void **state)
{
    (void)state;
    rpc_auth_cert certs[] = {cert('c', NET, "t"), cert('a', NET, ""), cert('b', 0, ""), cert('d', NET, "")};
    certs[2].is_cluster = true;
    (void)snprintf(certs[2].cluster_id, sizeof certs[2].cluster_id, "eu1");
    certs[3].revoked = true;
    rpc_auth_snapshot *s = snapshot_of(certs, 4);
    rpc_principal who;
    lpx_note note = {""};
    assert_int_equal(check(s, 'a', noon, &who, &note), 0);
    assert_int_equal(who.subject, RPC_NETWORK);
    assert_int_equal(who.net_id, NET);
    assert_int_equal(who.rights, READ | WRITE);
    assert_string_equal(who.cert, print('a'));
    assert_string_equal(who.key_id, "");
    assert_int_equal(who.expires_at.us, noon.us + 100 * s_us);
    assert_int_equal(check(s, 'b', noon, &who, &note), 0);
    assert_int_equal(who.subject, RPC_CLUSTER);
    assert_string_equal(who.cluster_id, "eu1");
    assert_int_equal(check(s, 'c', noon, &who, &note), 0);
    assert_int_equal(who.subject, RPC_TENANT);
    assert_string_equal(who.tenant_id, "t");
    assert_int_equal(check(s, 'd', noon, &who, &note), RPC_CERT_REVOKED);
    assert_non_null(strstr(note.text, print('d')));
    assert_int_equal(check(s, 'e', noon, &who, &note), RPC_CERT_UNKNOWN);
    assert_non_null(strstr(note.text, print('e')));
    assert_non_null(strstr(note.text, "lpx cert register"));
    rpc_auth_snapshot_unref(&s);
    s = snapshot_of(NULL, 0);
    assert_int_equal(check(s, 'a', noon, &who, &note), RPC_CERT_UNKNOWN);
    rpc_auth_snapshot_unref(&s);
}

static void when_it_is_valid(void **state)
{
    (void)state;
    rpc_auth_cert one = cert('a', NET, "");
    rpc_auth_snapshot *s = snapshot_of(&one, 1);
    rpc_principal who;
    lpx_note note = {""};
    assert_int_equal(check(s, 'a', (lpx_utc){one.not_before.us - 1}, &who, &note), RPC_CERT_EXPIRED);
    assert_int_equal(check(s, 'a', one.not_before, &who, &note), 0);
    assert_int_equal(check(s, 'a', (lpx_utc){one.not_after.us - 1}, &who, &note), 0);
    assert_int_equal(check(s, 'a', one.not_after, &who, &note), RPC_CERT_EXPIRED);
    rpc_auth_snapshot_unref(&s);
}

static void its_use_is_told_now_and_then(void **state)
{
    (void)state;
    rpc_auth_cert certs[] = {cert('a', NET, ""), cert('b', NET, "")};
    certs[0].authenticated_at.us = noon.us - 10 * s_us;
    rpc_auth_snapshot *s = snapshot_of(certs, 2);
    assert_false(rpc_auth_cert_due(s, print('a'), noon));
    assert_true(rpc_auth_cert_due(s, print('b'), noon)); /* never before */
    assert_false(rpc_auth_cert_due(s, print('b'), noon));
    assert_false(rpc_auth_cert_due(s, print('b'), (lpx_utc){noon.us + 59 * s_us}));
    assert_true(rpc_auth_cert_due(s, print('b'), (lpx_utc){noon.us + 60 * s_us}));
    assert_true(rpc_auth_cert_due(s, print('b'), noon)); /* the clock went back */
    assert_false(rpc_auth_cert_due(s, print('x'), noon));
    rpc_auth_snapshot_unref(&s);
}

static rpc_principal member(rpc_subject subject, uint32_t net_id, const char *tenant_id, const char *cluster_id)
{
    rpc_principal who = {
        .subject = subject, .net_id = net_id, .rights = READ | 1U << 4, .expires_at = {noon.us + 50 * s_us}};
    (void)snprintf(who.tenant_id, sizeof who.tenant_id, "%s", tenant_id);
    (void)snprintf(who.cluster_id, sizeof who.cluster_id, "%s", cluster_id);
    return who;
}

/* Both were given: whom is the caller, and may it pass? */
static bool passes(rpc_principal token, rpc_principal shown)
{
    lpx_note note = {""};
    const rpc_principal before = token;
    (void)snprintf(shown.cert, sizeof shown.cert, "%s", print('a'));
    shown.rights = READ | WRITE;
    shown.expires_at.us = noon.us + 70 * s_us;
    lpx_err err = rpc_auth_combine(&token, &shown, &note);
    if (lpx_failed(err)) {
        assert_int_equal(err.reason, RPC_CERT_OTHER);
        assert_int_equal(err.code, LPX_PERMISSION_DENIED);
        assert_true(note.text[0] != '\0');
        assert_memory_equal(&token, &before, sizeof token);
        return false;
    }
    assert_string_equal(token.cert, print('a'));
    assert_int_equal(token.subject, before.subject);
    if (token.subject != RPC_ADMIN) {
        assert_int_equal(token.rights, READ);
        assert_int_equal(token.expires_at.us, noon.us + 50 * s_us);
        assert_string_equal(token.cluster_id, before.cluster_id[0] != '\0' ? before.cluster_id : shown.cluster_id);
    }
    return true;
}

static void token_and_certificate(void **state)
{
    (void)state;
    const rpc_principal network = member(RPC_NETWORK, NET, "", ""), tenant = member(RPC_TENANT, NET, "t", "");
    const rpc_principal eu1 = member(RPC_NETWORK, NET, "", "eu1"), other = member(RPC_NETWORK, 0x000014, "", "");
    const rpc_principal cluster = member(RPC_CLUSTER, 0, "", "eu1");
    assert_true(passes(network, network));
    assert_false(passes(network, other));
    assert_true(passes(tenant, network));  /* a tenant of the network whose certificate it is */
    assert_false(passes(network, tenant)); /* the network is more than its tenant */
    assert_true(passes(tenant, tenant));
    assert_false(passes(member(RPC_TENANT, NET, "u", ""), tenant));
    assert_false(passes(member(RPC_TENANT, 0x000014, "t", ""), tenant));
    assert_true(passes(network, eu1)); /* and is bound to the cluster then */
    assert_true(passes(eu1, network));
    assert_true(passes(eu1, eu1));
    assert_false(passes(member(RPC_NETWORK, NET, "", "us1"), eu1));
    assert_true(passes(cluster, cluster));
    assert_false(passes(member(RPC_CLUSTER, 0, "", "us1"), cluster));
    assert_false(passes(network, cluster));
    assert_false(passes(cluster, network));
    assert_true(passes(member(RPC_ADMIN, 0, "", ""), network));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_a_certificate_stands_for),
        cmocka_unit_test(when_it_is_valid),
        cmocka_unit_test(its_use_is_told_now_and_then),
        cmocka_unit_test(token_and_certificate),
    };
    return cmocka_run_group_tests_name("authn_cert", tests, NULL, NULL);
}
