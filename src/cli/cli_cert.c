/* lpx cert: client certificates, which stand for networks, tenants and clusters beside tokens. */
#include "cli/cli_keys.h"
#include "lpx_iam_v1_iam.pb-c.h"
#include "lpx_reasons.h"

#define CERTIFICATES "/lpx.iam.v1.ClientCertificates/"

static const char *state_of(cli *c, const Lpx__Iam__V1__ClientCertificate *cert)
{
    if (cert->revoked_at != NULL) {
        return "REVOKED";
    }
    bool ended = cert->not_after != NULL && cert->not_after->seconds <= c->world->utc_us() / 1000000;
    return ended ? "EXPIRED" : "VALID";
}

static const char *owner_of(cli *c, const Lpx__Iam__V1__ClientCertificate *cert)
{
    return cert->cluster_only ? "" : cli_show_net_id(c, cert->net_id);
}

static lpx_err run_list(cli *c)
{
    static const char *const headers[] = {"Fingerprint", "NetID", "Tenant ID", "Cluster ID", "Rights",
                                          "Subject",     "Ends",  "State",     "Last Used",  NULL};
    cli_endpoint e = cli_endpoint_of(c, "");
    Lpx__Iam__V1__ListCertificatesRequest request = LPX__IAM__V1__LIST_CERTIFICATES_REQUEST__INIT;
    cli_items certs = {0};
    request.net_id = e.has_net_id ? cli_wrap_uint32(c, e.net_id) : NULL;
    request.tenant_id = e.has_tenant_id ? cli_wrap_text(c, e.tenant_id) : NULL;
    request.with_revoked = cli_on(c, "with-revoked");
    LPX_TRY(cli_list_all(c, AGENT_IAM, CERTIFICATES "ListCertificates", &request.base,
                         &lpx__iam__v1__list_certificates_response__descriptor, &certs));
    cli_table *table = cli_table_new(c, headers);
    for (size_t i = 0; i < certs.count; i++) {
        Lpx__Iam__V1__ClientCertificate *cert = (Lpx__Iam__V1__ClientCertificate *)certs.items[i];
        const char *cells[] = {
            cert->fingerprint,
            owner_of(c, cert),
            cert->tenant_id,
            cert->cluster_id,
            cli_show_rights(c, cert->rights, cert->n_rights),
            cert->subject,
            cli_show_time(c, cert->not_after, 0),
            state_of(c, cert),
            cli_show_since(c, cert->authenticated_at, c->world->utc_us()),
        };
        cli_table_row(table, &cert->base, cells);
    }
    cli_table_print(c, table);
    return LPX_SUCCESS;
}

static void print_cert(cli *c, const Lpx__Iam__V1__ClientCertificate *cert)
{
    const char *pairs[] = {
        "Fingerprint", cert->fingerprint,
        "Subject",     cert->subject,
        "Issuer",      cert->issuer,
        "NetID",       owner_of(c, cert),
        "Tenant ID",   cert->tenant_id,
        "Cluster ID",  cert->cluster_id,
        "Rights",      cli_show_rights(c, cert->rights, cert->n_rights),
        "Ends",        cli_show_time(c, cert->not_after, 0),
        NULL,
    };
    cli_print_record(c, &cert->base, pairs);
}

/* The key cannot be had again: when the files cannot be written, the certificate is of no use. */
static lpx_err save(cli *c, const Lpx__Iam__V1__IssueCertificateResponse *made)
{
    lpx_err err =
        made->key_pem[0] != 0 ? cli_write_private(c, cli_text(c, "out-key"), lpx_str_of(made->key_pem)) : LPX_SUCCESS;
    err = lpx_failed(err) ? err : cli_write_private(c, cli_text(c, "out-cert"), lpx_str_of(made->certificate_pem));
    if (lpx_failed(err)) {
        return cli_fail(c, err.reason, "%s; revoke what was issued: lpx cert revoke --fingerprint %s", c->why,
                        made->certificate->fingerprint);
    }
    return LPX_SUCCESS;
}

static lpx_err run_issue(cli *c)
{
    cli_endpoint e = cli_endpoint_of(c, "");
    Lpx__Iam__V1__IssueCertificateRequest request = LPX__IAM__V1__ISSUE_CERTIFICATE_REQUEST__INIT;
    Lpx__Iam__V1__IssueCertificateResponse *answer = NULL;
    const char *csr = cli_text(c, "csr");
    if (cli_text(c, "out-cert")[0] == 0 || (csr[0] == 0 && cli_text(c, "out-key")[0] == 0)) {
        return cli_fail(c, CLI_USAGE,
                        "give --out-cert, and --out-key when there is no --csr: where to write the files");
    }
    if (csr[0] != 0) {
        lpx_str text;
        LPX_TRY(cli_read_file(c, csr, CLI_FILE_BYTES, &text));
        request.csr_pem = cli_printf(c, "%.*s", (int)text.len, text.ptr);
    }
    request.cluster_only = cli_on(c, "cluster-only");
    request.net_id = e.net_id;
    request.tenant_id = e.tenant_id;
    request.cluster_id = e.cluster_id;
    request.rights = cli_rights_of(c, cli_text(c, "rights"), &request.n_rights);
    request.days = (uint32_t)cli_number(c, "days");
    LPX_TRY(cli_call(c, AGENT_IAM, CERTIFICATES "IssueCertificate", &request.base,
                     &lpx__iam__v1__issue_certificate_response__descriptor, &answer));
    if (answer->certificate == NULL) {
        return cli_fail(c, CLI_CALL, "the exchange answered without the new certificate");
    }
    LPX_TRY(save(c, answer));
    print_cert(c, answer->certificate);
    return LPX_SUCCESS;
}

