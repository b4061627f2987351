/* Counting and reports on a real store: reporting_test sqlite, or reporting_test postgres with a server's URL in
 * LPX_TEST_POSTGRES_URL (tools/with_postgres.sh). A second argument is the seed. */
#include "reporting/reporting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lpx_reasons.h"
#include "reporting/limits.h"
#include "reporting/reporting_store.h"
#include "store/store_test_kit.h"

enum { LOOPS = 3, DAY_S = 86400 };

/* 2026-03-15T12:00:00Z */
static const int64_t noon_s = INT64_C(1773576000);

typedef struct fixture {
    kit *k;
    io_loop *loops[LOOPS];
    reporting *r;
    lpx_arena arena;
    lpx_utc now;
    lpx_note note;
} fixture;

static void start(fixture *f)
{
    const reporting_opts opts = {.store = f->k->store};
    assert_ok(reporting_new(&opts, f->loops, LOOPS, &f->r));
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    void *k = NULL;
    kit_setup(&k);
    f->k = k;
    f->now = (lpx_utc){noon_s * 1000000};
    lpx_arena_init(&f->arena, 64 << 20);
    for (unsigned i = 0; i < LOOPS; i++) {
        f->loops[i] = io_loop_new(i);
    }
    start(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    void *k = f->k;
    (void)reporting_stop(f->r);
    reporting_free(&f->r);
    for (unsigned i = 0; i < LOOPS; i++) {
        io_loop_free(&f->loops[i]);
    }
    lpx_arena_fini(&f->arena);
    free(f);
    return kit_teardown(&k);
}

/* Stop writes everything; then count on, as after a new start of the program. */
static void restart(fixture *f)
{
    assert_int_equal(reporting_stop(f->r), 0);
    reporting_free(&f->r);
    start(f);
}

/* ---- what happens ---- */

static traffic_endpoint at(uint32_t net_id, const char *tenant_id)
{
    return (traffic_endpoint){.net_id = net_id, .tenant_id = lpx_str_of(tenant_id), .cluster_id = LPX_STR("eu1")};
}

typedef struct event {
    lpx_utc time;
    traffic_direction direction;
    traffic_kind kind;
    traffic_endpoint forwarder, home;
} event;

static void pass(fixture *f, unsigned loop, const event *e, bool delivered, traffic_drop drop)
{
    const traffic_outcome outcome = {
        .home = e->home, .delivered = delivered, .drop = drop, .copies = delivered ? 2 : 0};
    const traffic_passage passage = {.time = e->time,
                                     .direction = e->direction,
                                     .kind = e->kind,
                                     .forwarder = e->forwarder,
                                     .outcomes = &outcome,
                                     .outcome_count = 1};
    const traffic_observer *o = reporting_observer(f->r);
    o->passed(o->ctx, loop, &passage);
}

static void settle(fixture *f, unsigned loop, const event *e, bool sent, traffic_drop drop)
{
    const traffic_copy copy = {.time = e->time,
                               .direction = e->direction,
                               .kind = e->kind,
                               .forwarder = e->forwarder,
                               .home = e->home,
                               .sent = sent,
                               .drop = drop};
    const traffic_observer *o = reporting_observer(f->r);
    o->settled(o->ctx, loop, &copy);
}

static void report(fixture *f, unsigned loop, const event *e, bool failed, int error)
{
    const traffic_report message = {.time = e->time,
                                    .direction = e->direction,
                                    .kind = e->kind,
                                    .forwarder = e->forwarder,
                                    .home = e->home,
                                    .failed = failed,
                                    .error = error};
    const traffic_observer *o = reporting_observer(f->r);
    o->reported(o->ctx, loop, &message);
}

/* ---- what is asked ---- */

static const rpc_principal admin = {.subject = RPC_ADMIN, .rights = ~UINT64_C(0)};
static const rpc_principal network = {.subject = RPC_NETWORK, .net_id = 0x13, .rights = 1 << 14};
static const rpc_principal tenant = {.subject = RPC_TENANT, .net_id = 0x13, .tenant_id = "ttn", .rights = 1 << 14};

typedef Pb__Reporting__V1__GetRoutedMessagesRequest request_message;
typedef Pb__Reporting__V1__GetRoutedMessagesResponse response_message;
typedef Pb__Reporting__V1__RoutedMessagesRecord record_message;

typedef struct call_job {
    store_job job;
    rpc_txn txn;
} call_job;

static lpx_err call_work(store_tx *tx, store_job *job)
{
    call_job *c = LPX_CONTAINER(job, call_job, job);
    const rpc_method *method;
    (void)reporting_methods(&method);
    return method->txn(tx, &c->txn);
}

static lpx_err try_ask(fixture *f, const rpc_principal *who, const request_message *request,
                       const response_message **out)
{
    call_job call = {.job = {.work = call_work}};
    call.txn = (rpc_txn){.who = who, .request = &request->base, .arena = &f->arena, .now = f->now};
    lpx_err err = store_run(f->k->store, &call.job);
    f->note = call.txn.note;
    *out = (const void *)call.txn.reply;
    return err;
}

static const response_message *ask(fixture *f, const rpc_principal *who, const request_message *request)
{
    const response_message *reply = NULL;
    assert_ok(try_ask(f, who, request, &reply));
    assert_non_null(reply);
    return reply;
}

/* A request with its filters, all parts of which live as long as the fixture's arena. */
static request_message *make_request(fixture *f, int64_t forwarder, const char *forwarder_tenant, int64_t home,
                                     const char *home_tenant)
{
    request_message *m = lpx_arena_get(&f->arena, sizeof *m);
    Google__Protobuf__UInt32Value *ids = lpx_arena_array(&f->arena, 2, sizeof *ids);
    Google__Protobuf__StringValue *texts = lpx_arena_array(&f->arena, 2, sizeof *texts);
    pb__reporting__v1__get_routed_messages_request__init(m);
    google__protobuf__uint32_value__init(&ids[0]);
    google__protobuf__uint32_value__init(&ids[1]);
    google__protobuf__string_value__init(&texts[0]);
    google__protobuf__string_value__init(&texts[1]);
    ids[0].value = (uint32_t)forwarder;
    ids[1].value = (uint32_t)home;
    texts[0].value = lpx_arena_cstr(&f->arena, lpx_str_of(forwarder_tenant));
    texts[1].value = lpx_arena_cstr(&f->arena, lpx_str_of(home_tenant));
    m->forwarder_net_id = forwarder >= 0 ? &ids[0] : NULL;
    m->home_network_net_id = home >= 0 ? &ids[1] : NULL;
    m->forwarder_tenant_id = forwarder_tenant != NULL ? &texts[0] : NULL;
    m->home_network_tenant_id = home_tenant != NULL ? &texts[1] : NULL;
    m->time_case = PB__REPORTING__V1__GET_ROUTED_MESSAGES_REQUEST__TIME_TODAY;
    return m;
}

static request_message *any(fixture *f)
{
    return make_request(f, -1, NULL, -1, NULL);
}

static void set_period(fixture *f, request_message *m, uint32_t from_year, uint32_t from_month, uint32_t to_year,
                       uint32_t to_month)
{
    Pb__Reporting__V1__MonthPeriod *period = lpx_arena_get(&f->arena, sizeof *period);
    Pb__Reporting__V1__MonthYear *months = lpx_arena_array(&f->arena, 2, sizeof *months);
    pb__reporting__v1__month_period__init(period);
    pb__reporting__v1__month_year__init(&months[0]);
    pb__reporting__v1__month_year__init(&months[1]);
    months[0].year = from_year;
    months[0].month = from_month;
    months[1].year = to_year;
    months[1].month = to_month;
    period->from = &months[0];
    period->to = &months[1];
    m->period = period;
    m->time_case = PB__REPORTING__V1__GET_ROUTED_MESSAGES_REQUEST__TIME_PERIOD;
}

/* ---- the naive recount: every event in a list, added up by looking through it ---- */

enum { MAX_EVENTS = 4000, MEMBERS = 5, WHATS = 2 + REPORTING_DOWN_ERRORS };

typedef struct naive_event {
    unsigned forwarder, home; /* of members */
    int64_t day;
    traffic_direction direction;
    traffic_kind kind;
    unsigned what; /* 0 routed, 1 success, 2 + error */
} naive_event;

static const struct {
    uint32_t net_id;
    const char *tenant_id;
} members[MEMBERS] = {{0x13, ""}, {0x13, "ttn"}, {0x14, ""}, {0x14, "ttn"}, {0x15, "two"}};

static naive_event events[MAX_EVENTS];
static size_t event_count;

/* What a drop counts as, written out a second time. -1: nothing. */
static int naive_drop(traffic_direction direction, traffic_drop drop)
{
    bool up = direction == TRAFFIC_UP;
    switch (drop) {
    case TRAFFIC_DROP_NO_ROUTE:
    case TRAFFIC_DROP_LOOKUP:
    case TRAFFIC_DROP_LOOPBACK:
    case TRAFFIC_DROP_HOPS:
    case TRAFFIC_DROP_REASONS:
        return -1;
    case TRAFFIC_DROP_POLICY:
        return up ? 1 : 8;
    case TRAFFIC_DROP_SETTINGS:
    case TRAFFIC_DROP_FILTER:
    case TRAFFIC_DROP_NO_ENDPOINT:
    case TRAFFIC_DROP_GONE:
        return up ? 4 : 10;
    case TRAFFIC_DROP_COPIES:
        return up ? 5 : 9;
    case TRAFFIC_DROP_QUEUE_AGE:
        return up ? 3 : 1;
    case TRAFFIC_DROP_QUEUE_FULL:
    case TRAFFIC_DROP_RELAY_FULL:
    case TRAFFIC_DROP_MEMORY:
    case TRAFFIC_DROP_PEER:
        return up ? 3 : 9;
    }
    return -1;
}

static void remember(const naive_event *e, unsigned what)
{
    events[event_count] = *e;
    events[event_count++].what = what;
}

static void remember_drop(const naive_event *e, traffic_drop drop)
{
    int error = naive_drop(e->direction, drop);
    if (error >= 0) {
        remember(e, 2 + (unsigned)error);
    }
}

static uint64_t naive_count(unsigned forwarder, unsigned home, int64_t from_day, int64_t to_day, unsigned direction,
                            unsigned kind, unsigned what)
{
    uint64_t count = 0;
    for (size_t i = 0; i < event_count; i++) {
        const naive_event *e = &events[i];
        count += e->forwarder == forwarder && e->home == home && e->day >= from_day && e->day <= to_day &&
                 (unsigned)e->direction == direction && (unsigned)e->kind == kind && e->what == what;
    }
    return count;
}

/* Any of the three calls, with random content. */
static void random_event(fixture *f)
{
    naive_event n = {.forwarder = kit_random() % MEMBERS,
                     .home = kit_random() % MEMBERS,
                     .direction = kit_random() % TRAFFIC_DIRECTIONS,
                     .kind = kit_random() % TRAFFIC_KINDS};
    int64_t time_s = noon_s - (int64_t)(kit_random() % 80) * DAY_S + (int64_t)(kit_random() % DAY_S) - DAY_S / 2;
    n.day = time_s / DAY_S;
    event e = {.time = {time_s * 1000000 + 999999},
               .direction = n.direction,
               .kind = n.kind,
               .forwarder = at(members[n.forwarder].net_id, members[n.forwarder].tenant_id),
               .home = at(members[n.home].net_id, members[n.home].tenant_id)};
    unsigned loop = kit_random() % LOOPS;
    bool good = kit_random() % 2 == 0;
    traffic_drop drop = kit_random() % TRAFFIC_DROP_REASONS;
    int error = (int)(kit_random() % (n.direction == TRAFFIC_UP ? 6 : 11));
    switch (kit_random() % 3) {
    case 0:
        pass(f, loop, &e, good, drop);
        good ? remember(&n, 0) : remember_drop(&n, drop);
        break;
    case 1:
        settle(f, loop, &e, good, drop);
        if (!good) {
            remember_drop(&n, drop);
        }
        break;
    default:
        report(f, loop, &e, !good, error);
        remember(&n, good ? 1 : 2 + (unsigned)error);
        return;
    }
}

static uint64_t up_error(Pb__Reporting__V1__RoutedMessagesRecord__Uplink__ErrorCount *const *list, size_t count,
                         unsigned error)
{
    uint64_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += (unsigned)list[i]->error_type == error ? list[i]->count : 0;
    }
    return found;
}

