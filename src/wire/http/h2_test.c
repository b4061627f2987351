/* Whole sessions against each other, and against frames made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lpx_reasons.h"
#include "wire/http/h2_limits.h"
#include "wire/http/h2_mem.h"
#include "wire/http/h2_test_pair.h"

static const h2_field ok_head[] = {H2_FIELD(":status", "200"), H2_FIELD("content-type", "t/t")};
static const h2_field ok_tail[] = {H2_FIELD("grpc-status", "0"),
                                   H2_FIELD("grpc-message", "a message that is longer than the inline room")};

static void echo_ended(h2_end *end, h2_seen *seen)
{
    (void)end;
    h2_stream_answer(seen->stream, ok_head, 2, false);
    assert_int_not_equal(h2_stream_send(seen->stream, lpx_bytes_of("<", 1), lpx_buf_view(&seen->data)), H2_SEND_FAILED);
    h2_stream_finish(seen->stream, ok_tail, 2);
}

static void assert_tail(const h2_seen *seen)
{
    size_t count = 0;
    const h2_field *tail = h2_stream_tail(seen->stream, &count);
    assert_int_equal(count, 2);
    assert_true(lpx_str_equal(tail[0].name, ok_tail[0].name) && lpx_str_equal(tail[0].value, ok_tail[0].value));
    assert_true(lpx_str_equal(tail[1].value, ok_tail[1].value));
}

static void test_unary(void **state)
{
    (void)state;
    for (size_t piece = 0; piece < 4; piece++) {
        h2_pair pair;
        h2_pair_init(&pair);
        pair.piece_bytes = piece;
        pair.server.ended = echo_ended;
        h2_seen *call = h2_end_post(&pair.client, false);
        assert_int_equal(h2_stream_send(call->stream, lpx_bytes_of("hel", 3), lpx_bytes_of("lo", 2)), H2_SEND_OK);
        h2_stream_finish(call->stream, NULL, 0);
        h2_pair_run(&pair);
        assert_int_equal(pair.server.count, 1);
        h2_seen *request = &pair.server.seen[0];
        assert_true(lpx_bytes_equal(lpx_buf_view(&request->data), lpx_bytes_of("hello", 5)));
        assert_true(lpx_str_is(h2_stream_header(request->stream, LPX_STR(":path")), "/a.B/C"));
        assert_true(lpx_bytes_equal(lpx_buf_view(&call->data), lpx_bytes_of("<hello", 6)));
        assert_true(lpx_str_is(h2_stream_header(call->stream, LPX_STR(":status")), "200"));
        assert_tail(call);
        assert_int_equal(call->ends, 1);
        assert_int_equal(call->closes, 1);
        assert_int_equal(call->close_code, H2_NO_ERROR);
        assert_int_equal(request->close_code, H2_NO_ERROR);
        assert_true(h2_session_ready(pair.server.session) && h2_session_ready(pair.client.session));
        assert_int_equal(h2_session_streams(pair.server.session), 0);
        h2_pair_fini(&pair);
    }
}

static void answer_at_once(h2_end *end, h2_seen *seen)
{
    (void)end;
    h2_stream_answer(seen->stream, ok_head, 2, false);
    h2_stream_finish(seen->stream, ok_tail, 2);
}

static void refuse_at_once(h2_end *end, h2_seen *seen)
{
    (void)end;
    h2_stream_answer(seen->stream, ok_head, 2, true);
}

/* A server that ends first must stop its client, and the client must see the answer, not an error. */
static void test_early_answer(void **state)
{
    (void)state;
    void (*const heads[])(h2_end *, h2_seen *) = {answer_at_once, refuse_at_once};
    for (size_t i = 0; i < 2; i++) {
        h2_pair pair;
        h2_pair_init(&pair);
        pair.server.head = heads[i];
        h2_seen *call = h2_end_post(&pair.client, false);
        h2_pair_run(&pair);
        assert_int_equal(call->ends, 1);
        assert_int_equal(call->closes, 1);
        assert_int_equal(call->close_code, H2_NO_ERROR);
        assert_false(h2_stream_open(call->stream));
        assert_int_equal(h2_stream_send(call->stream, lpx_bytes_of("x", 1), lpx_bytes_of("", 0)), H2_SEND_FAILED);
        h2_pair_fini(&pair);
    }
}

