/* The index against a second implementation of the same rules: a plain list, looked at as a whole, distances by angles
 * between vectors. Random gateways (many at the poles and the antimeridian), visibilities, members and queries.
 * LPX_TEST_SEED in the environment chooses another run. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "base/test_random.h"
#include "mapper/limits.h"
#include "mapper/mapper_limiter_core.h"
#include "mapper/mapper_scan_core.h"

enum { NETS = 3, TENANTS = 3, CLUSTERS = 3, KEYS = 40, MODELS = NETS * TENANTS * KEYS, GRANTS = 24, STEPS = 3000 };

static const uint32_t nets[NETS] = {0x13, 0x42, 0xc00013};
static const char *const tenants[TENANTS] = {"", "ttn", "acme"};
static const char *const clusters[CLUSTERS] = {"", "eu1", "nam1.example"};

typedef struct model {
    bool there;
    mapper_row row;
    char key[16];
} model;

typedef struct world {
    test_random random;
    mapper_index *index;
    model models[MODELS]; /* by net, tenant, key */
    mapper_grant grants[GRANTS];
    size_t grant_count;
    traffic_member members[NETS * TENANTS];
    size_t member_count;
    int64_t clock;
} world;

static unsigned below(world *w, unsigned n)
{
    return (unsigned)test_random_below(&w->random, n);
}

static double fraction(world *w)
{
    return (double)(test_random_next(&w->random) >> 11) / 9007199254740992.0;
}

static traffic_member some_member(world *w)
{
    return (traffic_member){nets[below(w, NETS)], lpx_str_of(tenants[below(w, TENANTS)])};
}

static double some_latitude(world *w)
{
    static const double special[] = {90, -90, 0, 89.9999, -89.99999, 52.1};
    unsigned kind = below(w, 10);
    return kind < 6 ? special[kind] : kind < 8 ? fraction(w) * 180 - 90 : 52 + fraction(w);
}

static double some_longitude(world *w)
{
    static const double special[] = {180, -180, 0, 179.9999, -179.99999, 4.9};
    unsigned kind = below(w, 10);
    return kind < 6 ? special[kind] : kind < 8 ? fraction(w) * 360 - 180 : 4 + fraction(w);
}

/* ---- the second implementation ---- */

