/* Authentication of a call: client certificates, cached verdicts of tokens, and password checks on worker threads. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/text.h"
#include "crypto/hash.h"
#include "lpx_reasons.h"
#include "rpc/rpc_priv.h"

/* A password check under way; it outlives its call when the peer leaves. */
typedef struct basic_check {
    io_job job;
    rpc_server *server;
    rpc_call *call; /* NULL: gone */
    rpc_auth_snapshot *auth;
    uint8_t hash[32];
    lpx_arena arena; /* wiped: user and password */
    lpx_str user, password;
    bool right;
} basic_check;

static auth_outcome authenticate(rpc_call *call, lpx_err *err, lpx_note *note);

static bool scheme_is(lpx_str header, const char *scheme, size_t len)
{
    return header.len >= len && strncasecmp(header.ptr, scheme, len) == 0;
}

/* Number of the credential that the call came with; 0: its front gives none. */
static uint64_t credential_of(const rpc_call *call)
{
    return call->front->credential != NULL ? call->front->credential(call->wire) : 0;
}

static void remember_seen(const rpc_call *call, size_t token)
{
    rpc_server *server = call->server;
    uint64_t credential = credential_of(call);
    if (server->seen == NULL && credential != 0) {
        server->seen = calloc(RPC_SEEN_SLOTS, sizeof *server->seen);
    }
    if (server->seen != NULL && credential != 0) { /* without memory the hash finds it */
        server->seen[credential % RPC_SEEN_SLOTS] =
            (seen_slot){credential, server->tokens[token].serial, (uint32_t)token};
    }
}

/* Has the very credential of this call had a verdict that still stands? */
static bool auth_seen(rpc_call *call)
{
    const rpc_server *server = call->server;
    uint64_t credential = credential_of(call);
    if (credential == 0 || server->seen == NULL) {
        return false;
    }
    const seen_slot *seen = &server->seen[credential % RPC_SEEN_SLOTS];
    if (seen->credential != credential) {
        return false;
    }
    const token_slot *slot = &server->tokens[seen->token];
    if (slot->serial != seen->serial || slot->who.expires_at.us <= io_loop_now(server->loop).utc.us) {
        return false;
    }
    call->who = slot->who;
    return true;
}

static auth_outcome auth_token(rpc_call *call, lpx_str token, lpx_err *err, lpx_note *note)
{
    rpc_server *server = call->server;
    uint8_t hash[32];
    crypto_sha256(lpx_str_bytes(token), hash);
    if (server->tokens == NULL) {
        server->tokens = calloc(RPC_TOKEN_CACHE_SLOTS, sizeof *server->tokens);
    }
    if (server->tokens == NULL) {
        *err = lpx_err_of(BASE_NO_MEMORY);
        return AUTH_REFUSED;
    }
    size_t index = (size_t)(hash[0] | hash[1] << 8) % RPC_TOKEN_CACHE_SLOTS;
    token_slot *slot = &server->tokens[index];
    lpx_utc now = io_loop_now(server->loop).utc;
    if (slot->serial != 0 && slot->who.expires_at.us > now.us && memcmp(slot->hash, hash, sizeof hash) == 0) {
        call->who = slot->who;
        remember_seen(call, index);
        return AUTH_DONE;
    }
    *err = rpc_auth_token(server->auth, token, now, &call->arena, &call->who, note);
    if (err->reason == RPC_KEY_NOT_YET) {
        return AUTH_PENDING;
    }
    if (lpx_failed(*err)) {
        return AUTH_REFUSED;
    }
    memcpy(slot->hash, hash, sizeof hash);
    slot->who = call->who;
    slot->serial = ++server->last_serial;
    remember_seen(call, index);
    return AUTH_DONE;
}

/* A key or certificate that was made a moment ago is in the store, and the change feed will tell of it: the call waits
 * for that. */
static void wait_for_key(rpc_call *call)
{
    rpc_server *server = call->server;
    int64_t wait_us = RPC_WAIT_FOR_KEY_MS * INT64_C(1000);
    call->wait_until.us = io_loop_now(server->loop).mono.us + wait_us;
    if (lpx_list_empty(&server->waiting)) {
        io_timer_arm(&server->wait_timer, wait_us);
    }
    lpx_list_push(&server->waiting, &call->wait_node);
}

