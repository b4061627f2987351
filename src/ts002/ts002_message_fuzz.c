/* Fuzz target: any text as a message; what is read is written, read again and must say the same. */
#include <stdlib.h>

#include "base/arena.h"
#include "base/assert.h"
#include "ts002/limits.h"
#include "ts002/ts002_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Written text escapes: six times the input is enough for both. */
enum { WRITTEN_BYTES = 8 * TS002_MESSAGE_BYTES };

static void read_again(const lpx_buf *text, lpx_arena *arena, ts002_message *out)
{
    lpx_assert(!lpx_buf_failed(text));
    lpx_err err = ts002_message_read(lpx_buf_view(text), arena, out, NULL);
    lpx_assert(!lpx_failed(err) || text->len > TS002_MESSAGE_BYTES);
}

static void check_request(const ts002_message *m, lpx_arena *arena, lpx_buf *buf)
{
    ts002_home_ns_req req, again;
    ts002_message second = {.members = NULL};
    if (lpx_failed(ts002_home_ns_req_read(m, &req, NULL))) {
        return;
    }
    ts002_home_ns_req_write(&m->header, &req, buf);
    read_again(buf, arena, &second);
    if (second.members != NULL) {
        lpx_assert(!lpx_failed(ts002_home_ns_req_read(&second, &again, NULL)));
        lpx_assert(again.dev_eui.value == req.dev_eui.value);
        lpx_assert(second.header.transaction_id == m->header.transaction_id);
    }
}

static void check_answer(const ts002_message *m, lpx_arena *arena, lpx_buf *buf)
{
    ts002_home_ns_ans ans, again;
    ts002_message second = {.members = NULL};
    if (lpx_failed(ts002_home_ns_ans_read(m, &ans, NULL))) {
        return;
    }
    lpx_str host = ts002_host(ans.h_ns_address);
    lpx_assert(host.len <= ans.h_ns_address.len);
    ts002_home_ns_ans_write(&m->header, &ans, buf);
    read_again(buf, arena, &second);
    if (second.members != NULL) {
        lpx_assert(!lpx_failed(ts002_home_ns_ans_read(&second, &again, NULL)));
        lpx_assert(again.h_net_id.value == ans.h_net_id.value);
        lpx_assert(again.h_tenant_id.len == ans.h_tenant_id.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lpx_arena arena;
    lpx_buf buf;
    ts002_message m;
    lpx_note note = {""};
    lpx_arena_init(&arena, TS002_ARENA_BYTES);
    lpx_buf_init(&buf, WRITTEN_BYTES);
    if (!lpx_failed(ts002_message_read(lpx_bytes_of(data, size), &arena, &m, &note))) {
        lpx_assert(ts002_answer_header(&m.header).transaction_id == m.header.transaction_id);
        if (m.header.type == TS002_HOME_NS_REQ) {
            check_request(&m, &arena, &buf);
        } else if (m.header.type == TS002_HOME_NS_ANS) {
            check_answer(&m, &arena, &buf);
        }
    }
    lpx_buf_fini(&buf);
    lpx_arena_fini(&arena);
    return 0;
}
