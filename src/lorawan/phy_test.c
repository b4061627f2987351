/* Frames against vectors, against an acceptance rule written a second time, and against frames put together by hand. */
#include "lorawan/phy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/test_random.h"
#include "base/writer.h"
#include "lorawan/test_vectors.h"
#include "lpx_reasons.h"

/* ---- a frame as text, as the vector file has it ---- */

static void write_hex(lpx_writer *w, const char *name, lpx_bytes bytes)
{
    char hex[2 * LW_PHY_MAX_BYTES + 1];
    lpx_hex_encode(bytes, hex);
    lpx_writer_printf(w, " %s=%s", name, hex);
}

static void write_flag(lpx_writer *w, bool flag, const char *name, bool *first)
{
    if (flag) {
        lpx_writer_printf(w, "%s%s", *first ? "" : ",", name);
        *first = false;
    }
}

static void write_data(lpx_writer *w, const lw_data *data)
{
    bool first = true;
    lpx_writer_printf(w, " dev_addr=%08X flags=", data->dev_addr.value);
    write_flag(w, data->adr, "adr", &first);
    write_flag(w, data->adr_ack_req, "adr_ack_req", &first);
    write_flag(w, data->ack, "ack", &first);
    write_flag(w, data->class_b, "class_b", &first);
    write_flag(w, data->f_pending, "f_pending", &first);
    lpx_writer_printf(w, " f_cnt=%u", data->f_cnt);
    write_hex(w, "f_opts", data->f_opts);
    if (data->has_f_port) {
        lpx_writer_printf(w, " f_port=%u", data->f_port);
    } else {
        lpx_writer_str(w, LPX_STR(" f_port=-"));
    }
    write_hex(w, "frm_payload", data->frm_payload);
}

static void write_eui(lpx_writer *w, const char *name, lw_eui64 eui)
{
    lpx_writer_printf(w, " %s=%016" PRIX64, name, eui.value);
}

static void phy_text(const lw_phy *phy, char *out, size_t room)
{
    lpx_writer w;
    lpx_writer_init(&w, (lpx_space){(uint8_t *)out, room - 1});
    lpx_writer_printf(&w, "%s", lw_mtype_name(phy->mtype));
    if (phy->major != 0) {
        lpx_writer_printf(&w, " major=%u", phy->major);
    }
    if (phy->rfu != 0) {
        lpx_writer_printf(&w, " rfu=%u", phy->rfu);
    }
    if (lw_mtype_is_data(phy->mtype)) {
        write_data(&w, &phy->data);
    } else if (phy->mtype == LW_JOIN_REQUEST) {
        write_eui(&w, "join_eui", phy->join_request.join_eui);
        write_eui(&w, "dev_eui", phy->join_request.dev_eui);
        lpx_writer_printf(&w, " dev_nonce=%04X", phy->join_request.dev_nonce);
    } else if (phy->mtype == LW_REJOIN_REQUEST) {
        lpx_writer_printf(&w, " type=%u", phy->rejoin.type);
        if (phy->rejoin.type == 1) {
            write_eui(&w, "join_eui", phy->rejoin.join_eui);
        } else {
            lpx_writer_printf(&w, " net_id=%06X", phy->rejoin.net_id.value);
        }
        write_eui(&w, "dev_eui", phy->rejoin.dev_eui);
        lpx_writer_printf(&w, " rj_count=%04X", phy->rejoin.rj_count);
    } else {
        write_hex(&w, "body", phy->body);
    }
    if (phy->mic.len > 0) {
        write_hex(&w, "mic", phy->mic);
    }
    assert_false(lpx_failed(lpx_writer_end(&w)));
    out[lpx_writer_view(&w).len] = '\0';
}

/* Encode what was decoded and compare with want; also without MIC. */
static void assert_encodes(const lw_phy *phy, lpx_bytes want)
{
    uint8_t room[LW_PHY_MAX_BYTES];
    lpx_bytes out;
    lpx_note note = {""};
    if (lpx_failed(lw_phy_encode(phy, (lpx_space){room, sizeof(room)}, &note, &out))) {
        fail_msg("%s", note.text);
    }
    assert_true(lpx_bytes_equal(out, want));
    lw_phy bare = *phy;
    bare.mic = (lpx_bytes){NULL, 0};
    assert_false(lpx_failed(lw_phy_encode(&bare, (lpx_space){room, sizeof(room)}, NULL, &out)));
    assert_true(lpx_bytes_equal(out, lpx_bytes_of(want.ptr, want.len - phy->mic.len)));
    assert_true(lpx_bytes_equal(out, phy->without_mic));
    /* One byte of room too little. */
    assert_int_equal(lw_phy_encode(phy, (lpx_space){room, want.len - 1}, NULL, &out).reason, BASE_NO_ROOM);
}

