#include "reporting/reporting_core.h"

#include "lorawan/ids.h"
#include "lpx_reasons.h"
#include "reporting/limits.h"

/* ---- counters ---- */

enum { DIRECTION_STEP = 1000, KIND_STEP = 500, ERROR_STEP = 100 };

static unsigned error_count(traffic_direction direction)
{
    return direction == TRAFFIC_UP ? REPORTING_UP_ERRORS : REPORTING_DOWN_ERRORS;
}

unsigned reporting_slot(traffic_direction direction, traffic_kind kind, unsigned what)
{
    bool known = what < REPORTING_ERROR + error_count(direction);
    unsigned place = known ? what : (unsigned)REPORTING_ERROR;
    if (direction == TRAFFIC_UP) {
        return (unsigned)kind * REPORTING_UP_SLOTS + place;
    }
    return TRAFFIC_KINDS * REPORTING_UP_SLOTS + (unsigned)kind * REPORTING_DOWN_SLOTS + place;
}

int64_t reporting_counter_of_slot(unsigned slot)
{
    bool up = slot < TRAFFIC_KINDS * REPORTING_UP_SLOTS;
    unsigned slots = up ? REPORTING_UP_SLOTS : REPORTING_DOWN_SLOTS;
    unsigned at = up ? slot : slot - TRAFFIC_KINDS * REPORTING_UP_SLOTS;
    unsigned what = at % slots;
    return (up ? 0 : DIRECTION_STEP) + (int64_t)(at / slots) * KIND_STEP +
           (what < REPORTING_ERROR ? what : ERROR_STEP + what - REPORTING_ERROR);
}

bool reporting_slot_of_counter(int64_t counter, unsigned *slot)
{
    int64_t direction = counter / DIRECTION_STEP;
    int64_t kind = counter % DIRECTION_STEP / KIND_STEP;
    int64_t rest = counter % KIND_STEP;
    if (counter < 0 || direction >= TRAFFIC_DIRECTIONS) {
        return false;
    }
    bool error = rest >= ERROR_STEP && rest < ERROR_STEP + error_count((traffic_direction)direction);
    if (!error && rest >= REPORTING_ERROR) {
        return false;
    }
    unsigned what = (unsigned)(error ? rest - ERROR_STEP + REPORTING_ERROR : rest);
    *slot = reporting_slot((traffic_direction)direction, (traffic_kind)kind, what);
    return true;
}

/* The errors that both directions have have numbers of their own in each. */
typedef struct drop_rule {
    bool counts;
    unsigned up, down;
} drop_rule;

#define POLICY                                                                 \
    {                                                                          \
        true, PB__V3__UPLINK_MESSAGE_PROCESSING_ERROR__UPLINK_ROUTING_POLICY,  \
            PB__V3__DOWNLINK_MESSAGE_PROCESSING_ERROR__DOWNLINK_ROUTING_POLICY \
    }
#define NOBODY                                                                    \
    {                                                                             \
        true, PB__V3__UPLINK_MESSAGE_PROCESSING_ERROR__NO_HOME_NETWORK_ENDPOINTS, \
            PB__V3__DOWNLINK_MESSAGE_PROCESSING_ERROR__GATEWAY_NOT_CONNECTED      \
    }
#define INTERNAL                                                         \
    {                                                                    \
        true, PB__V3__UPLINK_MESSAGE_PROCESSING_ERROR__UPLINK_INTERNAL,  \
            PB__V3__DOWNLINK_MESSAGE_PROCESSING_ERROR__DOWNLINK_INTERNAL \
    }
#define LATE                                                            \
    {                                                                   \
        true, PB__V3__UPLINK_MESSAGE_PROCESSING_ERROR__UPLINK_INTERNAL, \
            PB__V3__DOWNLINK_MESSAGE_PROCESSING_ERROR__TOO_LATE         \
    }
