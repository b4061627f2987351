/* The log against a naive list, events there and back, who sees what, and what is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/limits.h"
#include "trace/trace_text_core.h"
#include "trace/trace_view_core.h"

/* The log. */

enum { APPENDS = 3000, LOG_BYTES = 16 << 10, LOG_MESSAGES = 40 };

typedef struct naive {
    trace_type type;
    uint64_t hash;
    int64_t time;
    size_t len;
    uint8_t fill;
} naive;

static void check_record(const trace_entry *entry, const naive *want)
{
    assert_int_equal(entry->type, want->type);
    assert_true(entry->hash == want->hash);
    assert_int_equal(entry->time.us, want->time);
    assert_int_equal(entry->payload.len, want->len);
    for (size_t i = 0; i < want->len; i++) {
        assert_int_equal(entry->payload.ptr[i], want->fill);
    }
}

/* What the log still has is the end of the list; of each hash every record that is there is found, newest first. */
static void check_log(const trace_log *log, const naive *list, size_t count)
{
    trace_entry entry;
    size_t there = 0, messages = 0;
    for (trace_pos pos = trace_log_begin(log); trace_log_at(log, pos, &entry); pos = entry.next) {
        there++;
        messages += entry.type == TRACE_PASSED ? 1 : 0;
    }
    assert_true(there > 0 && there <= count);
    assert_true(messages <= LOG_MESSAGES);
    assert_int_equal(trace_log_count(log).kept, messages);
    size_t at = count;
    for (trace_pos pos = trace_log_newest(log); trace_log_at(log, pos, &entry); pos = entry.previous) {
        check_record(&entry, &list[--at]);
    }
    assert_int_equal(count - at, there);
    for (uint64_t hash = 0; hash < 20; hash++) {
        size_t of_hash = 0, want = 0;
        for (trace_pos pos = trace_log_find(log, hash); trace_log_at(log, pos, &entry); pos = entry.older) {
            of_hash += entry.hash == hash ? 1 : 0;
        }
        for (size_t i = count - there; i < count; i++) {
            want += list[i].hash == hash ? 1 : 0;
        }
        assert_int_equal(of_hash, want);
    }
}

static void log_is_the_end_of_what_was_written(void **state)
{
    (void)state;
    static naive list[APPENDS];
    static uint8_t payload[TRACE_RECORD_BYTES];
    for (unsigned seed = 1; seed <= 10; seed++) {
        trace_log *log = trace_log_new(LOG_BYTES, LOG_MESSAGES);
        srand(seed);
        for (size_t i = 0; i < APPENDS; i++) {
            size_t most = rand() % 50 == 0 ? 9000 : seed % 2 == 0 ? 300 : 20;
            list[i] = (naive){.type = (trace_type)(rand() % 3),
                              .hash = (uint64_t)(rand() % 20),
                              .time = (int64_t)i,
                              .len = (size_t)rand() % most,
                              .fill = (uint8_t)rand()};
            memset(payload, list[i].fill, list[i].len);
            trace_log_append(log, list[i].type, list[i].hash, (lpx_utc){list[i].time},
                             lpx_bytes_of(payload, list[i].len));
            if (i % 37 == 0) {
                check_log(log, list, i + 1);
            }
        }
        assert_true(trace_log_count(log).overwritten > 0);
        trace_log_free(&log);
    }
}

static void empty_log_has_nothing(void **state)
{
    (void)state;
    static const uint8_t large[TRACE_RECORD_BYTES + 1];
    trace_entry entry;
    trace_log *log = trace_log_new(LOG_BYTES, LOG_MESSAGES);
    assert_true(trace_log_newest(log) == TRACE_NOWHERE);
    assert_true(trace_log_find(log, 1) == TRACE_NOWHERE);
    assert_false(trace_log_at(log, 0, &entry));
    trace_log_append(log, TRACE_PASSED, 1, (lpx_utc){1}, lpx_bytes_of(large, sizeof large));
    assert_true(trace_log_newest(log) == TRACE_NOWHERE);
    trace_log_free(&log);
}

/* Messages. */

#define E(net, tenant, cluster)                                                                 \
    {                                                                                           \
        .net_id = (net), .tenant_id = LPX_STR_INIT(tenant), .cluster_id = LPX_STR_INIT(cluster) \
    }
