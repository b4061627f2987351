#include "rpc/authn.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/password.h"
#include "lpx_reasons.h"
#include "rpc/limits.h"

struct rpc_auth_snapshot {
    atomic_uint refs;
    rpc_auth_key *keys; /* sorted by key_id */
    size_t key_count;
    rpc_auth_cert *certs;         /* sorted by fingerprint */
    atomic_int_fast64_t *used_us; /* of certs: last use that was told, in the same order */
    size_t cert_count;
    rpc_auth_admin *admins;
    size_t admin_count;
    jwt_key **signing_keys;
    size_t signing_key_count;
    lpx_str issuer;
    lpx_str *audiences;
    size_t audience_count;
    lpx_arena text; /* issuer and audiences */
};

/* A password that nobody has, so that an unknown user costs as much as a known one. */
static const char nobody_phc[] =
    "$argon2id$v=19$m=19456,t=2,p=1$bHB4LW5vYm9keS1zYWx0$nP2uA1n5rYvVqgJm6iVv6V0S6o9J0mJrE8c2k8H4d2Y";

enum { TEXT_BYTES = 64 << 10 };

static int by_key_id(const void *a, const void *b)
{
    return strcmp(((const rpc_auth_key *)a)->key_id, ((const rpc_auth_key *)b)->key_id);
}

static int by_fingerprint(const void *a, const void *b)
{
    return strcmp(((const rpc_auth_cert *)a)->fingerprint, ((const rpc_auth_cert *)b)->fingerprint);
}

static bool copy_array(void **out, const void *from, size_t count, size_t size)
{
    if (count == 0) {
        return true;
    }
    *out = calloc(count, size);
    if (*out == NULL) {
        return false;
    }
    memcpy(*out, from, count * size);
    return true;
}

static bool copy_certs(rpc_auth_snapshot *s, const rpc_auth_source *source)
{
    s->cert_count = source->cert_count;
    if (source->cert_count == 0) {
        return true;
    }
    s->used_us = calloc(source->cert_count, sizeof *s->used_us);
    if (s->used_us == NULL || !copy_array((void **)&s->certs, source->certs, source->cert_count, sizeof *s->certs)) {
        return false;
    }
    qsort(s->certs, s->cert_count, sizeof *s->certs, by_fingerprint);
    for (size_t i = 0; i < s->cert_count; i++) {
        atomic_init(&s->used_us[i], s->certs[i].authenticated_at.us);
    }
    return true;
}

static bool copy_texts(rpc_auth_snapshot *s, const rpc_auth_source *source)
{
    lpx_arena_init(&s->text, TEXT_BYTES);
    s->issuer = lpx_bytes_str(lpx_arena_copy(&s->text, lpx_str_bytes(source->issuer)));
    s->audiences = lpx_arena_array(&s->text, source->audience_count, sizeof(lpx_str));
    if (s->audiences == NULL || s->issuer.ptr == NULL) {
        return false;
    }
    for (size_t i = 0; i < source->audience_count; i++) {
        s->audiences[i] = lpx_bytes_str(lpx_arena_copy(&s->text, lpx_str_bytes(source->audiences[i])));
        if (s->audiences[i].ptr == NULL) {
            return false;
        }
    }
    s->audience_count = source->audience_count;
    return true;
}

static void free_signing_keys(jwt_key **keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        jwt_key_free(&keys[i]);
    }
}

rpc_auth_snapshot *rpc_auth_snapshot_new(const rpc_auth_source *source)
{
    rpc_auth_snapshot *s = calloc(1, sizeof *s);
    bool ok = s != NULL;
    if (ok) {
        atomic_init(&s->refs, 1);
        s->key_count = source->key_count;
        s->admin_count = source->admin_count;
        ok = copy_array((void **)&s->keys, source->keys, source->key_count, sizeof *s->keys) &&
             copy_array((void **)&s->admins, source->admins, source->admin_count, sizeof *s->admins) &&
             copy_array((void **)&s->signing_keys, source->signing_keys, source->signing_key_count,
                        sizeof *s->signing_keys) &&
             copy_certs(s, source) && copy_texts(s, source);
    }
    if (!ok) {
        free_signing_keys(source->signing_keys, source->signing_key_count);
        rpc_auth_snapshot_unref(&s);
        return NULL;
    }
    s->signing_key_count = source->signing_key_count;
    if (s->key_count > 0) {
        qsort(s->keys, s->key_count, sizeof *s->keys, by_key_id);
    }
    return s;
}

rpc_auth_snapshot *rpc_auth_snapshot_ref(rpc_auth_snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
    return snapshot;
}

void rpc_auth_snapshot_unref(rpc_auth_snapshot **snapshot)
{
    rpc_auth_snapshot *s = *snapshot;
    *snapshot = NULL;
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    free_signing_keys(s->signing_keys, s->signing_key_count);
    free(s->signing_keys);
    if (s->admins != NULL) {
        lpx_wipe(s->admins, s->admin_count * sizeof *s->admins);
    }
    free(s->admins);
    free(s->keys);
    free(s->certs);
    free(s->used_us);
    lpx_arena_fini(&s->text);
    free(s);
}

