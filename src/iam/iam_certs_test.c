/* ClientCertificates on a real store: issue, register, list, revoke, what callers may, and what the snapshot knows. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "iam/iam_cert_store.h"
#include "iam/iam_test_kit.h"

#define CERTIFICATES "/lpx.iam.v1.ClientCertificates/"

enum { NET = 0x13, OTHER = 0x14 };

static Pb__V3__Right read_traffic[] = {PB__V3__RIGHT__READ_TRAFFIC};
static Pb__V3__Right write_traffic[] = {PB__V3__RIGHT__WRITE_TRAFFIC};

/* A CA for the object of this test. */
static crypto_ca *make_ca(fixture *f)
{
    char folder[] = "/tmp/lpx-iam-test-XXXXXX", cert[64], key[64];
    crypto_ca *ca = NULL;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(cert, sizeof cert, "%s/ca.pem", folder);
    (void)snprintf(key, sizeof key, "%s/ca.key", folder);
    assert_ok(crypto_ca_create(cert, key, "lpx local CA", f->now, &f->note));
    assert_ok(crypto_ca_load(cert, key, &ca, &f->note));
    (void)unlink(cert);
    (void)unlink(key);
    (void)rmdir(folder);
    return ca;
}

static crypto_ca *the_ca;

static int with_ca(void **state)
{
    (void)fixture_setup(state);
    fixture *f = *state;
    the_ca = make_ca(f);
    f->iam->ca = the_ca;
    fixture_network(f, NET, "one");
    fixture_network(f, OTHER, "two");
    fixture_tenant(f, NET, "ttn", "tenant");
    return 0;
}

static int without_ca(void **state)
{
    int result = fixture_teardown(state);
    crypto_ca_free(&the_ca);
    return result;
}

static Lpx__Iam__V1__IssueCertificateRequest wish(uint32_t net_id)
{
    Lpx__Iam__V1__IssueCertificateRequest request = LPX__IAM__V1__ISSUE_CERTIFICATE_REQUEST__INIT;
    request.net_id = net_id;
    request.rights = read_traffic;
    request.n_rights = 1;
    return request;
}

static const Lpx__Iam__V1__IssueCertificateResponse *issue(fixture *f, const rpc_principal *who, uint32_t net_id)
{
    Lpx__Iam__V1__IssueCertificateRequest request = wish(net_id);
    return fixture_ask(f, CERTIFICATES "IssueCertificate", who, &request);
}

static const Lpx__Iam__V1__ListCertificatesResponse *list(fixture *f, const rpc_principal *who, bool with_revoked)
{
    Lpx__Iam__V1__ListCertificatesRequest request = LPX__IAM__V1__LIST_CERTIFICATES_REQUEST__INIT;
    request.with_revoked = with_revoked;
    return fixture_ask(f, CERTIFICATES "ListCertificates", who, &request);
}

/* Is this certificate in a new snapshot, and what does it say of it? */
static uint16_t in_snapshot(fixture *f, const char *fingerprint, rpc_principal *out)
{
    rpc_auth_snapshot *snapshot = NULL;
    assert_ok(iam_snapshot_now(f->iam, &snapshot));
    lpx_err err = rpc_auth_cert_check(snapshot, fingerprint, f->now, out, &f->note);
    rpc_auth_snapshot_unref(&snapshot);
    return lpx_failed(err) ? err.reason : 0;
}

static void issued_with_a_key_of_ours(void **state)
{
    fixture *f = *state;
    const Lpx__Iam__V1__IssueCertificateResponse *made = issue(f, &test_admin, NET);
    crypto_cert_info info;
    assert_ok(crypto_cert_read_pem(lpx_str_of(made->certificate_pem), &info, &f->note));
    assert_string_equal(made->certificate->fingerprint, info.fingerprint);
    assert_string_equal(made->certificate->subject, "CN=000013");
    assert_true(made->certificate->own_ca);
    assert_non_null(strstr(made->key_pem, "-----BEGIN PRIVATE KEY-----"));
    assert_string_equal(made->ca_pem, crypto_ca_pem(the_ca).ptr);
    assert_null(made->certificate->revoked_at);
    assert_null(made->certificate->authenticated_at);
    int64_t days = (made->certificate->not_after->seconds - f->now.us / 1000000) / 86400;
    assert_true(days == 364 || days == 365);
    rpc_principal who;
    assert_int_equal(in_snapshot(f, info.fingerprint, &who), 0);
    assert_int_equal(who.subject, RPC_NETWORK);
    assert_int_equal(who.net_id, NET);
    assert_int_equal(who.rights, 1 << PB__V3__RIGHT__READ_TRAFFIC);
}