static void fill_pattern(uint8_t *bytes, size_t len, unsigned seed)
{
    uint32_t x = seed * 2654435761U + 1;
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525U + 1013904223U;
        bytes[i] = (uint8_t)(x >> 24);
    }
}

static void test_large_both_ways(void **state)
{
    (void)state;
    enum { BIG = 16 * 1024 * 1024 };
    uint8_t *bytes = malloc(BIG);
    assert_non_null(bytes);
    fill_pattern(bytes, BIG, 7);
    h2_pair pair;
    h2_pair_init(&pair);
    pair.server.ended = echo_ended;
    h2_seen *call = h2_end_post(&pair.client, false);
    assert_int_equal(h2_stream_send(call->stream, lpx_bytes_of("", 0), lpx_bytes_of(bytes, BIG)), H2_SEND_FULL);
    h2_stream_finish(call->stream, NULL, 0);
    h2_pair_run(&pair);
    assert_int_equal(call->data.len, BIG + 1);
    assert_memory_equal(call->data.ptr + 1, bytes, BIG);
    assert_int_equal(call->close_code, H2_NO_ERROR);
    free(bytes);
    h2_pair_fini(&pair);
}

static void test_back_pressure(void **state)
{
    (void)state;
    static uint8_t bytes[3 * H2_STREAM_WINDOW_BYTES];
    fill_pattern(bytes, sizeof bytes, 3);
    h2_pair pair;
    h2_pair_init(&pair);
    pair.server.hold_data = true;
    h2_pair_run(&pair);
    h2_seen *call = h2_end_post(&pair.client, false);
    h2_seen *other = h2_end_post(&pair.client, false);
    assert_int_equal(h2_stream_send(call->stream, lpx_bytes_of("", 0), lpx_bytes_of(bytes, sizeof bytes)),
                     H2_SEND_FULL);
    h2_pair_run(&pair);
    assert_int_equal(pair.server.seen[0].data.len, H2_STREAM_WINDOW_BYTES);
    assert_int_equal(call->writables, 0);
    /* Another stream of the connection is not held up. */
    pair.server.hold_data = false;
    assert_int_equal(h2_stream_send(other->stream, lpx_bytes_of("", 0), lpx_bytes_of(bytes, 300000)), H2_SEND_FULL);
    h2_pair_run(&pair);
    assert_int_equal(pair.server.seen[1].data.len, 300000);
    assert_int_equal(other->writables, 1);
    h2_stream_consume(pair.server.seen[0].stream, H2_STREAM_WINDOW_BYTES);
    h2_pair_run(&pair);
    assert_int_equal(pair.server.seen[0].data.len, sizeof bytes);
    assert_memory_equal(pair.server.seen[0].data.ptr, bytes, sizeof bytes);
    assert_int_equal(call->writables, 1);
    h2_pair_fini(&pair);
}

/* Longest run of DATA bytes of one stream on the wire while both streams have some. */
static void test_fair_turns(void **state)
{
    (void)state;
    static uint8_t bytes[400000];
    h2_pair pair;
    h2_pair_init(&pair);
    h2_pair_run(&pair);
    h2_seen *a = h2_end_post(&pair.client, false);
    h2_seen *b = h2_end_post(&pair.client, false);
    assert_int_not_equal(h2_stream_send(a->stream, lpx_bytes_of("", 0), lpx_bytes_of(bytes, sizeof bytes)),
                         H2_SEND_FAILED);
    assert_int_not_equal(h2_stream_send(b->stream, lpx_bytes_of("", 0), lpx_bytes_of(bytes, sizeof bytes)),
                         H2_SEND_FAILED);
    for (int i = 0; i < 4; i++) {
        assert_true(h2_pair_move(&pair, &pair.client, &pair.server) > 0);
        size_t got_a = pair.server.seen[0].data.len, got_b = pair.server.seen[1].data.len;
        size_t apart = got_a > got_b ? got_a - got_b : got_b - got_a;
        assert_true(got_a > 0 && apart <= (size_t)2 * H2_TURN_BYTES);
    }
    h2_pair_run(&pair);
    h2_pair_fini(&pair);
}

