/* Messages of the Backend Interfaces: the vectors of tests/vectors/ts002, and what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "base/buf.h"
#include "lpx_reasons.h"
#include "ts002/limits.h"
#include "ts002/ts002_message.h"

static const char *folder;

static lpx_str or_dash(lpx_str text)
{
    return text.len > 0 ? text : LPX_STR("-");
}

static void add(lpx_buf *out, lpx_str text)
{
    lpx_buf_add_str(out, or_dash(text));
}

static void describe_answer(const ts002_home_ns_ans *ans, lpx_buf *out)
{
    lpx_buf_printf(out, " %s", ts002_result_name(ans->result, TS002_1_1));
    if (ans->result == TS002_SUCCESS) {
        lpx_buf_printf(out, " %06X ", (unsigned)ans->h_net_id.value);
        add(out, ans->h_ns_id);
        lpx_buf_printf(out, " ");
        add(out, ans->h_tenant_id);
        lpx_buf_printf(out, " ");
        add(out, ts002_host(ans->h_ns_address));
    }
}

static lpx_err describe_body(const ts002_message *m, lpx_buf *out, lpx_note *note)
{
    ts002_home_ns_req req;
    ts002_home_ns_ans ans;
    switch (m->header.type) {
    case TS002_HOME_NS_REQ:
        LPX_TRY(ts002_home_ns_req_read(m, &req, note));
        lpx_buf_printf(out, " %016llX", (unsigned long long)req.dev_eui.value);
        break;
    case TS002_HOME_NS_ANS:
        LPX_TRY(ts002_home_ns_ans_read(m, &ans, note));
        describe_answer(&ans, out);
        break;
    case TS002_TYPE_OTHER:
        break;
    }
    return LPX_SUCCESS;
}

static lpx_err describe(lpx_str text, lpx_arena *arena, lpx_buf *out, lpx_note *note)
{
    static const char *const versions[] = {"1.0", "1.1", "other"};
    static const char *const types[] = {"HomeNSReq", "HomeNSAns", "other"};
    ts002_message m;
    LPX_TRY(ts002_message_read(lpx_str_bytes(text), arena, &m, note));
    const ts002_header *h = &m.header;
    lpx_buf_printf(out, "%s %s %u ", versions[h->version], types[h->type], (unsigned)h->transaction_id);
    add(out, h->sender_id);
    lpx_buf_printf(out, ">");
    add(out, h->receiver_id);
    lpx_buf_printf(out, " ");
    add(out, h->sender_ns_id);
    lpx_buf_printf(out, ">");
    add(out, h->receiver_ns_id);
    return describe_body(&m, out, note);
}

static void check_vector(const char *name, const char *want, const char *text)
{
    lpx_arena arena;
    lpx_buf got;
    lpx_note note = {""};
    lpx_arena_init(&arena, TS002_ARENA_BYTES);
    lpx_buf_init(&got, 4096);
    lpx_err err = describe(lpx_str_of(text), &arena, &got, &note);
    if (strcmp(want, "malformed") == 0) {
        if (err.reason != TS002_MALFORMED || note.text[0] == '\0') {
            fail_msg("%s: read as \"%.*s\" (%s)", name, (int)got.len, (const char *)got.ptr, note.text);
        }
    } else if (lpx_failed(err) || !lpx_str_is(lpx_bytes_str(lpx_buf_view(&got)), want)) {
        fail_msg("%s: want \"%s\", got \"%.*s\" (%s)", name, want, (int)got.len, (const char *)got.ptr, note.text);
    }
    lpx_buf_fini(&got);
    lpx_arena_fini(&arena);
}

static void test_vectors(void **state)
{
    (void)state;
    char path[512], line[8192];
    unsigned count = 0;
    (void)snprintf(path, sizeof path, "%s/messages.tsv", folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *want = strchr(line, '\t');
        char *text = want != NULL ? strchr(want + 1, '\t') : NULL;
        if (line[0] != '#') {
            assert_non_null(text);
            *want++ = '\0';
            *text++ = '\0';
            check_vector(line, want, text);
            count++;
        }
    }
    (void)fclose(file);
    assert_true(count > 30);
}

static void test_too_long(void **state)
{
    (void)state;
    static char text[TS002_MESSAGE_BYTES + 1];
    lpx_arena arena;
    ts002_message m;
    lpx_note note = {""};
    lpx_arena_init(&arena, TS002_ARENA_BYTES);
    memset(text, ' ', sizeof text);
    static const char whole[] = "{\"MessageType\":\"HomeNSReq\"}";
    memcpy(text, whole, sizeof whole - 1);
    assert_false(lpx_failed(ts002_message_read(lpx_bytes_of(text, sizeof text - 1), &arena, &m, &note)));
    assert_int_equal(ts002_message_read(lpx_bytes_of(text, sizeof text), &arena, &m, &note).reason, TS002_MALFORMED);
    memset(text, '[', sizeof text); /* deep, and as many values as there can be */
    assert_true(lpx_failed(ts002_message_read(lpx_bytes_of(text, sizeof text - 1), &arena, &m, &note)));
    lpx_arena_fini(&arena);
}

static void check_written(lpx_buf *buf, const char *want)
{
    assert_false(lpx_buf_failed(buf));
    if (!lpx_str_is(lpx_bytes_str(lpx_buf_view(buf)), want)) {
        fail_msg("want %s\n got %.*s", want, (int)buf->len, (const char *)buf->ptr);
    }
    lpx_buf_clear(buf);
}