#define LPX_STR_INIT(text)                     \
    {                                          \
        .ptr = (text), .len = sizeof(text) - 1 \
    }

static const traffic_endpoint forwarder = E(0x13, "acme", "eu1");
static const traffic_endpoint home = E(0x42, "tenant-a", "us1");
static const traffic_endpoint other_home = E(0x43, "", "");

static const trace_viewer by_forwarder = {.net_id = 0x13, .tenant_id = LPX_STR_INIT("acme")};
static const trace_viewer by_forwarder_network = {.net_id = 0x13, .with_tenants = true};
static const trace_viewer by_other_tenant = {.net_id = 0x13, .tenant_id = LPX_STR_INIT("other")};
static const trace_viewer by_home = {.net_id = 0x42, .tenant_id = LPX_STR_INIT("tenant-a")};
static const trace_viewer by_other_home = {.net_id = 0x43, .with_tenants = true};
static const trace_viewer by_stranger = {.net_id = 0x44, .with_tenants = true};
static const trace_viewer by_network_0 = {.net_id = 0, .with_tenants = true};

static traffic_outcome given(traffic_endpoint to)
{
    return (traffic_outcome){.home = to,
                             .route = TRAFFIC_ROUTE_BLOCK,
                             .policy = TRAFFIC_POLICY_DEFAULT,
                             .delivered = true,
                             .copies = 2,
                             .filter = 3,
                             .stripped_localization = true};
}

static traffic_outcome lost(traffic_endpoint to, traffic_drop why)
{
    return (traffic_outcome){.home = to, .route = TRAFFIC_ROUTE_BLOCK, .policy = TRAFFIC_POLICY_DEFAULT, .drop = why};
}

static trace_event passed(const traffic_outcome *outcomes, size_t count)
{
    static const lpx_str hops[] = {LPX_STR_INIT("one.example"), LPX_STR_INIT("two.example")};
    return (trace_event){.type = TRACE_PASSED,
                         .of.passed = {.time = {1000000},
                                       .id = LPX_STR("AN-ID"),
                                       .direction = TRAFFIC_UP,
                                       .kind = TRAFFIC_DATA,
                                       .forwarder = forwarder,
                                       .dev_addr = 0x26AABBCC,
                                       .f_port = 1,
                                       .hops = hops,
                                       .hop_count = 2,
                                       .outcomes = outcomes,
                                       .outcome_count = count}};
}

static trace_event settled(traffic_endpoint to, int64_t at, bool sent, traffic_drop drop)
{
    return (trace_event){.type = TRACE_SETTLED,
                         .of.settled = {.time = {at},
                                        .id = LPX_STR("AN-ID"),
                                        .direction = TRAFFIC_UP,
                                        .kind = TRAFFIC_DATA,
                                        .forwarder = forwarder,
                                        .home = to,
                                        .sent = sent,
                                        .drop = drop}};
}

static trace_event reported(traffic_endpoint by, int64_t at, bool failed, int error)
{
    return (trace_event){.type = TRACE_REPORTED,
                         .of.reported = {.time = {at},
                                         .id = LPX_STR("AN-ID"),
                                         .direction = TRAFFIC_UP,
                                         .kind = TRAFFIC_DATA,
                                         .forwarder = forwarder,
                                         .home = by,
                                         .failed = failed,
                                         .error = error}};
}

static void assert_endpoint(traffic_endpoint a, traffic_endpoint b)
{
    assert_int_equal(a.net_id, b.net_id);
    assert_true(lpx_str_equal(a.tenant_id, b.tenant_id));
    assert_true(lpx_str_equal(a.cluster_id, b.cluster_id));
}

