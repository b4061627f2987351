/* Calls of commands: connect, one call, all pages of a list. */
#include <string.h>

#include "cli/cli_priv.h"
#include "lpx_reasons.h"

lpx_err cli_connect(cli *c)
{
    if (c->agent != NULL) {
        return LPX_SUCCESS;
    }
    agent_opts opts;
    lpx_note note = {{0}};
    cli_agent_opts(c, &opts);
    lpx_err err = agent_open(&opts, &c->agent, &note);
    return lpx_failed(err) ? cli_fail(c, err.reason, "%s", note.text) : LPX_SUCCESS;
}

lpx_err cli_call_failed(cli *c, const agent_failure *why)
{
    cli_explain(c, "%s", why->text);
    return (lpx_err){.code = (uint16_t)why->code, .reason = AGENT_CALL_FAILED};
}

lpx_err cli_call(cli *c, agent_service service, const char *path, const ProtobufCMessage *in,
                 const ProtobufCMessageDescriptor *desc, void *out)
{
    LPX_TRY(cli_connect(c));
    agent_failure why;
    ProtobufCMessage *answer = NULL;
    lpx_err err = agent_call(c->agent, service, path, in, desc, &c->arena, &answer, &why);
    if (lpx_failed(err)) {
        cli_explain(c, "%s", why.text);
        return err;
    }
    if (c->debug) {
        (void)fprintf(c->world->err, "%s: %s OK\n", c->program, path);
    }
    *(ProtobufCMessage **)out = answer;
    return LPX_SUCCESS;
}

lpx_err cli_call_empty(cli *c, agent_service service, const char *path, const ProtobufCMessage *in)
{
    Google__Protobuf__Empty *answer = NULL;
    return cli_call(c, service, path, in, &google__protobuf__empty__descriptor, &answer);
}

/* ---- lists ---- */

/* Where the fields lie that a list is paged by; absent ones are NULL. */
typedef struct list_shape {
    const ProtobufCFieldDescriptor *offset, *since; /* of the request */
    const ProtobufCFieldDescriptor *items, *total;  /* of the answer */
} list_shape;

static list_shape shape_of(const ProtobufCMessageDescriptor *request, const ProtobufCMessageDescriptor *answer)
{
    list_shape shape = {
        .offset = protobuf_c_message_descriptor_get_field_by_name(request, "offset"),
        .since = protobuf_c_message_descriptor_get_field_by_name(request, "updated_since"),
        .total = protobuf_c_message_descriptor_get_field_by_name(answer, "total"),
    };
    for (unsigned i = 0; i < answer->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &answer->fields[i];
        if (f->label == PROTOBUF_C_LABEL_REPEATED && f->type == PROTOBUF_C_TYPE_MESSAGE) {
            shape.items = f;
        }
    }
    return shape;
}

static uint32_t number_at(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    uint32_t number = 0;
    memcpy(&number, (const char *)message + field->offset, sizeof number);
    return number;
}

/* Append the items of one answer. @return their number */
static size_t take_items(cli *c, const list_shape *shape, const ProtobufCMessage *answer, cli_items *out)
{
    size_t count = 0;
    ProtobufCMessage **items = NULL;
    memcpy(&count, (const char *)answer + shape->items->quantifier_offset, sizeof count);
    memcpy(&items, (const char *)answer + shape->items->offset, sizeof items);
    if (count > out->room - out->count) {
        size_t room = (out->count + count) * 2;
        ProtobufCMessage **bigger = cli_get(c, room * sizeof *bigger);
        if (out->count > 0) {
            memcpy(bigger, out->items, out->count * sizeof *bigger);
        }
        out->items = bigger;
        out->room = room;
    }
    if (count > 0) {
        memcpy(out->items + out->count, items, count * sizeof *items);
        out->count += count;
    }
    return count;
}

/* The next page begins behind the last item's time of change, which must be a later one than before. */
static lpx_err move_since(cli *c, const list_shape *shape, const ProtobufCMessage *last, ProtobufCMessage *request)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(last->descriptor, "updated_at");
    Google__Protobuf__Timestamp *before = NULL, *next = NULL;
    memcpy(&before, (const char *)request + shape->since->offset, sizeof before);
    if (field != NULL) {
        memcpy(&next, (const char *)last + field->offset, sizeof next);
    }
    if (next == NULL || (before != NULL && (next->seconds < before->seconds ||
                                            (next->seconds == before->seconds && next->nanos <= before->nanos)))) {
        return cli_fail(c, CLI_CALL,
                        "the exchange lists without end: an item has no later time of change than the last");
    }
    memcpy((char *)request + shape->since->offset, &next, sizeof next);
    return LPX_SUCCESS;
}

static void show_progress(cli *c, const list_shape *shape, const ProtobufCMessage *answer, size_t count, bool *shown)
{
    if (shape->total != NULL && shape->offset != NULL) {
        (void)fprintf(c->world->err, "\r%zu of %u ", count, number_at(answer, shape->total));
    } else {
        (void)fprintf(c->world->err, "\r%zu ", count);
    }
    (void)fflush(c->world->err);
    *shown = true;
}

lpx_err cli_list_all(cli *c, agent_service service, const char *path, ProtobufCMessage *request,
                     const ProtobufCMessageDescriptor *desc, cli_items *out)
{
    list_shape shape = shape_of(request->descriptor, desc);
    int64_t started_us = c->world->utc_us();
    size_t before = out->count, page = 0;
    bool shown = false, more = true;
    lpx_err err = LPX_SUCCESS;
    while (more && !lpx_failed(err)) {
        ProtobufCMessage *answer = NULL;
        err = cli_call(c, service, path, request, desc, &answer);
        if (lpx_failed(err)) {
            break;
        }
        page = take_items(c, &shape, answer, out);
        more = page > 0 && (shape.offset != NULL || shape.since != NULL);
        if (more && shape.offset != NULL) {
            uint32_t offset = (uint32_t)(out->count - before);
            memcpy((char *)request + shape.offset->offset, &offset, sizeof offset);
            more = shape.total != NULL && offset < number_at(answer, shape.total);
        } else if (more) {
            err = move_since(c, &shape, out->items[out->count - 1], request);
        }
        if (more && c->world->err_is_terminal && c->world->utc_us() - started_us > CLI_SLOW_US) {
            show_progress(c, &shape, answer, out->count - before, &shown);
        }
    }
    if (shown) {
        (void)fputs("\r\033[K", c->world->err);
    }
    return err;
}