#define DUPLICATE                                                         \
    {                                                                     \
        true, PB__V3__UPLINK_MESSAGE_PROCESSING_ERROR__DUPLICATE_PAYLOAD, \
            PB__V3__DOWNLINK_MESSAGE_PROCESSING_ERROR__DOWNLINK_INTERNAL  \
    }
#define NOTHING     \
    {               \
        false, 0, 0 \
    }

bool reporting_drop_error(traffic_direction direction, traffic_drop drop, unsigned *error)
{
    static const drop_rule rules[TRAFFIC_DROP_REASONS] = {
        [TRAFFIC_DROP_NO_ROUTE] = NOTHING,                                       /* nobody's: there is no pair */
        [TRAFFIC_DROP_LOOKUP] = NOTHING,      [TRAFFIC_DROP_LOOPBACK] = NOTHING, /* was not meant to arrive */
        [TRAFFIC_DROP_HOPS] = NOTHING,                                           /* counted when it was here first */
        [TRAFFIC_DROP_POLICY] = POLICY,       [TRAFFIC_DROP_SETTINGS] = NOBODY,  /* nobody there wants it */
        [TRAFFIC_DROP_FILTER] = NOBODY,       [TRAFFIC_DROP_NO_ENDPOINT] = NOBODY, [TRAFFIC_DROP_GONE] = NOBODY,
        [TRAFFIC_DROP_COPIES] = DUPLICATE,    [TRAFFIC_DROP_QUEUE_AGE] = LATE,     [TRAFFIC_DROP_QUEUE_FULL] = INTERNAL,
        [TRAFFIC_DROP_RELAY_FULL] = INTERNAL, [TRAFFIC_DROP_MEMORY] = INTERNAL,    [TRAFFIC_DROP_PEER] = INTERNAL,
    };
    if ((unsigned)drop >= TRAFFIC_DROP_REASONS || !rules[drop].counts) {
        return false;
    }
    *error = direction == TRAFFIC_UP ? rules[drop].up : rules[drop].down;
    return true;
}

/* ---- days and months ---- */

enum { DAY_S = 86400 };

int64_t reporting_day(lpx_utc time)
{
    const int64_t day_us = DAY_S * INT64_C(1000000);
    return time.us / day_us - (time.us % day_us < 0);
}

/* Years of this calendar begin in March, so that the leap day is the last of its year. */
enum { ERA_YEARS = 400, ERA_DAYS = 146097, DAYS_TO_1970 = 719468 };

int64_t reporting_month_start(int64_t year, int64_t month)
{
    int64_t y = year - (month <= 2);
    int64_t era = y / ERA_YEARS;
    int64_t in_era = y % ERA_YEARS;
    int64_t month_from_march = (month + 9) % 12;
    int64_t in_year = (153 * month_from_march + 2) / 5;
    return era * ERA_DAYS + in_era * 365 + in_era / 4 - in_era / 100 + in_year - DAYS_TO_1970;
}

void reporting_month_of(int64_t day, int64_t *year, int64_t *month)
{
    int64_t days = day + DAYS_TO_1970;
    int64_t era = days / ERA_DAYS;
    int64_t in_era = days % ERA_DAYS;
    int64_t y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * y + y / 4 - y / 100);
    int64_t from_march = (5 * in_year + 2) / 153;
    *month = from_march < 10 ? from_march + 3 : from_march - 9;
    *year = y + era * ERA_YEARS + (*month <= 2);
}

/* ---- requests ---- */

static lpx_err read_role(const Google__Protobuf__UInt32Value *net_id, const Google__Protobuf__StringValue *tenant_id,
                         const char *const names[2], reporting_role *out, lpx_note *note)
{
    *out = (reporting_role){.has_net_id = net_id != NULL,
                            .has_tenant_id = tenant_id != NULL,
                            .net_id = net_id != NULL ? net_id->value : 0,
                            .tenant_id = pb_str(tenant_id != NULL ? tenant_id->value : NULL)};
    if (out->has_net_id) {
        LPX_TRY(lw_netid_check(out->net_id, names[0], note));
    }
    if (!out->has_tenant_id) {
        return LPX_SUCCESS;
    }
    if (out->tenant_id.len == 0) {
        return lpx_fail(note, REPORTING_EMPTY_TENANT, "%s must name a tenant; leave it out for all.", names[1]);
    }
    return lw_tenant_id_check(out->tenant_id, names[1], note);
}

