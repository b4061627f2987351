/* A router on several loops and a store, with calls from memory: what its tests share. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "pb_routing_v1_api.pb-c.h"
#include "router/router.h"
#include "router/router_fake_test.h"

enum { LOOPS = 3, DATA_UPLINK_BYTES = 15, DATA_DOWNLINK_BYTES = 14, TOKEN_BYTES = 4 };

/** The exchange under test. */
typedef struct exchange {
    char folder[32];
    char file[64];
    store *db;
    io_loop *loops[LOOPS];
    router *router;
} exchange;

/** Frames with DevAddr 11223344, a token, and who sends them. */
extern uint8_t data_uplink[DATA_UPLINK_BYTES], data_downlink[DATA_DOWNLINK_BYTES], token[TOKEN_BYTES];
extern char fwd_tenant[], eu1[];
/** No policies are needed. */
extern const router_opts open_opts;
/** Networks 000013, 000042, 000043; 11220000/16 is 000042's, at eu1. */
extern const char *const kit_members[];

/** New exchange with kit_members. */
void open_exchange(exchange *x, const router_opts *opts);
/** Its end. */
void close_exchange(exchange *x);
/** Parts of both. */
void open_store(exchange *x);
void open_router(exchange *x, const router_opts *opts);
void close_router(exchange *x);
/** Let all loops run until they are idle. */
void turn_all(exchange *x);
/** Run statements as one transaction that touches these topics (bits). */
void change(exchange *x, unsigned topics, const char *const *lines);
/** Its counters now. */
router_counts counts_of(const exchange *x);

/** Call a method by part of its path. */
void invoke(exchange *x, const char *method, rpc_call *call, const ProtobufCMessage *request);
/** Publish one uplink from forwarder 000013/fwd/eu1; the id is copied to out. */
void publish_on(exchange *x, unsigned loop, char out[static 96]);
/** The same on loop 0. */
void publish(exchange *x);
/** Subscribe as home network 000042. */
rpc_call *subscribe(exchange *x, unsigned loop, const char *group);
/** Subscribe as forwarder 000013. */
rpc_call *subscribe_forwarder(exchange *x, unsigned loop);
/** Message number index of a subscription, decoded. */
Pb__V3__RoutedUplinkMessage *uplink_at(rpc_call *call, size_t index);

#define PROCESSED PB__V3__MESSAGE_DELIVERY_STATE__PROCESSED
/** Report as home network 000042 on an uplink of 000013/fwd. */
void report_on(exchange *x, unsigned loop, const char *id, Pb__V3__MessageDeliveryState step,
               Pb__V3__UplinkMessageProcessingErrorValue *error);
/** Turn until the tables were loaded n times; a change feed that tells nothing ends the test by its timeout. */
void wait_for_loads(exchange *x, uint64_t n);