const rpc_auth_key *rpc_auth_find_key(const rpc_auth_snapshot *snapshot, lpx_str key_id)
{
    rpc_auth_key wanted = {.key_id = ""};
    if (key_id.len == 0 || key_id.len >= sizeof wanted.key_id || snapshot->key_count == 0) {
        return NULL;
    }
    memcpy(wanted.key_id, key_id.ptr, key_id.len);
    return bsearch(&wanted, snapshot->keys, snapshot->key_count, sizeof *snapshot->keys, by_key_id);
}

const rpc_auth_cert *rpc_auth_find_cert(const rpc_auth_snapshot *snapshot, const char *fingerprint)
{
    rpc_auth_cert wanted = {.revoked = false};
    if (snapshot->cert_count == 0 || strlen(fingerprint) >= sizeof wanted.fingerprint) {
        return NULL;
    }
    memcpy(wanted.fingerprint, fingerprint, strlen(fingerprint));
    return bsearch(&wanted, snapshot->certs, snapshot->cert_count, sizeof *snapshot->certs, by_fingerprint);
}

bool rpc_auth_cert_due(const rpc_auth_snapshot *snapshot, const char *fingerprint, lpx_utc now)
{
    const rpc_auth_cert *cert = rpc_auth_find_cert(snapshot, fingerprint);
    if (cert == NULL) {
        return false;
    }
    atomic_int_fast64_t *used_us = &snapshot->used_us[cert - snapshot->certs];
    int_fast64_t last_us = atomic_load_explicit(used_us, memory_order_relaxed);
    bool recent = last_us <= now.us && now.us - last_us < RPC_CERT_USED_EVERY_S * INT64_C(1000000);
    return !recent && atomic_compare_exchange_strong_explicit(used_us, &last_us, now.us, memory_order_relaxed,
                                                              memory_order_relaxed);
}

static lpx_err cert_bad(uint16_t reason, const char *fingerprint, const char *why, lpx_note *note)
{
    return lpx_fail(note, reason, "The client certificate with the fingerprint %.64s %s.", fingerprint, why);
}

lpx_err rpc_auth_cert_check(const rpc_auth_snapshot *snapshot, const char *fingerprint, lpx_utc now, rpc_principal *out,
                            lpx_note *note)
{
    const rpc_auth_cert *cert = rpc_auth_find_cert(snapshot, fingerprint);
    if (cert == NULL) {
        return cert_bad(RPC_CERT_UNKNOWN, fingerprint,
                        "is not registered with this exchange; an administrator registers it with: lpx cert register",
                        note);
    }
    if (cert->revoked) {
        return cert_bad(RPC_CERT_REVOKED, fingerprint, "was revoked; ask for a new one", note);
    }
    if (now.us < cert->not_before.us || now.us >= cert->not_after.us) {
        return cert_bad(RPC_CERT_EXPIRED, fingerprint, "is not valid yet, or not any more", note);
    }
    *out = (rpc_principal){.rights = cert->rights, .expires_at = cert->not_after};
    memcpy(out->cert, cert->fingerprint, sizeof out->cert);
    memcpy(out->cluster_id, cert->cluster_id, sizeof out->cluster_id);
    if (cert->is_cluster) {
        out->subject = RPC_CLUSTER;
        return LPX_SUCCESS;
    }
    out->subject = cert->tenant_id[0] == '\0' ? RPC_NETWORK : RPC_TENANT;
    out->net_id = cert->net_id;
    memcpy(out->tenant_id, cert->tenant_id, sizeof out->tenant_id);
    return LPX_SUCCESS;
}

/* Does the certificate cover whom the token names? */
static bool cert_covers(const rpc_principal *cert, const rpc_principal *who)
{
    bool same_cluster =
        cert->cluster_id[0] == '\0' || who->cluster_id[0] == '\0' || strcmp(cert->cluster_id, who->cluster_id) == 0;
    bool same_tenant = cert->subject == RPC_NETWORK || strcmp(cert->tenant_id, who->tenant_id) == 0;
    if (cert->subject == RPC_CLUSTER || who->subject == RPC_CLUSTER) {
        return cert->subject == who->subject && same_cluster;
    }
    return cert->net_id == who->net_id && same_tenant && same_cluster;
}

static lpx_err cert_other(const rpc_principal *cert, lpx_note *note)
{
    if (cert->subject == RPC_CLUSTER) {
        return lpx_fail(note, RPC_CERT_OTHER, "The client certificate is of cluster \"%s\", and the token is not.",
                        cert->cluster_id);
    }
    return lpx_fail(note, RPC_CERT_OTHER,
                    "The client certificate is of network %06X, tenant \"%s\", cluster \"%s\", and the token is not.",
                    (unsigned)cert->net_id, cert->tenant_id, cert->cluster_id);
}