static uint64_t down_error(Pb__Reporting__V1__RoutedMessagesRecord__Downlink__ErrorCount *const *list, size_t count,
                           unsigned error)
{
    uint64_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += (unsigned)list[i]->error_type == error ? list[i]->count : 0;
    }
    return found;
}

/* The count of a record, found by another way than the one that it was written by. */
static uint64_t told(const record_message *r, unsigned direction, unsigned kind, unsigned what)
{
    if (direction == TRAFFIC_UP && kind == TRAFFIC_JOIN) {
        return what == 0   ? r->uplink->join_requests_routed_count
               : what == 1 ? r->uplink->join_requests_processed_success_count
                           : up_error(r->uplink->join_requests_processed_error_count,
                                      r->uplink->n_join_requests_processed_error_count, what - 2);
    }
    if (direction == TRAFFIC_UP) {
        return what == 0   ? r->uplink->data_messages_routed_count
               : what == 1 ? r->uplink->data_messages_processed_success_count
                           : up_error(r->uplink->data_messages_processed_error_count,
                                      r->uplink->n_data_messages_processed_error_count, what - 2);
    }
    if (kind == TRAFFIC_JOIN) {
        return what == 0   ? r->downlink->join_accepts_routed_count
               : what == 1 ? r->downlink->join_accepts_processed_success_count
                           : down_error(r->downlink->join_accepts_processed_error_count,
                                        r->downlink->n_join_accepts_processed_error_count, what - 2);
    }
    return what == 0   ? r->downlink->data_messages_routed_count
           : what == 1 ? r->downlink->data_messages_processed_success_count
                       : down_error(r->downlink->data_messages_processed_error_count,
                                    r->downlink->n_data_messages_processed_error_count, what - 2);
}

