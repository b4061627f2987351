#include "rpc/reflect.h"

#include <stdlib.h>

#include "grpc_reflection_v1_reflection.pb-c.h"
#include "lpx_descriptors.h"
#include "lpx_reasons.h"
#include "rpc/rpc_priv.h"

/* Both versions have the same messages but for their names, which do not travel. */
typedef Grpc__Reflection__V1__ServerReflectionRequest reflect_request;
typedef Grpc__Reflection__V1__ServerReflectionResponse reflect_response;

enum { METHODS = 2 };

struct rpc_reflect {
    const rpc_server *rpc;
    rpc_method methods[METHODS];
};

/* One open stream. */
typedef struct reflect_stream {
    const rpc_reflect *reflect;
    rpc_call *call;
} reflect_stream;

static const lpx_descriptor_file *file_named(const char *name)
{
    for (size_t i = 0; i < lpx_descriptor_file_count; i++) {
        if (strcmp(lpx_descriptor_files[i].name, name) == 0) {
            return &lpx_descriptor_files[i];
        }
    }
    return NULL;
}

static const lpx_descriptor_file *file_with(const char *symbol)
{
    for (size_t i = 0; i < lpx_descriptor_file_count; i++) {
        for (const char *const *s = lpx_descriptor_files[i].symbols; *s != NULL; s++) {
            if (strcmp(*s, symbol) == 0) {
                return &lpx_descriptor_files[i];
            }
        }
    }
    return NULL;
}

static void say(const reflect_stream *s, reflect_response *response, const reflect_request *request, lpx_arena *arena)
{
    response->valid_host = request->host;
    response->original_request = (reflect_request *)(uintptr_t)request;
    lpx_bytes bytes;
    if (!lpx_failed(pb_encode(&response->base, arena, &bytes))) {
        (void)rpc_stream_send(s->call, bytes);
    }
}

static void say_not_found(const reflect_stream *s, const reflect_request *request, lpx_arena *arena)
{
    static char sentence[] = "This exchange has no such file, symbol or extension.";
    Grpc__Reflection__V1__ErrorResponse error;
    reflect_response response;
    grpc__reflection__v1__error_response__init(&error);
    grpc__reflection__v1__server_reflection_response__init(&response);
    error.error_code = LPX_NOT_FOUND;
    error.error_message = sentence;
    response.message_response_case = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
    response.error_response = &error;
    say(s, &response, request, arena);
}

/* A file and all that it imports, so that one question is enough. */
static void say_file(const reflect_stream *s, const lpx_descriptor_file *file, const reflect_request *request,
                     lpx_arena *arena)
{
    ProtobufCBinaryData *protos = file != NULL ? lpx_arena_array(arena, file->closure_count, sizeof *protos) : NULL;
    if (protos == NULL) {
        say_not_found(s, request, arena);
        return;
    }
    for (size_t i = 0; i < file->closure_count; i++) {
        const lpx_descriptor_file *one = &lpx_descriptor_files[file->closure[i]];
        protos[i] = (ProtobufCBinaryData){.len = one->len, .data = (uint8_t *)(uintptr_t)one->bytes};
    }
    Grpc__Reflection__V1__FileDescriptorResponse files;
    reflect_response response;
    grpc__reflection__v1__file_descriptor_response__init(&files);
    grpc__reflection__v1__server_reflection_response__init(&response);
    files.n_file_descriptor_proto = file->closure_count;
    files.file_descriptor_proto = protos;
    response.message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
    response.file_descriptor_response = &files;
    say(s, &response, request, arena);
}

/* None of our messages is extended. */
static void say_extensions(const reflect_stream *s, const reflect_request *request, lpx_arena *arena)
{
    if (file_with(request->all_extension_numbers_of_type) == NULL) {
        say_not_found(s, request, arena);
        return;
    }
    Grpc__Reflection__V1__ExtensionNumberResponse none;
    reflect_response response;
    grpc__reflection__v1__extension_number_response__init(&none);
    grpc__reflection__v1__server_reflection_response__init(&response);
    none.base_type_name = request->all_extension_numbers_of_type;
    response.message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE;
    response.all_extension_numbers_response = &none;
    say(s, &response, request, arena);
}