static lpx_err check_month(const Pb__Reporting__V1__MonthYear *month, const char *field, lpx_note *note)
{
    if (month == NULL) {
        return lpx_fail(note, REPORTING_BAD_PERIOD, "%s is missing.", field);
    }
    if (month->month < 1 || month->month > 12) {
        return lpx_fail(note, REPORTING_BAD_PERIOD, "%s.month must be from 1 to 12.", field);
    }
    if (month->year < REPORTING_FIRST_YEAR || month->year > REPORTING_LAST_YEAR) {
        return lpx_fail(note, REPORTING_BAD_PERIOD, "%s.year must be from %d to %d.", field, REPORTING_FIRST_YEAR,
                        REPORTING_LAST_YEAR);
    }
    return LPX_SUCCESS;
}

static lpx_err read_period(const Pb__Reporting__V1__MonthPeriod *period, reporting_ask *out, lpx_note *note)
{
    if (period == NULL) {
        return lpx_fail(note, REPORTING_BAD_PERIOD, "period is missing.");
    }
    LPX_TRY(check_month(period->from, "period.from", note));
    LPX_TRY(check_month(period->to, "period.to", note));
    out->by_month = true;
    out->from_day = reporting_month_start(period->from->year, period->from->month);
    int64_t next_year = period->to->year + (period->to->month == 12);
    out->to_day = reporting_month_start(next_year, period->to->month % 12 + 1) - 1;
    if (out->from_day > out->to_day) {
        return lpx_fail(note, REPORTING_BAD_PERIOD, "period.to must not be before period.from.");
    }
    return LPX_SUCCESS;
}

static lpx_err read_time(const Pb__Reporting__V1__GetRoutedMessagesRequest *request, int64_t today, reporting_ask *out,
                         lpx_note *note)
{
    out->from_day = out->to_day = today;
    if (request->time_case == PB__REPORTING__V1__GET_ROUTED_MESSAGES_REQUEST__TIME_TODAY) {
        return LPX_SUCCESS;
    }
    if (request->time_case == PB__REPORTING__V1__GET_ROUTED_MESSAGES_REQUEST__TIME_LAST_30_DAYS) {
        out->from_day = today - (REPORTING_LAST_DAYS - 1);
        return LPX_SUCCESS;
    }
    if (request->time_case == PB__REPORTING__V1__GET_ROUTED_MESSAGES_REQUEST__TIME_PERIOD) {
        return read_period(request->period, out, note);
    }
    return lpx_err_of(REPORTING_NO_TIME);
}

/* Names this role the caller, or the caller as part of it? */
typedef enum role_fit {
    ROLE_OWN,   /* the caller and nobody else */
    ROLE_OPEN,  /* the caller may be among those */
    ROLE_OTHER, /* the caller is not among those */
} role_fit;

static role_fit fit(const reporting_role *role, const traffic_member *caller)
{
    bool tenant_caller = caller->tenant_id.len > 0;
    if (role->has_net_id && role->net_id != caller->net_id) {
        return ROLE_OTHER;
    }
    if (role->has_tenant_id && tenant_caller && !lpx_str_equal(role->tenant_id, caller->tenant_id)) {
        return ROLE_OTHER;
    }
    return role->has_net_id && (role->has_tenant_id || !tenant_caller) ? ROLE_OWN : ROLE_OPEN;
}