lpx_err rpc_auth_combine(rpc_principal *who, const rpc_principal *cert, lpx_note *note)
{
    if (who->subject != RPC_ADMIN) {
        if (!cert_covers(cert, who)) {
            return cert_other(cert, note);
        }
        who->rights &= cert->rights;
        if (who->cluster_id[0] == '\0') {
            memcpy(who->cluster_id, cert->cluster_id, sizeof who->cluster_id);
        }
        who->expires_at = who->expires_at.us < cert->expires_at.us ? who->expires_at : cert->expires_at;
    }
    memcpy(who->cert, cert->cert, sizeof who->cert);
    return LPX_SUCCESS;
}

lpx_str rpc_token_key_id(lpx_str token_id)
{
    if (token_id.len <= RPC_TOKEN_ID_BYTES || token_id.ptr[RPC_TOKEN_ID_BYTES] != '-') {
        return (lpx_str){.ptr = "", .len = 0};
    }
    return lpx_str_skip(token_id, RPC_TOKEN_ID_BYTES + 1);
}

static jwt_key *find_signing_key(const rpc_auth_snapshot *snapshot, lpx_str kid)
{
    for (size_t i = 0; i < snapshot->signing_key_count; i++) {
        if (lpx_str_equal(jwt_key_id(snapshot->signing_keys[i]), kid)) {
            return snapshot->signing_keys[i];
        }
    }
    return NULL;
}

/* The caller is what the key says; the token's rights only narrow it. */
static void fill_principal(const rpc_auth_key *key, const jwt_claims *claims, rpc_principal *out)
{
    *out = (rpc_principal){.rights = claims->rights & key->rights, .expires_at = claims->expires_at};
    memcpy(out->key_id, key->key_id, sizeof out->key_id);
    memcpy(out->cluster_id, key->cluster_id, sizeof out->cluster_id);
    if (key->is_cluster) {
        out->subject = RPC_CLUSTER;
        return;
    }
    out->subject = key->tenant_id[0] == '\0' ? RPC_NETWORK : RPC_TENANT;
    out->net_id = key->net_id;
    memcpy(out->tenant_id, key->tenant_id, sizeof out->tenant_id);
}

lpx_err rpc_auth_token(const rpc_auth_snapshot *snapshot, lpx_str token, lpx_utc now, lpx_arena *scratch,
                       rpc_principal *out, lpx_note *note)
{
    lpx_str kid;
    LPX_TRY(jwt_peek_kid(token, scratch, &kid, note));
    const jwt_key *signing_key = find_signing_key(snapshot, kid);
    if (signing_key == NULL) {
        return lpx_err_of(RPC_TOKEN_UNKNOWN_KEY);
    }
    jwt_claims *claims = lpx_arena_get(scratch, sizeof *claims);
    if (claims == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    LPX_TRY(jwt_verify(signing_key, token, scratch, claims, note));
    LPX_TRY(jwt_check(claims, now, snapshot->issuer, snapshot->audiences, snapshot->audience_count, note));
    const rpc_auth_key *key = rpc_auth_find_key(snapshot, rpc_token_key_id(claims->token_id));
    if (key == NULL) {
        bool fresh = now.us - claims->issued_at.us < RPC_FRESH_TOKEN_S * INT64_C(1000000);
        return lpx_err_of(fresh ? RPC_KEY_NOT_YET : RPC_KEY_REVOKED);
    }
    fill_principal(key, claims, out);
    return LPX_SUCCESS;
}

lpx_err rpc_auth_split_basic(lpx_str header, lpx_arena *scratch, lpx_str *user, lpx_str *password)
{
    lpx_str text = lpx_str_skip(header, sizeof "Basic " - 1);
    while (text.len > 0 && text.ptr[0] == ' ') {
        text = lpx_str_skip(text, 1);
    }
    size_t room = text.len / 4 * 3 + 3;
    uint8_t *plain = lpx_arena_get(scratch, room);
    if (plain == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    int64_t len = lpx_base64_decode(text, (lpx_space){.ptr = plain, .len = room});
    const uint8_t *colon = len > 0 ? memchr(plain, ':', (size_t)len) : NULL;
    if (colon == NULL) {
        return lpx_err_of(RPC_BASIC_MALFORMED);
    }
    size_t user_len = (size_t)(colon - plain);
    *user = (lpx_str){.ptr = (const char *)plain, .len = user_len};
    *password = (lpx_str){.ptr = (const char *)colon + 1, .len = (size_t)len - user_len - 1};
    return LPX_SUCCESS;
}

bool rpc_auth_check_admin(const rpc_auth_snapshot *snapshot, lpx_str user, lpx_str password)
{
    for (size_t i = 0; i < snapshot->admin_count; i++) {
        if (lpx_str_is(user, snapshot->admins[i].username)) {
            return crypto_password_verify(password, snapshot->admins[i].password_phc);
        }
    }
    (void)crypto_password_verify(password, nobody_phc);
    return false;
}