static void events_come_back_as_they_went(void **state)
{
    lpx_arena *arena = *state;
    uint8_t room[TRACE_RECORD_BYTES];
    lpx_space space = {.ptr = room, .len = sizeof room};
    const traffic_outcome outcomes[] = {given(home), lost(other_home, TRAFFIC_DROP_FILTER)};
    trace_event event = passed(outcomes, 2), got;
    assert_true(trace_read(TRACE_PASSED, (lpx_utc){7}, trace_write_passage(&event.of.passed, space), arena, &got));
    const traffic_passage *p = &got.of.passed;
    assert_int_equal(p->time.us, 7);
    assert_true(lpx_str_is(p->id, "AN-ID"));
    assert_endpoint(p->forwarder, forwarder);
    assert_int_equal(p->dev_addr, 0x26AABBCC);
    assert_int_equal(p->hop_count, 2);
    assert_true(lpx_str_is(p->hops[1], "two.example"));
    assert_int_equal(p->outcome_count, 2);
    assert_endpoint(p->outcomes[0].home, home);
    assert_true(p->outcomes[0].delivered && p->outcomes[0].stripped_localization);
    assert_false(p->outcomes[0].stripped_signal_quality);
    assert_int_equal(p->outcomes[0].copies, 2);
    assert_int_equal(p->outcomes[0].filter, 3);
    assert_int_equal(p->outcomes[1].drop, TRAFFIC_DROP_FILTER);
    event = settled(home, 1, false, TRAFFIC_DROP_GONE);
    assert_true(trace_read(TRACE_SETTLED, (lpx_utc){8}, trace_write_copy(&event.of.settled, space), arena, &got));
    assert_endpoint(got.of.settled.home, home);
    assert_int_equal(got.of.settled.drop, TRAFFIC_DROP_GONE);
    event = reported(home, 1, true, 4);
    assert_true(trace_read(TRACE_REPORTED, (lpx_utc){9}, trace_write_report(&event.of.reported, space), arena, &got));
    assert_true(got.of.reported.failed);
    assert_int_equal(got.of.reported.error, 4);
}

/* Names of any length and more outcomes than fit: what is written can be read. */
static void large_passages_are_cut(void **state)
{
    lpx_arena *arena = *state;
    static char name[300];
    static uint8_t room[TRACE_RECORD_BYTES];
    traffic_outcome outcomes[200];
    lpx_str hops[200];
    memset(name, 'x', sizeof name);
    for (size_t i = 0; i < 200; i++) {
        hops[i] = (lpx_str){.ptr = name, .len = sizeof name};
        outcomes[i] = lost((traffic_endpoint){.net_id = (uint32_t)i, .tenant_id = hops[i], .cluster_id = hops[i]}, 1);
    }
    trace_event event = passed(outcomes, 200), got;
    event.of.passed.hops = hops;
    event.of.passed.hop_count = 200;
    lpx_bytes bytes = trace_write_passage(&event.of.passed, (lpx_space){.ptr = room, .len = sizeof room});
    assert_true(trace_read(TRACE_PASSED, (lpx_utc){7}, bytes, arena, &got));
    assert_in_range(got.of.passed.outcome_count, 15, 64);
    assert_in_range(got.of.passed.hop_count, 15, 32);
    assert_int_equal(got.of.passed.outcomes[10].home.net_id, 10);
    assert_int_equal(got.of.passed.outcomes[10].home.tenant_id.len, TRACE_TEXT_BYTES);
    outcomes[0] = lost(home, 1);
    for (size_t i = 0; i < 200; i++) {
        outcomes[i] = lost(home, 1);
    }
    event.of.passed.hop_count = 0;
    bytes = trace_write_passage(&event.of.passed, (lpx_space){.ptr = room, .len = sizeof room});
    assert_true(trace_read(TRACE_PASSED, (lpx_utc){7}, bytes, arena, &got));
    assert_in_range(got.of.passed.outcome_count, 25, 64);
    assert_false(trace_read(TRACE_PASSED, (lpx_utc){7}, lpx_bytes_of(bytes.ptr, bytes.len - 3), arena, &got));
}

/* Views. */

/* What a viewer sees, as text: "routed 000042 sent 000042"; "-" when nothing. */
static const char *view(lpx_arena *arena, const trace_viewer *viewer, trace_event *events, size_t count)
{
    Lpx__Trace__V1__Trace *trace;
    bool dropped, any = false;
    char *out = lpx_arena_get(arena, 1024);
    size_t used = 0;
    out[0] = '\0';
    assert_false(lpx_failed(trace_view(viewer, events, count, arena, &trace, &dropped)));
    for (size_t i = 0; trace != NULL && i < trace->n_steps; i++) {
        const Lpx__Trace__V1__Step *s = trace->steps[i];
        any = any || strcmp(s->event, "dropped") == 0;
        assert_true(strlen(s->text) > 10 && s->text[strlen(s->text) - 1] == '.');
        used += (size_t)snprintf(out + used, 1024 - used, "%s%s %06X", used > 0 ? " " : "", s->event,
                                 s->home_network != NULL ? (unsigned)s->home_network->net_id : 0xFFFFFF);
    }
    assert_int_equal(any, dropped);
    return trace != NULL ? out : "-";
}

