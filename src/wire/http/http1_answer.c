/* What answers of the HTTP/1.1 server look like: status lines, headers, the JSON of errors. */
#include <time.h>

#include "base/text.h"
#include "wire/http/http1_priv.h"
#include "wire/http/http1_text.h"

enum { US_PER_S = 1000000 };

static const char *phrase_of(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++) {
        if (phrases[i].status == status) {
            return phrases[i].phrase;
        }
    }
    return "Status";
}

static void add_date(lpx_buf *out, lpx_utc now)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(now.us / US_PER_S);
    struct tm t;
    if (gmtime_r(&seconds, &t) != NULL) {
        lpx_buf_printf(out, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n", days[t.tm_wday], t.tm_mday,
                       months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    }
}

/* A value may come from outside: a line break in it would begin a header of its own. */
static void add_header(lpx_buf *out, const char *name, lpx_str value)
{
    lpx_buf_printf(out, "%s: ", name);
    uint8_t *room = lpx_buf_reserve(out, value.len);
    if (room == NULL) {
        return;
    }
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = (uint8_t)value.ptr[i];
        room[i] = c < 0x20 || c == 0x7f ? (uint8_t)' ' : c;
    }
    lpx_buf_grown(out, value.len);
    lpx_buf_add_str(out, LPX_STR("\r\n"));
}

void http1_answer_head(lpx_buf *out, const http1_answer *answer, bool packed, lpx_utc now)
{
    lpx_buf_printf(out, "HTTP/1.1 %d %s\r\n", answer->status, phrase_of(answer->status));
    add_date(out, now);
    if (answer->content_type != NULL) {
        add_header(out, "Content-Type", lpx_str_of(answer->content_type));
    }
    for (size_t i = 0; i < answer->header_count; i++) {
        add_header(out, answer->headers[i].name, answer->headers[i].value);
    }
    if (packed) {
        lpx_buf_add_str(out, LPX_STR("Content-Encoding: gzip\r\n"));
    }
    if (answer->gzip) {
        lpx_buf_add_str(out, LPX_STR("Vary: Accept-Encoding\r\n"));
    }
}

bool http1_wants_gzip(const http1_request *request, const http1_answer *answer)
{
    bool has_body = answer->status != 204 && answer->status != 304;
    return answer->gzip && has_body &&
           http1_accepts_coding(http1_request_header(request, "accept-encoding"), LPX_STR("gzip"));
}

static void json_text(lpx_buf *out, const char *text)
{
    bool utf8 = lpx_utf8_valid(lpx_str_bytes(lpx_str_of(text)));
    lpx_buf_add_str(out, LPX_STR("\""));
    for (const char *c = text; *c != 0; c++) {
        uint8_t byte = (uint8_t)*c;
        if (byte == '"' || byte == '\\') {
            lpx_buf_printf(out, "\\%c", byte);
        } else if (byte < 0x20 || byte == 0x7f || (byte > 0x7f && !utf8)) {
            lpx_buf_printf(out, "\\u%04x", byte);
        } else {
            lpx_buf_add(out, lpx_bytes_of(c, 1));
        }
    }
    lpx_buf_add_str(out, LPX_STR("\""));
}

void http1_error_body(lpx_buf *body, const char *code, const char *message)
{
    lpx_buf_init(body, HTTP1_ARENA_BYTES);
    lpx_buf_add_str(body, LPX_STR("{\"code\": "));
    json_text(body, code);
    lpx_buf_add_str(body, LPX_STR(", \"message\": "));
    json_text(body, message);
    lpx_buf_add_str(body, LPX_STR("}\n"));
}

const char *http1_error_code(int status)
{
    switch (status) {
    case 404:
        return "not_found";
    case 405:
    case 501:
    case 505:
        return "unimplemented";
    case 408:
        return "deadline_exceeded";
    case 413:
    case 431:
        return "resource_exhausted";
    default:
        return "invalid_argument";
    }
}
