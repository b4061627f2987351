#include "codec/oauth/oauth.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/text.h"
#include "codec/json/json.h"
#include "codec/limits.h"
#include "lpx_reasons.h"

/* Form encoding of a value (WHATWG URL, application/x-www-form-urlencoded). */
static void add_value(lpx_buf *out, const char *text)
{
    for (; *text != 0; text++) {
        char ch = *text;
        bool plain = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '-' ||
                     ch == '_' || ch == '.' || ch == '~';
        if (plain) {
            lpx_buf_add(out, lpx_bytes_of(text, 1));
        } else if (ch == ' ') {
            lpx_buf_add_str(out, LPX_STR("+"));
        } else {
            lpx_buf_printf(out, "%%%02X", (unsigned char)ch);
        }
    }
}

char *oauth_form(const char *audience, const char *client_id, const char *client_secret)
{
    lpx_buf out;
    lpx_buf_init(&out, OAUTH_TOKEN_BYTES);
    lpx_buf_add_str(&out, LPX_STR("audience="));
    add_value(&out, audience);
    lpx_buf_add_str(&out, LPX_STR("&client_id="));
    add_value(&out, client_id);
    lpx_buf_add_str(&out, LPX_STR("&client_secret="));
    add_value(&out, client_secret);
    lpx_buf_add_str(&out, LPX_STR("&grant_type=client_credentials&scope=networks"));
    char *text = lpx_buf_failed(&out) ? NULL : strndup((const char *)out.ptr, out.len);
    lpx_wipe(out.ptr, out.len);
    lpx_buf_fini(&out);
    return text;
}

static bool refused(int status, const json_value *answer, lpx_note *message)
{
    lpx_str error = json_text(json_member(answer, "error"));
    lpx_str description = json_text(json_member(answer, "error_description"));
    if (error.len > 0 || description.len > 0) {
        (void)lpx_fail(message, OAUTH_NO_TOKEN, "%.*s%s%.*s", (int)error.len, error.ptr,
                       error.len > 0 && description.len > 0 ? ": " : "", (int)description.len, description.ptr);
    } else {
        (void)lpx_fail(message, OAUTH_NO_TOKEN, "it answered with HTTP status %d", status);
    }
    return false;
}

/* A header value may hold visible ASCII alone. */
static bool is_token(lpx_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~') {
            return false;
        }
    }
    return text.len > 0 && text.len < OAUTH_TOKEN_BYTES;
}

bool oauth_read_answer(int status, lpx_bytes body, char **header, int64_t *lifetime_us, lpx_note *message)
{
    lpx_arena arena;
    const json_value *answer = NULL;
    int64_t seconds = 0;
    bool ok = false;
    lpx_arena_init_wiped(&arena, 4 * OAUTH_BODY_BYTES);
    bool json = !lpx_failed(json_parse(lpx_bytes_str(body), &arena, &answer, NULL));
    lpx_str token = json ? json_text(json_member(answer, "access_token")) : (lpx_str){"", 0};
    if (status < 200 || status > 299) {
        ok = refused(status, json ? answer : NULL, message);
    } else if (!json || !is_token(token)) {
        (void)lpx_fail(message, OAUTH_NO_TOKEN, "its answer is no JSON with an access_token");
    } else if (!json_int(json_member(answer, "expires_in"), &seconds) || seconds < 1 || seconds > 366LL * 86400) {
        (void)lpx_fail(message, OAUTH_NO_TOKEN, "its answer has no expires_in in seconds");
    } else {
        size_t size = token.len + sizeof "Bearer ";
        char *text = malloc(size);
        ok = text != NULL;
        if (ok) {
            (void)snprintf(text, size, "Bearer %.*s", (int)token.len, token.ptr);
            *header = text;
            *lifetime_us = seconds * 1000000;
        }
    }
    lpx_arena_fini(&arena);
    return ok;
}