static lpx_err narrow(const rpc_principal *who, reporting_ask *out, lpx_note *note)
{
    if (who->subject != RPC_NETWORK && who->subject != RPC_TENANT) {
        return LPX_SUCCESS;
    }
    out->caller = (traffic_member){.net_id = who->net_id,
                                   .tenant_id = lpx_str_of(who->subject == RPC_TENANT ? who->tenant_id : "")};
    role_fit forwarder = fit(&out->forwarder, &out->caller);
    role_fit home = fit(&out->home, &out->caller);
    if (forwarder == ROLE_OTHER && home == ROLE_OTHER) {
        return lpx_fail(note, REPORTING_NOT_OWN,
                        "With these credentials the forwarder or the home network of the report must be %06X%s%.*s.",
                        (unsigned)out->caller.net_id, out->caller.tenant_id.len > 0 ? "/" : "",
                        (int)out->caller.tenant_id.len, out->caller.tenant_id.ptr);
    }
    out->own = forwarder != ROLE_OWN && home != ROLE_OWN;
    return LPX_SUCCESS;
}

lpx_err reporting_ask_read(const Pb__Reporting__V1__GetRoutedMessagesRequest *request, const rpc_principal *who,
                           lpx_utc now, reporting_ask *out, lpx_note *note)
{
    static const char *const forwarder[2] = {"forwarder_net_id", "forwarder_tenant_id"};
    static const char *const home[2] = {"home_network_net_id", "home_network_tenant_id"};
    reporting_ask ask = {.caller = {.tenant_id = LPX_STR("")}};
    LPX_TRY(read_role(request->forwarder_net_id, request->forwarder_tenant_id, forwarder, &ask.forwarder, note));
    LPX_TRY(read_role(request->home_network_net_id, request->home_network_tenant_id, home, &ask.home, note));
    LPX_TRY(read_time(request, reporting_day(now), &ask, note));
    LPX_TRY(narrow(who, &ask, note));
    *out = ask;
    return LPX_SUCCESS;
}

/* ---- answers ---- */

typedef Pb__Reporting__V1__RoutedMessagesRecord record_message;
typedef Pb__Reporting__V1__RoutedMessagesRecord__Uplink uplink_message;
typedef Pb__Reporting__V1__RoutedMessagesRecord__Downlink downlink_message;
typedef Pb__Reporting__V1__RoutedMessagesRecord__Uplink__ErrorCount uplink_error;
typedef Pb__Reporting__V1__RoutedMessagesRecord__Downlink__ErrorCount downlink_error;

record_message *reporting_record_new(const reporting_sum *sum, int64_t to_day, lpx_arena *arena)
{
    record_message *record = lpx_arena_get(arena, sizeof *record);
    uplink_message *up = lpx_arena_get(arena, sizeof *up);
    downlink_message *down = lpx_arena_get(arena, sizeof *down);
    Google__Protobuf__Timestamp *to = lpx_arena_get(arena, sizeof *to);
    char *forwarder = lpx_arena_cstr(arena, sum->forwarder.tenant_id);
    char *home = lpx_arena_cstr(arena, sum->home.tenant_id);
    if (record == NULL || up == NULL || down == NULL || to == NULL || forwarder == NULL || home == NULL) {
        return NULL;
    }
    pb__reporting__v1__routed_messages_record__init(record);
    pb__reporting__v1__routed_messages_record__uplink__init(up);
    pb__reporting__v1__routed_messages_record__downlink__init(down);
    google__protobuf__timestamp__init(to);
    to->seconds = to_day * DAY_S;
    record->to = to;
    record->forwarder_net_id = sum->forwarder.net_id;
    record->forwarder_tenant_id = forwarder;
    record->home_network_net_id = sum->home.net_id;
    record->home_network_tenant_id = home;
    record->uplink = up;
    record->downlink = down;
    return record;
}

