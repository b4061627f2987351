#include "ts002/ts002_message.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"
#include "lpx_reasons.h"
#include "ts002/limits.h"

#define TTI_VENDOR_ID "EC656E" /* The Things Industries */

static const char *const type_names[] = {[TS002_HOME_NS_REQ] = "HomeNSReq", [TS002_HOME_NS_ANS] = "HomeNSAns"};

/* ---- reading ---- */

/* Hex text without its prefix. */
static lpx_str without_prefix(lpx_str text)
{
    bool prefixed = text.len >= 2 && text.ptr[0] == '0' && (text.ptr[1] == 'x' || text.ptr[1] == 'X');
    return prefixed ? (lpx_str){text.ptr + 2, text.len - 2} : text;
}

bool ts002_hex(lpx_str text, unsigned digits, uint64_t *out)
{
    return lpx_parse_hex(without_prefix(text), digits, out);
}

static bool is_hex(lpx_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!isxdigit((unsigned char)text.ptr[i])) {
            return false;
        }
    }
    return true;
}

/* An id: hex without its prefix, anything else (an AS-ID) as it is. */
static lpx_str read_id(const json_value *members, const char *key)
{
    lpx_str text = json_text(json_member(members, key));
    lpx_str bare = without_prefix(text);
    return is_hex(bare) ? bare : text;
}

static lpx_err wrong(lpx_note *note, const char *key, const char *want)
{
    return lpx_fail(note, TS002_MALFORMED, "%s of the message: want %s.", key, want);
}

static ts002_version version_of(lpx_str text)
{
    bool whole = text.len == 3 || (text.len > 3 && text.ptr[3] == '.'); /* 1.1.0 is 1.1 */
    if (whole && lpx_str_starts(text, LPX_STR("1.0"))) {
        return TS002_1_0;
    }
    return whole && lpx_str_starts(text, LPX_STR("1.1")) ? TS002_1_1 : TS002_VERSION_OTHER;
}

static ts002_type type_of(lpx_str text)
{
    for (unsigned i = 0; i < TS002_TYPE_OTHER; i++) {
        if (lpx_str_is(text, type_names[i])) {
            return (ts002_type)i;
        }
    }
    return TS002_TYPE_OTHER;
}

static bool is_absent(const json_value *value)
{
    return value == NULL || value->kind == JSON_KIND_NULL;
}

static lpx_err read_transaction(const json_value *members, uint32_t *out, lpx_note *note)
{
    const json_value *value = json_member(members, "TransactionID");
    int64_t number = 0;
    if (!is_absent(value) && (!json_int(value, &number) || number < 0 || number > UINT32_MAX)) {
        return wrong(note, "TransactionID", "a whole number from 0 to 4294967295");
    }
    *out = (uint32_t)number;
    return LPX_SUCCESS;
}

lpx_err ts002_message_read(lpx_bytes text, lpx_arena *arena, ts002_message *out, lpx_note *note)
{
    const json_value *members = NULL;
    if (text.len > TS002_MESSAGE_BYTES) {
        return lpx_fail(note, TS002_MALFORMED, "The message is longer than %d bytes.", TS002_MESSAGE_BYTES);
    }
    lpx_err err = json_parse(lpx_bytes_str(text), arena, &members, note);
    if (lpx_failed(err)) {
        return err.reason == JSON_MALFORMED ? lpx_err_of(TS002_MALFORMED) : err;
    }
    if (members->kind != JSON_KIND_OBJECT) {
        return lpx_fail(note, TS002_MALFORMED, "The message is no JSON object.");
    }
    ts002_header h = {
        .version_text = json_text(json_member(members, "ProtocolVersion")),
        .type_text = json_text(json_member(members, "MessageType")),
        .sender_id = read_id(members, "SenderID"),
        .receiver_id = read_id(members, "ReceiverID"),
        .sender_ns_id = read_id(members, "SenderNSID"),
        .receiver_ns_id = read_id(members, "ReceiverNSID"),
        .sender_token = read_id(members, "SenderToken"),
        .receiver_token = read_id(members, "ReceiverToken"),
    };
    h.version = version_of(h.version_text);
    h.type = type_of(h.type_text);
    LPX_TRY(read_transaction(members, &h.transaction_id, note));
    if (h.type_text.len == 0) {
        return wrong(note, "MessageType", "the name of a type");
    }
    *out = (ts002_message){.header = h, .members = members};
    return LPX_SUCCESS;
}

lpx_err ts002_home_ns_req_read(const ts002_message *message, ts002_home_ns_req *out, lpx_note *note)
{
    uint64_t dev_eui;
    if (!ts002_hex(json_text(json_member(message->members, "DevEUI")), 16, &dev_eui)) {
        return wrong(note, "DevEUI", "16 hex digits");
    }
    *out = (ts002_home_ns_req){.dev_eui = {dev_eui}};
    return LPX_SUCCESS;
}

static void read_extension(const json_value *extension, ts002_home_ns_ans *out)
{
    uint64_t vendor, wanted;
    bool ours = ts002_hex(json_text(json_member(extension, "VendorID")), 6, &vendor) &&
                ts002_hex(LPX_STR(TTI_VENDOR_ID), 6, &wanted) && vendor == wanted;
    if (ours) {
        const json_value *stack = json_member(json_member(extension, "Object"), "TTSV3");
        out->h_tenant_id = json_text(json_member(stack, "HTenantID"));
        out->h_ns_address = json_text(json_member(stack, "HNSAddress"));
    }
}

