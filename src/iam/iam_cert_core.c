#include "iam/iam_cert_core.h"

#include "codec/pb/pb.h"
#include "iam/limits.h"
#include "lpx_reasons.h"

/* Certificates of clusters open what no member may see: as with their API keys, administrators alone make them. */
static lpx_err cluster_check(const rpc_principal *who, const iam_cert_wish *wish, lpx_note *note)
{
    if (who->subject != RPC_ADMIN) {
        return lpx_fail(note, IAM_FIELD_FORBIDDEN, "cluster_only is for administrators.");
    }
    if (wish->net_id != 0 || pb_str(wish->tenant_id).len > 0) {
        return lpx_fail(note, IAM_CERT_OF_CLUSTER,
                        "cluster_only is set: leave net_id and tenant_id out, such a certificate is of no network.");
    }
    if (pb_str(wish->cluster_id).len == 0) {
        return lpx_fail(note, IAM_MISSING_FIELD,
                        "cluster_id is missing: which cluster does the certificate stand for?");
    }
    return LPX_SUCCESS;
}

lpx_err iam_cert_wish_read(const rpc_principal *who, const iam_cert_wish *wish, iam_cert *out, lpx_note *note)
{
    iam_cert cert = {.kind = wish->cluster_only ? IAM_KEY_OF_CLUSTER : IAM_KEY_OF_NETWORK,
                     .net_id = wish->net_id,
                     .tenant_id = pb_str(wish->tenant_id),
                     .cluster_id = pb_str(wish->cluster_id)};
    if (wish->cluster_only) {
        LPX_TRY(cluster_check(who, wish, note));
    } else {
        LPX_TRY(iam_member_id_check(wish->net_id, cert.tenant_id.len > 0 ? wish->tenant_id : NULL, "", note));
    }
    if (cert.cluster_id.len > 0) {
        LPX_TRY(lw_cluster_id_check(cert.cluster_id, "cluster_id", note));
    }
    LPX_TRY(iam_rights_mask(wish->rights, wish->right_count, &cert.rights, note));
    LPX_TRY(iam_key_allowed(who, cert.rights, cert.cluster_id, note));
    *out = cert;
    return LPX_SUCCESS;
}

lpx_err iam_cert_days(uint32_t wanted, unsigned *days, lpx_note *note)
{
    if (wanted > CRYPTO_CERT_DAYS) {
        return lpx_fail(note, IAM_BAD_DAYS, "days is %u; a certificate is issued for at most %d.", wanted,
                        (int)CRYPTO_CERT_DAYS);
    }
    *days = wanted > 0 ? wanted : IAM_CERT_DAYS;
    return LPX_SUCCESS;
}

lpx_err iam_cert_check(const crypto_cert_info *info, lpx_utc now, lpx_note *note)
{
    if (info->is_ca) {
        return lpx_fail(note, IAM_BAD_CERT,
                        "This is the certificate of a CA: register those of its clients, and name the CA in "
                        "tls.client-ca-files.");
    }
    if (!info->for_clients) {
        return lpx_fail(note, IAM_BAD_CERT,
                        "The certificate is not made for TLS clients: its extended key usage must "
                        "name clientAuth.");
    }
    if (info->not_after.us <= now.us) {
        return lpx_fail(note, IAM_BAD_CERT, "The certificate has expired.");
    }
    return LPX_SUCCESS;
}

void iam_cert_take(iam_cert *cert, const crypto_cert_info *info)
{
    cert->fingerprint = lpx_str_of(info->fingerprint);
    cert->subject = lpx_str_of(info->subject);
    cert->issuer = lpx_str_of(info->issuer);
    cert->serial = lpx_str_of(info->serial);
    cert->not_before = info->not_before;
    cert->not_after = info->not_after;
}