bool reporting_record_is(const record_message *record, const reporting_sum *sum)
{
    return record->forwarder_net_id == sum->forwarder.net_id && record->home_network_net_id == sum->home.net_id &&
           lpx_str_is(sum->forwarder.tenant_id, record->forwarder_tenant_id) &&
           lpx_str_is(sum->home.tenant_id, record->home_network_tenant_id);
}

static bool add_up_error(uplink_error ***list, size_t *used, unsigned error, uint64_t count, lpx_arena *arena)
{
    uplink_error *item = lpx_arena_get(arena, sizeof *item);
    if (*list == NULL) {
        *list = lpx_arena_array(arena, REPORTING_UP_ERRORS, sizeof **list);
    }
    if (item == NULL || *list == NULL) {
        return false;
    }
    pb__reporting__v1__routed_messages_record__uplink__error_count__init(item);
    item->error_type = (Pb__V3__UplinkMessageProcessingError)error;
    item->count = count;
    (*list)[(*used)++] = item;
    return true;
}

static bool add_down_error(downlink_error ***list, size_t *used, unsigned error, uint64_t count, lpx_arena *arena)
{
    downlink_error *item = lpx_arena_get(arena, sizeof *item);
    if (*list == NULL) {
        *list = lpx_arena_array(arena, REPORTING_DOWN_ERRORS, sizeof **list);
    }
    if (item == NULL || *list == NULL) {
        return false;
    }
    pb__reporting__v1__routed_messages_record__downlink__error_count__init(item);
    item->error_type = (Pb__V3__DownlinkMessageProcessingError)error;
    item->count = count;
    (*list)[(*used)++] = item;
    return true;
}

static bool add_up(uplink_message *up, bool join, unsigned what, uint64_t count, lpx_arena *arena)
{
    if (what == REPORTING_ROUTED) {
        *(join ? &up->join_requests_routed_count : &up->data_messages_routed_count) = count;
        return true;
    }
    if (what == REPORTING_SUCCESS) {
        *(join ? &up->join_requests_processed_success_count : &up->data_messages_processed_success_count) = count;
        return true;
    }
    return join ? add_up_error(&up->join_requests_processed_error_count, &up->n_join_requests_processed_error_count,
                               what - REPORTING_ERROR, count, arena)
                : add_up_error(&up->data_messages_processed_error_count, &up->n_data_messages_processed_error_count,
                               what - REPORTING_ERROR, count, arena);
}

static bool add_down(downlink_message *down, bool join, unsigned what, uint64_t count, lpx_arena *arena)
{
    if (what == REPORTING_ROUTED) {
        *(join ? &down->join_accepts_routed_count : &down->data_messages_routed_count) = count;
        return true;
    }
    if (what == REPORTING_SUCCESS) {
        *(join ? &down->join_accepts_processed_success_count : &down->data_messages_processed_success_count) = count;
        return true;
    }
    return join ? add_down_error(&down->join_accepts_processed_error_count, &down->n_join_accepts_processed_error_count,
                                 what - REPORTING_ERROR, count, arena)
                : add_down_error(&down->data_messages_processed_error_count,
                                 &down->n_data_messages_processed_error_count, what - REPORTING_ERROR, count, arena);
}

bool reporting_record_add(record_message *record, const reporting_sum *sum, lpx_arena *arena)
{
    unsigned slot;
    if (!reporting_slot_of_counter(sum->counter, &slot)) {
        return true; /* of a newer version of this program */
    }
    if (slot < TRAFFIC_KINDS * REPORTING_UP_SLOTS) {
        return add_up(record->uplink, slot / REPORTING_UP_SLOTS == TRAFFIC_JOIN, slot % REPORTING_UP_SLOTS, sum->count,
                      arena);
    }
    slot -= TRAFFIC_KINDS * REPORTING_UP_SLOTS;
    return add_down(record->downlink, slot / REPORTING_DOWN_SLOTS == TRAFFIC_JOIN, slot % REPORTING_DOWN_SLOTS,
                    sum->count, arena);
}
