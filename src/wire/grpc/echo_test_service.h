/* The service that tests, fuzzers and interoperability scripts call; messages are plain bytes.
 *   /echo.Echo/Unary         answers the one message
 *   /echo.Echo/ServerStream  4 bytes count (big-endian) and a payload: sends the payload so often
 *   /echo.Echo/ClientStream  answers 4 bytes count and 8 bytes sum of lengths (big-endian)
 *   /echo.Echo/Bidi          answers each message
 *   /echo.Echo/Fail          ends with the code and text of the metadata x-code and x-message, details: the message
 *   /echo.Echo/Meta          answers the metadata x-text, a zero byte, x-data-bin, a zero byte, the seconds to the
 * deadline /echo.Echo/Hang          never answers, but opens its head /echo.Echo/Pauses        as ClientStream, but
 * pauses after each message until echo_service_resume Anything else is UNIMPLEMENTED. */
#pragma once
#include "wire/grpc/server.h"

typedef struct echo_service {
    unsigned calls, half_closes, messages, writables, finished;
    unsigned cancels[17]; /* by code */
    bool stop_after_call; /* keep the next call unanswered in last_call, whatever its path */
    bool keep_cancelled;  /* do not give a cancelled call back but put it into last_call */
    grpc_call *last_call;
    grpc_call *paused; /* the last one that paused */
    uint64_t last_credential;
} echo_service;

/** Its events; ctx is an echo_service. */
extern const grpc_server_events echo_service_events;
/** Let the paused call go on. */
void echo_service_resume(echo_service *service);
