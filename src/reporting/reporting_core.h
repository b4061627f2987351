/* Decisions of reporting: what is counted for what happened, days and months, who may ask for what, sums to records.
 * Pure. */
#pragma once
#include "base/arena.h"
#include "base/time.h"
#include "codec/pb/pb.h"
#include "pb_reporting_v1_api.pb-c.h"
#include "rpc/principal.h"
#include "traffic/traffic.h"

/* ---- counters ---- */

/** What is counted: routed, processed with success, or an error (REPORTING_ERROR + its number). */
enum { REPORTING_ROUTED = 0, REPORTING_SUCCESS = 1, REPORTING_ERROR = 2 };

enum {
    REPORTING_UP_ERRORS = 6,    /* UplinkMessageProcessingError 0 to 5 */
    REPORTING_DOWN_ERRORS = 11, /* DownlinkMessageProcessingError 0 to 10 */
    REPORTING_UP_SLOTS = REPORTING_ERROR + REPORTING_UP_ERRORS,
    REPORTING_DOWN_SLOTS = REPORTING_ERROR + REPORTING_DOWN_ERRORS,
    /** Counters of one pair of members and one day. */
    REPORTING_SLOTS = TRAFFIC_KINDS * (REPORTING_UP_SLOTS + REPORTING_DOWN_SLOTS),
};

/** Place of a counter among those of a pair, 0 to REPORTING_SLOTS - 1. An error whose number is unknown counts as the
 * unknown error. */
unsigned reporting_slot(traffic_direction direction, traffic_kind kind, unsigned what);
/** Number of a counter in the store: direction * 1000 + kind * 500 + (0 routed, 1 success, 100 + error). */
int64_t reporting_counter_of_slot(unsigned slot);
/** The other way. @return false: the number is none */
bool reporting_slot_of_counter(int64_t counter, unsigned *slot);

/** What a message, or a copy, that did not arrive counts as.
 * @return false: it does not count toward a pair of members */
bool reporting_drop_error(traffic_direction direction, traffic_drop drop, unsigned *error);

/* ---- days and months ---- */

/** Days since 1970-01-01, UTC; also before it. */
int64_t reporting_day(lpx_utc time);
/** First day of a month (1 to 12). */
int64_t reporting_month_start(int64_t year, int64_t month);
/** Year and month of a day. */
void reporting_month_of(int64_t day, int64_t *year, int64_t *month);

/* ---- requests ---- */

/** One role of a filter. */
typedef struct reporting_role {
    bool has_net_id, has_tenant_id;
    uint32_t net_id;
    lpx_str tenant_id;
} reporting_role;

/** What a request asks for. */
typedef struct reporting_ask {
    reporting_role forwarder, home;
    bool own;                 /* only rows in which the caller is one of the two */
    traffic_member caller;    /* own; tenant_id empty: the network and all of its tenants */
    bool by_month;            /* one row per pair and month, else one per pair */
    int64_t from_day, to_day; /* both included */
} reporting_ask;

/** Read a request. A network or tenant that names itself in neither role sees the rows in which it is one of the two.
 * @err INVALID_ARGUMENT: REPORTING_NO_TIME, REPORTING_BAD_PERIOD, REPORTING_EMPTY_TENANT, LW_NETID_INVALID,
 *      LW_TENANT_ID_INVALID; PERMISSION_DENIED: REPORTING_NOT_OWN (both roles name others) */
LPX_RESULT reporting_ask_read(const Pb__Reporting__V1__GetRoutedMessagesRequest *request, const rpc_principal *who,
                              lpx_utc now, reporting_ask *out, lpx_note *note);

/* ---- answers ---- */

/** One sum. */
typedef struct reporting_sum {
    traffic_member forwarder, home;
    int64_t counter;
    uint64_t count;
} reporting_sum;

/** A new record of this pair without counts; uplink and downlink are present. NULL when memory is short.
 * @param to_day last day covered */
Pb__Reporting__V1__RoutedMessagesRecord *reporting_record_new(const reporting_sum *sum, int64_t to_day,
                                                              lpx_arena *arena);
/** Is it the record of this pair? */
bool reporting_record_is(const Pb__Reporting__V1__RoutedMessagesRecord *record, const reporting_sum *sum);
/** Add a sum; unknown counters are left out. @return false: memory is short */
bool reporting_record_add(Pb__Reporting__V1__RoutedMessagesRecord *record, const reporting_sum *sum, lpx_arena *arena);
