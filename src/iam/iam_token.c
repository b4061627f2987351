/* One token request: read it, look the key up, sign, write "last used", answer. */
#include <stdlib.h>

#include "base/text.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "iam/iam_priv.h"
#include "iam/iam_store.h"
#include "lpx_reasons.h"

typedef struct token_op {
    io_task task; /* carries an early answer home */
    store_job job;
    iam *self;
    iam_token_fn *done;
    void *ctx;
    lpx_utc now;
    lpx_arena arena;   /* request and answer; wiped */
    lpx_arena scratch; /* of one run on the worker; wiped */
    iam_token_ask ask;
    lpx_str audiences[JWT_MAX_AUDIENCES];
    size_t audience_count;
    bool stale;   /* "last used" is to be written */
    lpx_str json; /* of a granted token */
    lpx_err err;
    lpx_note note;
} token_op;

static void answer(token_op *op)
{
    bool refused = lpx_failed(op->err);
    iam_token_answer a = {.status = 200, .json = op->json};
    if (refused) {
        a.status = iam_token_status(op->err);
        a.json = iam_token_error_json(op->err, &op->note, &op->arena);
        a.www_authenticate = a.status == 401 ? "Basic realm=\"token\"" : NULL;
    }
    op->done(op->ctx, &a);
    lpx_arena_fini(&op->scratch);
    lpx_arena_fini(&op->arena);
    atomic_fetch_sub(&op->self->requests, 1);
    lpx_wipe(op, sizeof *op);
    free(op);
}

static void answer_task(io_task *task)
{
    answer(LPX_CONTAINER(task, token_op, task));
}

/* Fail on the loop that asked, after the call that asked has returned. */
static void fail_later(token_op *op, io_loop *home, lpx_err err)
{
    op->err = err;
    op->task.run = answer_task;
    io_loop_post(home, &op->task);
}

/* On a worker: who is it, and what does the token say? */

static lpx_err sign(token_op *op, const iam_client_key *key)
{
    uint8_t random[IAM_ULID_RANDOM_BYTES];
    jwt_claims *claims = lpx_arena_get(&op->scratch, sizeof *claims);
    const jwt_key *signer = iam_ring_signer(op->self, op->now);
    if (claims == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    if (signer == NULL) {
        return lpx_err_of(IAM_NO_SIGNING_KEY);
    }
    LPX_TRY(crypto_random((lpx_space){.ptr = random, .len = sizeof random}));
    const iam_token_grant_in in = {.key = key,
                                   .audiences = op->audiences,
                                   .audience_count = op->audience_count,
                                   .issuer = lpx_str_of(op->self->issuer),
                                   .now = op->now,
                                   .random = random};
    LPX_TRY(iam_token_claims(&in, &op->scratch, claims));
    lpx_str token;
    LPX_TRY(jwt_sign(signer, claims, &op->scratch, &token));
    op->json = iam_token_json(token, &op->scratch);
    return op->json.len > 0 ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

static lpx_err token_work(store_tx *tx, store_job *job)
{
    token_op *op = LPX_CONTAINER(job, token_op, job);
    uint8_t hash[CRYPTO_SHA256_BYTES];
    iam_client_key key = {.found = false};
    lpx_arena_reset(&op->scratch);
    op->stale = false;
    if (!lpx_failed(lw_key_id_check(op->ask.client_id, "client_id", NULL))) {
        LPX_TRY(iam_store_client(tx, op->ask.client_id, &op->scratch, &key));
    }
    crypto_sha256(lpx_str_bytes(op->ask.client_secret), hash);
    LPX_TRY(iam_client_check(&key, hash));
    LPX_TRY(sign(op, &key));
    op->stale = iam_client_is_stale(&key, op->now);
    return LPX_SUCCESS;
}

static lpx_err used_work(store_tx *tx, store_job *job)
{
    token_op *op = LPX_CONTAINER(job, token_op, job);
    lpx_utc before = {op->now.us - IAM_AUTHENTICATED_EVERY_S * INT64_C(1000000)};
    return iam_store_key_used(tx, op->ask.client_id, op->now, before);
}

/* A token is not refused because "last used" could not be written. */
static void used_done(store_job *job, lpx_err err)
{
    (void)err;
    answer(LPX_CONTAINER(job, token_op, job));
}

static void token_done(store_job *job, lpx_err err)
{
    token_op *op = LPX_CONTAINER(job, token_op, job);
    op->err = err;
    if (!lpx_failed(err) && op->stale && !atomic_load(&op->self->stopped)) {
        op->job = (store_job){.home = op->job.home, .work = used_work, .done = used_done, .write = true};
        if (!lpx_failed(store_submit(op->self->store, &op->job))) {
            return;
        }
    }
    answer(op);
}

/* On the loop. */

static lpx_err read_request(token_op *op, const iam_token_form *form)
{
    iam_token_input in = {.content_type = form->content_type, .authorization = form->authorization, .body = form->body};
    if (in.content_type.len > IAM_HEADER_MAX_BYTES || in.authorization.len > IAM_HEADER_MAX_BYTES ||
        in.body.len > IAM_FORM_MAX_BYTES) {
        return lpx_err_of(IAM_TOKEN_BAD_REQUEST);
    }
    /* A copy, as names and values of the request may be views into it. */
    in.body = lpx_arena_copy(&op->arena, in.body);
    in.authorization = lpx_bytes_str(lpx_arena_copy(&op->arena, lpx_str_bytes(in.authorization)));
    if (in.body.ptr == NULL || in.authorization.ptr == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    LPX_TRY(iam_token_read(&in, &op->arena, &op->ask, &op->note));
    return iam_token_grant(&op->ask, op->self->audiences, op->self->audience_count, op->audiences, &op->audience_count,
                           &op->note);
}

lpx_err iam_token_request(iam *self, io_loop *home, const iam_token_form *form, iam_token_fn *done, void *ctx)
{
    bool taken = atomic_load(&self->requests) < IAM_MAX_TOKEN_REQUESTS && !atomic_load(&self->stopped);
    token_op *op = taken ? calloc(1, sizeof *op) : NULL;
    if (op == NULL) {
        return lpx_err_of(IAM_TOKEN_BUSY);
    }
    op->self = self;
    op->done = done;
    op->ctx = ctx;
    op->now = io_loop_now(home).utc;
    lpx_arena_init_wiped(&op->arena, IAM_TOKEN_ARENA_BYTES);
    lpx_arena_init_wiped(&op->scratch, IAM_TOKEN_ARENA_BYTES);
    atomic_fetch_add(&self->requests, 1);
    lpx_err err = read_request(op, form);
    if (!lpx_failed(err)) {
        op->job = (store_job){.home = home, .work = token_work, .done = token_done};
        err = store_submit(self->store, &op->job);
    }
    if (lpx_failed(err)) {
        fail_later(op, home, err);
    }
    return LPX_SUCCESS;
}
