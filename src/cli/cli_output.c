/* Results for programs: messages as JSON, rows as CSV. What others wrote cannot steer the terminal in either form. */
#include <string.h>

#include "cli/cli_priv.h"
#include "codec/json/protojson.h"

void cli_add_harmless(lpx_buf *out, lpx_str json)
{
    size_t from = 0;
    for (size_t i = 0; i < json.len; i++) {
        unsigned char first = (unsigned char)json.ptr[i];
        unsigned char second = (unsigned char)(i + 1 < json.len ? json.ptr[i + 1] : 0);
        bool del = first == 0x7F, c1 = first == 0xC2 && second >= 0x80 && second <= 0x9F;
        if (del || c1) {
            lpx_buf_add_str(out, (lpx_str){json.ptr + from, i - from});
            lpx_buf_printf(out, "\\u%04x", del ? first : second);
            i += c1 ? 1 : 0;
            from = i + 1;
        }
    }
    lpx_buf_add_str(out, lpx_str_skip(json, from));
}

void cli_add_json(const cli *c, lpx_buf *out, const ProtobufCMessage *message, bool multiline)
{
    const protojson_style style = {.emit_defaults = true, .emit_nulls = c->drop_in, .multiline = multiline};
    lpx_buf text;
    lpx_buf_init(&text, CLI_OUT_BYTES);
    if (lpx_failed(protojson_encode(message, style, &text))) { /* a Timestamp that is none */
        lpx_buf_clear(&text);
        lpx_buf_add_str(&text, LPX_STR("null"));
    }
    cli_add_harmless(out, lpx_bytes_str(lpx_buf_view(&text)));
    lpx_wipe(text.ptr, text.len);
    lpx_buf_fini(&text);
}

void cli_add_csv(lpx_buf *out, const char *const *cells, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *text = cells[i];
        bool quoted = text[strcspn(text, ",\"\r\n")] != 0 || text[0] == ' ';
        lpx_buf_add_str(out, i > 0 ? LPX_STR(",") : LPX_STR(""));
        if (!quoted) {
            lpx_buf_add_str(out, lpx_str_of(text));
            continue;
        }
        lpx_buf_add_str(out, LPX_STR("\""));
        for (; *text != 0; text++) {
            lpx_buf_add_str(out, *text == '"' ? LPX_STR("\"\"") : (lpx_str){text, 1});
        }
        lpx_buf_add_str(out, LPX_STR("\""));
    }
    lpx_buf_add_str(out, LPX_STR("\n"));
}

static char hidden[] = "(hidden)";

/* The secret of one authentication. */
static void hide_secret(ProtobufCMessage *message)
{
    if (message->descriptor == &pb__v3__target__basic_auth__descriptor) {
        ((Pb__V3__Target__BasicAuth *)message)->password = hidden;
    } else if (message->descriptor == &pb__v3__target__custom_auth__descriptor) {
        ((Pb__V3__Target__CustomAuth *)message)->value = hidden;
    } else if (message->descriptor == &pb__v3__target__tlsclient_auth__descriptor) {
        ((Pb__V3__Target__TLSClientAuth *)message)->key = (ProtobufCBinaryData){0};
    }
}

static void hide_target(Pb__V3__Target *target)
{
    /* the members of a oneof share their place: whichever is set is a message */
    if (target->default_authentication_case != PB__V3__TARGET__DEFAULT_AUTHENTICATION__NOT_SET) {
        hide_secret(&target->basic_auth->base);
    }
    for (size_t i = 0; i < target->n_origin_net_id_authentication; i++) {
        Pb__V3__Target__Authentication *auth = target->origin_net_id_authentication[i]->value;
        if (auth != NULL && auth->value_case != PB__V3__TARGET__AUTHENTICATION__VALUE__NOT_SET) {
            hide_secret(&auth->basic_auth->base);
        }
    }
}

/* A singular message inside another; NULL when it is not set or the field is of another kind. */
static ProtobufCMessage *child_of(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *f)
{
    ProtobufCMessage *child = NULL;
    uint32_t which = f->id;
    if (f->type != PROTOBUF_C_TYPE_MESSAGE || f->label == PROTOBUF_C_LABEL_REPEATED) {
        return NULL;
    }
    if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        memcpy(&which, (const char *)message + f->quantifier_offset, sizeof which);
    }
    if (which == f->id) {
        memcpy(&child, (const char *)message + f->offset, sizeof child);
    }
    return child;
}

/* Entities hold a target at most two messages deep: network or tenant, network, target. */
void cli_hide_secrets(ProtobufCMessage *message)
{
    if (message->descriptor == &pb__v3__target__descriptor) {
        hide_target((Pb__V3__Target *)message);
        return;
    }
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        ProtobufCMessage *child = child_of(message, &message->descriptor->fields[i]);
        if (child != NULL) {
            cli_hide_secrets(child);
        }
    }
}

void cli_print_json(cli *c, ProtobufCMessage *message, bool verbose)
{
    if (!verbose) {
        cli_hide_secrets(message);
    }
    cli_add_json(c, &c->out, message, true);
    lpx_buf_add_str(&c->out, LPX_STR("\n"));
}
