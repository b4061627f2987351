/* Outbound HTTP on a loop: libcurl's multi interface, driven by the loop's events. */
#include "wire/http/fetch.h"

#include <event2/event.h>
#include <stdlib.h>

#include "base/list.h"
#include "lpx_reasons.h"
#include "wire/http/fetch_priv.h"
#include "wire/http/http1_limits.h"

struct fetch_client {
    io_loop *loop;
    CURLM *multi;
    io_timer timer;
    lpx_list calls;   /* under way */
    lpx_list ended;   /* libcurl is through with them, done comes next */
    lpx_list sockets; /* fetch_socket.node */
    size_t count;     /* of calls */
    bool telling;     /* tell_ended is up the stack and frees it instead of fetch_client_free */
    bool freed;
};

struct fetch_call {
    fetch_easy easy; /* first: CURLOPT_PRIVATE gives it back */
    fetch_client *client;
    lpx_list node;
    fetch_done *done;
    void *ctx;
    CURLcode code;
};

typedef struct fetch_socket {
    lpx_list node;
    struct event *event;
} fetch_socket;

static void call_forget(fetch_call *call)
{
    (void)curl_multi_remove_handle(call->client->multi, call->easy.curl);
    lpx_list_remove(&call->node);
    call->client->count--;
}

static void call_free(fetch_call *call)
{
    call_forget(call);
    fetch_easy_end(&call->easy);
    free(call);
}

/* Moves the calls that libcurl is through with aside, then tells their users. */
static void tell_ended(fetch_client *client)
{
    int left = 0;
    for (CURLMsg *m = curl_multi_info_read(client->multi, &left); m != NULL;
         m = curl_multi_info_read(client->multi, &left)) {
        char *easy = NULL;
        if (m->msg == CURLMSG_DONE && curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &easy) == CURLE_OK) {
            fetch_call *call = LPX_CONTAINER(easy, fetch_call, easy);
            call->code = m->data.result;
            lpx_list_remove(&call->node);
            lpx_list_push(&client->ended, &call->node);
        }
    }
    client->telling = true;
    while (!client->freed && !lpx_list_empty(&client->ended)) {
        fetch_call *call = LPX_CONTAINER(client->ended.next, fetch_call, node);
        fetch_result result = {0};
        lpx_note note = {0};
        lpx_err err = fetch_easy_outcome(&call->easy, call->code, &result, &note);
        /* The client knows it no more before its user hears of it: he may free the client. */
        call_forget(call);
        call->done(call->ctx, err, lpx_failed(err) ? NULL : &result, &note);
        fetch_easy_end(&call->easy);
        free(call);
    }
    client->telling = false;
    if (client->freed) {
        free(client);
    }
}

static void act(fetch_client *client, curl_socket_t fd, int what)
{
    int running = 0;
    (void)curl_multi_socket_action(client->multi, fd, what, &running);
    tell_ended(client);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    int flags = ((what & EV_READ) != 0 ? CURL_CSELECT_IN : 0) | ((what & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0);
    act(arg, fd, flags);
}

static void on_time(io_timer *timer)
{
    act(LPX_CONTAINER(timer, fetch_client, timer), CURL_SOCKET_TIMEOUT, 0);
}

static void socket_free(fetch_socket *sock)
{
    lpx_list_remove(&sock->node);
    if (sock->event != NULL) {
        event_free(sock->event);
    }
    free(sock);
}

/* libcurl wants other events of a socket; sock is what was assigned to it before. */
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *sock_ptr)
{
    (void)easy;
    fetch_client *client = ctx;
    fetch_socket *sock = sock_ptr;
    if (sock != NULL) {
        (void)curl_multi_assign(client->multi, fd, NULL);
        socket_free(sock);
    }
    if (what == CURL_POLL_REMOVE) {
        return 0;
    }
    sock = calloc(1, sizeof *sock);
    if (sock == NULL) {
        return -1;
    }
    int events = EV_PERSIST | (what != CURL_POLL_OUT ? EV_READ : 0) | (what != CURL_POLL_IN ? EV_WRITE : 0);
    lpx_list_push(&client->sockets, &sock->node);
    sock->event = event_new(io_loop_base(client->loop), fd, (short)events, on_ready, client);
    if (sock->event == NULL || event_add(sock->event, NULL) != 0) {
        socket_free(sock);
        return -1;
    }
    (void)curl_multi_assign(client->multi, fd, sock);
    return 0;
}

static int watch_time(CURLM *multi, long timeout_ms, void *ctx)
{
    (void)multi;
    fetch_client *client = ctx;
    if (timeout_ms < 0) {
        io_timer_cancel(&client->timer);
    } else {
        io_timer_arm(&client->timer, (int64_t)timeout_ms * 1000);
    }
    return 0;
}

fetch_client *fetch_client_new(io_loop *loop)
{
    fetch_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return NULL;
    }
    client->loop = loop;
    lpx_list_init(&client->calls);
    lpx_list_init(&client->ended);
    lpx_list_init(&client->sockets);
    fetch_easy_init();
    client->multi = curl_multi_init();
    if (client->multi == NULL || lpx_failed(io_timer_init(&client->timer, loop, on_time))) {
        fetch_client_free(&client);
        return NULL;
    }
    (void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    (void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    (void)curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, watch_time);
    (void)curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    (void)curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)FETCH_KEPT_CONNECTIONS);
    return client;
}

void fetch_client_free(fetch_client **client_ptr)
{
    fetch_client *client = *client_ptr;
    *client_ptr = NULL;
    if (client == NULL) {
        return;
    }
    while (!lpx_list_empty(&client->ended)) {
        call_free(LPX_CONTAINER(client->ended.next, fetch_call, node));
    }
    while (!lpx_list_empty(&client->calls)) {
        call_free(LPX_CONTAINER(client->calls.next, fetch_call, node));
    }
    if (client->multi != NULL) {
        (void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, NULL);
        (void)curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, NULL);
    }
    while (!lpx_list_empty(&client->sockets)) {
        socket_free(LPX_CONTAINER(client->sockets.next, fetch_socket, node));
    }
    if (client->multi != NULL) {
        (void)curl_multi_cleanup(client->multi);
    }
    io_timer_fini(&client->timer);
    client->freed = true;
    if (!client->telling) {
        free(client);
    }
}

LPX_RESULT fetch_start(fetch_client *client, const fetch_opts *opts, fetch_done *done, void *ctx, fetch_call **out,
                       lpx_note *note)
{
    if (client->count >= FETCH_CALLS_MAX) {
        return lpx_fail(note, FETCH_BUSY, "%d HTTP requests are under way already", FETCH_CALLS_MAX);
    }
    fetch_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        return lpx_err_of(IO_NO_RESOURCES);
    }
    call->client = client;
    call->done = done;
    call->ctx = ctx;
    lpx_err err = fetch_easy_begin(&call->easy, opts, note);
    if (lpx_failed(err)) {
        free(call);
        return err;
    }
    if (curl_multi_add_handle(client->multi, call->easy.curl) != CURLM_OK) {
        fetch_easy_end(&call->easy);
        free(call);
        return lpx_err_of(IO_NO_RESOURCES);
    }
    lpx_list_init(&call->node);
    lpx_list_push(&client->calls, &call->node);
    client->count++;
    if (out != NULL) {
        *out = call;
    }
    return LPX_SUCCESS;
}

void fetch_cancel(fetch_call **call_ptr)
{
    fetch_call *call = *call_ptr;
    *call_ptr = NULL;
    if (call != NULL) {
        call_free(call);
    }
}