const char *iam_cert_name(const iam_cert *cert, lpx_arena *arena)
{
    if (cert->kind == IAM_KEY_OF_CLUSTER) {
        return lpx_arena_cstr(arena, cert->cluster_id);
    }
    return lpx_arena_printf(arena, "%.*s%s%06X", (int)cert->tenant_id.len, cert->tenant_id.ptr,
                            cert->tenant_id.len > 0 ? "@" : "", (unsigned)cert->net_id);
}

lpx_err iam_fingerprint_read(const char *text, char out[static CRYPTO_FINGERPRINT_BYTES], lpx_note *note)
{
    size_t len = 0;
    bool good = true;
    for (const char *c = text; good && *c != '\0'; c++) {
        bool upper = *c >= 'A' && *c <= 'F';
        bool hex = upper || (*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'f');
        good = *c == ':' || (hex && len < CRYPTO_FINGERPRINT_BYTES - 1);
        if (good && hex) {
            out[len++] = (char)(upper ? *c - 'A' + 'a' : *c);
        }
    }
    out[len] = '\0';
    return good && len == CRYPTO_FINGERPRINT_BYTES - 1
               ? LPX_SUCCESS
               : lpx_fail(note, IAM_BAD_CERT, "fingerprint must be the SHA-256 of the certificate: 64 hex digits.");
}

lpx_err iam_cert_own(const rpc_principal *who, const iam_cert *cert)
{
    bool own = who->subject != RPC_NETWORK || (cert->kind == IAM_KEY_OF_NETWORK && cert->net_id == who->net_id);
    return own ? LPX_SUCCESS : lpx_err_of(IAM_CERT_NOT_OWN);
}

lpx_err iam_cert_filter_of(const Lpx__Iam__V1__ListCertificatesRequest *request, const rpc_principal *who,
                           iam_cert_filter *out, lpx_note *note)
{
    iam_cert_filter filter = {
        .has_net_id = request->net_id != NULL,
        .net_id = request->net_id != NULL ? request->net_id->value : 0,
        .has_tenant_id = request->tenant_id != NULL,
        .tenant_id = pb_str(request->tenant_id != NULL ? request->tenant_id->value : NULL),
        .with_revoked = request->with_revoked != 0,
        .offset = request->offset,
        .limit = iam_page_limit(request->limit),
    };
    if (filter.has_net_id) {
        LPX_TRY(lw_netid_check(filter.net_id, "net_id", note));
    }
    if (who->subject == RPC_NETWORK) {
        filter.has_net_id = true;
        filter.net_id = who->net_id;
    }
    *out = filter;
    return LPX_SUCCESS;
}

Lpx__Iam__V1__ClientCertificate *iam_cert_to_message(const iam_cert *cert, lpx_arena *arena)
{
    Lpx__Iam__V1__ClientCertificate *m = lpx_arena_get(arena, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    lpx__iam__v1__client_certificate__init(m);
    m->own_ca = cert->own_ca;
    m->cluster_only = cert->kind == IAM_KEY_OF_CLUSTER;
    m->net_id = cert->net_id;
    bool ok = iam_put_text(cert->fingerprint, arena, &m->fingerprint) &&
              iam_put_text(cert->subject, arena, &m->subject) && iam_put_text(cert->issuer, arena, &m->issuer) &&
              iam_put_text(cert->serial, arena, &m->serial) && iam_put_text(cert->tenant_id, arena, &m->tenant_id) &&
              iam_put_text(cert->cluster_id, arena, &m->cluster_id) &&
              iam_put_time(true, cert->not_before, arena, &m->not_before) &&
              iam_put_time(true, cert->not_after, arena, &m->not_after) &&
              iam_put_time(true, cert->created_at, arena, &m->created_at) &&
              iam_put_time(cert->revoked, cert->revoked_at, arena, &m->revoked_at) &&
              iam_put_time(cert->used, cert->authenticated_at, arena, &m->authenticated_at) &&
              iam_put_rights(cert->rights, arena, &m->rights, &m->n_rights);
    return ok ? m : NULL;
}