static void test_resets(void **state)
{
    (void)state;
    h2_pair pair;
    h2_pair_init(&pair);
    h2_seen *a = h2_end_post(&pair.client, false);
    h2_seen *b = h2_end_post(&pair.client, false);
    h2_pair_run(&pair);
    h2_stream_reset(a->stream, H2_CANCEL);
    h2_stream_reset(pair.server.seen[1].stream, H2_REFUSED_STREAM);
    h2_pair_run(&pair);
    assert_int_equal(pair.server.seen[0].close_code, H2_CANCEL);
    assert_int_equal(b->close_code, H2_REFUSED_STREAM);
    assert_int_equal(h2_session_streams(pair.client.session), 0);
    /* Reset before anything was sent: the server never hears of it. */
    h2_seen *c = h2_end_post(&pair.client, false);
    h2_stream_reset(c->stream, H2_CANCEL);
    h2_pair_run(&pair);
    assert_int_equal(c->closes, 1);
    assert_int_equal(pair.server.count, 2);
    h2_pair_fini(&pair);
}

static void test_drain(void **state)
{
    (void)state;
    h2_pair pair;
    h2_pair_init(&pair);
    pair.server.ended = echo_ended;
    h2_seen *call = h2_end_post(&pair.client, false);
    h2_pair_run(&pair);
    h2_session_drain_notice(pair.server.session);
    h2_pair_run(&pair);
    assert_int_equal(pair.client.goaways, 1);
    /* nghttp2's client opens nothing after a GOAWAY; the open stream goes on. */
    h2_session_drain(pair.server.session);
    h2_pair_run(&pair);
    assert_int_equal(pair.client.goaways, 2);
    assert_false(h2_session_done(pair.server.session));
    h2_stream_finish(call->stream, NULL, 0);
    h2_pair_run(&pair);
    assert_int_equal(call->close_code, H2_NO_ERROR);
    assert_true(h2_session_done(pair.server.session));
    assert_true(h2_session_done(pair.client.session));
    lpx_note note;
    assert_false(lpx_failed(h2_session_why(pair.server.session, &note)));
    h2_pair_fini(&pair);
}

static void test_new_stream_after_goaway(void **state)
{
    (void)state;
    h2_pair pair;
    h2_pair_init(&pair);
    h2_pair_run(&pair);
    h2_session_drain(pair.server.session);
    h2_pair_run(&pair);
    h2_seen *call = h2_end_post(&pair.client, true);
    h2_pair_run(&pair);
    assert_true(call == NULL || call->closes == 1);
    assert_int_equal(pair.server.count, 0);
    h2_pair_fini(&pair);
}

static void test_pings(void **state)
{
    (void)state;
    h2_pair pair;
    h2_pair_init(&pair);
    h2_session_ping(pair.client.session, 77);
    h2_pair_run(&pair);
    assert_int_equal(pair.client.pongs, 1);
    /* In time: never a strike. */
    for (int i = 0; i < 20; i++) {
        pair.now.us += 10 * 1000000;
        h2_session_ping(pair.client.session, 77);
        h2_pair_run(&pair);
    }
    assert_int_equal(pair.client.pongs, 21);
    /* Too early: two are forgiven. */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pair.client.goaways, 0);
        pair.now.us += 1000000;
        h2_session_ping(pair.client.session, 77);
        h2_pair_run(&pair);
    }
    assert_int_equal(pair.client.goaways, 1);
    assert_int_equal(pair.client.goaway_code, H2_ENHANCE_YOUR_CALM);
    assert_string_equal(pair.client.goaway_text, "too_many_pings");
    lpx_note note;
    assert_int_equal(h2_session_why(pair.server.session, &note).reason, H2_FLOOD_PING);
    assert_int_equal(h2_session_why(pair.client.session, &note).reason, H2_PEER_GOAWAY);
    h2_pair_fini(&pair);
}

