#include "ts002/ts002_target.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "lpx_reasons.h"
#include "ts002/limits.h"
#include "wire/http/fetch.h"

typedef struct origin_entry {
    uint32_t net_id;
    ts002_credentials credentials;
} origin_entry;

struct ts002_target {
    atomic_uint refs;
    lpx_arena arena; /* wiped */
    uint32_t id;
    uint64_t digest;
    ts002_version version;
    const char *url;
    char host[FETCH_HOST_BYTES];
    lpx_bytes cas;
    ts002_credentials fallback;
    origin_entry *origins; /* by net_id */
    size_t origin_count;
};

/* "Authorization: " and a value that must not end the line. */
static lpx_err keep_header(ts002_target *t, const char *scheme, lpx_str value, const char **out, lpx_note *note)
{
    for (size_t i = 0; i < value.len; i++) {
        if ((unsigned char)value.ptr[i] < ' ' && value.ptr[i] != '\t') {
            return lpx_fail(note, TS002_BAD_TARGET, "The Authorization value has a control character.");
        }
    }
    *out = lpx_arena_printf(&t->arena, "Authorization: %s%.*s", scheme, (int)value.len, value.ptr);
    return *out != NULL ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

static lpx_err keep_basic(ts002_target *t, const ts002_auth *auth, const char **out, lpx_note *note)
{
    const char *pair = lpx_arena_printf(&t->arena, "%.*s:%.*s", (int)auth->username.len, auth->username.ptr,
                                        (int)auth->password.len, auth->password.ptr);
    char *text = pair != NULL ? lpx_arena_get(&t->arena, lpx_base64_len(strlen(pair)) + 1) : NULL;
    if (text == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    lpx_base64_encode(lpx_str_bytes(lpx_str_of(pair)), text);
    return keep_header(t, "Basic ", lpx_str_of(text), out, note);
}

static lpx_err keep_auth(ts002_target *t, const ts002_auth *auth, ts002_credentials *out, lpx_note *note)
{
    *out = (ts002_credentials){.kind = auth->kind};
    switch (auth->kind) {
    case TS002_AUTH_NONE:
    case TS002_AUTH_TOKEN:
        break;
    case TS002_AUTH_BASIC:
        return keep_basic(t, auth, &out->authorization, note);
    case TS002_AUTH_CUSTOM:
        return keep_header(t, "", auth->value, &out->authorization, note);
    case TS002_AUTH_CERTIFICATE:
        if (auth->cert.len == 0 || auth->key.len == 0) {
            return lpx_fail(note, TS002_BAD_TARGET, "TLS client authentication needs a certificate and its key, PEM.");
        }
        out->cert = lpx_arena_copy(&t->arena, auth->cert);
        out->key = lpx_arena_copy(&t->arena, auth->key);
        return out->cert.ptr != NULL && out->key.ptr != NULL ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
    }
    return LPX_SUCCESS;
}

static int compare_origins(const void *a, const void *b)
{
    const origin_entry *x = a, *y = b;
    return (x->net_id > y->net_id) - (x->net_id < y->net_id);
}

static lpx_err keep_origins(ts002_target *t, const ts002_target_spec *spec, lpx_note *note)
{
    if (spec->origin_count > TS002_MAX_ORIGINS) {
        return lpx_fail(note, TS002_BAD_TARGET, "At most %d networks may have credentials of their own.",
                        TS002_MAX_ORIGINS);
    }
    t->origins = lpx_arena_array(&t->arena, spec->origin_count + 1, sizeof *t->origins);
    if (t->origins == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    for (size_t i = 0; i < spec->origin_count; i++) {
        t->origins[i].net_id = spec->origins[i].net_id;
        LPX_TRY(keep_auth(t, &spec->origins[i].auth, &t->origins[i].credentials, note));
    }
    t->origin_count = spec->origin_count;
    qsort(t->origins, t->origin_count, sizeof *t->origins, compare_origins);
    return LPX_SUCCESS;
}

static lpx_err keep_all(ts002_target *t, const ts002_target_spec *spec, lpx_note *note)
{
    t->url = lpx_arena_cstr(&t->arena, spec->address);
    t->cas = lpx_arena_copy(&t->arena, spec->root_cas);
    if (t->url == NULL || t->cas.ptr == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    if (memchr(t->url, 0, spec->address.len) != NULL || !fetch_url_host(t->url, t->host)) {
        return lpx_fail(note, TS002_BAD_TARGET, "The address is no URL: want http:// or https:// and a host.");
    }
    LPX_TRY(keep_auth(t, &spec->auth, &t->fallback, note));
    return keep_origins(t, spec, note);
}

lpx_err ts002_target_new(const ts002_target_spec *spec, ts002_target **out, lpx_note *note)
{
    ts002_target *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    atomic_init(&t->refs, 1);
    lpx_arena_init_wiped(&t->arena, TS002_TARGET_BYTES);
    t->id = spec->id;
    t->digest = spec->digest;
    t->version = spec->version;
    lpx_err err = keep_all(t, spec, note);
    if (lpx_failed(err)) {
        ts002_target_unref(&t);
        return err;
    }
    *out = t;
    return LPX_SUCCESS;
}

ts002_target *ts002_target_ref(ts002_target *target)
{
    atomic_fetch_add_explicit(&target->refs, 1, memory_order_relaxed);
    return target;
}

void ts002_target_unref(ts002_target **ref)
{
    ts002_target *target = *ref;
    *ref = NULL;
    if (target != NULL && atomic_fetch_sub_explicit(&target->refs, 1, memory_order_acq_rel) == 1) {
        lpx_arena_fini(&target->arena);
        free(target);
    }
}

uint32_t ts002_target_id(const ts002_target *target)
{
    return target->id;
}

uint64_t ts002_target_digest(const ts002_target *target)
{
    return target->digest;
}

ts002_version ts002_target_version(const ts002_target *target)
{
    return target->version;
}

const char *ts002_target_url(const ts002_target *target)
{
    return target->url;
}

lpx_str ts002_target_host(const ts002_target *target)
{
    return lpx_str_of(target->host);
}

lpx_bytes ts002_target_cas(const ts002_target *target)
{
    return target->cas;
}

const ts002_credentials *ts002_target_credentials(const ts002_target *target, uint32_t origin_net_id, bool *own)
{
    origin_entry key = {.net_id = origin_net_id};
    const origin_entry *found = bsearch(&key, target->origins, target->origin_count, sizeof key, compare_origins);
    *own = found != NULL;
    return found != NULL ? &found->credentials : &target->fallback;
}
