/* Teasers against what The Things Stack publishes. */
#include "lorawan/teaser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <inttypes.h>

#include "crypto/hash.h"
#include "lorawan/test_vectors.h"
#include "lpx_reasons.h"

static void teaser_text(const lw_teaser *teaser, char *out, size_t room)
{
    if (teaser->kind == LW_TEASER_JOIN_REQUEST) {
        (void)snprintf(out, room, "length=%u join_eui=%016" PRIX64 " dev_eui=%016" PRIX64 " dev_nonce=%04X",
                       teaser->length, teaser->join_request.join_eui.value, teaser->join_request.dev_eui.value,
                       teaser->join_request.dev_nonce);
        return;
    }
    (void)snprintf(out, room, "length=%u dev_addr=%08X confirmed=%d f_opts=%d f_cnt=%u f_port=%u frm_payload_length=%u",
                   teaser->length, teaser->mac.dev_addr.value, teaser->mac.confirmed, teaser->mac.f_opts,
                   teaser->mac.f_cnt, teaser->mac.f_port, teaser->mac.frm_payload_length);
}

static void check_refused(const lw_phy *phy)
{
    lw_teaser teaser = {.length = 77};
    lpx_note note = {""};
    assert_int_equal(lw_teaser_of(phy, &note, &teaser).reason, LW_TEASER_TYPE);
    assert_non_null(strstr(note.text, lw_mtype_name(phy->mtype)));
    assert_int_equal(lw_teaser_fields(phy, NULL, &teaser).reason, LW_TEASER_TYPE);
    assert_int_equal(teaser.length, 77);
}

static void test_vector_file(void **state)
{
    (void)state;
    test_vectors v;
    test_vectors_open(&v, "teaser.tsv");
    while (test_vectors_next(&v)) {
        lpx_bytes in = test_vectors_bytes(v.field[0]);
        lw_phy phy;
        assert_false(lpx_failed(lw_phy_decode(in, NULL, &phy)));
        if (lpx_str_is(v.field[1], "-")) {
            check_refused(&phy);
        } else {
            lw_teaser teaser;
            char text[200];
            char hex[2 * LW_TEASER_HASH_BYTES + 1];
            assert_false(lpx_failed(lw_teaser_of(&phy, NULL, &teaser)));
            lpx_hex_encode(lpx_bytes_of(teaser.hash, sizeof(teaser.hash)), hex);
            assert_string_equal(hex, v.field[1].ptr);
            teaser_text(&teaser, text, sizeof(text));
            assert_string_equal(text, v.field[2].ptr);
            static const uint8_t no_hash[LW_TEASER_HASH_BYTES];
            assert_false(lpx_failed(lw_teaser_fields(&phy, NULL, &teaser)));
            assert_memory_equal(teaser.hash, no_hash, sizeof(no_hash));
            teaser_text(&teaser, text, sizeof(text));
            assert_string_equal(text, v.field[2].ptr);
        }
        free((void *)(uintptr_t)in.ptr);
    }
}

/* The hash that The Things Stack publishes for the gateway id "foo-gateway" (its tests). */
static void test_gateway_hash(void **state)
{
    (void)state;
    uint8_t hash[LW_TEASER_HASH_BYTES];
    char hex[2 * LW_TEASER_HASH_BYTES + 1];
    crypto_sha256(lpx_bytes_of("foo-gateway", 11), hash);
    lpx_hex_encode(lpx_bytes_of(hash, sizeof(hash)), hex);
    assert_string_equal(hex, "c74a727ce501e9c1206bb28182eb06917f9443543090780f3a393debad91ad96");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vector_file),
        cmocka_unit_test(test_gateway_hash),
    };
    return cmocka_run_group_tests_name("lorawan teaser", tests, NULL, NULL);
}