/* Clients measure the bandwidth by a ping with each piece of data that they get. */
static void test_pings_with_data(void **state)
{
    (void)state;
    h2_pair pair;
    h2_pair_init(&pair);
    h2_seen *call = h2_end_post(&pair.client, false);
    h2_pair_run(&pair);
    h2_stream_answer(pair.server.seen[0].stream, ok_head, 2, false);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(h2_stream_send(pair.server.seen[0].stream, lpx_bytes_of("abc", 3), lpx_bytes_of("", 0)),
                         H2_SEND_OK);
        h2_pair_run(&pair);
        h2_session_ping(pair.client.session, 77);
        h2_pair_run(&pair);
    }
    assert_int_equal(pair.client.pongs, 500);
    assert_int_equal(call->data.len, 1500);
    h2_pair_fini(&pair);
}

static void test_credential(void **state)
{
    (void)state;
    h2_pair pair;
    h2_pair_init(&pair);
    h2_field fields[] = {{LPX_STR(":method"), LPX_STR("POST")},
                         {LPX_STR(":scheme"), LPX_STR("http")},
                         {LPX_STR(":path"), LPX_STR("/x")},
                         {LPX_STR("authorization"), LPX_STR("Bearer one")}};
    const char *const values[] = {"Bearer one", "Bearer one", "Bearer two", "Bearer one"};
    for (size_t i = 0; i < 4; i++) {
        fields[3].value = lpx_str_of(values[i]);
        h2_stream *stream = h2_session_request(pair.client.session, fields, 4, true);
        assert_non_null(stream);
        pair.client.seen[pair.client.count++] = (h2_seen){.stream = stream};
        h2_stream_hold(stream);
    }
    h2_pair_run(&pair);
    uint64_t ids[4];
    for (size_t i = 0; i < 4; i++) {
        ids[i] = h2_stream_credential(pair.server.seen[i].stream);
        assert_int_not_equal(ids[i], 0);
    }
    assert_true(ids[0] == ids[1] && ids[1] != ids[2] && ids[2] != ids[3]);
    h2_pair_fini(&pair);
}

