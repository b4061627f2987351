#include "mapper/mapper_openapi.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "codec/json/json.h"
#include "mapper/mapper_priv.h"

static void write_text(lpx_buf *out, const char *text)
{
    json_writer w;
    json_writer_init(&w, out, 0);
    json_write_str(&w, lpx_str_of(text));
}

/* What stands before mark; *rest moves behind it. */
static lpx_str before(const char **rest, const char *mark)
{
    const char *at = strstr(*rest, mark);
    lpx_str found = {*rest, (size_t)(at - *rest)};
    *rest = at + strlen(mark);
    return found;
}

char *mapper_openapi_make(const char *url, const char *token_url)
{
    enum { MAX_BYTES = 64 << 10 };
    const char *rest = mapper_openapi_template;
    char server[1024];
    lpx_buf out;
    lpx_buf_init(&out, MAX_BYTES);
    (void)snprintf(server, sizeof server, "%s/api/v2", url);
    lpx_buf_add_str(&out, before(&rest, "\"@URL@\""));
    write_text(&out, server);
    lpx_buf_add_str(&out, before(&rest, "\"@TOKEN_URL@\""));
    write_text(&out, token_url);
    lpx_buf_add_str(&out, lpx_str_of(rest));
    lpx_buf_add(&out, lpx_bytes_of("", 1));
    char *made = lpx_buf_failed(&out) ? NULL : strdup((const char *)out.ptr);
    lpx_buf_fini(&out);
    return made;
}