lpx_err ts002_home_ns_ans_read(const ts002_message *message, ts002_home_ns_ans *out, lpx_note *note)
{
    const json_value *result = json_member(message->members, "Result");
    lpx_str code = json_text(json_member(result, "ResultCode"));
    if (code.len == 0) {
        return wrong(note, "Result.ResultCode", "the name of a code");
    }
    ts002_home_ns_ans ans = {.result = ts002_result_of(code),
                             .description = json_text(json_member(result, "Description"))};
    if (ans.result == TS002_SUCCESS) {
        uint64_t net_id;
        if (!ts002_hex(json_text(json_member(message->members, "HNetID")), 6, &net_id)) {
            return wrong(note, "HNetID", "6 hex digits");
        }
        ans.h_net_id.value = (uint32_t)net_id;
        ans.h_ns_id = read_id(message->members, "HNSID");
        read_extension(json_member(message->members, "VSExtension"), &ans);
    }
    *out = ans;
    return LPX_SUCCESS;
}

lpx_str ts002_host(lpx_str address)
{
    lpx_str rest = address;
    for (size_t i = 0; i + 3 <= rest.len; i++) {
        if (memcmp(rest.ptr + i, "://", 3) == 0) {
            rest = (lpx_str){rest.ptr + i + 3, rest.len - i - 3};
            break;
        }
    }
    size_t len = 0;
    while (len < rest.len && strchr("/?#:", rest.ptr[len]) == NULL) {
        len++;
    }
    return (lpx_str){rest.ptr, len};
}

/* ---- writing ---- */

ts002_header ts002_answer_header(const ts002_header *request)
{
    return (ts002_header){
        .version = request->version,
        .type = request->type == TS002_HOME_NS_REQ ? TS002_HOME_NS_ANS : TS002_TYPE_OTHER,
        .sender_id = request->receiver_id,
        .receiver_id = request->sender_id,
        .sender_ns_id = request->receiver_ns_id,
        .receiver_ns_id = request->sender_ns_id,
        .transaction_id = request->transaction_id,
        .sender_token = request->receiver_token,
        .receiver_token = request->sender_token,
    };
}

static void write_if(json_writer *w, const char *key, lpx_str value)
{
    if (value.len > 0) {
        json_write_member(w, key, value);
    }
}

/* Open the message and write its header. */
static void write_header(json_writer *w, const ts002_header *h, ts002_type type, lpx_buf *out)
{
    json_writer_init(w, out, 0);
    json_write_object(w);
    json_write_member(w, "ProtocolVersion", h->version == TS002_1_1 ? LPX_STR("1.1") : LPX_STR("1.0"));
    json_write_member_int(w, "TransactionID", h->transaction_id);
    json_write_member(w, "MessageType", lpx_str_of(type_names[type]));
    json_write_member(w, "SenderID", h->sender_id);
    json_write_member(w, "ReceiverID", h->receiver_id);
    if (h->version == TS002_1_1) {
        write_if(w, "SenderNSID", h->sender_ns_id);
        write_if(w, "ReceiverNSID", h->receiver_ns_id);
    }
    write_if(w, "SenderToken", h->sender_token);
    write_if(w, "ReceiverToken", h->receiver_token);
}

void ts002_home_ns_req_write(const ts002_header *header, const ts002_home_ns_req *body, lpx_buf *out)
{
    json_writer w;
    char dev_eui[LW_EUI64_TEXT_BYTES];
    lw_eui64_format(body->dev_eui, dev_eui);
    write_header(&w, header, TS002_HOME_NS_REQ, out);
    json_write_member(&w, "DevEUI", lpx_str_of(dev_eui));
    json_write_object_end(&w);
}

static void write_extension(json_writer *w, const ts002_home_ns_ans *body)
{
    if (body->h_tenant_id.len == 0 && body->h_ns_address.len == 0) {
        return;
    }
    json_write_key(w, LPX_STR("VSExtension"));
    json_write_object(w);
    json_write_member(w, "VendorID", LPX_STR(TTI_VENDOR_ID));
    json_write_key(w, LPX_STR("Object"));
    json_write_object(w);
    json_write_key(w, LPX_STR("TTSV3"));
    json_write_object(w);
    write_if(w, "HTenantID", body->h_tenant_id);
    write_if(w, "HNSAddress", body->h_ns_address);
    json_write_object_end(w);
    json_write_object_end(w);
    json_write_object_end(w);
}

void ts002_home_ns_ans_write(const ts002_header *header, const ts002_home_ns_ans *body, lpx_buf *out)
{
    json_writer w;
    write_header(&w, header, TS002_HOME_NS_ANS, out);
    json_write_key(&w, LPX_STR("Result"));
    json_write_object(&w);
    json_write_member(&w, "ResultCode", lpx_str_of(ts002_result_name(body->result, header->version)));
    write_if(&w, "Description", body->description);
    json_write_object_end(&w);
    if (body->result == TS002_SUCCESS) {
        char net_id[LW_NETID_TEXT_BYTES];
        lw_netid_format(body->h_net_id, net_id);
        if (header->version == TS002_1_1) {
            write_if(&w, "HNSID", body->h_ns_id);
        }
        json_write_member(&w, "HNetID", lpx_str_of(net_id));
        write_extension(&w, body);
    }
    json_write_object_end(&w);
}