static bool is_member(unsigned i, uint32_t net_id, const char *tenant_id)
{
    return members[i].net_id == net_id && strcmp(members[i].tenant_id, tenant_id) == 0;
}

/* Every count of every pair, of the days that the rows with this last day cover. */
static void compare(const response_message *reply, int64_t from_day, int64_t to_day, int64_t shown_day)
{
    for (unsigned pair = 0; pair < MEMBERS * MEMBERS; pair++) {
        const record_message *record = NULL;
        unsigned forwarder = pair / MEMBERS, home = pair % MEMBERS, rows = 0;
        for (size_t i = 0; i < reply->n_records; i++) {
            const record_message *r = reply->records[i];
            if (r->to->seconds == shown_day * DAY_S &&
                is_member(forwarder, r->forwarder_net_id, r->forwarder_tenant_id) &&
                is_member(home, r->home_network_net_id, r->home_network_tenant_id)) {
                record = r;
                rows++;
            }
        }
        assert_true(rows <= 1);
        for (unsigned i = 0; i < 4 * WHATS; i++) {
            uint64_t want = naive_count(forwarder, home, from_day, to_day, i / 2 % 2, i % 2, i / 4);
            assert_int_equal(record != NULL ? told(record, i / 2 % 2, i % 2, i / 4) : 0, want);
        }
    }
}

