/* Pages of an exchange over HTTP: the Mapper's REST API, readiness. */
#include <stdio.h>

#include "agent/agent_priv.h"
#include "codec/json/json.h"
#include "lpx_reasons.h"

enum { REFUSAL_BYTES = 300 /* of a page that refuses, in a sentence */ };

/* The header that a request carries; waits for a token when it needs one. */
typedef struct token_wait {
    bool over, failed;
    agent_failure *why;
} token_wait;

static void token_done(agent_op *op, const agent_failure *why)
{
    token_wait *wait = op->owner;
    wait->over = true;
    wait->failed = why != NULL;
    if (why != NULL) {
        *wait->why = *why;
    }
}

static lpx_err wait_for_token(agent *a, agent_service service, agent_failure *why)
{
    token_wait wait = {.why = why};
    if (agent_auth_of(a, service) != AGENT_AUTH_OAUTH || agent_token_ready(&a->tokens[a->targets[service].token])) {
        return LPX_SUCCESS;
    }
    agent_op *op = agent_op_new(a, service, "", NULL, (lpx_bytes){0});
    if (op == NULL) {
        *why = (agent_failure){.code = LPX_RESOURCE_EXHAUSTED, .text = "RESOURCE_EXHAUSTED: not enough memory"};
        return lpx_err_of(BASE_NO_MEMORY);
    }
    op->token_only = true;
    op->owner = &wait;
    op->on_done = token_done;
    agent_op_start(op);
    while (!wait.over) {
        io_loop_turn(a->loop, 1000000);
    }
    return wait.failed ? (lpx_err){.code = (uint16_t)why->code, .reason = AGENT_CALL_FAILED} : LPX_SUCCESS;
}

static lpx_code code_of_status(int status)
{
    switch (status) {
    case 400:
        return LPX_INVALID_ARGUMENT;
    case 401:
        return LPX_UNAUTHENTICATED;
    case 403:
        return LPX_PERMISSION_DENIED;
    case 404:
        return LPX_NOT_FOUND;
    case 429:
        return LPX_RESOURCE_EXHAUSTED;
    case 503:
        return LPX_UNAVAILABLE;
    default:
        return LPX_UNKNOWN;
    }
}

/* What a refusal says: the message of its JSON, else its text. */
static lpx_str refusal_of(lpx_bytes body, lpx_arena *arena)
{
    const json_value *value = NULL;
    lpx_note note = {{0}};
    lpx_str text = lpx_bytes_str(body);
    if (!lpx_failed(json_parse(text, arena, &value, &note)) && json_text(json_member(value, "message")).len > 0) {
        text = json_text(json_member(value, "message"));
    }
    return (lpx_str){text.ptr, text.len < REFUSAL_BYTES ? text.len : REFUSAL_BYTES};
}

lpx_err agent_get(agent *a, agent_service service, bool authorised, const char *url, lpx_arena *arena, agent_page *out)
{
    *out = (agent_page){.status = 0};
    if (authorised && a->targets[service].address[0] != 0) {
        LPX_TRY(wait_for_token(a, service, &out->failure));
    }
    const char *value = authorised && a->targets[service].address[0] != 0 ? agent_header_of(a, service) : NULL;
    char *header = value != NULL ? lpx_arena_printf(arena, "Authorization: %s", value) : NULL;
    const char *headers[] = {"Accept: application/json", header, NULL};
    fetch_opts opts = {.url = url, .headers = headers, .ca_file = agent_ca_file_of(a, url)};
    fetch_result result;
    lpx_note note = {{0}};
    lpx_err err = fetch_blocking(&opts, arena, &result, &note);
    if (lpx_failed(err)) {
        out->failure.code = err.code == LPX_INVALID_ARGUMENT ? LPX_INVALID_ARGUMENT : LPX_UNAVAILABLE;
        (void)snprintf(out->failure.text, sizeof out->failure.text, "%s: %s (%s)",
                       lpx_code_name((uint16_t)out->failure.code), note.text, url);
        return (lpx_err){.code = (uint16_t)out->failure.code, .reason = AGENT_CALL_FAILED};
    }
    out->status = result.status;
    out->body = result.body;
    if (result.status >= 200 && result.status < 300) {
        return LPX_SUCCESS;
    }
    lpx_str said = refusal_of(result.body, arena);
    out->failure.code = code_of_status(result.status);
    (void)snprintf(out->failure.text, sizeof out->failure.text, "%s: %s answers with status %d%s%.*s",
                   lpx_code_name((uint16_t)out->failure.code), url, result.status, said.len > 0 ? ": " : "",
                   (int)said.len, said.len > 0 ? said.ptr : "");
    return (lpx_err){.code = (uint16_t)out->failure.code, .reason = AGENT_CALL_FAILED};
}