static void test_vectors_decode(void **state)
{
    (void)state;
    test_vectors v;
    test_vectors_open(&v, "phy.tsv");
    while (test_vectors_next(&v)) {
        lpx_bytes in = test_vectors_bytes(v.field[0]);
        lw_phy phy;
        lpx_note note = {""};
        if (lpx_failed(lw_phy_decode(in, &note, &phy))) {
            fail_msg("phy.tsv:%u: %s", v.line, note.text);
        }
        char text[1024];
        phy_text(&phy, text, sizeof(text));
        assert_string_equal(text, v.field[1].ptr);
        assert_true(phy.whole.ptr == in.ptr && phy.whole.len == in.len);
        assert_encodes(&phy, in);
        free((void *)(uintptr_t)in.ptr);
    }
}

static void test_vectors_rejected(void **state)
{
    (void)state;
    test_vectors v;
    test_vectors_open(&v, "phy_rejected.tsv");
    while (test_vectors_next(&v)) {
        lpx_bytes in = test_vectors_bytes(v.field[0]);
        lw_phy phy = {.major = 3, .rfu = 5};
        lpx_note note = {""};
        lpx_err err = lw_phy_decode(in, &note, &phy);
        assert_int_equal(err.code, LPX_INVALID_ARGUMENT);
        assert_string_equal(lpx_reason_name(err.reason), v.field[1].ptr);
        if (strstr(note.text, v.field[2].ptr) == NULL) {
            fail_msg("phy_rejected.tsv:%u: %s", v.line, note.text);
        }
        assert_true(phy.major == 3 && phy.rfu == 5);
        free((void *)(uintptr_t)in.ptr);
    }
}

/* The rule of acceptance a second time. */
static bool naive_accepts(const uint8_t *in, size_t len)
{
    if (len == 0 || len > 255) {
        return false;
    }
    if (in[0] >= 0xE0) {
        return true;
    }
    if (in[0] % 4 != 0) {
        return false;
    }
    unsigned type = in[0] / 32;
    if (type == 0) {
        return len == 23;
    }
    if (type == 1) {
        return len == 17 || len == 33;
    }
    if (type == 6) {
        return (len == 24 && in[1] == 1) || (len == 19 && (in[1] == 0 || in[1] == 2));
    }
    return len >= 12 && 1U + 7 + in[5] % 16 + 4 <= len;
}

/* Random bytes of every length under every first byte: accepted as the rule says, and the way back gives them again. */
static void test_every_first_byte_and_length(void **state)
{
    (void)state;
    test_random random = test_random_begin("phy");
    unsigned accepted = 0;
    for (unsigned first = 0; first < 256; first++) {
        for (size_t len = 0; len <= 257; len++) {
            uint8_t *in = malloc(len > 0 ? len : 1);
            assert_non_null(in);
            test_random_fill(&random, in, len);
            if (len > 1) {
                in[0] = (uint8_t)first;
                in[1] = (uint8_t)(first / 32 == 6 ? in[1] % 4 : in[1]);
            }
            lw_phy phy;
            bool ok = !lpx_failed(lw_phy_decode(lpx_bytes_of(in, len), NULL, &phy));
            assert_int_equal(ok, naive_accepts(in, len));
            accepted += ok ? 1 : 0;
            if (ok) {
                /* Bit 6 of a downlink's FCtrl means nothing and is not kept. */
                bool down = phy.mtype == LW_UNCONFIRMED_DOWN || phy.mtype == LW_CONFIRMED_DOWN;
                in[5 % len] &= down ? 0xBF : 0xFF;
                assert_encodes(&phy, lpx_bytes_of(in, len));
            }
            free(in);
        }
    }
    assert_in_range(accepted, 10000, 60000);
}

