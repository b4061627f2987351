#include "wire/http/h2_test_pair.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

h2_seen *h2_end_find(h2_end *end, const h2_stream *stream)
{
    for (size_t i = 0; i < end->count; i++) {
        if (end->seen[i].stream == stream) {
            return &end->seen[i];
        }
    }
    return NULL;
}

static h2_seen *seen_add(h2_end *end, h2_stream *stream)
{
    lpx_assert(end->count < H2_PAIR_STREAMS);
    h2_seen *seen = &end->seen[end->count++];
    *seen = (h2_seen){.stream = stream};
    lpx_buf_init(&seen->data, 64 * 1024 * 1024);
    h2_stream_hold(stream);
    return seen;
}

static void on_head(void *ctx, h2_stream *stream)
{
    h2_end *end = ctx;
    h2_seen *seen = h2_end_find(end, stream);
    if (seen == NULL) {
        seen = seen_add(end, stream);
    }
    seen->heads++;
    if (end->head != NULL) {
        end->head(end, seen);
    }
}

static void on_data(void *ctx, h2_stream *stream, lpx_bytes in)
{
    h2_end *end = ctx;
    h2_seen *seen = h2_end_find(end, stream);
    lpx_assert(seen != NULL && seen->heads > 0 && seen->ends == 0 && seen->closes == 0);
    lpx_buf_add(&seen->data, in);
    if (!end->hold_data) {
        h2_stream_consume(stream, in.len);
    }
}

static void on_end(void *ctx, h2_stream *stream)
{
    h2_end *end = ctx;
    h2_seen *seen = h2_end_find(end, stream);
    lpx_assert(seen != NULL && seen->ends == 0 && seen->closes == 0);
    seen->ends++;
    if (end->ended != NULL) {
        end->ended(end, seen);
    }
}

static void on_writable(void *ctx, h2_stream *stream)
{
    h2_end *end = ctx;
    h2_seen *seen = h2_end_find(end, stream);
    seen->writables++;
    if (end->writable != NULL) {
        end->writable(end, seen);
    }
}

static void on_close(void *ctx, h2_stream *stream, uint32_t code)
{
    h2_end *end = ctx;
    h2_seen *seen = h2_end_find(end, stream);
    lpx_assert(seen != NULL && seen->closes == 0);
    seen->closes++;
    seen->close_code = code;
}

static void on_goaway(void *ctx, uint32_t code, lpx_str text)
{
    h2_end *end = ctx;
    end->goaways++;
    end->goaway_code = code;
    (void)snprintf(end->goaway_text, sizeof end->goaway_text, "%.*s", (int)text.len, text.ptr);
}

static void on_pong(void *ctx, uint64_t payload)
{
    h2_end *end = ctx;
    end->pongs += payload == 77;
}

static void want_write(void *ctx)
{
    h2_end *end = ctx;
    end->wants = true;
}

static const h2_events events = {
    .on_head = on_head,
    .on_data = on_data,
    .on_end = on_end,
    .on_writable = on_writable,
    .on_close = on_close,
    .on_goaway = on_goaway,
    .on_pong = on_pong,
    .want_write = want_write,
};

void h2_end_init(h2_end *end, h2_role role, const h2_opts *opts)
{
    memset(end, 0, sizeof *end);
    end->pool = h2_pool_new(64, NULL);
    h2_opts all = *opts;
    all.role = role;
    all.pool = end->pool;
    end->session = h2_session_new(&all, &events, end);
    lpx_assert(end->session != NULL);
    end->wants = true;
}

void h2_end_fini(h2_end *end)
{
    h2_session_free(&end->session);
    for (size_t i = 0; i < end->count; i++) {
        lpx_assert(end->seen[i].closes == 1);
        lpx_buf_fini(&end->seen[i].data);
        h2_stream_release(end->seen[i].stream);
    }
    h2_pool_free(&end->pool);
}

void h2_pair_init(h2_pair *pair)
{
    memset(pair, 0, sizeof *pair);
    pair->now.us = 1000000;
    h2_end_init(&pair->client, H2_CLIENT, &(h2_opts){0});
    h2_end_init(&pair->server, H2_SERVER, &(h2_opts){.min_ping_interval_us = 10 * 1000000});
    lpx_buf_init(&pair->wire, 4 * H2_PAIR_WINDOW);
}

void h2_pair_fini(h2_pair *pair)
{
    h2_end_fini(&pair->client);
    h2_end_fini(&pair->server);
    lpx_buf_fini(&pair->wire);
}

size_t h2_pair_move(h2_pair *pair, h2_end *from, h2_end *to)
{
    if (!from->wants) {
        return 0;
    }
    lpx_buf_clear(&pair->wire);
    from->wants = h2_session_fill(from->session, &pair->wire, H2_PAIR_WINDOW);
    lpx_bytes rest = lpx_buf_view(&pair->wire);
    size_t total = rest.len;
    while (rest.len > 0) {
        size_t n = pair->piece_bytes != 0 && pair->piece_bytes < rest.len ? pair->piece_bytes : rest.len;
        h2_session_recv(to->session, lpx_bytes_of(rest.ptr, n), pair->now);
        rest = lpx_bytes_of(rest.ptr + n, rest.len - n);
    }
    return total;
}

size_t h2_pair_run(h2_pair *pair)
{
    size_t total = 0;
    for (size_t moved = 1; moved > 0 || pair->client.wants || pair->server.wants; total += moved) {
        moved = h2_pair_move(pair, &pair->client, &pair->server);
        moved += h2_pair_move(pair, &pair->server, &pair->client);
    }
    return total;
}

h2_seen *h2_end_post(h2_end *end, bool finished)
{
    const h2_field fields[] = {{LPX_STR(":method"), LPX_STR("POST")},
                               {LPX_STR(":scheme"), LPX_STR("http")},
                               {LPX_STR(":path"), LPX_STR("/a.B/C")},
                               {LPX_STR(":authority"), LPX_STR("here")},
                               {LPX_STR("authorization"), LPX_STR("Bearer x")}};
    h2_stream *stream = h2_session_request(end->session, fields, 5, finished);
    return stream != NULL ? seen_add(end, stream) : NULL;
}
