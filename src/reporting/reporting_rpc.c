/* Reporter: requests to sums, sums to records. */
#include "lpx_reasons.h"
#include "reporting/limits.h"
#include "reporting/reporting.h"
#include "reporting/reporting_store.h"

/* Records while they are made. */
typedef struct answer {
    lpx_arena *arena;
    lpx_note *note;
    int64_t to_day; /* of the sums that come now */
    Pb__Reporting__V1__RoutedMessagesRecord **records;
    size_t count, room;
    size_t part;  /* first record of the present month */
    size_t bytes; /* of the records that are complete */
} answer;

static lpx_err too_large(lpx_note *note)
{
    return lpx_fail(note, REPORTING_TOO_LARGE,
                    "The report is larger than the %d KiB that fit one answer; name a forwarder or a home network, or "
                    "ask for fewer months.",
                    REPORTING_MAX_ANSWER_BYTES >> 10);
}

/* The last record has all of its counts: what does it take? */
static lpx_err close_record(answer *a)
{
    enum { TAG_AND_LENGTH = 4 };
    if (a->count > a->part) {
        a->bytes += protobuf_c_message_get_packed_size(&a->records[a->count - 1]->base) + TAG_AND_LENGTH;
    }
    return a->bytes > REPORTING_MAX_ANSWER_BYTES ? too_large(a->note) : LPX_SUCCESS;
}

static lpx_err add_record(answer *a, const reporting_sum *sum)
{
    LPX_TRY(close_record(a));
    if (a->count == a->room) {
        size_t room = a->room > 0 ? 2 * a->room : 64;
        Pb__Reporting__V1__RoutedMessagesRecord **bigger = lpx_arena_array(a->arena, room, sizeof(void *));
        if (bigger == NULL) {
            return lpx_err_of(BASE_NO_MEMORY);
        }
        if (a->count > 0) {
            memcpy(bigger, a->records, a->count * sizeof(void *));
        }
        a->records = bigger;
        a->room = room;
    }
    Pb__Reporting__V1__RoutedMessagesRecord *record = reporting_record_new(sum, a->to_day, a->arena);
    a->records[a->count] = record;
    a->count += record != NULL;
    return record != NULL ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

static lpx_err add_sum(void *ctx, const reporting_sum *sum)
{
    answer *a = ctx;
    if (a->count == a->part || !reporting_record_is(a->records[a->count - 1], sum)) {
        LPX_TRY(add_record(a, sum));
    }
    return reporting_record_add(a->records[a->count - 1], sum, a->arena) ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

static lpx_err add_days(store_tx *tx, const reporting_ask *ask, int64_t from_day, int64_t to_day, answer *a)
{
    a->part = a->count;
    a->to_day = to_day;
    lpx_err err = reporting_store_sums(tx, ask, from_day, to_day, add_sum, a);
    if (err.reason == REPORTING_TOO_LARGE) {
        return too_large(a->note);
    }
    LPX_TRY(err);
    return close_record(a);
}

/* Months in ascending order: some clients show only the first row of a pair. Months without any counts are not looked
 * at. */
static lpx_err add_months(store_tx *tx, const reporting_ask *ask, int64_t today, answer *a)
{
    bool any;
    int64_t first, year, month;
    LPX_TRY(reporting_store_first_day(tx, &any, &first));
    if (!any) {
        return LPX_SUCCESS;
    }
    reporting_month_of(ask->from_day > first ? ask->from_day : first, &year, &month);
    int64_t start = reporting_month_start(year, month);
    int64_t last = ask->to_day < today ? ask->to_day : today;
    while (start <= last) {
        int64_t next_year = year + (month == 12);
        int64_t next_month = month % 12 + 1;
        int64_t next = reporting_month_start(next_year, next_month);
        LPX_TRY(add_days(tx, ask, start, next - 1, a));
        start = next;
        year = next_year;
        month = next_month;
    }
    return LPX_SUCCESS;
}

static lpx_err get_routed_messages(store_tx *tx, rpc_txn *txn)
{
    const Pb__Reporting__V1__GetRoutedMessagesRequest *in = (const void *)txn->request;
    Pb__Reporting__V1__GetRoutedMessagesResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    answer a = {.arena = txn->arena, .note = &txn->note};
    reporting_ask ask;
    if (reply == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    LPX_TRY(reporting_ask_read(in, txn->who, txn->now, &ask, &txn->note));
    LPX_TRY(ask.by_month ? add_months(tx, &ask, reporting_day(txn->now), &a)
                         : add_days(tx, &ask, ask.from_day, ask.to_day, &a));
    pb__reporting__v1__get_routed_messages_response__init(reply);
    reply->records = a.records;
    reply->n_records = a.count;
    txn->reply = &reply->base;
    return LPX_SUCCESS;
}

size_t reporting_methods(const rpc_method **out)
{
    static const rpc_method method = {.path = "/org.packetbroker.reporting.v1.Reporter/GetRoutedMessages",
                                      .in = &pb__reporting__v1__get_routed_messages_request__descriptor,
                                      .out = &pb__reporting__v1__get_routed_messages_response__descriptor,
                                      .flavour = RPC_READ,
                                      .txn = get_routed_messages};
    *out = &method;
    return 1;
}