static void reports_agree_with_a_recount(void **state)
{
    fixture *f = *state;
    event_count = 0;
    for (unsigned i = 0; i < MAX_EVENTS; i++) {
        random_event(f);
        if (kit_random() % 64 == 0) {
            for (unsigned loop = 0; loop < LOOPS; loop++) {
                io_loop_turn(f->loops[loop], 0);
            }
        }
        if (kit_random() % 1024 == 0) {
            restart(f);
        }
    }
    restart(f);
    int64_t today = noon_s / DAY_S;
    compare(ask(f, &admin, any(f)), today, today, today);
    request_message *m = any(f);
    m->time_case = PB__REPORTING__V1__GET_ROUTED_MESSAGES_REQUEST__TIME_LAST_30_DAYS;
    compare(ask(f, &admin, m), today - 29, today, today);
    set_period(f, m, 2025, 11, 2026, 3);
    const response_message *months = ask(f, &admin, m);
    compare(months, 20454, 20484, 20484); /* January 2026 */
    compare(months, 20485, 20512, 20512); /* February */
    compare(months, 20513, 20543, 20543); /* March */
    for (size_t i = 1; i < months->n_records; i++) {
        assert_true(months->records[i - 1]->to->seconds <= months->records[i]->to->seconds);
    }
}

