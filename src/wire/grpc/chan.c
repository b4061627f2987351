/* Channel: connect on demand, again after a loss, with growing pauses after failures; one connection at a time. */
#include "wire/grpc/chan.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "lpx_reasons.h"
#include "wire/grpc/limits.h"

/* A connection that lasted less did no good: the next one waits as after a failure. */
static const int64_t good_link_us = INT64_C(1000000);

enum { PING_ALIVE = 1 };

static uint64_t seed_of(const grpc_chan *chan, const grpc_client_opts *opts)
{
    if (opts->seed != 0) {
        return opts->seed;
    }
    uint64_t seed = (uint64_t)grpc_env_now(&chan->env).us ^ (uint64_t)(uintptr_t)chan;
    for (const char *c = opts->address; *c != '\0'; c++) {
        seed = seed * 31 + (uint8_t)*c;
    }
    return seed != 0 ? seed : 1;
}

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

lpx_err grpc_chan_init(grpc_chan *chan, io_loop *loop, const grpc_client_opts *opts, const grpc_chan_ops *ops,
                       lpx_note *note)
{
    *chan = (grpc_chan){.opts = *opts, .ops = ops};
    lpx_list_init(&chan->links);
    lpx_list_init(&chan->outs);
    lpx_list_init(&chan->waiting);
    if (opts->address == NULL || strrchr(opts->address, ':') == NULL) {
        return lpx_fail(note, GRPC_ADDRESS, "The address \"%.100s\" must be host:port.",
                        opts->address != NULL ? opts->address : "");
    }
    chan->opts.max_message_bytes = opts->max_message_bytes != 0 ? opts->max_message_bytes : GRPC_MAX_MESSAGE_BYTES;
    chan->keepalive_us = opts->keepalive_us != 0 ? opts->keepalive_us : GRPC_CLIENT_KEEPALIVE_US;
    chan->address = strdup(opts->address);
    chan->opts.address = chan->address;
    chan->pool = h2_pool_new(sizeof(grpc_out *), NULL);
    lpx_err err = chan->address != NULL && chan->pool != NULL ? LPX_SUCCESS : lpx_err_of(GRPC_NO_MEMORY);
    err = lpx_failed(err) ? err : grpc_env_init(&chan->env, loop);
    if (lpx_failed(err)) {
        free(chan->address);
        h2_pool_free(&chan->pool);
        return err;
    }
    chan->rng = seed_of(chan, opts);
    return LPX_SUCCESS;
}

static void forget(grpc_link *link)
{
    grpc_chan *chan = link->chan;
    grpc_env_disarm(&chan->env, &link->due);
    h2_session_free(&link->h2);
    lpx_list_remove(&link->node);
    if (chan->current == link) {
        chan->current = NULL;
    }
    link->chan = NULL;
    chan->ops->free_link(link);
}

static void destroy(grpc_chan *chan)
{
    while (!lpx_list_empty(&chan->links)) {
        grpc_link *link = LPX_CONTAINER(chan->links.next, grpc_link, node);
        chan->ops->shut(link, false);
        forget(link);
    }
    grpc_env_fini(&chan->env);
    h2_pool_free(&chan->pool);
    free(chan->address);
    chan->ops->free_chan(chan);
}

void grpc_chan_enter(grpc_chan *chan)
{
    chan->busy++;
}

void grpc_chan_leave(grpc_chan *chan)
{
    lpx_assert(chan->busy > 0);
    chan->busy--;
    if (chan->busy == 0 && chan->closing) {
        destroy(chan);
    }
}

void grpc_chan_close(grpc_chan *chan)
{
    if (chan->closing) {
        return;
    }
    grpc_chan_enter(chan);
    chan->closing = true;
    while (!lpx_list_empty(&chan->outs)) {
        grpc_out *call = grpc_out_of_node(chan->outs.next, false);
        grpc_out_end(call, LPX_CANCELLED, LPX_STR("The channel was closed."), (lpx_bytes){0});
    }
    grpc_chan_leave(chan);
}