static void issued_for_tenants_and_clusters(void **state)
{
    fixture *f = *state;
    Lpx__Iam__V1__IssueCertificateRequest request = wish(NET);
    rpc_principal who;
    request.tenant_id = fixture_text(f, "ttn");
    request.cluster_id = fixture_text(f, "eu1");
    const Lpx__Iam__V1__IssueCertificateResponse *made =
        fixture_ask(f, CERTIFICATES "IssueCertificate", &test_admin, &request);
    assert_string_equal(made->certificate->subject, "CN=ttn@000013");
    assert_int_equal(in_snapshot(f, made->certificate->fingerprint, &who), 0);
    assert_int_equal(who.subject, RPC_TENANT);
    assert_string_equal(who.tenant_id, "ttn");
    assert_string_equal(who.cluster_id, "eu1");

    request = wish(0);
    request.cluster_only = true;
    request.cluster_id = fixture_text(f, "eu1");
    made = fixture_ask(f, CERTIFICATES "IssueCertificate", &test_admin, &request);
    assert_string_equal(made->certificate->subject, "CN=eu1");
    assert_int_equal(in_snapshot(f, made->certificate->fingerprint, &who), 0);
    assert_int_equal(who.subject, RPC_CLUSTER);
    assert_string_equal(who.cluster_id, "eu1");
}

static void bad_wishes_are_refused(void **state)
{
    fixture *f = *state;
    Lpx__Iam__V1__IssueCertificateRequest request = wish(0x15);
    refuse(f, CERTIFICATES "IssueCertificate", &test_admin, &request, IAM_NETWORK_UNKNOWN, "certificates");
    request = wish(NET);
    request.tenant_id = fixture_text(f, "nobody");
    refuse(f, CERTIFICATES "IssueCertificate", &test_admin, &request, IAM_TENANT_UNKNOWN, "nobody");
    request = wish(NET);
    request.days = 826;
    refuse(f, CERTIFICATES "IssueCertificate", &test_admin, &request, IAM_BAD_DAYS, "825");
    request = wish(NET);
    request.csr_pem = fixture_text(f, "no request");
    refuse(f, CERTIFICATES "IssueCertificate", &test_admin, &request, CRYPTO_BAD_CSR, "BEGIN CERTIFICATE REQUEST");
    request = wish(NET);
    request.cluster_only = true;
    request.cluster_id = fixture_text(f, "eu1");
    refuse(f, CERTIFICATES "IssueCertificate", &test_admin, &request, IAM_CERT_OF_CLUSTER, "net_id");
    request = wish(0);
    request.cluster_only = true;
    refuse(f, CERTIFICATES "IssueCertificate", &test_admin, &request, IAM_MISSING_FIELD, "cluster_id");
    f->iam->ca = NULL;
    request = wish(NET);
    assert_reason(fixture_try(f, CERTIFICATES "IssueCertificate", &test_admin, &request, NULL), IAM_NO_CA);
    assert_int_equal(list(f, &test_admin, true)->total, 0);
}

static void what_a_network_may(void **state)
{
    fixture *f = *state;
    const Lpx__Iam__V1__IssueCertificateResponse *own = issue(f, &test_network, NET);
    Lpx__Iam__V1__IssueCertificateRequest request = wish(NET);
    request.rights = write_traffic;
    refuse(f, CERTIFICATES "IssueCertificate", &test_network, &request, IAM_RIGHTS_EXCEEDED, "WRITE_TRAFFIC");
    request = wish(NET);
    request.cluster_only = true;
    refuse(f, CERTIFICATES "IssueCertificate", &test_network, &request, IAM_FIELD_FORBIDDEN, "cluster_only");
    const Lpx__Iam__V1__IssueCertificateResponse *foreign = issue(f, &test_admin, OTHER);
    assert_int_equal(list(f, &test_admin, false)->total, 2);
    const Lpx__Iam__V1__ListCertificatesResponse *seen = list(f, &test_network, false);
    assert_int_equal(seen->total, 1);
    assert_string_equal(seen->certificates[0]->fingerprint, own->certificate->fingerprint);
    Lpx__Iam__V1__RevokeCertificateRequest revoke = LPX__IAM__V1__REVOKE_CERTIFICATE_REQUEST__INIT;
    revoke.fingerprint = foreign->certificate->fingerprint;
    assert_reason(fixture_try(f, CERTIFICATES "RevokeCertificate", &test_network, &revoke, NULL), IAM_CERT_NOT_OWN);
    revoke.fingerprint = own->certificate->fingerprint;
    assert_ok(fixture_try(f, CERTIFICATES "RevokeCertificate", &test_network, &revoke, NULL));
    assert_int_equal(list(f, &test_network, false)->total, 0);
}

