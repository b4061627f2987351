#include "wire/http/http1_parse.h"

#include "base/text.h"
#include "wire/http/http1_text.h"

enum { CHUNK_DIGITS_MAX = 8, METHOD_MAX_BYTES = 32 };

size_t http1_head_find(lpx_bytes in, size_t from)
{
    static const char end[] = "\r\n\r\n";
    size_t start = from > 3 ? from - 3 : 0;
    if (in.len - start < 4) {
        return 0;
    }
    const uint8_t *at = memmem(in.ptr + start, in.len - start, end, 4);
    return at != NULL ? (size_t)(at - in.ptr) + 4 : 0;
}

/* RFC 9110 section 5.6.2: what names are made of. */
static bool is_token_char(char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
        return true;
    }
    return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_token(lpx_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_token_char(s.ptr[i])) {
            return false;
        }
    }
    return s.len > 0;
}

/* Field values: no control characters but tabs. */
static bool is_value(lpx_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

/* Takes the text before the first stop character off s; without one s is left empty. */
static lpx_str cut(lpx_str *s, char stop)
{
    const char *at = s->len > 0 ? memchr(s->ptr, stop, s->len) : NULL;
    lpx_str head = {s->ptr, at != NULL ? (size_t)(at - s->ptr) : s->len};
    *s = lpx_str_skip(*s, head.len + 1);
    return head;
}

static lpx_str trim(lpx_str s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s = lpx_str_skip(s, 1);
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

static int refuse(const char **why, int status, const char *sentence)
{
    *why = sentence;
    return status;
}

/* "/path?query", or "http://host/path?query" as proxies send it. */
static int parse_target(lpx_str target, http1_head *out, const char **why)
{
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.ptr[i];
        if (c <= 0x20 || c >= 0x7f || c == '#') {
            return refuse(why, 400, "The request target holds a character that it may not hold.");
        }
    }
    lpx_str rest = target;
    if (lpx_str_starts(target, LPX_STR("http://")) || lpx_str_starts(target, LPX_STR("https://"))) {
        rest = lpx_str_skip(target, target.ptr[4] == 's' ? 8 : 7);
        while (rest.len > 0 && rest.ptr[0] != '/' && rest.ptr[0] != '?') {
            rest = lpx_str_skip(rest, 1);
        }
        rest = rest.len > 0 && rest.ptr[0] == '/' ? rest : LPX_STR("/");
    }
    bool everything = lpx_str_is(rest, "*") && lpx_str_is(out->method, "OPTIONS");
    if (!everything && (rest.len == 0 || rest.ptr[0] != '/')) {
        return refuse(why, 400, "The request target is no path.");
    }
    out->path = cut(&rest, '?');
    out->query = rest;
    return 0;
}

static int parse_request_line(lpx_str line, http1_head *out, const char **why)
{
    out->method = cut(&line, ' ');
    if (!is_token(out->method) || out->method.len > METHOD_MAX_BYTES) {
        return refuse(why, 400, "The request line begins with no method.");
    }
    lpx_str target = cut(&line, ' ');
    out->http11 = lpx_str_is(line, "HTTP/1.1");
    if (!out->http11 && !lpx_str_is(line, "HTTP/1.0")) {
        bool other = lpx_str_starts(line, LPX_STR("HTTP/")) && line.len == 8;
        return other ? refuse(why, 505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
                     : refuse(why, 400, "The request line does not end with the version of HTTP.");
    }
    return parse_target(target, out, why);
}

static int parse_line(lpx_str line, http1_head *out, const char **why)
{
    if (out->count == HTTP1_HEADERS_MAX) {
        return refuse(why, 431, "The request has too many headers.");
    }
    const char *colon = memchr(line.ptr, ':', line.len);
    lpx_str rest = line;
    lpx_str name = cut(&rest, ':');
    if (colon == NULL || !is_token(name) || !is_value(rest)) {
        return refuse(why, 400, "A header line is not of the form \"Name: value\".");
    }
    out->lines[out->count++] = (http1_line){.name = name, .value = trim(rest)};
    return 0;
}

/* The only line of that name. @return false when there are several */
static bool single(const http1_head *head, lpx_str name, const http1_line **out)
{
    *out = NULL;
    for (size_t i = 0; i < head->count; i++) {
        if (!http1_same_word(head->lines[i].name, name)) {
            continue;
        }
        if (*out != NULL) {
            return false;
        }
        *out = &head->lines[i];
    }
    return true;
}

/* RFC 9112 section 6. Whatever two readers could understand differently is refused. */
static int parse_framing(http1_head *out, const char **why)
{
    const http1_line *length = NULL;
    const http1_line *coding = NULL;
    if (!single(out, LPX_STR("content-length"), &length) || !single(out, LPX_STR("transfer-encoding"), &coding) ||
        (length != NULL && coding != NULL)) {
        return refuse(why, 400, "The request tells the length of its body more than once.");
    }
    if (length != NULL && !lpx_parse_u64(length->value, INT64_MAX, &out->body_bytes)) {
        return refuse(why, 400, "Content-Length is no number.");
    }
    if (coding == NULL) {
        return 0;
    }
    if (!out->http11) {
        return refuse(why, 400, "HTTP/1.0 has no Transfer-Encoding.");
    }
    out->chunked = http1_same_word(coding->value, LPX_STR("chunked"));
    return out->chunked ? 0 : refuse(why, 501, "The only Transfer-Encoding taken here is chunked.");
}

/* Does a comma-separated header, in any number of lines, hold the word? */
static bool has_word(const http1_head *head, lpx_str name, lpx_str word)
{
    for (size_t i = 0; i < head->count; i++) {
        lpx_str rest = head->lines[i].value;
        bool right_name = http1_same_word(head->lines[i].name, name);
        while (right_name && rest.len > 0) {
            if (http1_same_word(trim(cut(&rest, ',')), word)) {
                return true;
            }
        }
    }
    return false;
}

static int parse_meaning(http1_head *out, const char **why)
{
    const http1_line *host = NULL;
    const http1_line *expect = NULL;
    if (!single(out, LPX_STR("host"), &host) || (out->http11 && host == NULL)) {
        return refuse(why, 400, "The request must have one Host header.");
    }
    if (!single(out, LPX_STR("expect"), &expect) ||
        (expect != NULL && !http1_same_word(expect->value, LPX_STR("100-continue")))) {
        return refuse(why, 417, "The only expectation understood here is 100-continue.");
    }
    out->expects_continue = expect != NULL && out->http11;
    out->keep_alive = out->http11 && !has_word(out, LPX_STR("connection"), LPX_STR("close"));
    return parse_framing(out, why);
}

int http1_head_parse(lpx_str text, http1_head *out, const char **why)
{
    out->method = out->path = out->query = (lpx_str){"", 0};
    out->count = 0;
    out->body_bytes = 0;
    out->keep_alive = out->expects_continue = out->chunked = out->http11 = false;
    bool first = true;
    lpx_str rest = text;
    while (rest.len > 0) {
        lpx_str line = cut(&rest, '\n');
        if (line.len == 0 || line.ptr[line.len - 1] != '\r') {
            return refuse(why, 400, "A line of the request does not end with CR LF.");
        }
        line.len--;
        if (line.len == 0 && !first) {
            break;
        }
        int status = first ? parse_request_line(line, out, why) : parse_line(line, out, why);
        if (status != 0) {
            return status;
        }
        first = false;
    }
    return first ? refuse(why, 400, "The request is empty.") : parse_meaning(out, why);
}

lpx_str http1_head_value(const http1_head *head, lpx_str name)
{
    for (size_t i = 0; i < head->count; i++) {
        if (http1_same_word(head->lines[i].name, name)) {
            return head->lines[i].value;
        }
    }
    return (lpx_str){"", 0};
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    uint8_t lower = (uint8_t)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static void chunks_move(http1_chunks *chunks, http1_chunk_at to)
{
    chunks->at = to;
    chunks->line_len = 0;
    chunks->digits = 0;
    chunks->extension = false;
    chunks->cr = false;
    chunks->line_used = false;
}

/* "1a2b;ext=x" CR LF. */
static http1_chunks_end size_byte(http1_chunks *chunks, uint8_t c)
{
    if (chunks->cr) {
        if (c != '\n' || chunks->digits == 0) {
            return HTTP1_CHUNKS_BAD;
        }
        chunks_move(chunks, chunks->left > 0 ? HTTP1_CHUNK_DATA : HTTP1_CHUNK_TRAILER);
        return HTTP1_CHUNKS_MORE;
    }
    if (++chunks->line_len > HTTP1_CHUNK_LINE_BYTES) {
        return HTTP1_CHUNKS_BAD;
    }
    int digit = hex_value(c);
    if (c == '\r') {
        chunks->cr = true;
    } else if (chunks->extension || c == ';' || c == ' ' || c == '\t') {
        chunks->extension = true;
        return (c < 0x20 && c != '\t') || c == 0x7f ? HTTP1_CHUNKS_BAD : HTTP1_CHUNKS_MORE;
    } else if (digit < 0 || ++chunks->digits > CHUNK_DIGITS_MAX) {
        return HTTP1_CHUNKS_BAD;
    } else {
        chunks->left = chunks->left << 4 | (uint64_t)digit;
    }
    return HTTP1_CHUNKS_MORE;
}

/* CR LF after the data of a chunk. */
static http1_chunks_end end_byte(http1_chunks *chunks, uint8_t c)
{
    if (c != (chunks->cr ? '\n' : '\r')) {
        return HTTP1_CHUNKS_BAD;
    }
    if (chunks->cr) {
        chunks_move(chunks, HTTP1_CHUNK_SIZE);
        chunks->left = 0;
    } else {
        chunks->cr = true;
    }
    return HTTP1_CHUNKS_MORE;
}

/* Lines that are thrown away, until an empty one. */
static http1_chunks_end trailer_byte(http1_chunks *chunks, uint8_t c)
{
    if (++chunks->trailer_len > HTTP1_HEAD_MAX_BYTES) {
        return HTTP1_CHUNKS_BAD;
    }
    if (chunks->cr) {
        if (c != '\n') {
            return HTTP1_CHUNKS_BAD;
        }
        bool done = !chunks->line_used;
        chunks_move(chunks, HTTP1_CHUNK_TRAILER);
        return done ? HTTP1_CHUNKS_DONE : HTTP1_CHUNKS_MORE;
    }
    if (c == '\n') {
        return HTTP1_CHUNKS_BAD;
    }
    chunks->cr = c == '\r';
    chunks->line_used = chunks->line_used || !chunks->cr;
    return HTTP1_CHUNKS_MORE;
}

/* As much of the present chunk as is there. @return bytes taken */
static size_t take_data(http1_chunks *chunks, lpx_bytes in, lpx_buf *body)
{
    size_t take = chunks->left < in.len ? (size_t)chunks->left : in.len;
    lpx_buf_add(body, lpx_bytes_of(in.ptr, take));
    chunks->left -= take;
    if (chunks->left == 0) {
        chunks_move(chunks, HTTP1_CHUNK_END);
    }
    return take;
}

http1_chunks_end http1_chunks_feed(http1_chunks *chunks, lpx_bytes in, lpx_buf *body, size_t *used)
{
    http1_chunks_end end = HTTP1_CHUNKS_MORE;
    size_t i = 0;
    while (i < in.len && end == HTTP1_CHUNKS_MORE) {
        switch (chunks->at) {
        case HTTP1_CHUNK_SIZE:
            end = size_byte(chunks, in.ptr[i++]);
            break;
        case HTTP1_CHUNK_DATA:
            i += take_data(chunks, lpx_bytes_of(in.ptr + i, in.len - i), body);
            end = lpx_buf_failed(body) ? HTTP1_CHUNKS_TOO_LONG : HTTP1_CHUNKS_MORE;
            break;
        case HTTP1_CHUNK_END:
            end = end_byte(chunks, in.ptr[i++]);
            break;
        case HTTP1_CHUNK_TRAILER:
            end = trailer_byte(chunks, in.ptr[i++]);
            break;
        }
    }
    *used = i;
    return end;
}
