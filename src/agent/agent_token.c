/* Access tokens: one for each audience, fetched with the first call that needs it and again before it ends. Calls wait
 * for it; when it cannot be had they all end with the reason. */
#include <stdio.h>
#include <stdlib.h>

#include "agent/agent_priv.h"
#include "lpx_reasons.h"

static int64_t now_us(const agent_token *t)
{
    return io_loop_now(t->agent->loop).mono.us;
}

/* All that wait go out, or end. */
static void wake(agent_token *t, const agent_failure *why)
{
    while (!lpx_list_empty(&t->waiting)) {
        agent_op *op = LPX_CONTAINER(lpx_list_pop(&t->waiting), agent_op, waiting);
        if (why != NULL) {
            agent_op_fail_later(op, why);
        } else {
            agent_op_start(op);
        }
    }
}

static void failed(agent_token *t, lpx_code code, const char *reason)
{
    const agent *a = t->agent;
    agent_failure why = {.code = code};
    size_t len = strnlen(reason, 300);
    while (len > 0 && reason[len - 1] == '.') {
        len--;
    }
    (void)snprintf(why.text, sizeof why.text, "%s: no access token from %s: %.*s%s", lpx_code_name((uint16_t)code),
                   a->token_url, (int)len, reason,
                   code == LPX_UNAUTHENTICATED
                       ? ". Check --client-id and --client-secret: a requested API key must be approved by the "
                         "operator first."
                       : ". Check --token-url, and --ca-file if the certificate is the exchange's own.");
    wake(t, &why);
}

static void on_fetched(void *ctx, lpx_err err, const fetch_result *result, const lpx_note *note)
{
    agent_token *t = ctx;
    char *header = NULL;
    int64_t lifetime_us = 0;
    lpx_note message = {{0}};
    t->fetch = NULL;
    agent_secret_free(&t->form);
    if (lpx_failed(err) || result == NULL) {
        failed(t, LPX_UNAVAILABLE, note != NULL ? note->text : lpx_reason_text(err.reason));
        return;
    }
    if (!oauth_read_answer(result->status, result->body, &header, &lifetime_us, &message)) {
        bool refused = result->status == 400 || result->status == 401 || result->status == 403;
        failed(t, refused ? LPX_UNAUTHENTICATED : LPX_UNAVAILABLE, message.text);
        return;
    }
    agent_secret_free(&t->header);
    t->header = header;
    t->expires_us = now_us(t) + lifetime_us;
    wake(t, NULL);
}

/* The host of the URL decides about trust, as with the services. */
const char *agent_ca_file_of(const agent *a, const char *url)
{
    char host[AGENT_ADDRESS_BYTES];
    const char *start = strstr(url, "://");
    start = start != NULL ? start + 3 : url;
    (void)snprintf(host, sizeof host, "%.*s", (int)strcspn(start, "/?#"), start);
    return a->ca_file == NULL && agent_is_loopback(host) ? a->loopback_ca_file : a->ca_file;
}

static void fetch(agent_token *t)
{
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded", "Accept: application/json",
                                          NULL};
    agent *a = t->agent;
    lpx_note note = {.text = "not enough memory"};
    t->tried_us = now_us(t);
    if (a->fetch == NULL) {
        a->fetch = fetch_client_new(a->loop);
    }
    t->form = oauth_form(t->audience, a->client_id, a->client_secret);
    if (a->fetch == NULL || t->form == NULL) {
        failed(t, LPX_RESOURCE_EXHAUSTED, note.text);
        return;
    }
    fetch_opts opts = {
        .method = "POST",
        .url = a->token_url,
        .headers = headers,
        .body = lpx_str_bytes(lpx_str_of(t->form)),
        .ca_file = agent_ca_file_of(a, a->token_url),
        .max_body_bytes = AGENT_TOKEN_BODY_BYTES,
    };
    lpx_err err = fetch_start(a->fetch, &opts, on_fetched, t, &t->fetch, &note);
    if (lpx_failed(err)) {
        t->fetch = NULL;
        agent_secret_free(&t->form);
        failed(t, err.code == LPX_INVALID_ARGUMENT ? LPX_INVALID_ARGUMENT : LPX_UNAVAILABLE, note.text);
    }
}

/* A token is used to its end, and renewed before it. Called with the op that waits already in the list, so that a
 * failure on the spot finds it. */
bool agent_token_ready(agent_token *t)
{
    return t->header != NULL && now_us(t) < t->expires_us;
}

void agent_token_renew(agent_token *t)
{
    bool ready = agent_token_ready(t);
    int64_t now = now_us(t), margin = AGENT_TOKEN_MARGIN_US;
    if (t->fetch != NULL || t->agent->closing || (ready && t->expires_us - now > margin)) {
        return;
    }
    if (ready && t->tried_us != 0 && now - t->tried_us < AGENT_TOKEN_RETRY_US) {
        return;
    }
    fetch(t);
}

void agent_token_refused(agent_token *t)
{
    /* One that has just been fetched would come back the same: the refusal stands. */
    if (t->header != NULL && now_us(t) - t->tried_us > AGENT_TOKEN_RETRY_US) {
        agent_secret_free(&t->header);
    }
}

void agent_token_fini(agent_token *t)
{
    fetch_cancel(&t->fetch);
    agent_secret_free(&t->form);
    agent_secret_free(&t->header);
}