static void revoked_ones_are_known_by_name(void **state)
{
    fixture *f = *state;
    const char *fingerprint = issue(f, &test_admin, NET)->certificate->fingerprint;
    Lpx__Iam__V1__RevokeCertificateRequest revoke = LPX__IAM__V1__REVOKE_CERTIFICATE_REQUEST__INIT;
    char shouted[96 + 1] = "";
    for (size_t i = 0; i < 32; i++) { /* as openssl x509 -fingerprint prints it */
        (void)snprintf(shouted + 3 * i, 4, "%c%c:", toupper(fingerprint[2 * i]), toupper(fingerprint[2 * i + 1]));
    }
    revoke.fingerprint = shouted;
    assert_ok(fixture_try(f, CERTIFICATES "RevokeCertificate", &test_admin, &revoke, NULL));
    const Lpx__Iam__V1__ListCertificatesResponse *all = list(f, &test_admin, true);
    assert_int_equal(list(f, &test_admin, false)->total, 0);
    assert_int_equal(all->total, 1);
    int64_t first = all->certificates[0]->revoked_at->seconds;
    f->now.us += 100 * INT64_C(1000000);
    assert_ok(fixture_try(f, CERTIFICATES "RevokeCertificate", &test_admin, &revoke, NULL)); /* the first time stays */
    assert_int_equal(list(f, &test_admin, true)->certificates[0]->revoked_at->seconds, first);
    rpc_principal who;
    assert_int_equal(in_snapshot(f, fingerprint, &who), RPC_CERT_REVOKED);
    static char nothing[] = "0123";
    revoke.fingerprint = nothing;
    refuse(f, CERTIFICATES "RevokeCertificate", &test_admin, &revoke, IAM_BAD_CERT, "64 hex digits");
    static char unknown[] = "00000000000000000000000000000000000000000000000000000000000000ff";
    revoke.fingerprint = unknown;
    refuse(f, CERTIFICATES "RevokeCertificate", &test_admin, &revoke, IAM_CERT_UNKNOWN, unknown);
}

static void others_are_registered(void **state)
{
    fixture *f = *state;
    crypto_client_cert theirs;
    crypto_client_opts opts = {.common_name = "theirs", .days = 10, .now = f->now};
    crypto_ca *ca = make_ca(f);
    assert_ok(crypto_client_issue(ca, &opts, &f->arena, &theirs, &f->note));
    Lpx__Iam__V1__RegisterCertificateRequest request = LPX__IAM__V1__REGISTER_CERTIFICATE_REQUEST__INIT;
    request.net_id = NET;
    request.rights = write_traffic;
    request.n_rights = 1;
    request.certificate_pem = fixture_text(f, theirs.cert_pem.ptr);
    const Lpx__Iam__V1__RegisterCertificateResponse *made =
        fixture_ask(f, CERTIFICATES "RegisterCertificate", &test_admin, &request);
    assert_false(made->certificate->own_ca);
    assert_string_equal(made->certificate->subject, "CN=theirs");
    assert_string_equal(made->certificate->fingerprint, theirs.info.fingerprint);
    rpc_principal who;
    assert_int_equal(in_snapshot(f, theirs.info.fingerprint, &who), 0);
    assert_int_equal(who.rights, 1 << PB__V3__RIGHT__WRITE_TRAFFIC);
    refuse(f, CERTIFICATES "RegisterCertificate", &test_admin, &request, IAM_CERT_EXISTS, "already");
    request.certificate_pem = fixture_text(f, crypto_ca_pem(ca).ptr);
    refuse(f, CERTIFICATES "RegisterCertificate", &test_admin, &request, IAM_BAD_CERT, "tls.client-ca-files");
    request.certificate_pem = fixture_text(f, "hello");
    refuse(f, CERTIFICATES "RegisterCertificate", &test_admin, &request, CRYPTO_BAD_PEM, "PEM");
    opts.now.us -= 20 * INT64_C(86400000000);
    assert_ok(crypto_client_issue(ca, &opts, &f->arena, &theirs, &f->note));
    request.certificate_pem = fixture_text(f, theirs.cert_pem.ptr);
    refuse(f, CERTIFICATES "RegisterCertificate", &test_admin, &request, IAM_BAD_CERT, "expired");
    crypto_ca_free(&ca);
}