/* Blocks of random sizes hold what was written into them, whatever happens to the others. */
static void test_memory(void **state)
{
    enum { SLOTS = 64, STEPS = 20000 };
    (void)state;
    h2_mem mem = {0};
    uint8_t *ptrs[SLOTS] = {NULL};
    size_t sizes[SLOTS] = {0};
    uint32_t random = 12345;
    for (int step = 0; step < STEPS; step++) {
        random = random * 1664525 + 1013904223;
        size_t slot = random >> 8 & (SLOTS - 1), size = random >> 16 & 1023;
        for (size_t i = 0; i < sizes[slot]; i++) {
            assert_int_equal(ptrs[slot][i], slot);
        }
        if ((random >> 27 & 3) == 0) {
            h2_mem_give(&mem, ptrs[slot]);
            ptrs[slot] = h2_mem_get_zeroed(&mem, 1, size);
            for (size_t i = 0; i < size; i++) {
                assert_int_equal(ptrs[slot][i], 0);
            }
        } else {
            ptrs[slot] = h2_mem_resize(&mem, ptrs[slot], size);
            for (size_t i = 0; i < size && i < sizes[slot]; i++) {
                assert_int_equal(ptrs[slot][i], slot);
            }
        }
        assert_non_null(ptrs[slot]);
        assert_int_equal((uintptr_t)ptrs[slot] % _Alignof(max_align_t), 0);
        memset(ptrs[slot], (int)slot, size);
        sizes[slot] = size;
    }
    uint8_t *large = h2_mem_get(&mem, H2_MEM_PAGED_BYTES);
    assert_non_null(large);
    memset(large, 7, H2_MEM_PAGED_BYTES);
    large = h2_mem_resize(&mem, large, 3 * H2_MEM_PAGED_BYTES);
    assert_non_null(large);
    large[3 * H2_MEM_PAGED_BYTES - 1] = 8;
    assert_int_equal(large[H2_MEM_PAGED_BYTES - 1], 7);
    h2_mem_give(&mem, large);
    assert_null(h2_mem_get(&mem, SIZE_MAX));
    assert_null(h2_mem_get_zeroed(&mem, SIZE_MAX / 2, 3));
    for (size_t slot = 0; slot < SLOTS; slot++) {
        h2_mem_give(&mem, ptrs[slot]);
    }
    assert_true(mem.spare_bytes <= H2_KEPT_MEMORY_BYTES);
    h2_mem_fini(&mem);
}

static void test_unsent_limit(void **state)
{
    (void)state;
    enum { PIECE = 1024 * 1024 };
    uint8_t *bytes = calloc(1, PIECE);
    assert_non_null(bytes);
    h2_pair pair;
    h2_pair_init(&pair);
    h2_pair_run(&pair);
    h2_seen *call = h2_end_post(&pair.client, false);
    unsigned taken = 0;
    while (h2_stream_send(call->stream, lpx_bytes_of("", 0), lpx_bytes_of(bytes, PIECE)) != H2_SEND_FAILED) {
        taken++;
    }
    assert_int_equal(taken, H2_MAX_UNSENT_STREAM_BYTES / PIECE);
    for (int i = 0; i < 8; i++) {
        h2_seen *more = h2_end_post(&pair.client, false);
        while (h2_stream_send(more->stream, lpx_bytes_of("", 0), lpx_bytes_of(bytes, PIECE)) != H2_SEND_FAILED) {
            taken++;
        }
    }
    assert_int_equal(taken, H2_MAX_UNSENT_CONN_BYTES / PIECE);
    h2_stream_reset(call->stream, H2_CANCEL);
    assert_int_equal(h2_stream_unsent(call->stream), 0);
    free(bytes);
    h2_pair_fini(&pair);
}

/* Many streams, random sizes both ways, random pieces on the wire: all arrives, in order. */
enum { RANDOM_STREAMS = 40 };

typedef struct flow {
    h2_stream *stream;
    unsigned seed;
    size_t sent, total;
    bool waits, finished, server;
} flow;

static uint32_t rng_state;

static uint32_t rng(uint32_t below)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 17;
    rng_state ^= rng_state << 5;
    return rng_state % below;
}

static void flow_step(flow *f, const uint8_t *bytes)
{
    if (f->stream == NULL || f->finished || f->waits) {
        return;
    }
    if (f->sent == f->total) {
        if (f->server && !h2_stream_peer_ended(f->stream)) {
            return; /* or it would stop its client */
        }
        h2_stream_finish(f->stream, NULL, 0);
        f->finished = true;
        return;
    }
    uint32_t most = rng(4) == 0 ? 200000 : 700;
    size_t n = 1 + rng(most);
    n = n < f->total - f->sent ? n : f->total - f->sent;
    size_t cut = rng((uint32_t)n + 1);
    h2_sent sent =
        h2_stream_send(f->stream, lpx_bytes_of(bytes + f->sent, cut), lpx_bytes_of(bytes + f->sent + cut, n - cut));
    assert_int_not_equal(sent, H2_SEND_FAILED);
    f->sent += n;
    f->waits = sent == H2_SEND_FULL;
}