static void waiting_fail(grpc_chan *chan, uint16_t reason, const char *why)
{
    while (!lpx_list_empty(&chan->waiting)) {
        grpc_out *call = grpc_out_of_node(chan->waiting.next, true);
        grpc_out_end(call, (lpx_code)lpx_err_of(reason).code, lpx_str_of(why), (lpx_bytes){0});
    }
}

/* The next connect has to wait: twice as long as the last time, a fifth more or less. */
static void back_off(grpc_chan *chan)
{
    chan->pause_us = chan->pause_us == 0 ? GRPC_BACKOFF_FIRST_US : chan->pause_us * 2;
    chan->pause_us = chan->pause_us > GRPC_BACKOFF_MAX_US ? GRPC_BACKOFF_MAX_US : chan->pause_us;
    int64_t fifth = chan->pause_us / 5;
    int64_t spread = (int64_t)(random_next(&chan->rng) % (uint64_t)(2 * fifth + 1)) - fifth;
    chan->not_before_us = grpc_env_now(&chan->env).us + chan->pause_us + spread;
}

static void connect_failed(grpc_chan *chan, const lpx_note *note)
{
    (void)snprintf(chan->last_failure.text, sizeof chan->last_failure.text, "%.80s: %.150s", chan->address, note->text);
    back_off(chan);
}

/* A connection for new calls. @return false: not now, last_failure says why */
static bool dial(grpc_chan *chan)
{
    if (chan->current != NULL) {
        return true;
    }
    if (grpc_env_now(&chan->env).us < chan->not_before_us) {
        return false;
    }
    lpx_note note = {0};
    grpc_link *link = NULL;
    lpx_err err = chan->ops->dial(chan, &link, &note);
    if (lpx_failed(err)) {
        connect_failed(chan, &note);
        return false;
    }
    link->chan = chan;
    lpx_list_init(&link->node);
    lpx_list_push(&chan->links, &link->node);
    chan->current = link;
    return true;
}

/* One ping when nothing was heard for long; its answer or the end. */
static void link_look(grpc_due_node *node)
{
    grpc_link *link = LPX_CONTAINER(node, grpc_link, due);
    grpc_chan *chan = link->chan;
    int64_t now_us = grpc_env_now(&chan->env).us;
    int64_t next_us = now_us + chan->keepalive_us;
    if (link->heard_us >= link->pinged_us) {
        link->pinged_us = 0;
    }
    if (link->pinged_us != 0 && now_us >= link->pinged_us + GRPC_KEEPALIVE_TIMEOUT_US) {
        link->why = lpx_fail(&link->note, GRPC_CONN_KEEPALIVE, "%.80s: no answer to a keepalive ping in %d s.",
                             chan->address, (int)(GRPC_KEEPALIVE_TIMEOUT_US / 1000000));
        chan->ops->shut(link, false);
        return;
    }
    if (link->pinged_us != 0) {
        next_us = link->pinged_us + GRPC_KEEPALIVE_TIMEOUT_US;
    } else if (h2_session_streams(link->h2) > 0 && now_us >= link->heard_us + chan->keepalive_us) {
        link->pinged_us = now_us;
        h2_session_ping(link->h2, PING_ALIVE);
        next_us = now_us + GRPC_KEEPALIVE_TIMEOUT_US;
    } else if (h2_session_streams(link->h2) > 0) {
        next_us = link->heard_us + chan->keepalive_us;
    }
    (void)grpc_env_arm(&chan->env, &link->due, (lpx_mono){next_us}, link_look);
}

