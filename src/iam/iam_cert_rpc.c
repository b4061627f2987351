/* ClientCertificates: issue from the own CA, register those of others, list, revoke; and the time of their last use.
 * Who may call at all was decided before (rpc/authz.c). */
#include <stdio.h>
#include <stdlib.h>

#include "iam/iam_cert_store.h"
#include "iam/iam_rpc_kit.h"

static const int64_t us_per_day = INT64_C(86400000000);

/* The owner must be there, and may not have too many. Old rows go when new ones come. */
static lpx_err check_place(store_tx *tx, rpc_txn *txn, const iam_cert *cert)
{
    int64_t count;
    if (cert->kind == IAM_KEY_OF_NETWORK) {
        LPX_TRY(iam_owner_check(tx, cert->net_id, cert->tenant_id, "certificates", &txn->note));
    }
    LPX_TRY(iam_store_certs_purge(tx, (lpx_utc){txn->now.us - IAM_CERT_KEPT_DAYS * us_per_day}));
    LPX_TRY(iam_store_cert_count(tx, cert, txn->now, &count));
    return count < IAM_MAX_CERTS ? LPX_SUCCESS
                                 : lpx_fail(&txn->note, IAM_TOO_MANY_CERTS,
                                            "There are %d certificates of this owner already that have not ended, "
                                            "revoked ones included.",
                                            (int)IAM_MAX_CERTS);
}

static lpx_err add(store_tx *tx, rpc_txn *txn, iam_cert *cert)
{
    bool made;
    cert->created_at = txn->now;
    LPX_TRY(iam_store_cert_insert(tx, cert, &made));
    if (made) {
        store_touch(tx, STORE_TOPIC_CERTIFICATES);
        return LPX_SUCCESS;
    }
    bool found;
    iam_cert there = {.revoked = false};
    LPX_TRY(iam_store_cert_get(tx, cert->fingerprint, txn->arena, &there, &found));
    return lpx_fail(&txn->note, IAM_CERT_EXISTS, "This certificate is registered already%s.",
                    there.revoked ? ", and was revoked: use a new one" : "");
}

static lpx_err issue(store_tx *tx, rpc_txn *txn)
{
    const Lpx__Iam__V1__IssueCertificateRequest *in = REQUEST(Lpx__Iam__V1__IssueCertificateRequest, txn);
    const iam *service = txn->service;
    iam_cert_wish wish = {in->cluster_only != 0, in->net_id, in->tenant_id, in->cluster_id, in->rights, in->n_rights};
    iam_cert cert;
    crypto_client_cert *made = lpx_arena_get(txn->arena, sizeof *made);
    Lpx__Iam__V1__IssueCertificateResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    if (made == NULL || reply == NULL) {
        return NO_MEMORY;
    }
    if (service->ca == NULL) {
        return lpx_err_of(IAM_NO_CA);
    }
    crypto_client_opts opts = {.csr_pem = pb_str(in->csr_pem), .now = txn->now};
    LPX_TRY(iam_cert_wish_read(txn->who, &wish, &cert, &txn->note));
    LPX_TRY(iam_cert_days(in->days, &opts.days, &txn->note));
    LPX_TRY(check_place(tx, txn, &cert));
    opts.common_name = iam_cert_name(&cert, txn->arena);
    if (opts.common_name == NULL) {
        return NO_MEMORY;
    }
    LPX_TRY(crypto_client_issue(service->ca, &opts, txn->arena, made, &txn->note));
    cert.own_ca = true;
    iam_cert_take(&cert, &made->info);
    LPX_TRY(add(tx, txn, &cert));
    lpx__iam__v1__issue_certificate_response__init(reply);
    reply->certificate = iam_cert_to_message(&cert, txn->arena);
    reply->certificate_pem = (char *)(uintptr_t)made->cert_pem.ptr;
    reply->key_pem = (char *)(uintptr_t)made->key_pem.ptr;
    reply->ca_pem = (char *)(uintptr_t)crypto_ca_pem(service->ca).ptr;
    txn->reply = &reply->base;
    return reply->certificate != NULL ? LPX_SUCCESS : NO_MEMORY;
}

static lpx_err register_one(store_tx *tx, rpc_txn *txn)
{
    const Lpx__Iam__V1__RegisterCertificateRequest *in = REQUEST(Lpx__Iam__V1__RegisterCertificateRequest, txn);
    iam_cert_wish wish = {in->cluster_only != 0, in->net_id, in->tenant_id, in->cluster_id, in->rights, in->n_rights};
    iam_cert cert;
    crypto_cert_info *info = lpx_arena_get(txn->arena, sizeof *info);
    Lpx__Iam__V1__RegisterCertificateResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    if (info == NULL || reply == NULL) {
        return NO_MEMORY;
    }
    LPX_TRY(iam_cert_wish_read(txn->who, &wish, &cert, &txn->note));
    LPX_TRY(crypto_cert_read_pem(pb_str(in->certificate_pem), info, &txn->note));
    LPX_TRY(iam_cert_check(info, txn->now, &txn->note));
    LPX_TRY(check_place(tx, txn, &cert));
    iam_cert_take(&cert, info);
    LPX_TRY(add(tx, txn, &cert));
    lpx__iam__v1__register_certificate_response__init(reply);
    reply->certificate = iam_cert_to_message(&cert, txn->arena);
    txn->reply = &reply->base;
    return reply->certificate != NULL ? LPX_SUCCESS : NO_MEMORY;
}