/* A random data frame put together byte by byte here, decoded there. */
static void test_random_data(void **state)
{
    (void)state;
    test_random random = test_random_begin("data frames");
    for (int i = 0; i < 20000; i++) {
        static const uint8_t mhdrs[] = {0x40, 0x60, 0x80, 0xA0};
        uint8_t in[LW_PHY_MAX_BYTES];
        uint64_t which = test_random_below(&random, 4);
        bool up = which % 2 == 0;
        size_t opts = test_random_below(&random, 16);
        bool port = test_random_below(&random, 4) > 0;
        size_t payload = port ? test_random_below(&random, 228) : 0;
        test_random_fill(&random, in, sizeof(in));
        in[0] = mhdrs[which];
        in[5] = (uint8_t)((in[5] & 0xF0) | opts);
        size_t len = 8 + opts + (port ? 1 : 0) + payload + 4;
        lw_phy phy;
        assert_false(lpx_failed(lw_phy_decode(lpx_bytes_of(in, len), NULL, &phy)));
        uint32_t addr = (uint32_t)in[4] << 24 | (uint32_t)in[3] << 16 | (uint32_t)in[2] << 8 | in[1];
        assert_int_equal(phy.data.dev_addr.value, addr);
        assert_int_equal(phy.data.adr, in[5] / 128);
        assert_int_equal(phy.data.adr_ack_req, up && in[5] / 64 % 2);
        assert_int_equal(phy.data.ack, in[5] / 32 % 2);
        assert_int_equal(phy.data.class_b, up && in[5] / 16 % 2);
        assert_int_equal(phy.data.f_pending, !up && in[5] / 16 % 2);
        assert_int_equal(phy.data.f_cnt, in[7] * 256 + in[6]);
        assert_true(phy.data.f_opts.ptr == in + 8 && phy.data.f_opts.len == opts);
        assert_int_equal(phy.data.has_f_port, port);
        assert_int_equal(phy.data.f_port, port ? in[8 + opts] : 0);
        assert_int_equal(phy.data.frm_payload.len, payload);
        assert_true(payload == 0 || phy.data.frm_payload.ptr == in + 9 + opts);
        assert_true(phy.mic.ptr == in + len - 4 && phy.mic.len == 4);
        assert_true(phy.without_mic.ptr == in && phy.without_mic.len == len - 4);
    }
}

static lpx_err encode_error(lw_phy phy)
{
    uint8_t room[2 * LW_PHY_MAX_BYTES];
    lpx_bytes out;
    lpx_note note = {""};
    lpx_err err = lw_phy_encode(&phy, (lpx_space){room, sizeof(room)}, &note, &out);
    assert_true(!lpx_failed(err) || strlen(note.text) > 10);
    return err;
}

static void test_encode_refuses(void **state)
{
    (void)state;
    static const uint8_t zeros[300];
    lpx_bytes mic = lpx_bytes_of(zeros, 4);
    lw_phy data = {.mtype = LW_CONFIRMED_UP, .mic = mic};
    assert_false(lpx_failed(encode_error(data)));
    data.data.frm_payload = lpx_bytes_of(zeros, 1);
    assert_int_equal(encode_error(data).reason, LW_PHY_F_PORT);
    data.data.has_f_port = true;
    assert_false(lpx_failed(encode_error(data)));
    data.data.frm_payload = lpx_bytes_of(zeros, 242);
    assert_false(lpx_failed(encode_error(data)));
    data.data.frm_payload = lpx_bytes_of(zeros, 243);
    assert_int_equal(encode_error(data).reason, LW_PHY_LENGTH);
    data.mic = (lpx_bytes){NULL, 0};
    assert_int_equal(encode_error(data).reason, LW_PHY_LENGTH);
    data.data.frm_payload = (lpx_bytes){NULL, 0};
    data.data.f_opts = lpx_bytes_of(zeros, 16);
    assert_int_equal(encode_error(data).reason, LW_PHY_F_OPTS);
    data.data.f_opts = lpx_bytes_of(zeros, 15);
    assert_false(lpx_failed(encode_error(data)));
    data.mic = lpx_bytes_of(zeros, 3);
    assert_int_equal(encode_error(data).reason, LW_PHY_LENGTH);
    data.mic = mic;
    data.major = 1;
    assert_int_equal(encode_error(data).reason, LW_PHY_MAJOR);
    lw_phy accept = {.mtype = LW_JOIN_ACCEPT, .body = lpx_bytes_of(zeros, 16)};
    assert_false(lpx_failed(encode_error(accept)));
    accept.mic = mic;
    assert_int_equal(encode_error(accept).reason, LW_PHY_LENGTH);
    accept.mic = (lpx_bytes){NULL, 0};
    accept.body = lpx_bytes_of(zeros, 17);
    assert_int_equal(encode_error(accept).reason, LW_PHY_LENGTH);
    lw_phy rejoin = {.mtype = LW_REJOIN_REQUEST, .rejoin.type = 3, .mic = mic};
    assert_int_equal(encode_error(rejoin).reason, LW_PHY_REJOIN_TYPE);
    lw_phy proprietary = {.mtype = LW_PROPRIETARY, .major = 3, .body = lpx_bytes_of(zeros, 254)};
    assert_false(lpx_failed(encode_error(proprietary)));
    proprietary.body = lpx_bytes_of(zeros, 255);
    assert_int_equal(encode_error(proprietary).reason, LW_PHY_LENGTH);
    proprietary.major = 4;
    assert_int_equal(encode_error(proprietary).reason, LW_PHY_MAJOR);
}