static void test_requests_as_written(void **state)
{
    (void)state;
    lpx_buf buf;
    lpx_buf_init(&buf, TS002_REQUEST_BYTES);
    ts002_header h = {.version = TS002_1_0,
                      .transaction_id = 2147483647,
                      .sender_id = LPX_STR("000000"),
                      .receiver_id = LPX_STR("EC656E0000000000"),
                      .sender_ns_id = LPX_STR("EC656E0000000001")};
    ts002_home_ns_req_write(&h, &(ts002_home_ns_req){{UINT64_C(0x0102030405060708)}}, &buf);
    check_written(&buf, "{\"ProtocolVersion\":\"1.0\",\"TransactionID\":2147483647,\"MessageType\":\"HomeNSReq\","
                        "\"SenderID\":\"000000\",\"ReceiverID\":\"EC656E0000000000\",\"DevEUI\":\"0102030405060708\"}");
    h.version = TS002_1_1;
    ts002_home_ns_req_write(&h, &(ts002_home_ns_req){{UINT64_C(0x0102030405060708)}}, &buf);
    check_written(&buf, "{\"ProtocolVersion\":\"1.1\",\"TransactionID\":2147483647,\"MessageType\":\"HomeNSReq\","
                        "\"SenderID\":\"000000\",\"ReceiverID\":\"EC656E0000000000\","
                        "\"SenderNSID\":\"EC656E0000000001\",\"DevEUI\":\"0102030405060708\"}");
    lpx_buf_fini(&buf);
}

static void test_answers_as_written(void **state)
{
    (void)state;
    lpx_buf buf;
    lpx_buf_init(&buf, 4096);
    const ts002_header request = {.version = TS002_1_1,
                                  .type = TS002_HOME_NS_REQ,
                                  .transaction_id = 42,
                                  .sender_id = LPX_STR("420000"),
                                  .receiver_id = LPX_STR("4242000000000000"),
                                  .sender_ns_id = LPX_STR("4242420000000000"),
                                  .sender_token = LPX_STR("0A")};
    ts002_header h = ts002_answer_header(&request);
    assert_int_equal(h.type, TS002_HOME_NS_ANS);
    ts002_home_ns_ans ans = {.result = TS002_SUCCESS,
                             .h_net_id = {0x424200},
                             .h_ns_id = LPX_STR("4242424200000000"),
                             .h_tenant_id = LPX_STR("foo-tenant"),
                             .h_ns_address = LPX_STR("thethings.example.com")};
    ts002_home_ns_ans_write(&h, &ans, &buf);
    check_written(&buf, "{\"ProtocolVersion\":\"1.1\",\"TransactionID\":42,\"MessageType\":\"HomeNSAns\","
                        "\"SenderID\":\"4242000000000000\",\"ReceiverID\":\"420000\","
                        "\"ReceiverNSID\":\"4242420000000000\",\"ReceiverToken\":\"0A\","
                        "\"Result\":{\"ResultCode\":\"Success\"},\"HNSID\":\"4242424200000000\",\"HNetID\":\"424200\","
                        "\"VSExtension\":{\"VendorID\":\"EC656E\",\"Object\":{\"TTSV3\":{\"HTenantID\":\"foo-tenant\","
                        "\"HNSAddress\":\"thethings.example.com\"}}}}");
    h = (ts002_header){.version = TS002_1_0, .sender_id = LPX_STR("00"), .receiver_id = LPX_STR("420000")};
    ans = (ts002_home_ns_ans){.result = TS002_UNKNOWN_RECEIVER, .description = LPX_STR("say \"why\"")};
    ts002_home_ns_ans_write(&h, &ans, &buf);
    check_written(&buf, "{\"ProtocolVersion\":\"1.0\",\"TransactionID\":0,\"MessageType\":\"HomeNSAns\","
                        "\"SenderID\":\"00\",\"ReceiverID\":\"420000\",\"Result\":{\"ResultCode\":\"UnkownReceiver\","
                        "\"Description\":\"say \\\"why\\\"\"}}");
    lpx_buf_fini(&buf);
}

/* Each code comes back in each version, but for those that 1.0 does not have. */
static void test_codes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TS002_RESULTS; i++) {
        ts002_result r = (ts002_result)i;
        bool only_1_1 = r == TS002_NO_ACTION || r == TS002_FRAME_REPLAYED;
        assert_int_equal(ts002_result_of(lpx_str_of(ts002_result_name(r, TS002_1_1))), r);
        assert_int_equal(ts002_result_of(lpx_str_of(ts002_result_name(r, TS002_1_0))), only_1_1 ? TS002_OTHER : r);
    }
    assert_int_equal(ts002_result_of(LPX_STR("")), TS002_OTHER);
}

static void test_hosts(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"eu1.cloud.thethings.network", "eu1.cloud.thethings.network"},
        {"eu1.example.com:8884", "eu1.example.com"},
        {"https://eu1.example.com:8884/x", "eu1.example.com"},
        {"eu1.example.com/", "eu1.example.com"},
        {"[::1]:8884", "["},
        {"", ""},
        {"://", ""},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        lpx_str host = ts002_host(lpx_str_of(pairs[i][0]));
        assert_int_equal(host.len, strlen(pairs[i][1]));
        assert_memory_equal(host.ptr, pairs[i][1], host.len);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s FOLDER_OF_VECTORS\n", argv[0]);
        return 2;
    }
    folder = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_requests_as_written),
        cmocka_unit_test(test_answers_as_written),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
