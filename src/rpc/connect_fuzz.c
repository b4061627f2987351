/* What reaches a method as JSON, without a network: headers of the Connect protocol, and bodies of any method through
 * decode, serialise, decode again and the authorisation table. The first byte chooses the method. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/text.h"
#include "codec/json/json.h"
#include "codec/json/protojson.h"
#include "codec/pb/pb.h"
#include "rpc/all_services_test.h"
#include "rpc/authz.h"
#include "rpc/connect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_BYTES = 64 << 20, HEADERS = 4 };

/* Four headers, one per line. */
static void fuzz_head(lpx_str text)
{
    lpx_str parts[HEADERS] = {{0}};
    for (size_t i = 0; i < HEADERS && text.len > 0; i++) {
        const char *end = memchr(text.ptr, '\n', text.len);
        parts[i] = (lpx_str){text.ptr, end != NULL ? (size_t)(end - text.ptr) : text.len};
        text = lpx_str_skip(text, parts[i].len + 1);
    }
    rpc_connect_head head = {parts[0], parts[1], parts[2], parts[3]};
    rpc_connect_terms terms;
    lpx_note note = {""};
    lpx_err err = rpc_connect_read(&head, &terms, &note);
    if (lpx_failed(err)) {
        lpx_assert(note.text[0] != '\0' && rpc_connect_status(err) >= 400);
    } else {
        lpx_assert(terms.timeout_us >= 0 && (terms.timeout_us > 0) == (parts[3].len > 0));
    }
}

/* An error is JSON whatever its text and details are. */
static void fuzz_error(lpx_bytes in, lpx_arena *arena)
{
    lpx_buf out;
    lpx_note note = {""};
    const json_value *value = NULL;
    char *text = lpx_arena_cstr(arena, lpx_bytes_str(in));
    lpx_buf_init(&out, ARENA_BYTES);
    lpx_err err = {in.len > 0 ? in.ptr[0] : 0, 0};
    rpc_connect_error(err, text, in, &out);
    lpx_assert(!lpx_failed(json_parse(lpx_bytes_str(lpx_buf_view(&out)), arena, &value, &note)));
    lpx_assert(json_text(json_member(value, "code")).len > 0);
    lpx_buf_fini(&out);
}

/* Nobody's request may do more than be refused; a row that names a field that is not there would be our own mistake. */
static void fuzz_authz(const char *service, const char *method, const ProtobufCMessage *request)
{
    static const rpc_principal callers[] = {
        {.subject = RPC_ANONYMOUS},
        {.subject = RPC_ADMIN, .rights = UINT64_MAX},
        {.subject = RPC_CLUSTER, .rights = UINT64_MAX, .cluster_id = "eu1"},
        {.subject = RPC_NETWORK, .rights = UINT64_MAX, .net_id = 0x13},
        {.subject = RPC_TENANT, .rights = UINT64_MAX, .net_id = 0x13, .tenant_id = "acme", .cluster_id = "eu1"},
    };
    char path[160] = "/";
    strcat(strcat(strcat(path, service), "/"), method);
    const rpc_rule *rule = rpc_authz_find(path);
    lpx_assert(rule != NULL);
    for (size_t i = 0; i < sizeof callers / sizeof callers[0]; i++) {
        lpx_note note = {""};
        lpx_assert(rpc_authz_check(rule, &callers[i], request, &note).code != LPX_INTERNAL);
    }
}

static void fuzz_body(unsigned choice, lpx_str body, lpx_arena *arena)
{
    const ProtobufCServiceDescriptor *service = services[choice % SERVICES];
    const ProtobufCMethodDescriptor *method = &service->methods[choice / SERVICES % service->n_methods];
    ProtobufCMessage *request = NULL, *again = NULL;
    lpx_bytes raw, raw_again;
    lpx_note note = {""};
    if (lpx_failed(protojson_decode(method->input, body, arena, &request, &note))) {
        return;
    }
    lpx_assert(!lpx_failed(pb_encode(request, arena, &raw)));
    lpx_assert(!lpx_failed(pb_decode(method->input, raw, arena, &again, &note)));
    lpx_assert(!lpx_failed(pb_encode(again, arena, &raw_again)) && lpx_bytes_equal(raw, raw_again));
    fuzz_authz(service->name, method->name, again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    lpx_arena arena;
    lpx_arena_init(&arena, ARENA_BYTES);
    lpx_bytes in = lpx_bytes_of(data + 1, size - 1);
    fuzz_head(lpx_bytes_str(in));
    fuzz_error(in, &arena);
    fuzz_body(data[0], lpx_bytes_str(in), &arena);
    lpx_arena_fini(&arena);
    return 0;
}