static void flow_writable(h2_end *end, h2_seen *seen)
{
    flow *flows = end->ctx;
    for (size_t i = 0; i < RANDOM_STREAMS; i++) {
        if (flows[i].stream == seen->stream) {
            flows[i].waits = false;
        }
    }
}

static void flow_head(h2_end *end, h2_seen *seen)
{
    flow *flows = end->ctx;
    size_t i = (size_t)(seen - end->seen);
    flows[i].stream = seen->stream;
    flows[i].server = true;
    h2_stream_answer(seen->stream, ok_head, 2, false);
}

static bool flows_done(const h2_end *end)
{
    size_t done = 0;
    for (size_t i = 0; i < end->count; i++) {
        done += end->seen[i].closes;
    }
    return done == RANDOM_STREAMS;
}

static void random_run(unsigned seed, const uint8_t *bytes)
{
    rng_state = seed;
    flow up[RANDOM_STREAMS] = {0}, down[RANDOM_STREAMS] = {0};
    h2_pair pair;
    h2_pair_init(&pair);
    pair.client.ctx = up;
    pair.server.ctx = down;
    pair.client.writable = pair.server.writable = flow_writable;
    pair.server.head = flow_head;
    size_t opened = 0;
    while (!flows_done(&pair.client) || !flows_done(&pair.server)) {
        uint32_t i = rng(RANDOM_STREAMS);
        if (rng(8) == 0 && opened < RANDOM_STREAMS) {
            up[opened].stream = h2_end_post(&pair.client, false)->stream;
            up[opened].total = rng(600000);
            down[opened].total = rng(600000);
            opened++;
        }
        flow_step(&up[i], bytes + i);
        flow_step(&down[i], bytes + 2 * i);
        pair.piece_bytes = rng(3) == 0 ? 1 + rng(30) : 1 + rng(70000);
        (void)h2_pair_move(&pair, &pair.client, &pair.server);
        (void)h2_pair_move(&pair, &pair.server, &pair.client);
    }
    for (size_t i = 0; i < RANDOM_STREAMS; i++) {
        const lpx_buf *got_up = &pair.server.seen[i].data, *got_down = &pair.client.seen[i].data;
        assert_int_equal(got_up->len, up[i].total);
        assert_int_equal(got_down->len, down[i].total);
        assert_true(lpx_bytes_equal(lpx_buf_view(got_up), lpx_bytes_of(bytes + i, up[i].total)));
        assert_true(lpx_bytes_equal(lpx_buf_view(got_down), lpx_bytes_of(bytes + 2 * i, down[i].total)));
        assert_int_equal(pair.client.seen[i].close_code, H2_NO_ERROR);
    }
    h2_pair_fini(&pair);
}

static void test_random_interleavings(void **state)
{
    (void)state;
    enum { BYTES = 700000 };
    uint8_t *bytes = malloc(BYTES);
    assert_non_null(bytes);
    fill_pattern(bytes, BYTES, 99);
    for (unsigned seed = 1; seed <= 6; seed++) {
        print_message("seed %u\n", seed);
        random_run(seed, bytes);
    }
    free(bytes);
}

int h2_frames_tests(void); /* h2_frames_test.c */
int h2_heads_tests(void);  /* h2_heads_test.c */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary),           cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_large_both_ways), cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_fair_turns),      cmocka_unit_test(test_resets),
        cmocka_unit_test(test_drain),           cmocka_unit_test(test_new_stream_after_goaway),
        cmocka_unit_test(test_pings),           cmocka_unit_test(test_pings_with_data),
        cmocka_unit_test(test_credential),      cmocka_unit_test(test_memory),
        cmocka_unit_test(test_unsent_limit),    cmocka_unit_test(test_random_interleavings),
    };
    int failed = cmocka_run_group_tests_name("h2_sessions", tests, NULL, NULL);
    return failed + h2_frames_tests() + h2_heads_tests();
}