static double angle_m(double lat1, double lon1, double lat2, double lon2)
{
    double r = M_PI / 180;
    double a[3] = {cos(lat1 * r) * cos(lon1 * r), cos(lat1 * r) * sin(lon1 * r), sin(lat1 * r)};
    double b[3] = {cos(lat2 * r) * cos(lon2 * r), cos(lat2 * r) * sin(lon2 * r), sin(lat2 * r)};
    double cross[3] = {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
    double length = sqrt(cross[0] * cross[0] + cross[1] * cross[1] + cross[2] * cross[2]);
    return atan2(length, a[0] * b[0] + a[1] * b[1] + a[2] * b[2]) * MAPPER_EARTH_M;
}

static const mapper_grant *naive_grant(const world *w, traffic_member forwarder, bool is_default, traffic_member home)
{
    for (size_t i = 0; i < w->grant_count; i++) {
        const mapper_grant *g = &w->grants[i];
        if (traffic_member_equal(g->forwarder, forwarder) && g->is_default == is_default &&
            (is_default || traffic_member_equal(g->home, home))) {
            return g;
        }
    }
    return NULL;
}

static uint32_t naive_parts(const world *w, const mapper_viewer *viewer, traffic_member forwarder)
{
    bool registered = false;
    for (size_t i = 0; i < w->member_count; i++) {
        registered = registered || traffic_member_equal(w->members[i], forwarder);
    }
    if (!registered) {
        return 0;
    }
    bool own = viewer->has_own && viewer->own.net_id == forwarder.net_id &&
               (viewer->own.tenant_id.len == 0 || lpx_str_equal(viewer->own.tenant_id, forwarder.tenant_id));
    if (own || viewer->kind == MAPPER_VIEW_ALL) {
        return MAPPER_SEE_ALL;
    }
    traffic_member nobody = {0, LPX_STR("")};
    traffic_member network = {forwarder.net_id, LPX_STR("")};
    traffic_member home_network = {viewer->home.net_id, LPX_STR("")};
    bool home = viewer->kind == MAPPER_VIEW_HOME;
    const mapper_grant *g = home ? naive_grant(w, forwarder, false, viewer->home) : NULL;
    g = g == NULL && home ? naive_grant(w, forwarder, false, home_network) : g;
    g = g == NULL ? naive_grant(w, forwarder, true, nobody) : g;
    g = g == NULL ? naive_grant(w, network, true, nobody) : g;
    return g != NULL ? g->parts & MAPPER_SEE_ALL : 0;
}

typedef enum verdict { OUT, EDGE, IN } verdict;

static verdict naive_match(const world *w, const mapper_query *q, double radius_m, const mapper_viewer *viewer,
                           const model *m, lpx_utc now)
{
    const mapper_row *row = &m->row;
    traffic_member forwarder = traffic_member_of(row->forwarder);
    uint32_t parts = m->there ? naive_parts(w, viewer, forwarder) : 0;
    bool status = (parts & MAPPER_SEE_STATUS) != 0 && (row->known & MAPPER_HAS_STATUS) != 0;
    if (parts == 0 || (q->has_since && row->updated_at.us < q->since.us) ||
        (q->has_online && (!status || (row->online_until.us > now.us) != q->online)) ||
        (q->has_forwarder && forwarder.net_id != q->forwarder.net_id) ||
        (q->has_forwarder && q->has_tenant && !lpx_str_equal(forwarder.tenant_id, q->forwarder.tenant_id)) ||
        (q->has_forwarder && q->has_cluster && !lpx_str_equal(row->forwarder.cluster_id, q->forwarder.cluster_id))) {
        return OUT;
    }
    if (!q->has_near) {
        return IN;
    }
    if ((parts & MAPPER_SEE_LOCATION) == 0 || (row->known & MAPPER_HAS_LOCATION) == 0) {
        return OUT;
    }
    double distance = angle_m(q->near.latitude, q->near.longitude, row->latitude, row->longitude);
    double blur = 0.01 + radius_m * 1e-9; /* the two ways to calculate differ */
    return distance < radius_m - blur ? IN : distance > radius_m + blur ? OUT : EDGE;
}

/* ---- changes ---- */

static model *find_model(world *w, traffic_endpoint forwarder, lpx_str key)
{
    for (unsigned i = 0; i < MODELS; i++) {
        model *m = &w->models[i];
        if (m->there && lpx_str_equal(m->row.key, key) &&
            traffic_member_equal(traffic_member_of(m->row.forwarder), traffic_member_of(forwarder))) {
            return m;
        }
    }
    return NULL;
}

static mapper_row some_row(world *w, unsigned number)
{
    model *m = &w->models[number];
    (void)snprintf(m->key, sizeof m->key, "gateway-%u", number % KEYS);
    w->clock += below(w, 3);
    return (mapper_row){
        .forwarder = {nets[number / KEYS / TENANTS], lpx_str_of(tenants[number / KEYS % TENANTS]),
                      lpx_str_of(clusters[below(w, CLUSTERS)])},
        .key = lpx_str_of(m->key),
        .eui = test_random_next(&w->random),
        .latitude = some_latitude(w),
        .longitude = some_longitude(w),
        .known = below(w, 128),
        .antenna_count = (uint8_t)below(w, 256),
        .online_until = {w->clock + (int64_t)below(w, 200) - 100},
        .updated_at = {w->clock - (below(w, 20) == 0 ? (int64_t)below(w, 50) : 0)},
    };
}

static void put(world *w)
{
    unsigned number = below(w, MODELS);
    model *m = &w->models[number];
    bool added;
    mapper_row row = some_row(w, number);
    row.known |= below(w, 20) == 0 ? (unsigned)MAPPER_GONE : 0;
    assert_false(lpx_failed(mapper_index_put(w->index, &row, &added)));
    bool gone = (row.known & MAPPER_GONE) != 0;
    bool takes = m->there ? row.updated_at.us > m->row.updated_at.us : !gone;
    assert_int_equal(added, takes && !m->there);
    if (takes) {
        m->there = !gone;
        m->row = row;
    }
}

static void set_grants(world *w)
{
    w->grant_count = 0;
    w->member_count = 0;
    for (unsigned i = 0; i < GRANTS; i++) {
        mapper_grant grant = {some_member(w), below(w, 2) == 0, some_member(w), (uint32_t)below(w, 0x200)};
        if (naive_grant(w, grant.forwarder, grant.is_default, grant.home) == NULL) {
            w->grants[w->grant_count++] = grant;
        }
    }
    for (unsigned i = 0; i < NETS * TENANTS; i++) {
        if (below(w, 8) != 0) {
            w->members[w->member_count++] = (traffic_member){nets[i / TENANTS], lpx_str_of(tenants[i % TENANTS])};
        }
    }
    mapper_grants *grants = mapper_grants_new(w->grants, w->grant_count, w->members, w->member_count);
    assert_non_null(grants);
    mapper_index_set_grants(w->index, grants);
}

static void remove_some(world *w)
{
    traffic_member forwarder = some_member(w);
    bool by_time = below(w, 2) == 0;
    lpx_utc before = {w->clock - 2000 + (int64_t)below(w, 500)};
    size_t want = 0;
    for (unsigned i = 0; i < MODELS; i++) {
        model *m = &w->models[i];
        bool hit = m->there && (by_time ? m->row.updated_at.us < before.us
                                        : traffic_member_equal(traffic_member_of(m->row.forwarder), forwarder));
        want += hit;
        m->there = m->there && !hit;
    }
    size_t removed =
        by_time ? mapper_index_remove_before(w->index, before) : mapper_index_remove_forwarder(w->index, forwarder);
    assert_int_equal(removed, want);
}

/* ---- queries ---- */

static mapper_query some_query(world *w, double *radius_m)
{
    static const double radii[] = {0, 1, 100, 5000, 50000, 500000, 5e6, 10007557, 19.9e6, 20015115, 1e9};
    mapper_query q = {.limit = UINT64_MAX};
    *radius_m = radii[below(w, 11)];
    q.has_near = below(w, 3) != 0;
    q.near = mapper_circle_of(some_latitude(w), some_longitude(w), *radius_m);
    q.has_since = below(w, 3) == 0;
    q.since = (lpx_utc){w->clock - (int64_t)below(w, 400)};
    q.has_online = below(w, 5) == 0;
    q.online = below(w, 2) == 0;
    q.has_forwarder = below(w, 4) == 0;
    q.has_tenant = below(w, 2) == 0;
    q.has_cluster = below(w, 3) == 0;
    traffic_member member = some_member(w);
    q.forwarder = (traffic_endpoint){member.net_id, member.tenant_id, lpx_str_of(clusters[below(w, CLUSTERS)])};
    return q;
}

static mapper_viewer some_viewer(world *w)
{
    mapper_viewer viewer = {.kind = below(w, 3)};
    viewer.home = some_member(w);
    viewer.has_own = below(w, 3) == 0;
    viewer.own = some_member(w);
    return viewer;
}

/* Everything a scan finds, taken in slices of random size. @return how many */
static size_t scan_all(world *w, const mapper_query *q, const mapper_viewer *viewer, lpx_utc now, const model **found)
{
    size_t count = 0;
    mapper_found what = MAPPER_FOUND_PAUSE;
    mapper_scan *scan = mapper_scan_new(q, viewer);
    assert_non_null(scan);
    while (what != MAPPER_FOUND_END) {
        uint32_t steps = 1 + below(w, 100);
        mapper_hit hit;
        mapper_scan_resume(scan, w->index);
        while ((what = mapper_scan_next(scan, w->index, now, &steps, &hit)) == MAPPER_FOUND_HIT) {
            const model *m = find_model(w, hit.row.forwarder, hit.row.key);
            assert_non_null(m);
            assert_int_equal(hit.parts, naive_parts(w, viewer, traffic_member_of(hit.row.forwarder)));
            assert_int_equal(hit.row.eui, m->row.eui);
            assert_int_equal(hit.row.updated_at.us, m->row.updated_at.us);
            assert_true(lpx_str_equal(hit.row.forwarder.cluster_id, m->row.forwarder.cluster_id));
            assert_true(count < MODELS);
            found[count++] = m;
        }
    }
    mapper_scan_free(&scan);
    return count;
}

static size_t times_found(const model *m, const model *const *found, size_t count)
{
    size_t times = 0;
    for (size_t i = 0; i < count; i++) {
        times += found[i] == m;
    }
    return times;
}

static void check_query(world *w)
{
    static const model *found[MODELS], *part[MODELS];
    double radius_m;
    lpx_utc now = {w->clock};
    mapper_viewer viewer = some_viewer(w);
    mapper_query q = some_query(w, &radius_m);
    size_t count = scan_all(w, &q, &viewer, now, found);
    for (unsigned i = 0; i < MODELS; i++) {
        verdict want = naive_match(w, &q, radius_m, &viewer, &w->models[i], now);
        size_t times = times_found(&w->models[i], found, count);
        assert_true(want == EDGE ? times <= 1 : times == (want == IN));
    }
    for (size_t i = 1; q.has_since && i < count; i++) {
        assert_true(found[i - 1]->row.updated_at.us <= found[i]->row.updated_at.us);
    }
    q.offset = below(w, 10);
    q.limit = below(w, 10);
    size_t want = count > q.offset ? count - q.offset : 0;
    want = want < q.limit ? want : (size_t)q.limit;
    assert_int_equal(scan_all(w, &q, &viewer, now, part), want);
    for (size_t i = 0; i < want; i++) {
        assert_ptr_equal(part[i], found[q.offset + i]);
    }
}

static void check_rest(world *w)
{
    size_t there = 0;
    size_t online = 0;
    for (unsigned i = 0; i < MODELS; i++) {
        const model *m = &w->models[i];
        mapper_row row;
        uint32_t parts;
        mapper_viewer viewer = some_viewer(w);
        there += m->there;
        online += m->there && mapper_row_online(&m->row, (lpx_utc){w->clock});
        traffic_member forwarder = {nets[i / KEYS / TENANTS], lpx_str_of(tenants[i / KEYS % TENANTS])};
        assert_int_equal(mapper_index_find(w->index, &viewer, forwarder, lpx_str_of(m->key), &row, &parts), m->there);
        if (m->there) {
            assert_int_equal(parts, naive_parts(w, &viewer, forwarder));
            assert_int_equal(row.updated_at.us, m->row.updated_at.us);
        }
    }
    assert_int_equal(mapper_index_count(w->index), there);
    assert_int_equal(mapper_index_online(w->index, (lpx_utc){w->clock}), online);
}

static void like_a_plain_list(void **state)
{
    (void)state;
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->random = test_random_begin("mapper_index");
    w->index = mapper_index_new(test_random_next(&w->random));
    w->clock = 1000000;
    assert_non_null(w->index);
    set_grants(w);
    for (unsigned step = 0; step < STEPS; step++) {
        for (unsigned i = below(w, 30); i > 0; i--) {
            put(w);
        }
        if (below(w, 30) == 0) {
            set_grants(w);
        }
        if (below(w, 60) == 0) {
            remove_some(w);
        }
        check_query(w);
        if (below(w, 20) == 0) {
            check_rest(w);
        }
    }
    mapper_index_free(&w->index);
    free(w);
}

/* What does not change while a list is made comes exactly once, whatever else changes in between. */
static void changes_between_slices(void **state)
{
    (void)state;
    static const model *found[MODELS];
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->random = test_random_begin("mapper_index_slices");
    for (unsigned round = 0; round < 200; round++) {
        bool touched[MODELS] = {false};
        size_t count = 0;
        w->index = mapper_index_new(round);
        w->clock = 1000000;
        assert_non_null(w->index);
        memset(w->models, 0, sizeof w->models);
        set_grants(w);
        for (unsigned i = 0; i < 300; i++) {
            put(w);
        }
        double radius_m;
        mapper_viewer viewer = {.kind = MAPPER_VIEW_ALL};
        mapper_query q = some_query(w, &radius_m);
        q.has_online = false;
        mapper_scan *scan = mapper_scan_new(&q, &viewer);
        mapper_found what = MAPPER_FOUND_PAUSE;
        model before[MODELS];
        memcpy(before, w->models, sizeof before);
        while (what != MAPPER_FOUND_END && count < MODELS) {
            uint32_t steps = 20;
            mapper_hit hit;
            mapper_scan_resume(scan, w->index);
            while ((what = mapper_scan_next(scan, w->index, (lpx_utc){w->clock}, &steps, &hit)) == MAPPER_FOUND_HIT &&
                   count < MODELS) {
                found[count++] = find_model(w, hit.row.forwarder, hit.row.key);
            }
            put(w);
        }
        for (unsigned i = 0; i < MODELS; i++) {
            touched[i] =
                before[i].there != w->models[i].there || before[i].row.updated_at.us != w->models[i].row.updated_at.us;
            verdict want = naive_match(w, &q, radius_m, &viewer, &w->models[i], (lpx_utc){w->clock});
            if (!touched[i] && want != EDGE) {
                assert_int_equal(times_found(&w->models[i], found, count), want == IN);
            }
        }
        mapper_scan_free(&scan);
        mapper_index_free(&w->index);
    }
    free(w);
}

/* More matches than a query collects: the same answer by the other way. */
static void too_many_to_collect(void **state)
{
    (void)state;
    enum { MANY = MAPPER_COLLECTED_MAX + 1000 };
    mapper_index *index = mapper_index_new(1);
    mapper_viewer viewer = {.kind = MAPPER_VIEW_ALL};
    traffic_member member = {0x13, LPX_STR("ttn")};
    assert_non_null(index);
    mapper_index_set_grants(index, mapper_grants_new(NULL, 0, &member, 1));
    for (unsigned i = 0; i < MANY; i++) {
        char key[16];
        bool added;
        (void)snprintf(key, sizeof key, "g%u", i);
        mapper_row row = {.forwarder = {0x13, LPX_STR("ttn"), LPX_STR("")},
                          .key = lpx_str_of(key),
                          .known = MAPPER_HAS_LOCATION,
                          .latitude = i % 2 == 0 ? 52 : -52,
                          .updated_at = {i + 1}};
        assert_false(lpx_failed(mapper_index_put(index, &row, &added)));
    }
    for (unsigned half = 0; half < 2; half++) {
        mapper_query q = {
            .has_near = true, .near = mapper_circle_of(52, 0, half == 1 ? 1000 : 2e7), .limit = UINT64_MAX};
        mapper_scan *scan = mapper_scan_new(&q, &viewer);
        mapper_hit hit;
        size_t count = 0;
        uint32_t steps = UINT32_MAX;
        mapper_scan_resume(scan, index);
        while (mapper_scan_next(scan, index, (lpx_utc){0}, &steps, &hit) == MAPPER_FOUND_HIT) {
            count++;
        }
        assert_int_equal(count, half == 1 ? MANY / 2 : MANY);
        mapper_scan_free(&scan);
    }
    uint32_t full[4];
    assert_int_equal(mapper_index_full(index, MANY, full, 4), 1);
    assert_int_equal(full[0], 0x13);
    assert_int_equal(mapper_index_full(index, MANY + 1, full, 4), 0);
    mapper_index_free(&index);
}

static void distances(void **state)
{
    (void)state;
    /* Amsterdam to New York, by the sphere's formula in closed form: 5,862 km within a kilometre. */
    mapper_circle near = mapper_circle_of(52.3676, 4.9041, 5861000);
    mapper_circle far = mapper_circle_of(52.3676, 4.9041, 5865000);
    assert_false(mapper_circle_has(&near, 40.7128, -74.0060));
    assert_true(mapper_circle_has(&far, 40.7128, -74.0060));
    /* A degree along the equator over the antimeridian. */
    mapper_circle edge = mapper_circle_of(0, 179.5, MAPPER_EARTH_M * M_PI / 180 + 0.001);
    assert_true(mapper_circle_has(&edge, 0, -179.5));
    assert_false(mapper_circle_has(&edge, 0, -179.49999));
}

static void buckets(void **state)
{
    (void)state;
    static mapper_limiter limiter;
    int64_t wait_us = 0;
    mapper_limiter_init(&limiter, 7, 60);
    for (unsigned i = 0; i < 60; i++) {
        assert_true(mapper_limiter_take(&limiter, LPX_STR("a"), (lpx_mono){5000000}, &wait_us));
    }
    assert_false(mapper_limiter_take(&limiter, LPX_STR("a"), (lpx_mono){5000000}, &wait_us));
    assert_int_equal(wait_us, 1000000);
    assert_true(mapper_limiter_take(&limiter, LPX_STR("b"), (lpx_mono){5000000}, &wait_us));
    assert_true(mapper_limiter_take(&limiter, LPX_STR("a"), (lpx_mono){6000000}, &wait_us));
    assert_false(mapper_limiter_take(&limiter, LPX_STR("a"), (lpx_mono){6000000}, &wait_us));
    for (unsigned i = 0; i < 4 * MAPPER_CALLERS; i++) { /* who asks seldom gives way, who is limited stays so */
        char name[16];
        (void)snprintf(name, sizeof name, "c%u", i);
        assert_true(mapper_limiter_take(&limiter, lpx_str_of(name), (lpx_mono){6000000}, &wait_us));
    }
    assert_false(mapper_limiter_take(&limiter, LPX_STR("a"), (lpx_mono){6000000}, &wait_us));
    mapper_limiter_init(&limiter, 7, 0);
    assert_true(mapper_limiter_take(&limiter, LPX_STR("a"), (lpx_mono){6000000}, &wait_us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(like_a_plain_list),
        cmocka_unit_test(changes_between_slices),
        cmocka_unit_test(too_many_to_collect),
        cmocka_unit_test(distances),
        cmocka_unit_test(buckets),
    };
    return cmocka_run_group_tests_name("mapper_index", tests, NULL, NULL);
}