bool grpc_link_up(grpc_link *link)
{
    grpc_chan *chan = link->chan;
    h2_opts opts = {.role = H2_CLIENT, .pool = chan->pool};
    link->h2 = h2_session_new(&opts, &grpc_link_events, link);
    if (link->h2 == NULL) {
        return false;
    }
    link->up = true;
    link->up_us = link->heard_us = grpc_env_now(&chan->env).us;
    (void)grpc_env_arm(&chan->env, &link->due, (lpx_mono){link->up_us + chan->keepalive_us}, link_look);
    chan->ops->want_write(link);
    grpc_chan_enter(chan);
    bool takes = true;
    while (takes && !lpx_list_empty(&chan->waiting)) {
        takes = grpc_out_submit(grpc_out_of_node(chan->waiting.next, true), link);
    }
    waiting_fail(chan, GRPC_NO_MEMORY, lpx_reason_text(GRPC_NO_MEMORY));
    grpc_chan_leave(chan);
    return true;
}

void grpc_link_recv(grpc_link *link, lpx_bytes in)
{
    grpc_chan *chan = link->chan;
    lpx_mono now = grpc_env_now(&chan->env);
    link->heard_us = now.us;
    grpc_chan_enter(chan);
    h2_session_recv(link->h2, in, now);
    grpc_chan_leave(chan);
}

bool grpc_link_fill(grpc_link *link, lpx_buf *out, size_t max_bytes)
{
    grpc_chan *chan = link->chan;
    grpc_chan_enter(chan);
    bool more = h2_session_fill(link->h2, out, max_bytes);
    grpc_chan_leave(chan);
    return more;
}

bool grpc_link_done(const grpc_link *link)
{
    return h2_session_done(link->h2);
}

/* Why a connection that stood was lost: our own reason, what HTTP/2 says, or what the socket says. */
static void loss_note(grpc_link *link, lpx_err why, const lpx_note *note)
{
    lpx_note session_note;
    lpx_err session = h2_session_why(link->h2, &session_note);
    if (link->why.code != LPX_OK) {
        return;
    }
    if (lpx_failed(session)) {
        link->why = lpx_fail(&link->note, GRPC_CONN_LOST, "%.80s: %.150s", link->chan->address, session_note.text);
        return;
    }
    const char *text =
        lpx_failed(why) && note != NULL && note->text[0] != '\0' ? note->text : "the connection was closed.";
    link->why = lpx_fail(&link->note, GRPC_CONN_LOST, "%.80s: %.150s", link->chan->address, text);
}

void grpc_link_lost(grpc_link *link, lpx_err why, const lpx_note *note)
{
    grpc_chan *chan = link->chan;
    grpc_chan_enter(chan);
    bool was_current = chan->current == link;
    if (was_current) {
        chan->current = NULL;
    }
    if (link->up) {
        loss_note(link, why, note);
        bool good = grpc_env_now(&chan->env).us - link->up_us >= good_link_us;
        chan->last_failure = link->note;
        if (good) {
            chan->pause_us = 0;
        } else if (was_current) {
            back_off(chan);
        }
    } else {
        lpx_note reason = {0};
        const char *text = link->why.code != LPX_OK ? link->note.text : (note != NULL ? note->text : "");
        (void)snprintf(reason.text, sizeof reason.text, "%s",
                       text[0] != '\0' ? text : lpx_reason_text(why.reason != 0 ? why.reason : GRPC_CONN_REFUSED));
        connect_failed(chan, &reason);
    }
    if (!link->up) {
        waiting_fail(chan, GRPC_CONN_REFUSED, chan->last_failure.text);
    }
    forget(link); /* its calls end */
    grpc_chan_leave(chan);
}

void grpc_chan_find_link(grpc_chan *chan, grpc_out *call)
{
    bool dialled = dial(chan);
    if (!dialled) {
        grpc_out_end_later(call, lpx_err_of(GRPC_CONN_REFUSED), chan->last_failure.text);
        return;
    }
    if (!chan->current->up) {
        return;
    }
    if (grpc_out_submit(call, chan->current)) {
        return;
    }
    /* It takes no more calls: another one will. */
    chan->current->draining = true;
    h2_session_drain(chan->current->h2);
    chan->current = NULL;
    if (!dial(chan)) {
        grpc_out_end_later(call, lpx_err_of(GRPC_CONN_REFUSED), chan->last_failure.text);
    }
}