static lpx_err list(store_tx *tx, rpc_txn *txn)
{
    iam_cert_filter filter;
    iam_cert *certs;
    size_t count;
    uint32_t total;
    LPX_TRY(iam_cert_filter_of(REQUEST(Lpx__Iam__V1__ListCertificatesRequest, txn), txn->who, &filter, &txn->note));
    LPX_TRY(iam_store_certs(tx, &filter, txn->arena, &certs, &count, &total));
    Lpx__Iam__V1__ListCertificatesResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    Lpx__Iam__V1__ClientCertificate **out = lpx_arena_array(txn->arena, count, sizeof *out);
    if (reply == NULL || out == NULL) {
        return NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        out[i] = iam_cert_to_message(&certs[i], txn->arena);
        if (out[i] == NULL) {
            return NO_MEMORY;
        }
    }
    lpx__iam__v1__list_certificates_response__init(reply);
    reply->certificates = out;
    reply->n_certificates = count;
    reply->total = total;
    txn->reply = &reply->base;
    return LPX_SUCCESS;
}

static lpx_err revoke(store_tx *tx, rpc_txn *txn)
{
    char fingerprint[CRYPTO_FINGERPRINT_BYTES];
    iam_cert cert;
    bool found;
    LPX_TRY(iam_fingerprint_read(REQUEST(Lpx__Iam__V1__RevokeCertificateRequest, txn)->fingerprint, fingerprint,
                                 &txn->note));
    LPX_TRY(iam_store_cert_get(tx, lpx_str_of(fingerprint), txn->arena, &cert, &found));
    if (!found) {
        return lpx_fail(&txn->note, IAM_CERT_UNKNOWN, "There is no certificate with the fingerprint %s.", fingerprint);
    }
    LPX_TRY(iam_cert_own(txn->who, &cert));
    LPX_TRY(iam_store_cert_revoke(tx, lpx_str_of(fingerprint), txn->now));
    store_touch(tx, STORE_TOPIC_CERTIFICATES);
    return LPX_SUCCESS;
}

/* A time of use on its way to the store. */
typedef struct used_job {
    store_job job;
    lpx_utc now;
    char fingerprint[CRYPTO_FINGERPRINT_BYTES];
} used_job;

static lpx_err used_work(store_tx *tx, store_job *job)
{
    const used_job *used = LPX_CONTAINER(job, used_job, job);
    return iam_store_cert_used(tx, lpx_str_of(used->fingerprint), used->now);
}

static void used_done(store_job *job, lpx_err err)
{
    (void)err; /* the next use is written again */
    free(LPX_CONTAINER(job, used_job, job));
}

void iam_cert_used(iam *self, io_loop *loop, const char *fingerprint, lpx_utc now)
{
    used_job *used = !atomic_load(&self->stopped) ? calloc(1, sizeof *used) : NULL;
    if (used == NULL) {
        return;
    }
    used->job = (store_job){.home = loop, .write = true, .work = used_work, .done = used_done};
    used->now = now;
    (void)snprintf(used->fingerprint, sizeof used->fingerprint, "%s", fingerprint);
    if (lpx_failed(store_submit(self->store, &used->job))) {
        free(used);
    }
}

#define CERTIFICATES "/lpx.iam.v1.ClientCertificates/"

void iam_rpc_cert_methods(iam *service)
{
    const rpc_method methods[] = {
        {.path = CERTIFICATES "ListCertificates",
         .in = &lpx__iam__v1__list_certificates_request__descriptor,
         .out = &lpx__iam__v1__list_certificates_response__descriptor,
         .flavour = RPC_READ,
         .txn = list},
        {.path = CERTIFICATES "IssueCertificate",
         .in = &lpx__iam__v1__issue_certificate_request__descriptor,
         .out = &lpx__iam__v1__issue_certificate_response__descriptor,
         .flavour = RPC_WRITE,
         .txn = issue},
        {.path = CERTIFICATES "RegisterCertificate",
         .in = &lpx__iam__v1__register_certificate_request__descriptor,
         .out = &lpx__iam__v1__register_certificate_response__descriptor,
         .flavour = RPC_WRITE,
         .txn = register_one},
        {.path = CERTIFICATES "RevokeCertificate",
         .in = &lpx__iam__v1__revoke_certificate_request__descriptor,
         .out = &google__protobuf__empty__descriptor,
         .flavour = RPC_WRITE,
         .txn = revoke},
    };
    iam_methods_add(service, methods, sizeof methods / sizeof methods[0]);
}