static void parties_see_their_part(void **state)
{
    lpx_arena *arena = *state;
    const traffic_outcome outcomes[] = {given(home), lost(other_home, TRAFFIC_DROP_NO_ENDPOINT)};
    trace_event events[] = {reported(home, 3000000, false, 0), settled(home, 2000000, true, 0), passed(outcomes, 2)};
    const char *all = "routed 000042 dropped 000043 sent 000042 reported 000042";
    assert_string_equal(view(arena, &by_forwarder, events, 3), all);
    assert_string_equal(view(arena, &by_forwarder_network, events, 3), all);
    assert_string_equal(view(arena, &by_home, events, 3), "routed 000042 sent 000042 reported 000042");
    assert_string_equal(view(arena, &by_other_home, events, 3), "dropped 000043");
    assert_string_equal(view(arena, &by_other_tenant, events, 3), "-");
    assert_string_equal(view(arena, &by_stranger, events, 3), "-");
    assert_string_equal(view(arena, &by_home, events, 0), "-");
}

static void nobody_is_not_network_0(void **state)
{
    lpx_arena *arena = *state;
    const traffic_outcome nobody = {.drop = TRAFFIC_DROP_NO_ROUTE};
    trace_event events[] = {passed(&nobody, 1)};
    assert_string_equal(view(arena, &by_network_0, events, 1), "-");
    assert_string_equal(view(arena, &by_forwarder, events, 1), "dropped FFFFFF");
}

static void a_refused_home_network_does_not_learn_the_device(void **state)
{
    lpx_arena *arena = *state;
    traffic_outcome outcome = lost(home, TRAFFIC_DROP_POLICY);
    trace_event events[] = {passed(&outcome, 1)};
    Lpx__Trace__V1__Trace *trace;
    bool dropped;
    assert_false(lpx_failed(trace_view(&by_home, events, 1, arena, &trace, &dropped)));
    assert_int_equal(trace->dev_addr, 0);
    assert_int_equal(trace->f_port, 0);
    assert_string_equal(trace->steps[0]->reason, "policy");
    assert_false(lpx_failed(trace_view(&by_forwarder, events, 1, arena, &trace, &dropped)));
    assert_int_equal(trace->dev_addr, 0x26AABBCC);
    outcome.drop = TRAFFIC_DROP_FILTER;
    assert_false(lpx_failed(trace_view(&by_home, events, 1, arena, &trace, &dropped)));
    assert_int_equal(trace->dev_addr, 0x26AABBCC);
}

/* Somebody else's message with the same id changes nothing. */
static void ids_of_others_do_not_mix(void **state)
{
    lpx_arena *arena = *state;
    const traffic_outcome outcome = given(home);
    trace_event foreign = passed(&outcome, 1), late = settled(home, 4000000, false, TRAFFIC_DROP_GONE);
    foreign.of.passed.forwarder = other_home;
    late.of.settled.forwarder = other_home;
    trace_event events[] = {foreign, passed(&outcome, 1), late};
    events[1].of.passed.time.us++;
    assert_string_equal(view(arena, &by_forwarder, events, 3), "routed 000042");
    assert_string_equal(view(arena, &by_other_home, events, 3), "routed 000042 dropped 000042");
    assert_string_equal(view(arena, &by_home, events, 3), "routed 000042");
}

static void a_key_of_a_cluster_sees_that_cluster(void **state)
{
    lpx_arena *arena = *state;
    const traffic_outcome outcome = given(home);
    trace_event events[] = {passed(&outcome, 1)};
    trace_viewer viewer = by_forwarder;
    viewer.cluster_id = LPX_STR("eu1");
    assert_string_equal(view(arena, &viewer, events, 1), "routed 000042");
    viewer.cluster_id = LPX_STR("us1");
    assert_string_equal(view(arena, &viewer, events, 1), "-");
}