static void test_mtypes(void **state)
{
    (void)state;
    const bool data[] = {false, false, true, true, true, true, false, false};
    const bool uplink[] = {true, false, true, false, true, false, true, false};
    for (int i = 0; i < 8; i++) {
        assert_int_equal(lw_mtype_is_data((lw_mtype)i), data[i]);
        assert_int_equal(lw_mtype_is_uplink((lw_mtype)i), uplink[i]);
    }
    assert_string_equal(lw_mtype_name((lw_mtype)8), "unknown");
}

/* Value of "name": in a line of JSON that holds no escapes; empty when it is not there. */
static lpx_str json_value(const char *line, const char *name)
{
    char key[40];
    (void)snprintf(key, sizeof(key), "\"%s\":", name);
    const char *at = strstr(line, key);
    if (at == NULL) {
        return LPX_STR("");
    }
    at += strlen(key);
    at += strspn(at, " \"");
    return (lpx_str){at, strcspn(at, ",\"}")};
}

/* LPX_REAL_UPLINKS: a file of lines with phy_payload (base64), dev_addr and f_cnt, as received on the air. */
static void test_real_uplinks(void **state)
{
    (void)state;
    const char *path = getenv("LPX_REAL_UPLINKS");
    if (path == NULL) {
        print_message("skipped: LPX_REAL_UPLINKS names no file of real uplinks (unpacked JSON lines)\n");
        skip();
    }
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *line = NULL;
    size_t room = 0;
    unsigned count = 0;
    while (getline(&line, &room, file) > 0) {
        lpx_str base64 = json_value(line, "phy_payload");
        uint8_t bytes[512];
        assert_in_range(base64.len, 16, 400);
        int64_t len = lpx_base64_decode(base64, (lpx_space){bytes, sizeof(bytes)});
        lw_phy phy;
        assert_true(len > 0);
        assert_false(lpx_failed(lw_phy_decode(lpx_bytes_of(bytes, (size_t)len), NULL, &phy)));
        assert_int_equal(phy.mtype, LW_CONFIRMED_UP);
        uint64_t want = 0;
        assert_true(lpx_parse_hex(json_value(line, "dev_addr"), 8, &want));
        assert_int_equal(phy.data.dev_addr.value, want);
        assert_true(lpx_parse_u64(json_value(line, "f_cnt"), 0xFFFF, &want));
        assert_int_equal(phy.data.f_cnt, want);
        assert_encodes(&phy, phy.whole);
        count++;
    }
    free(line);
    (void)fclose(file);
    print_message("%u real uplinks\n", count);
    assert_int_not_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_decode),
        cmocka_unit_test(test_vectors_rejected),
        cmocka_unit_test(test_every_first_byte_and_length),
        cmocka_unit_test(test_random_data),
        cmocka_unit_test(test_encode_refuses),
        cmocka_unit_test(test_mtypes),
        cmocka_unit_test(test_real_uplinks),
    };
    return cmocka_run_group_tests_name("lorawan phy", tests, NULL, NULL);
}
