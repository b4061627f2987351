#include "wire/http/http1_text.h"

#include "base/text.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool http1_same_word(lpx_str a, lpx_str b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i])) {
            return false;
        }
    }
    return true;
}

bool http1_percent_decode(lpx_str in, bool plus, lpx_arena *arena, lpx_str *out)
{
    char *room = lpx_arena_get(arena, in.len + 1);
    if (room == NULL) {
        return false;
    }
    size_t len = 0;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];
        if (c == '%') {
            uint64_t byte = 0;
            if (in.len - i < 3 || !lpx_parse_hex((lpx_str){in.ptr + i + 1, 2}, 2, &byte)) {
                return false;
            }
            c = (char)byte;
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        room[len++] = c;
    }
    *out = (lpx_str){room, len};
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

bool http1_query_get(lpx_str query, const char *name, lpx_arena *arena, lpx_str *out)
{
    lpx_str rest = query;
    while (rest.len > 0) {
        lpx_str value = cut(&rest, '&');
        lpx_str key = cut(&value, '=');
        lpx_str decoded = {0};
        if (http1_percent_decode(key, true, arena, &decoded) && lpx_str_is(decoded, name)) {
            return http1_percent_decode(value, true, arena, out);
        }
    }
    return false;
}

static lpx_str trim_blanks(lpx_str s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s = lpx_str_skip(s, 1);
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

/* Weight of ";q=0.25" in thousandths; 1000 without one, 0 (not wanted) for what is no weight. */
static int weight_of(lpx_str params)
{
    lpx_str q = trim_blanks(params);
    if (q.len == 0) {
        return 1000;
    }
    if (q.len < 3 || lower(q.ptr[0]) != 'q' || q.ptr[1] != '=' || (q.ptr[2] != '0' && q.ptr[2] != '1')) {
        return 0;
    }
    int weight = (q.ptr[2] - '0') * 1000;
    int unit = 100;
    for (size_t i = 4; i < q.len && i < 7 && q.ptr[3] == '.'; i++, unit /= 10) {
        weight += q.ptr[i] >= '0' && q.ptr[i] <= '9' ? (q.ptr[i] - '0') * unit : 0;
    }
    return weight < 1000 ? weight : 1000;
}

bool http1_accepts_coding(lpx_str accept_encoding, lpx_str coding)
{
    int named = -1, any = -1, identity = 0;
    lpx_str rest = accept_encoding;
    while (rest.len > 0) {
        lpx_str params = cut(&rest, ',');
        lpx_str name = trim_blanks(cut(&params, ';'));
        int weight = weight_of(params);
        if (http1_same_word(name, coding)) {
            named = weight;
        } else if (lpx_str_is(name, "*")) {
            any = weight;
        } else if (http1_same_word(name, LPX_STR("identity"))) {
            identity = weight;
        }
    }
    int weight = named >= 0 ? named : any;
    return weight > 0 && weight >= identity;
}

bool http1_media_type_is(lpx_str content_type, const char *type)
{
    lpx_str rest = content_type;
    return http1_same_word(trim_blanks(cut(&rest, ';')), lpx_str_of(type));
}
