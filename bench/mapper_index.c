/* Distance queries over a million gateways in the mapper's index, answers made as JSON, beside a look at all of them.
 * Half of the gateways stand in 500 cities, one of them with 10,000 more; the rest anywhere; degrees have six decimals.
 * Prints one figure per line: name value. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "base/test_random.h"
#include "mapper/mapper_json.h"
#include "mapper/mapper_scan_core.h"

enum { GATEWAYS = 1000000, CITIES = 500, FORWARDERS = 200, QUERIES = 20, JSON_BYTES = 64 << 20 };

typedef struct place {
    double latitude, longitude;
} place;

static test_random source;
static place places[GATEWAYS];
static place cities[CITIES];

static double fraction(void)
{
    return (double)(test_random_next(&source) >> 11) / 9007199254740992.0;
}

static double cpu_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static double resident_mib(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    lpx_assert(file != NULL);
    int got = fscanf(file, "%*d %ld", &pages);
    (void)fclose(file);
    return got == 1 ? (double)pages * 4096 / (1 << 20) : 0;
}

static double six_decimals(double degrees)
{
    return round(degrees * 1e6) / 1e6;
}

static void make_places(void)
{
    for (unsigned i = 0; i < CITIES; i++) {
        cities[i] = (place){fraction() * 110 - 50, fraction() * 350 - 175};
    }
    for (unsigned i = 0; i < GATEWAYS; i++) {
        if (i % 2 == 0) {
            places[i] = (place){six_decimals(fraction() * 130 - 60), six_decimals(fraction() * 360 - 180)};
            continue;
        }
        const place *city = &cities[i % 100 == 1 ? 0 : test_random_below(&source, CITIES)];
        double away = 0.2 * fraction() * fraction(); /* degrees: the middle is densest */
        double angle = 2 * M_PI * fraction();
        places[i] = (place){six_decimals(city->latitude + away * sin(angle)),
                            six_decimals(city->longitude + away * cos(angle) / cos(city->latitude * M_PI / 180))};
    }
}

static void load(mapper_index *index)
{
    static const traffic_member members[] = {{0x13, {"ttn", 3}}};
    static const mapper_grant grant = {{0x13, {"ttn", 3}}, true, {0, {"", 0}}, MAPPER_SEE_ALL};
    mapper_index_set_grants(index, mapper_grants_new(&grant, 1, members, 1));
    for (unsigned i = 0; i < GATEWAYS; i++) {
        char key[32];
        char cluster[16];
        bool added;
        (void)snprintf(key, sizeof key, "eui-%016x", i);
        (void)snprintf(cluster, sizeof cluster, "cluster-%u", i % FORWARDERS);
        mapper_row row = {.forwarder = {0x13, {"ttn", 3}, lpx_str_of(cluster)},
                          .key = lpx_str_of(key),
                          .eui = i,
                          .known = 0xff & ~(unsigned)MAPPER_GONE,
                          .latitude = places[i].latitude,
                          .longitude = places[i].longitude,
                          .antenna_count = 1,
                          .updated_at = {INT64_C(1767323045000000) + i}};
        lpx_err err = mapper_index_put(index, &row, &added);
        lpx_assert(!lpx_failed(err) && added);
    }
}

/* One answer. @return how many gateways are in it */
static size_t ask(const mapper_index *index, place at, double radius_m, lpx_buf *out)
{
    static const mapper_viewer viewer = {.kind = MAPPER_VIEW_PUBLIC};
    mapper_query query = {
        .has_near = true, .near = mapper_circle_of(at.latitude, at.longitude, radius_m), .limit = UINT64_MAX};
    mapper_scan *scan = mapper_scan_new(&query, &viewer);
    mapper_hit hit;
    size_t count = 0;
    uint32_t steps = UINT32_MAX;
    lpx_assert(scan != NULL);
    mapper_scan_resume(scan, index);
    while (mapper_scan_next(scan, index, (lpx_utc){0}, &steps, &hit) == MAPPER_FOUND_HIT) {
        if (out != NULL) {
            mapper_json_row(out, &hit.row, hit.parts, (lpx_utc){0});
        }
        count++;
    }
    mapper_scan_free(&scan);
    return count;
}

static void measure(const mapper_index *index, const char *name, const place *at, double radius_m, bool json)
{
    lpx_buf out;
    lpx_buf_init(&out, JSON_BYTES);
    size_t found = 0;
    double since = cpu_ms();
    for (unsigned i = 0; i < QUERIES; i++) {
        lpx_buf_clear(&out);
        found += ask(index, at[i], radius_m, json ? &out : NULL);
    }
    double spent = cpu_ms() - since;
    lpx_assert(!lpx_buf_failed(&out));
    lpx_buf_fini(&out);
    (void)printf("%s_cpu_ms %.4f\n%s_found %.0f\n", name, spent / QUERIES, name, (double)found / QUERIES);
}

/* The yardstick: every place by the same test. */
static void measure_all(const place *at, double radius_m)
{
    size_t found = 0;
    double since = cpu_ms();
    for (unsigned i = 0; i < QUERIES; i++) {
        mapper_circle circle = mapper_circle_of(at[i].latitude, at[i].longitude, radius_m);
        for (unsigned g = 0; g < GATEWAYS; g++) {
            found += mapper_circle_has(&circle, places[g].latitude, places[g].longitude);
        }
    }
    double spent = cpu_ms() - since;
    (void)printf("naive_cpu_ms %.4f\nnaive_found %.0f\n", spent / QUERIES, (double)found / QUERIES);
}

int main(void)
{
    place dense[QUERIES];
    place sparse[QUERIES];
    source = (test_random){20260102};
    make_places();
    for (unsigned i = 0; i < QUERIES; i++) {
        dense[i] = cities[0];
        sparse[i] = (place){fraction() * 130 - 60, fraction() * 360 - 180};
    }
    double before_mib = resident_mib();
    double since = cpu_ms();
    mapper_index *index = mapper_index_new(test_random_next(&source));
    lpx_assert(index != NULL);
    load(index);
    (void)printf("put_cpu_us %.4f\n", (cpu_ms() - since) * 1e3 / GATEWAYS);
    (void)printf("index_mib %.1f\n", resident_mib() - before_mib);
    measure(index, "sparse_5km", sparse, 5000, true);
    measure(index, "sparse_50km", sparse, 50000, true);
    measure(index, "dense_5km", dense, 5000, true);
    measure(index, "dense_50km", dense, 50000, true);
    measure(index, "dense_50km_search", dense, 50000, false);
    measure_all(dense, 50000);
    mapper_index_free(&index);
    return 0;
}