/* ---- who may ask for what ---- */

static void one_of_each_pair(fixture *f)
{
    for (unsigned pair = 0; pair < MEMBERS * MEMBERS; pair++) {
        const event e = {.time = f->now,
                         .forwarder = at(members[pair / MEMBERS].net_id, members[pair / MEMBERS].tenant_id),
                         .home = at(members[pair % MEMBERS].net_id, members[pair % MEMBERS].tenant_id)};
        pass(f, 0, &e, true, 0);
    }
    restart(f);
}

static void rows_are_those_of_the_caller(void **state)
{
    fixture *f = *state;
    one_of_each_pair(f);
    assert_int_equal(ask(f, &admin, any(f))->n_records, 25);
    assert_int_equal(ask(f, &admin, make_request(f, 0x13, NULL, 0x14, "ttn"))->n_records, 2);
    assert_int_equal(ask(f, &admin, make_request(f, -1, "ttn", -1, NULL))->n_records, 10);
    /* The network has two of the five members: 25 less the 9 pairs of the others. */
    assert_int_equal(ask(f, &network, any(f))->n_records, 16);
    assert_int_equal(ask(f, &network, make_request(f, 0x13, NULL, -1, NULL))->n_records, 10);
    assert_int_equal(ask(f, &network, make_request(f, 0x14, NULL, -1, NULL))->n_records, 4);
    assert_int_equal(ask(f, &network, make_request(f, 0x14, NULL, 0x13, "ttn"))->n_records, 2);
    assert_int_equal(ask(f, &tenant, any(f))->n_records, 9);
    assert_int_equal(ask(f, &tenant, make_request(f, 0x13, "ttn", -1, NULL))->n_records, 5);
    /* Its network without a tenant: what is its own of it. */
    const response_message *reply = ask(f, &tenant, make_request(f, 0x13, NULL, 0x14, NULL));
    assert_int_equal(reply->n_records, 2);
    assert_string_equal(reply->records[0]->forwarder_tenant_id, "ttn");
    const response_message *none = NULL;
    assert_reason(try_ask(f, &network, make_request(f, 0x14, NULL, 0x15, NULL), &none), REPORTING_NOT_OWN);
    assert_non_null(strstr(f->note.text, "000013"));
    assert_reason(try_ask(f, &tenant, make_request(f, 0x13, "two", 0x15, NULL), &none), REPORTING_NOT_OWN);
    assert_non_null(strstr(f->note.text, "000013/ttn"));
}

