/* Client certificates: what they stand for, and what requests may ask. Pure. For this folder alone. */
#pragma once
#include "crypto/x509.h"
#include "iam/iam_core.h"
#include "lpx_iam_v1_iam.pb-c.h"

/** A client certificate as stored. Views are borrowed. */
typedef struct iam_cert {
    lpx_str fingerprint, subject, issuer, serial;
    lpx_utc not_before, not_after, created_at;
    bool own_ca;
    iam_key_kind kind; /* whom it stands for, as with API keys */
    uint32_t net_id;
    lpx_str tenant_id, cluster_id;
    uint64_t rights;
    bool revoked, used;
    lpx_utc revoked_at, authenticated_at;
} iam_cert;

/** What a request wants a certificate to stand for; pointers into the request. */
typedef struct iam_cert_wish {
    bool cluster_only;
    uint32_t net_id;
    const char *tenant_id, *cluster_id;
    const Pb__V3__Right *rights;
    size_t right_count;
} iam_cert_wish;

/** Check a wish and put it into *out, whose other fields are cleared. A certificate of a cluster names the cluster and
 * no network; others get what the caller may give on.
 * @err INVALID_ARGUMENT: IAM_MISSING_FIELD, IAM_BAD_RIGHT, IAM_CERT_OF_CLUSTER, LW_NETID_INVALID, LW_TENANT_ID_INVALID,
 *      LW_CLUSTER_ID_INVALID; PERMISSION_DENIED: IAM_RIGHTS_EXCEEDED, IAM_FIELD_FORBIDDEN */
LPX_RESULT iam_cert_wish_read(const rpc_principal *who, const iam_cert_wish *wish, iam_cert *out, lpx_note *note);
/** Days of a request; 0 becomes the default. @err INVALID_ARGUMENT: IAM_BAD_DAYS */
LPX_RESULT iam_cert_days(uint32_t wanted, unsigned *days, lpx_note *note);
/** Can a client show this certificate? @err INVALID_ARGUMENT: IAM_BAD_CERT */
LPX_RESULT iam_cert_check(const crypto_cert_info *info, lpx_utc now, lpx_note *note);
/** Put what a certificate says of itself into its row; borrows the texts of info. */
void iam_cert_take(iam_cert *cert, const crypto_cert_info *info);
/** Common name of a certificate that is issued: "000013", "tenant@000013" or the cluster's id. NULL: memory is short */
const char *iam_cert_name(const iam_cert *cert, lpx_arena *arena);
/** Fingerprint of a request: 64 hex digits in any case, with or without colons. @err INVALID_ARGUMENT: IAM_BAD_CERT */
LPX_RESULT iam_fingerprint_read(const char *text, char out[static CRYPTO_FINGERPRINT_BYTES], lpx_note *note);
/** May the caller revoke it? @err PERMISSION_DENIED: IAM_CERT_NOT_OWN */
LPX_RESULT iam_cert_own(const rpc_principal *who, const iam_cert *cert);

/** Which certificates a list holds. */
typedef struct iam_cert_filter {
    bool has_net_id, has_tenant_id, with_revoked;
    uint32_t net_id, offset, limit;
    lpx_str tenant_id;
} iam_cert_filter;

/** Filter of a request: a network sees its own. @err INVALID_ARGUMENT: LW_NETID_INVALID */
LPX_RESULT iam_cert_filter_of(const Lpx__Iam__V1__ListCertificatesRequest *request, const rpc_principal *who,
                              iam_cert_filter *out, lpx_note *note);
/** A certificate as message. NULL when memory is short. */
Lpx__Iam__V1__ClientCertificate *iam_cert_to_message(const iam_cert *cert, lpx_arena *arena);