static void lists_have_pages(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 5; i++) {
        (void)issue(f, &test_admin, i < 3 ? NET : OTHER);
    }
    Lpx__Iam__V1__ListCertificatesRequest request = LPX__IAM__V1__LIST_CERTIFICATES_REQUEST__INIT;
    Google__Protobuf__UInt32Value net = GOOGLE__PROTOBUF__UINT32_VALUE__INIT;
    request.offset = 2;
    request.limit = 2;
    const Lpx__Iam__V1__ListCertificatesResponse *page =
        fixture_ask(f, CERTIFICATES "ListCertificates", &test_admin, &request);
    assert_int_equal(page->total, 5);
    assert_int_equal(page->n_certificates, 2);
    assert_int_equal(page->certificates[0]->net_id, NET);
    assert_int_equal(page->certificates[1]->net_id, OTHER);
    net.value = OTHER;
    request.offset = 0;
    request.net_id = &net;
    assert_int_equal(((const Lpx__Iam__V1__ListCertificatesResponse *)fixture_ask(f, CERTIFICATES "ListCertificates",
                                                                                  &test_admin, &request))
                         ->total,
                     2);
}

static lpx_err fill_work(store_tx *tx, store_job *job)
{
    (void)job;
    for (int i = 0; i < IAM_MAX_CERTS; i++) {
        char fingerprint[8];
        bool made;
        (void)snprintf(fingerprint, sizeof fingerprint, "%d", i);
        iam_cert cert = {.fingerprint = lpx_str_of(fingerprint), .net_id = NET, .not_after = {INT64_MAX}};
        LPX_TRY(iam_store_cert_insert(tx, &cert, &made));
    }
    return LPX_SUCCESS;
}

static void a_network_has_a_thousand_at_most(void **state)
{
    fixture *f = *state;
    store_job fill = {.work = fill_work, .write = true};
    assert_ok(store_run(f->k->store, &fill));
    Lpx__Iam__V1__IssueCertificateRequest request = wish(NET);
    refuse(f, CERTIFICATES "IssueCertificate", &test_admin, &request, IAM_TOO_MANY_CERTS, "1000");
    (void)issue(f, &test_admin, OTHER);
}

static void what_ended_long_ago_is_forgotten(void **state)
{
    fixture *f = *state;
    (void)issue(f, &test_admin, NET);
    f->now.us += (365 + IAM_CERT_KEPT_DAYS - 1) * INT64_C(86400000000);
    (void)issue(f, &test_admin, OTHER);
    assert_int_equal(list(f, &test_admin, true)->total, 2);
    f->now.us += 2 * INT64_C(86400000000);
    (void)issue(f, &test_admin, OTHER);
    assert_int_equal(list(f, &test_admin, true)->total, 2);
}

static void its_use_is_written(void **state)
{
    fixture *f = *state;
    const char *fingerprint = issue(f, &test_admin, NET)->certificate->fingerprint;
    io_loop *loop = io_loop_new(0);
    iam_cert_used(f->iam, loop, fingerprint, f->now);
    while (list(f, &test_admin, false)->certificates[0]->authenticated_at == NULL) {
        io_loop_turn(loop, 1000);
    }
    assert_int_equal(list(f, &test_admin, false)->certificates[0]->authenticated_at->seconds, f->now.us / 1000000);
    io_loop_turn(loop, 0);
    io_loop_free(&loop);
}

int iam_certs_tests(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, with_ca, without_ca)
    const struct CMUnitTest tests[] = {
        CASE(issued_with_a_key_of_ours), CASE(issued_for_tenants_and_clusters),  CASE(bad_wishes_are_refused),
        CASE(what_a_network_may),        CASE(revoked_ones_are_known_by_name),   CASE(others_are_registered),
        CASE(lists_have_pages),          CASE(a_network_has_a_thousand_at_most), CASE(what_ended_long_ago_is_forgotten),
        CASE(its_use_is_written),
    };
    return cmocka_run_group_tests_name("iam_certs", tests, NULL, NULL);
}