static void bad_requests_are_refused(void **state)
{
    fixture *f = *state;
    const response_message *none = NULL;
    request_message *m = any(f);
    m->time_case = PB__REPORTING__V1__GET_ROUTED_MESSAGES_REQUEST__TIME__NOT_SET;
    assert_reason(try_ask(f, &admin, m, &none), REPORTING_NO_TIME);
    assert_reason(try_ask(f, &admin, make_request(f, 0x13, "", -1, NULL), &none), REPORTING_EMPTY_TENANT);
    assert_reason(try_ask(f, &admin, make_request(f, -1, NULL, 0x1000000, NULL), &none), LW_NETID_INVALID);
    assert_reason(try_ask(f, &admin, make_request(f, -1, NULL, -1, "T!"), &none), LW_TENANT_ID_INVALID);
    static const uint32_t bad[][4] = {
        {2026, 0, 2026, 1}, {2026, 1, 2026, 13}, {1969, 12, 2026, 1}, {2026, 1, 10000, 1}, {2026, 2, 2026, 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        set_period(f, m, bad[i][0], bad[i][1], bad[i][2], bad[i][3]);
        assert_reason(try_ask(f, &admin, m, &none), REPORTING_BAD_PERIOD);
    }
    set_period(f, m, 1970, 1, 9999, 12); /* months without counts cost nothing */
    assert_int_equal(ask(f, &admin, m)->n_records, 0);
}

static void what_clients_cannot_take_is_refused(void **state)
{
    fixture *f = *state;
    enum { PAIRS = 200000 };
    char sql[512];
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO routed_messages (day, forwarder_net_id, home_network_net_id, counter, count) "
                   "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
                   "SELECT %lld, i, i %% 2, 0, 1000000 FROM n",
                   PAIRS - 1, (long long)(noon_s / DAY_S));
    kit_exec(f->k->store, sql);
    const response_message *none = NULL;
    assert_reason(try_ask(f, &admin, any(f), &none), REPORTING_TOO_LARGE);
    assert_non_null(strstr(f->note.text, "name a forwarder"));
    assert_int_equal(ask(f, &admin, make_request(f, 77, NULL, -1, NULL))->n_records, 1);
}

/* ---- the store ---- */

typedef struct add_job {
    store_job job;
    const reporting_batch *batch;
} add_job;

static lpx_err add_work(store_tx *tx, store_job *job)
{
    return reporting_store_add(tx, LPX_CONTAINER(job, add_job, job)->batch);
}

static void a_batch_counts_once(void **state)
{
    fixture *f = *state;
    reporting_row row = {.key = {.day = 1, .forwarder_net_id = 2, .home_net_id = 3}};
    for (unsigned slot = 0; slot < REPORTING_SLOTS; slot++) {
        row.counts[slot] = slot + 1;
    }
    reporting_batch batch = {.writer = "one", .number = 1, .rows = &row, .row_count = 1};
    add_job job = {.job = {.write = true, .work = add_work}, .batch = &batch};
    const int64_t sum = REPORTING_SLOTS * (REPORTING_SLOTS + 1) / 2;
    assert_ok(store_run(f->k->store, &job.job));
    assert_ok(store_run(f->k->store, &job.job)); /* the answer to the first was lost */
    assert_int_equal(kit_int(f->k->store, "SELECT CAST(SUM(count) AS INTEGER) FROM routed_messages"), sum);
    batch.number = 2;
    assert_ok(store_run(f->k->store, &job.job));
    (void)snprintf(batch.writer, sizeof batch.writer, "two"); /* another process */
    batch.number = 1;
    assert_ok(store_run(f->k->store, &job.job));
    assert_int_equal(kit_int(f->k->store, "SELECT CAST(SUM(count) AS INTEGER) FROM routed_messages"), 3 * sum);
    assert_int_equal(kit_int(f->k->store, "SELECT COUNT(*) FROM routed_messages"), REPORTING_SLOTS);
}

/* Turn the loops until a query has this answer. */
static void turn_until(fixture *f, const char *sql, int64_t want)
{
    for (unsigned turns = 0; turns < 3000 && kit_int(f->k->store, sql) != want; turns++) {
        for (unsigned i = 0; i < LOOPS; i++) {
            io_loop_turn(f->loops[i], i == 0 ? 10000 : 0);
        }
    }
    assert_int_equal(kit_int(f->k->store, sql), want);
}

