/* The REST API: one for each HTTP server. Private to this folder. Thread: the server's loop. */
#pragma once
#include "mapper/mapper_priv.h"

enum { MAPPER_CALLER_BYTES = 64 };

struct mapper_rest {
    mapper *mapper;
    rpc_http *front;
    mapper_rest *next;
    lpx_list lists; /* answers under way */
    unsigned list_count;
    mapper_limiter limiter;
};

/** Who looks, from who asked; tenant ids are copied into the arena. @return false when it is full */
bool mapper_rest_viewer(const rpc_principal *who, lpx_arena *arena, mapper_viewer *out);
/** Count and send an error. */
void mapper_rest_fail(mapper_rest *rest, http1_request *request, lpx_err err, const lpx_note *note);
/** Count and send JSON. */
void mapper_rest_answer(mapper_rest *rest, http1_request *request, lpx_bytes json);
/** Headers of every good answer. */
extern const http1_header mapper_rest_headers[];
enum { MAPPER_REST_HEADERS = 2 };

/** Answer GET /gateways. */
void mapper_list_begin(mapper_rest *rest, http1_request *request, const rpc_principal *who);
/** Cut all lists. */
void mapper_list_cut_all(mapper_rest *rest);