/* Sentences. */

#define says(text, words)                                     \
    do {                                                      \
        const char *text_ = (text);                           \
        assert_non_null(text_);                               \
        if (strstr(text_, (words)) == NULL) {                 \
            fail_msg("\"%s\" has no \"%s\"", text_, (words)); \
        }                                                     \
    } while (0)

static void sentences_say_what_could_be_done(void **state)
{
    lpx_arena *arena = *state;
    traffic_outcome o = lost(home, TRAFFIC_DROP_POLICY);
    trace_event event = passed(&o, 1);
    traffic_passage *p = &event.of.passed;
    says(trace_text_outcome(p, &o, arena),
         "The default policy of forwarder 000013/acme does not allow application data to home network 000042/tenant-a");
    says(trace_text_outcome(p, &o, arena),
         "lpx policy set --forwarder-net-id 000013 --forwarder-tenant-id acme --home-network-net-id 000042 "
         "--home-network-tenant-id tenant-a --set-uplink A");
    p->f_port = 0;
    says(trace_text_outcome(p, &o, arena), "MAC data");
    o.policy = TRAFFIC_POLICY_SETTING;
    says(trace_text_outcome(p, &o, arena), "control.default-policy");
    p->direction = TRAFFIC_DOWN;
    p->kind = TRAFFIC_JOIN;
    says(trace_text_outcome(p, &o, arena), "join-accepts from home network");
    says(trace_text_outcome(p, &o, arena), "--set-downlink J");
    o.drop = TRAFFIC_DROP_NO_ENDPOINT;
    says(trace_text_outcome(p, &o, arena), "Nobody is subscribed for forwarder 000013/acme at eu1");
    o.delivered = true;
    o.copies = 1;
    says(trace_text_outcome(p, &o, arena), "Given to 1 stream of forwarder 000013/acme at eu1.");
    p->direction = TRAFFIC_UP;
    o.filter = 2;
    o.stripped_signal_quality = o.stripped_localization = true;
    says(trace_text_outcome(p, &o, arena),
         "by filter 2 of its subscription: the DevAddr lies in its block. Without signal");
}

/* No reason and no route without its sentence. */
static void every_reason_has_a_sentence(void **state)
{
    lpx_arena *arena = *state;
    for (int drop = 0; drop < TRAFFIC_DROP_REASONS; drop++) {
        for (int kind = 0; kind < TRAFFIC_KINDS; kind++) {
            traffic_outcome o = lost(home, (traffic_drop)drop);
            trace_event event = passed(&o, 1);
            event.of.passed.kind = (traffic_kind)kind;
            const char *text = trace_text_outcome(&event.of.passed, &o, arena);
            assert_non_null(text);
            assert_string_not_equal(text, "It was not delivered.");
        }
        trace_event copy = settled(home, 1, false, (traffic_drop)drop);
        assert_true(strlen(trace_text_copy(&copy.of.settled, arena)) > 20);
    }
    for (int route = TRAFFIC_ROUTE_NONE; route <= TRAFFIC_ROUTE_PEER; route++) {
        traffic_outcome o = given(home);
        o.route = (traffic_route)route;
        trace_event event = passed(&o, 1);
        assert_true(strlen(trace_text_outcome(&event.of.passed, &o, arena)) > 20);
    }
}

static int set_up(void **state)
{
    static lpx_arena arena;
    lpx_arena_init(&arena, 4 << 20);
    *state = &arena;
    return 0;
}

static int tear_down(void **state)
{
    lpx_arena_fini(*state);
    return 0;
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(log_is_the_end_of_what_was_written),
        CASE(empty_log_has_nothing),
        CASE(events_come_back_as_they_went),
        CASE(large_passages_are_cut),
        CASE(parties_see_their_part),
        CASE(nobody_is_not_network_0),
        CASE(a_refused_home_network_does_not_learn_the_device),
        CASE(ids_of_others_do_not_mix),
        CASE(a_key_of_a_cluster_sees_that_cluster),
        CASE(sentences_say_what_could_be_done),
        CASE(every_reason_has_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
