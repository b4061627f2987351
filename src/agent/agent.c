/* The agent itself: settings, channels, end. */
#include <stdio.h>
#include <stdlib.h>

#include "agent/agent_priv.h"
#include "io/tls.h"
#include "lpx_reasons.h"

static char *copy_text(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

void agent_secret_free(char **text)
{
    if (*text != NULL) {
        lpx_wipe(*text, strlen(*text));
    }
    free(*text);
    *text = NULL;
}

/* "Basic " and base64 of user:password; NULL when memory is short. */
static char *basic_header(const char *username, const char *password)
{
    size_t len = strlen(username) + 1 + strlen(password);
    char *plain = malloc(len + 1), *header = malloc(6 + lpx_base64_len(len) + 1);
    if (plain != NULL && header != NULL) {
        (void)snprintf(plain, len + 1, "%s:%s", username, password);
        memcpy(header, "Basic ", 6);
        lpx_base64_encode(lpx_bytes_of(plain, len), header + 6);
    } else {
        free(header);
        header = NULL;
    }
    agent_secret_free(&plain);
    return header;
}

static lpx_err check_pair(const char *a, const char *a_name, const char *b, const char *b_name, lpx_note *note)
{
    if ((a == NULL) != (b == NULL)) {
        return lpx_fail(note, AGENT_BAD_SETTING, "%s needs %s too", a != NULL ? a_name : b_name,
                        a != NULL ? b_name : a_name);
    }
    return LPX_SUCCESS;
}

static lpx_err set_targets(agent *a, const agent_opts *opts, lpx_note *note)
{
    for (size_t i = 0; i < AGENT_SERVICE_COUNT; i++) {
        agent_target *t = &a->targets[i];
        if (opts->address[i] == NULL) {
            continue;
        }
        if (!agent_address_full(opts->address[i], t->address) || !agent_host_of(opts->address[i], t->host)) {
            return lpx_fail(note, AGENT_BAD_SETTING, "--%s-address: want \"host\" or \"host:port\", not \"%.80s\"",
                            agent_service_name((agent_service)i), opts->address[i]);
        }
        t->loopback = agent_is_loopback(opts->address[i]);
        t->channel = i;
        for (size_t k = i; k-- > 0;) {
            t->channel = strcmp(a->targets[k].address, t->address) == 0 ? k : t->channel;
        }
        size_t token = 0;
        while (token < a->token_count && strcmp(a->tokens[token].audience, t->host) != 0) {
            token++;
        }
        t->token = token;
        if (token == a->token_count) {
            a->tokens[a->token_count++] = (agent_token){.agent = a};
            memcpy(a->tokens[token].audience, t->host, sizeof t->host);
            lpx_list_init(&a->tokens[token].waiting);
        }
    }
    return LPX_SUCCESS;
}

static lpx_err set_credentials(agent *a, const agent_opts *opts)
{
    bool ok = true;
    if (opts->username != NULL) {
        a->basic = basic_header(opts->username, opts->password);
        ok = ok && a->basic != NULL;
    }
    if (opts->loopback_username != NULL) {
        a->loopback_basic = basic_header(opts->loopback_username, opts->loopback_password);
        ok = ok && a->loopback_basic != NULL;
    }
    if (opts->token != NULL) {
        size_t size = strlen(opts->token) + sizeof "Bearer ";
        a->bearer = malloc(size);
        ok = ok && a->bearer != NULL && snprintf(a->bearer, size, "Bearer %s", opts->token) > 0;
    }
    a->client_id = copy_text(opts->client_id);
    a->client_secret = copy_text(opts->client_secret);
    a->token_url = copy_text(opts->token_url);
    a->ca_file = copy_text(opts->ca_file);
    a->loopback_ca_file = copy_text(opts->loopback_ca_file);
    return ok ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

static lpx_err make_tls(const agent_opts *asked, const char *ca_file, io_tls **out, lpx_note *note)
{
    static const char *const alpn[] = {"h2", NULL};
    io_tls_client_opts opts = {
        .ca_file = ca_file, .cert_file = asked->cert_file, .key_file = asked->key_file, .alpn = alpn};
    lpx_note why = {{0}};
    return lpx_failed(io_tls_client_new(&opts, out, &why)) ? lpx_fail(note, AGENT_BAD_CA, "%s", why.text) : LPX_SUCCESS;
}

static lpx_err set_tls(agent *a, const agent_opts *opts, lpx_note *note)
{
    if (a->insecure) {
        return LPX_SUCCESS;
    }
    LPX_TRY(make_tls(opts, a->ca_file, &a->tls, note));
    bool by_loopback = a->ca_file == NULL && a->loopback_ca_file != NULL;
    return by_loopback ? make_tls(opts, a->loopback_ca_file, &a->loopback_tls, note) : LPX_SUCCESS;
}

static lpx_err check_opts(const agent_opts *opts, lpx_note *note)
{
    LPX_TRY(check_pair(opts->username, "--iam-username", opts->password, "--iam-password", note));
    LPX_TRY(check_pair(opts->loopback_username, "iam-username", opts->loopback_password, "iam-password", note));
    LPX_TRY(check_pair(opts->client_id, "--client-id", opts->client_secret, "--client-secret", note));
    LPX_TRY(check_pair(opts->cert_file, "--client-cert-file", opts->key_file, "--client-key-file", note));
    if (opts->cert_file != NULL && opts->insecure) {
        return lpx_fail(note, AGENT_BAD_SETTING, "--client-cert-file needs TLS: leave --insecure out");
    }
    if (opts->client_id != NULL && opts->token == NULL && opts->token_url == NULL) {
        return lpx_fail(note, AGENT_BAD_SETTING, "--client-id needs --token-url too");
    }
    return LPX_SUCCESS;
}

lpx_err agent_open(const agent_opts *opts, agent **out, lpx_note *note)
{
    LPX_TRY(check_opts(opts, note));
    agent *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    lpx_list_init(&a->ops);
    lpx_list_init(&a->streams);
    a->insecure = opts->insecure;
    a->has_cert = opts->cert_file != NULL;
    a->call_timeout_us = opts->call_timeout_us > 0 ? opts->call_timeout_us : AGENT_CALL_TIMEOUT_US;
    a->own_loop = opts->loop == NULL;
    a->loop = a->own_loop ? io_loop_new(0) : opts->loop;
    lpx_err err = a->loop != NULL ? set_targets(a, opts, note) : lpx_err_of(BASE_NO_MEMORY);
    err = lpx_failed(err) ? err : set_credentials(a, opts);
    err = lpx_failed(err) ? err : set_tls(a, opts, note);
    if (lpx_failed(err)) {
        agent_close(&a);
        return err;
    }
    *out = a;
    return LPX_SUCCESS;
}

io_loop *agent_loop(const agent *a)
{
    return a->loop;
}

unsigned agent_in_flight(const agent *a)
{
    return a->in_flight;
}

void agent_wait_below(agent *a, unsigned calls)
{
    while (a->in_flight > calls) {
        io_loop_turn(a->loop, 1000000);
    }
}

/* Calls on the wire end with their channels; those that wait for a token or for their turn to fail end here. */
static void end_all(agent *a)
{
    for (lpx_list *node = a->ops.next; node != &a->ops; node = node->next) {
        agent_op *op = LPX_CONTAINER(node, agent_op, node);
        op->dropped = op->dropped || !op->unary;
    }
    agent_streams_free(a); /* their ops do not speak to them any more */
    for (size_t i = 0; i < AGENT_SERVICE_COUNT; i++) {
        grpc_client_free(&a->targets[i].client);
    }
    agent_failure why = {.code = LPX_CANCELLED, .text = "CANCELLED: the agent is closed"};
    while (!lpx_list_empty(&a->ops)) {
        agent_op *op = LPX_CONTAINER(a->ops.next, agent_op, node);
        if (op->later_posted) { /* the loop holds its task: let it run */
            io_loop_turn(a->loop, 0);
        } else {
            agent_op_end(op, &why);
        }
    }
}

void agent_close(agent **agent_ptr)
{
    agent *a = *agent_ptr;
    if (a == NULL) {
        return;
    }
    a->closing = true;
    end_all(a);
    for (size_t i = 0; i < a->token_count; i++) {
        agent_token_fini(&a->tokens[i]);
    }
    fetch_client_free(&a->fetch);
    io_tls_free(&a->tls);
    io_tls_free(&a->loopback_tls);
    agent_secret_free(&a->basic);
    agent_secret_free(&a->loopback_basic);
    agent_secret_free(&a->bearer);
    agent_secret_free(&a->client_secret);
    free(a->client_id);
    free(a->token_url);
    free(a->ca_file);
    free(a->loopback_ca_file);
    if (a->own_loop) {
        io_loop_free(&a->loop);
    }
    free(a);
    *agent_ptr = NULL;
}