static unsigned long long metric(const fixture *f, const char *name)
{
    lpx_buf text;
    lpx_buf_init(&text, 4096);
    reporting_metrics(f->r, &text);
    lpx_buf_add(&text, lpx_bytes_of("", 1));
    char line[128];
    (void)snprintf(line, sizeof line, "\n%s ", name);
    const char *at_name = strstr((const char *)text.ptr, line);
    unsigned long long value = at_name != NULL ? strtoull(at_name + strlen(line), NULL, 10) : ~0ULL;
    lpx_buf_fini(&text);
    return value;
}

static void an_outage_loses_nothing(void **state)
{
    fixture *f = *state;
    const event e = {.time = f->now, .kind = TRAFFIC_DATA, .forwarder = at(0x13, ""), .home = at(0x14, "ttn")};
    pass(f, 0, &e, true, 0);
    turn_until(f, "SELECT CAST(COALESCE(SUM(count), 0) AS INTEGER) FROM routed_messages", 1);
    kit_exec(f->k->store, "ALTER TABLE routed_messages RENAME TO elsewhere");
    unsigned long long failures = metric(f, "lpx_reporting_failed_batches_total");
    for (unsigned i = 0; i < 100; i++) {
        pass(f, i % LOOPS, &e, true, 0);
        report(f, i % LOOPS, &e, false, 0);
    }
    for (unsigned turns = 0; turns < 3000 && metric(f, "lpx_reporting_failed_batches_total") < failures + 3; turns++) {
        for (unsigned i = 0; i < LOOPS; i++) {
            io_loop_turn(f->loops[i], i == 0 ? 10000 : 0);
        }
        pass(f, 1, &e, true, 0);
        turns = turns < 2900 ? turns : 2999;
    }
    assert_true(metric(f, "lpx_reporting_failed_batches_total") >= failures + 3);
    assert_int_equal(metric(f, "lpx_reporting_lost_counts_total"), 0);
    kit_exec(f->k->store, "ALTER TABLE elsewhere RENAME TO routed_messages");
    turn_until(f, "SELECT count FROM routed_messages WHERE counter = 501", 100);
    restart(f);
    assert_true(kit_int(f->k->store, "SELECT count FROM routed_messages WHERE counter = 500") > 101);
}

static void what_cannot_be_written_is_told(void **state)
{
    fixture *f = *state;
    const event e = {.time = f->now, .forwarder = at(0x13, ""), .home = at(0x14, "")};
    kit_exec(f->k->store, "ALTER TABLE routed_messages RENAME TO elsewhere");
    for (unsigned i = 0; i < 7; i++) {
        pass(f, i % LOOPS, &e, true, 0);
    }
    assert_int_equal(reporting_stop(f->r), 7);
    kit_exec(f->k->store, "ALTER TABLE elsewhere RENAME TO routed_messages");
}

static void old_days_go(void **state)
{
    fixture *f = *state;
    kit_exec(f->k->store, "INSERT INTO routed_messages (day, forwarder_net_id, home_network_net_id, counter, count) "
                          "VALUES (1, 1, 1, 0, 5), (30000000, 1, 1, 0, 5)");
    kit_exec(f->k->store, "INSERT INTO report_writers (writer, batch, updated_at) VALUES ('old', 5, 1)");
    turn_until(f, "SELECT COUNT(*) FROM routed_messages", 1);
    turn_until(f, "SELECT COUNT(*) FROM report_writers", 0);
    assert_int_equal(kit_int(f->k->store, "SELECT day FROM routed_messages"), 30000000);
}

/* ---- parts ---- */

static void days_and_months_fit(void **state)
{
    (void)state;
    assert_int_equal(reporting_day((lpx_utc){0}), 0);
    assert_int_equal(reporting_day((lpx_utc){-1}), -1);
    assert_int_equal(reporting_day((lpx_utc){INT64_C(86400000000)}), 1);
    assert_int_equal(reporting_month_start(1970, 1), 0);
    static const unsigned char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t day = 0;
    for (int64_t year = 1970; year < 2410; year++) {
        for (int64_t month = 1; month <= 12; month++) {
            bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
            int64_t y, m;
            assert_int_equal(reporting_month_start(year, month), day);
            day += lengths[month - 1] + (month == 2 && leap);
            reporting_month_of(day - 1, &y, &m);
            assert_true(y == year && m == month);
        }
    }
}

