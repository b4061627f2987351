/* Body of a token request: every field that is read was written so, and nothing outside the limits passes. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "iam/iam_token_core.h"
#include "iam/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* A printable value, written anew and read again, is the same. */
static void check_round(lpx_str value, lpx_arena *arena)
{
    static const char hex[] = "0123456789ABCDEF";
    char *text = lpx_arena_get(arena, 3 * value.len + 1);
    if (text == NULL) {
        return;
    }
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = (uint8_t)value.ptr[i];
        require(c >= ' ' && c != 0x7F);
        text[3 * i] = '%';
        text[3 * i + 1] = hex[c >> 4];
        text[3 * i + 2] = hex[c & 15];
    }
    lpx_str again;
    require(iam_form_unescape((lpx_str){.ptr = text, .len = 3 * value.len}, arena, &again));
    require(again.ptr == NULL || lpx_str_equal(again, value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lpx_arena arena;
    lpx_note note;
    iam_form_field *fields;
    size_t count;
    lpx_arena_init(&arena, 1 << 20);
    if (!lpx_failed(iam_form_parse(lpx_bytes_of(data, size), &arena, &fields, &count, &note))) {
        require(count <= IAM_FORM_MAX_FIELDS && size <= IAM_FORM_MAX_BYTES);
        for (size_t i = 0; i < count; i++) {
            check_round(fields[i].name, &arena);
            check_round(fields[i].value, &arena);
        }
    }
    iam_token_ask ask;
    iam_token_input in = {.content_type = LPX_STR("application/x-www-form-urlencoded"),
                          .authorization = LPX_STR(""),
                          .body = lpx_bytes_of(data, size)};
    if (!lpx_failed(iam_token_read(&in, &arena, &ask, &note))) {
        require(ask.client_id.len > 0 && ask.client_secret.len > 0);
    }
    /* The same bytes as a header. */
    in.authorization = lpx_bytes_str(lpx_bytes_of(data, size));
    in.body = lpx_str_bytes(LPX_STR("audience=a&grant_type=client_credentials"));
    if (!lpx_failed(iam_token_read(&in, &arena, &ask, &note))) {
        require(ask.basic);
    }
    lpx_arena_fini(&arena);
    return 0;
}