static lpx_err run_register(cli *c)
{
    cli_endpoint e = cli_endpoint_of(c, "");
    Lpx__Iam__V1__RegisterCertificateRequest request = LPX__IAM__V1__REGISTER_CERTIFICATE_REQUEST__INIT;
    Lpx__Iam__V1__RegisterCertificateResponse *answer = NULL;
    lpx_str text;
    if (cli_text(c, "cert")[0] == 0) {
        return cli_fail(c, CLI_USAGE, "give --cert: the PEM file of the certificate");
    }
    LPX_TRY(cli_read_file(c, cli_text(c, "cert"), CLI_FILE_BYTES, &text));
    request.certificate_pem = cli_printf(c, "%.*s", (int)text.len, text.ptr);
    request.cluster_only = cli_on(c, "cluster-only");
    request.net_id = e.net_id;
    request.tenant_id = e.tenant_id;
    request.cluster_id = e.cluster_id;
    request.rights = cli_rights_of(c, cli_text(c, "rights"), &request.n_rights);
    LPX_TRY(cli_call(c, AGENT_IAM, CERTIFICATES "RegisterCertificate", &request.base,
                     &lpx__iam__v1__register_certificate_response__descriptor, &answer));
    if (answer->certificate == NULL) {
        return cli_fail(c, CLI_CALL, "the exchange answered without the certificate");
    }
    print_cert(c, answer->certificate);
    return LPX_SUCCESS;
}

static lpx_err run_revoke(cli *c)
{
    Lpx__Iam__V1__RevokeCertificateRequest request = LPX__IAM__V1__REVOKE_CERTIFICATE_REQUEST__INIT;
    request.fingerprint = cli_text(c, "fingerprint");
    return cli_call_empty(c, AGENT_IAM, CERTIFICATES "RevokeCertificate", &request.base);
}

static const cli_flag list_flags[] = {{"with-revoked", CLI_SWITCH, "show revoked ones too"}, {0}};
static const cli_flag cluster_only_flags[] = {
    {"cluster-only", CLI_SWITCH, "for a cluster of the exchange, not for a network"},
    {0},
};
static const cli_flag issue_flags[] = {
    {"csr", CLI_PATH, "PEM file of a signing request; without it the exchange makes the key"},
    {"days", CLI_NUMBER, "how long it is valid, at most 825", "365"},
    {"out-cert", CLI_PATH, "where to write the certificate"},
    {"out-key", CLI_PATH, "where to write its private key (mode 0600)"},
    {0},
};
static const cli_flag register_flags[] = {{"cert", CLI_PATH, "PEM file of the certificate"}, {0}};
static const cli_flag fingerprint_flags[] = {
    {"fingerprint", CLI_TEXT, "SHA-256 of the certificate in hex, with or without colons"},
    {0},
};

static const cli_command list_command = {
    .name = "list",
    .aliases = "ls",
    .brief = "List client certificates",
    .examples = "  List all valid and expired client certificates:\n    $ %\n\n"
                "  List those of one network, revoked ones too:\n    $ % --net-id 000013 --with-revoked\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, list_flags, NULL},
    .run = run_list,
};
static const cli_command issue_command = {
    .name = "issue",
    .brief = "Issue a client certificate by the exchange's own CA",
    .about = "Issue a client certificate by the exchange's own CA.\n\n"
             "Whoever shows it on port 1900 is the network, tenant or cluster for which it was issued, with these "
             "rights.\nThe private key is written once and kept nowhere else.",
    .examples = "  Issue a certificate for a network, with a key made by the exchange:\n"
                "    $ % --net-id 000013 --rights READ_TRAFFIC,WRITE_TRAFFIC \\\n"
                "        --out-cert client.pem --out-key client-key.pem\n\n"
                "  Issue one for a tenant from a signing request, for 90 days:\n"
                "    $ openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \\\n"
                "        -keyout client-key.pem -subj /CN=tenant -out client.csr\n"
                "    $ % --net-id 000013 --tenant-id tenant --rights READ_TRAFFIC \\\n"
                "        --csr client.csr --days 90 --out-cert client.pem\n\n"
                "  Use it:\n"
                "    $ lpx sub --home-network-net-id 000013 \\\n"
                "        --client-cert-file client.pem --client-key-file client-key.pem\n" CLI_NETWORK_RIGHTS_TEXT,
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, cli_cluster_id_flags, cluster_only_flags,
                                       cli_rights_flags, issue_flags, NULL},
    .run = run_issue,
};
static const cli_command register_command = {
    .name = "register",
    .brief = "Register a client certificate of another CA",
    .about =
        "Register a client certificate of another CA.\n\n"
        "The exchange trusts the CAs of tls.client-ca-files; of their certificates those count that are registered.",
    .examples = "  Register a certificate for a network:\n"
                "    $ % --cert client.pem --net-id 000013 --rights READ_TRAFFIC,WRITE_TRAFFIC\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, cli_cluster_id_flags, cluster_only_flags,
                                       cli_rights_flags, register_flags, NULL},
    .run = run_register,
};
static const cli_command revoke_command = {
    .name = "revoke",
    .aliases = "rm, delete",
    .brief = "Revoke a client certificate and end its connections",
    .examples = "  Revoke:\n"
                "    $ % --fingerprint 3f0c5b2e8d7a4c1b9e6f0a2d4c6b8e0f1a3c5e7092b4d6f8a0c2e4068b0d2f41\n",
    .flags = (const cli_flag *const[]){fingerprint_flags, NULL},
    .run = run_revoke,
};

const cli_command cli_cert_command = {
    .name = "cert",
    .aliases = "certs, certificate, certificates",
    .brief = "Manage client certificates",
    .below = (const cli_command *const[]){&list_command, &issue_command, &register_command, &revoke_command, NULL},
};