static void counters_have_one_number_each(void **state)
{
    (void)state;
    unsigned found = 0;
    for (int64_t counter = -5; counter < 3000; counter++) {
        unsigned slot;
        if (reporting_slot_of_counter(counter, &slot)) {
            assert_int_equal(reporting_counter_of_slot(slot), counter);
            found++;
        }
    }
    assert_int_equal(found, REPORTING_SLOTS);
    assert_int_equal(reporting_counter_of_slot(reporting_slot(TRAFFIC_UP, TRAFFIC_JOIN, REPORTING_ROUTED)), 0);
    assert_int_equal(reporting_counter_of_slot(reporting_slot(TRAFFIC_DOWN, TRAFFIC_DATA, REPORTING_ERROR + 8)), 1608);
    assert_int_equal(reporting_slot(TRAFFIC_UP, TRAFFIC_DATA, REPORTING_ERROR + 77), /* unknown: the unknown error */
                     reporting_slot(TRAFFIC_UP, TRAFFIC_DATA, REPORTING_ERROR));
}

static void a_full_table_counts_what_it_loses(void **state)
{
    (void)state;
    reporting_table small, large;
    const traffic_member to = {.net_id = 1, .tenant_id = LPX_STR("")};
    reporting_table_init(&small, 100);
    reporting_table_init(&large, 10000);
    for (uint32_t i = 0; i < 300; i++) {
        const traffic_member from = {.net_id = i, .tenant_id = LPX_STR("a-tenant")};
        reporting_table_add(&small, 1, &from, &to, 3, 2);
        reporting_table_add(&large, 1, &from, &to, 3, 2);
        reporting_table_add(&large, 1, &from, &to, 3, 1);
    }
    assert_int_equal(small.count, 100);
    assert_int_equal(small.lost, 400);
    assert_int_equal(large.count, 300);
    assert_int_equal(large.lost, 0);
    for (size_t i = 0; i < large.count; i++) {
        assert_int_equal(large.rows[i].counts[3], 3);
    }
    reporting_table_merge(&small, &large);
    assert_int_equal(small.lost, 400 + 200 * 3);
    assert_int_equal(small.rows[0].counts[3], 5);
    const traffic_member wrong = {.net_id = 1,
                                  .tenant_id = LPX_STR("a-tenant-id-that-is-longer-than-any-there-may-be")};
    reporting_table_clear(&small);
    reporting_table_add(&small, 1, &wrong, &to, 0, 1);
    assert_true(small.count == 0 && small.lost == 1);
    reporting_table_fini(&small);
    reporting_table_fini(&large);
}

int main(int argc, char **argv)
{
    kit_postgres = argc > 1 && strcmp(argv[1], "postgres") == 0;
    kit_seed = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 20260101;
    if (kit_postgres && getenv("LPX_TEST_POSTGRES_URL") == NULL) {
        puts("skipped: no PostgreSQL server is given in LPX_TEST_POSTGRES_URL");
        return 77;
    }
    printf("seed %u\n", kit_seed);
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_and_months_fit),
        cmocka_unit_test(counters_have_one_number_each),
        cmocka_unit_test(a_full_table_counts_what_it_loses),
        CASE(reports_agree_with_a_recount),
        CASE(rows_are_those_of_the_caller),
        CASE(bad_requests_are_refused),
        CASE(what_clients_cannot_take_is_refused),
        CASE(a_batch_counts_once),
        CASE(an_outage_loses_nothing),
        CASE(what_cannot_be_written_is_told),
        CASE(old_days_go),
    };
    return cmocka_run_group_tests_name("reporting", tests, NULL, NULL) == 0 ? 0 : 1;
}
