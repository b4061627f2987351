#include "rpc/connect.h"

#include "base/text.h"
#include "codec/json/json.h"
#include "lpx_reasons.h"
#include "rpc/limits.h"
#include "wire/http/http1_text.h"

const char rpc_connect_types[] = "application/json, application/proto";

static lpx_err read_timeout(lpx_str text, int64_t *out, lpx_note *note)
{
    uint64_t ms = 0;
    if (text.len == 0) {
        *out = 0;
        return LPX_SUCCESS;
    }
    if (text.len > RPC_HTTP_TIMEOUT_DIGITS || !lpx_parse_u64(text, INT64_MAX, &ms)) {
        return lpx_fail(note, RPC_HTTP_HEAD, "Connect-Timeout-Ms must be a whole number of at most %d digits.",
                        RPC_HTTP_TIMEOUT_DIGITS);
    }
    *out = ms > 0 ? (int64_t)ms * 1000 : 1;
    return LPX_SUCCESS;
}

lpx_err rpc_connect_read(const rpc_connect_head *head, rpc_connect_terms *out, lpx_note *note)
{
    rpc_connect_terms terms = {.coding = RPC_HTTP_JSON};
    if (http1_media_type_is(head->content_type, "application/proto")) {
        terms.coding = RPC_HTTP_PROTO;
    } else if (!http1_media_type_is(head->content_type, "application/json")) {
        return lpx_fail(note, RPC_HTTP_TYPE, "Content-Type must be application/json or application/proto.");
    }
    if (head->version.len > 0 && !lpx_str_is(head->version, "1")) {
        return lpx_fail(note, RPC_HTTP_HEAD, "Connect-Protocol-Version must be 1, or left out.");
    }
    if (head->content_encoding.len > 0 && !http1_same_word(head->content_encoding, LPX_STR("identity"))) {
        return lpx_fail(note, RPC_HTTP_ENCODING, "Content-Encoding of a request must be identity, or left out.");
    }
    LPX_TRY(read_timeout(head->timeout_ms, &terms.timeout_us, note));
    *out = terms;
    return LPX_SUCCESS;
}

/* The protocol's names and statuses, by code. */
static const struct {
    const char *name;
    int status;
} codes[] = {
    [LPX_OK] = {"ok", 200},
    [LPX_CANCELLED] = {"canceled", 499},
    [LPX_UNKNOWN] = {"unknown", 500},
    [LPX_INVALID_ARGUMENT] = {"invalid_argument", 400},
    [LPX_DEADLINE_EXCEEDED] = {"deadline_exceeded", 504},
    [LPX_NOT_FOUND] = {"not_found", 404},
    [LPX_ALREADY_EXISTS] = {"already_exists", 409},
    [LPX_PERMISSION_DENIED] = {"permission_denied", 403},
    [LPX_RESOURCE_EXHAUSTED] = {"resource_exhausted", 429},
    [LPX_FAILED_PRECONDITION] = {"failed_precondition", 400},
    [LPX_ABORTED] = {"aborted", 409},
    [LPX_OUT_OF_RANGE] = {"out_of_range", 400},
    [LPX_UNIMPLEMENTED] = {"unimplemented", 501},
    [LPX_INTERNAL] = {"internal", 500},
    [LPX_UNAVAILABLE] = {"unavailable", 503},
    [LPX_DATA_LOSS] = {"data_loss", 500},
    [LPX_UNAUTHENTICATED] = {"unauthenticated", 401},
};

static size_t index_of(lpx_err err)
{
    return err.code < sizeof codes / sizeof codes[0] ? err.code : LPX_UNKNOWN;
}

int rpc_connect_status(lpx_err err)
{
    if (err.reason == RPC_UNKNOWN_METHOD) {
        return 404;
    }
    return err.reason == RPC_HTTP_TYPE ? 415 : codes[index_of(err)].status;
}

/* The message again as JSON, for people who look: "debug" of the protocol. */
static void write_detail(json_writer *w, lpx_err err, lpx_bytes info)
{
    json_write_object(w);
    json_write_member(w, "type", LPX_STR("google.rpc.ErrorInfo"));
    json_write_key(w, LPX_STR("value"));
    char value[512];
    bool fits = lpx_base64_len(info.len) < sizeof value;
    if (fits) {
        lpx_base64_encode(info, value);
    }
    lpx_str text = fits ? lpx_str_of(value) : LPX_STR("");
    while (text.len > 0 && text.ptr[text.len - 1] == '=') {
        text.len--; /* the protocol has no padding */
    }
    json_write_str(w, text);
    json_write_key(w, LPX_STR("debug"));
    json_write_object(w);
    json_write_member(w, "reason", lpx_str_of(lpx_reason_name(err.reason)));
    json_write_member(w, "domain", LPX_STR("lpx"));
    json_write_object_end(w);
    json_write_object_end(w);
}

void rpc_connect_error(lpx_err err, const char *text, lpx_bytes info, lpx_buf *out)
{
    json_writer w;
    json_writer_init(&w, out, 0);
    json_write_object(&w);
    json_write_member(&w, "code", lpx_str_of(codes[index_of(err)].name));
    json_write_member(&w, "message", lpx_str_of(text));
    if (info.len > 0) {
        json_write_key(&w, LPX_STR("details"));
        json_write_array(&w);
        write_detail(&w, err, info);
        json_write_array_end(&w);
    }
    json_write_object_end(&w);
}