/* One call that waits, out of the list. @return true when it has to wait on */
static bool retry_one(rpc_call *call, lpx_mono now)
{
    lpx_err err = LPX_SUCCESS;
    lpx_note note = {""};
    bool pending = authenticate(call, &err, &note) == AUTH_PENDING;
    if (pending && call->check != NULL) {
        return false; /* it waits for its password check now */
    }
    if (pending && call->wait_until.us > now.us) {
        return true;
    }
    rpc_auth_ready(call, err, &note);
    return false;
}

void rpc_auth_retry(rpc_server *server)
{
    lpx_mono now = io_loop_now(server->loop).mono;
    lpx_list still;
    lpx_list_init(&still);
    for (lpx_list *node = lpx_list_pop(&server->waiting); node != NULL; node = lpx_list_pop(&server->waiting)) {
        rpc_call *call = LPX_CONTAINER(node, rpc_call, wait_node);
        if (retry_one(call, now)) {
            lpx_list_push(&still, node);
        }
    }
    for (lpx_list *node = lpx_list_pop(&still); node != NULL; node = lpx_list_pop(&still)) {
        lpx_list_push(&server->waiting, node);
    }
    if (lpx_list_empty(&server->waiting)) {
        io_timer_cancel(&server->wait_timer);
    } else {
        const rpc_call *first = LPX_CONTAINER(server->waiting.next, rpc_call, wait_node);
        int64_t left_us = first->wait_until.us - now.us;
        io_timer_arm(&server->wait_timer, left_us > 0 ? left_us : 0);
    }
}

static void be_admin(rpc_call *call)
{
    call->who = (rpc_principal){.subject = RPC_ADMIN, .rights = UINT64_MAX, .expires_at = {INT64_MAX}};
    (void)snprintf(call->who.cert, sizeof call->who.cert, "%s", call->front->peer_cert(call->wire));
}

static void check_work(io_job *job)
{
    basic_check *check = LPX_CONTAINER(job, basic_check, job);
    check->right = rpc_auth_check_admin(check->auth, check->user, check->password);
}

static void check_free(basic_check *check)
{
    rpc_auth_snapshot_unref(&check->auth);
    lpx_arena_fini(&check->arena);
    free(check);
}

static void check_done(io_job *job)
{
    basic_check *check = LPX_CONTAINER(job, basic_check, job);
    rpc_server *server = check->server;
    rpc_call *call = check->call;
    if (check->right && check->auth == server->auth) {
        basic_slot *slot = &server->basics[server->next_basic++ % RPC_BASIC_CACHE_SLOTS];
        memcpy(slot->hash, check->hash, sizeof slot->hash);
        slot->until.us = io_loop_now(server->loop).mono.us + RPC_BASIC_CACHE_S * INT64_C(1000000);
    }
    bool right = check->right;
    check_free(check);
    if (call == NULL) {
        return;
    }
    call->check = NULL;
    if (right) {
        be_admin(call);
    }
    rpc_auth_ready(call, right ? LPX_SUCCESS : lpx_err_of(RPC_BASIC_REFUSED), NULL);
}