/* The service of a method's path. */
static lpx_str service_of(const rpc_method *method)
{
    const char *name = method->path + 1;
    return (lpx_str){name, strcspn(name, "/")};
}

static void say_services(const reflect_stream *s, const reflect_request *request, lpx_arena *arena)
{
    typedef Grpc__Reflection__V1__ServiceResponse service_response;
    const rpc_server *rpc = s->reflect->rpc;
    service_response *services = lpx_arena_array(arena, rpc->method_count, sizeof *services);
    service_response **list = lpx_arena_array(arena, rpc->method_count, sizeof *list);
    size_t count = 0;
    lpx_str last = LPX_STR("");
    for (size_t i = 0; services != NULL && list != NULL && i < rpc->method_count; i++) { /* sorted by path */
        lpx_str name = service_of(rpc->methods[i].method);
        if (lpx_str_equal(name, last)) {
            continue;
        }
        last = name;
        grpc__reflection__v1__service_response__init(&services[count]);
        services[count].name = lpx_arena_cstr(arena, name);
        list[count] = &services[count];
        count += services[count].name != NULL;
    }
    Grpc__Reflection__V1__ListServiceResponse all;
    reflect_response response;
    grpc__reflection__v1__list_service_response__init(&all);
    grpc__reflection__v1__server_reflection_response__init(&response);
    all.n_service = count;
    all.service = list;
    response.message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
    response.list_services_response = &all;
    say(s, &response, request, arena);
}

static void answer(const reflect_stream *s, const reflect_request *request, lpx_arena *arena)
{
    switch (request->message_request_case) {
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
        say_file(s, file_named(request->file_by_filename), request, arena);
        return;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
        say_file(s, file_with(request->file_containing_symbol), request, arena);
        return;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
        say_extensions(s, request, arena);
        return;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
        say_services(s, request, arena);
        return;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST__NOT_SET:
    case _GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST__CASE_IS_INT_SIZE:
        break;
    }
    say_not_found(s, request, arena);
}

static void on_request(void *ctx, const ProtobufCMessage *request)
{
    lpx_arena arena;
    lpx_arena_init(&arena, RPC_STREAM_REQUEST_ARENA_BYTES);
    answer(ctx, (const reflect_request *)request, &arena);
    lpx_arena_fini(&arena);
}

static void on_half_close(void *ctx)
{
    reflect_stream *s = ctx;
    rpc_stream_end(s->call, LPX_SUCCESS, NULL);
    free(s);
}

static void on_end(void *ctx, lpx_code why)
{
    (void)why;
    free(ctx);
}

static void begin(rpc_call *call, const ProtobufCMessage *request, void *service)
{
    static const rpc_stream_events events = {
        .on_end = on_end, .on_request = on_request, .on_half_close = on_half_close};
    (void)request;
    reflect_stream *s = calloc(1, sizeof *s);
    if (s == NULL) {
        rpc_fail(call, lpx_err_of(BASE_NO_MEMORY), NULL);
        return;
    }
    *s = (reflect_stream){.reflect = service, .call = call};
    rpc_stream_begin(call, &events, s);
}

lpx_err rpc_reflect_new(rpc_server *rpc, rpc_reflect **out, lpx_note *note)
{
    static const char *const paths[METHODS] = {
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    };
    rpc_reflect *reflect = calloc(1, sizeof *reflect);
    if (reflect == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    reflect->rpc = rpc;
    for (size_t i = 0; i < METHODS; i++) {
        reflect->methods[i] = (rpc_method){.path = paths[i],
                                           .in = &grpc__reflection__v1__server_reflection_request__descriptor,
                                           .out = &grpc__reflection__v1__server_reflection_response__descriptor,
                                           .flavour = RPC_BIDI,
                                           .loop = begin,
                                           .service = reflect};
    }
    lpx_err err = rpc_server_add(rpc, reflect->methods, METHODS, note);
    if (lpx_failed(err)) {
        free(reflect);
        return err;
    }
    *out = reflect;
    return LPX_SUCCESS;
}

void rpc_reflect_free(rpc_reflect **reflect)
{
    free(*reflect);
    *reflect = NULL;
}