static lpx_err check_start(rpc_call *call, lpx_str header, const uint8_t hash[static 32])
{
    rpc_server *server = call->server;
    basic_check *check = calloc(1, sizeof *check);
    if (check == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    check->server = server;
    check->auth = rpc_auth_snapshot_ref(server->auth);
    memcpy(check->hash, hash, sizeof check->hash);
    lpx_arena_init_wiped(&check->arena, 4 * RPC_MAX_HEADER_BYTES);
    check->job = (io_job){.home = server->loop, .work = check_work, .done = check_done};
    lpx_err err = rpc_auth_split_basic(header, &check->arena, &check->user, &check->password);
    if (!lpx_failed(err) && lpx_failed(io_workers_submit(server->password_workers, &check->job))) {
        err = lpx_err_of(RPC_BASIC_BUSY);
    }
    if (lpx_failed(err)) {
        check_free(check);
        return err;
    }
    check->call = call;
    call->check = check;
    return LPX_SUCCESS;
}

static auth_outcome auth_basic(rpc_call *call, lpx_str header, lpx_err *err)
{
    rpc_server *server = call->server;
    uint8_t hash[32];
    crypto_sha256(lpx_str_bytes(header), hash);
    lpx_mono now = io_loop_now(server->loop).mono;
    for (size_t i = 0; i < RPC_BASIC_CACHE_SLOTS; i++) {
        const basic_slot *slot = &server->basics[i];
        if (slot->until.us > now.us &&
            lpx_equal_const_time(lpx_bytes_of(slot->hash, 32), lpx_bytes_of(hash, sizeof hash))) {
            be_admin(call);
            return AUTH_DONE;
        }
    }
    *err = check_start(call, header, hash);
    return lpx_failed(*err) ? AUTH_REFUSED : AUTH_PENDING;
}

/* What the authorization header says. */
static auth_outcome auth_header(rpc_call *call, lpx_str header, lpx_err *err, lpx_note *note)
{
    if (header.len <= RPC_MAX_HEADER_BYTES && scheme_is(header, "Bearer ", 7)) {
        return auth_token(call, lpx_str_skip(header, 7), err, note);
    }
    if (header.len <= RPC_MAX_HEADER_BYTES && scheme_is(header, "Basic ", 6)) {
        return auth_basic(call, header, err);
    }
    *err = lpx_err_of(RPC_SCHEME_UNKNOWN);
    return AUTH_REFUSED;
}

static bool needs_token(const rpc_call *call)
{
    return call->front->tag != NULL && (call->front->tag(call->wire) & RPC_LISTENER_NEEDS_TOKEN) != 0;
}

/* Who shows a certificate, which must be good whatever else is sent. */
static auth_outcome auth_cert(rpc_call *call, const char *fingerprint, rpc_principal *out, lpx_err *err, lpx_note *note)
{
    const rpc_server *server = call->server;
    lpx_utc now = io_loop_now(server->loop).utc;
    *err = rpc_auth_cert_check(server->auth, fingerprint, now, out, note);
    if (lpx_failed(*err)) {
        return err->reason == RPC_CERT_UNKNOWN ? AUTH_PENDING : AUTH_REFUSED;
    }
    if (server->cert_used != NULL && rpc_auth_cert_due(server->auth, fingerprint, now)) {
        server->cert_used(server->cert_used_ctx, server->loop, fingerprint, now);
    }
    return AUTH_DONE;
}

static auth_outcome authenticate(rpc_call *call, lpx_err *err, lpx_note *note)
{
    bool seen = auth_seen(call);
    lpx_str header = seen ? LPX_STR("") : call->front->authorization(call->wire);
    bool has_header = seen || header.len > 0;
    const char *fingerprint = call->front->peer_cert(call->wire);
    bool has_cert = fingerprint[0] != '\0';
    rpc_principal cert;
    auth_outcome outcome = AUTH_DONE;
    *err = LPX_SUCCESS;
    if (!has_header && !has_cert) {
        call->who = (rpc_principal){.subject = RPC_ANONYMOUS, .expires_at = {INT64_MAX}};
        return AUTH_DONE;
    }
    if (call->server->auth == NULL) {
        *err = lpx_fail(note, STORE_UNAVAILABLE, "The exchange is still starting; try again in a moment.");
        return AUTH_REFUSED;
    }
    if (has_cert) {
        outcome = auth_cert(call, fingerprint, &cert, err, note);
    }
    if (outcome == AUTH_DONE && has_header && !seen) {
        outcome = auth_header(call, header, err, note);
    }
    if (outcome != AUTH_DONE || !has_cert) {
        return outcome;
    }
    if (has_header) { /* it says who it is, the certificate narrows it */
        *err = rpc_auth_combine(&call->who, &cert, note);
    } else if (needs_token(call)) {
        *err = lpx_err_of(RPC_CERT_ALONE);
    } else {
        call->who = cert;
    }
    return lpx_failed(*err) ? AUTH_REFUSED : AUTH_DONE;
}

auth_outcome rpc_auth_begin(rpc_call *call, lpx_err *err, lpx_note *note)
{
    auth_outcome outcome = authenticate(call, err, note);
    if (outcome == AUTH_PENDING && call->check == NULL) {
        wait_for_key(call);
    }
    return outcome;
}

void rpc_auth_forget(rpc_call *call)
{
    lpx_list_remove(&call->wait_node);
    if (call->check != NULL) {
        call->check->call = NULL;
        call->check = NULL;
    }
}

void rpc_auth_clear(rpc_server *server)
{
    if (server->tokens != NULL) {
        lpx_wipe(server->tokens, RPC_TOKEN_CACHE_SLOTS * sizeof *server->tokens);
    }
    lpx_wipe(server->basics, sizeof server->basics);
}
