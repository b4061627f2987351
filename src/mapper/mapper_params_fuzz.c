/* The REST API's query and {id} from raw bytes. What is accepted is asked of a small index. The first byte chooses. */
#include <math.h>

#include "base/assert.h"
#include "mapper/limits.h"
#include "mapper/mapper_params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_BYTES = 4 << 20, GATEWAYS = 200 };

static mapper_index *make_index(void)
{
    static const traffic_member member = {0x13, {"ttn", 3}};
    mapper_index *index = mapper_index_new(1);
    lpx_assert(index != NULL);
    mapper_index_set_grants(index, mapper_grants_new(NULL, 0, &member, 1));
    for (int i = 0; i < GATEWAYS; i++) {
        char key[2] = {(char)('A' + i % 26), (char)('A' + i / 26)};
        bool added;
        mapper_row row = {.forwarder = {0x13, {"ttn", 3}, {"eu1", 3}},
                          .key = {key, sizeof key},
                          .known = MAPPER_HAS_LOCATION | MAPPER_HAS_STATUS,
                          .latitude = i % 19 * 10 - 90,
                          .longitude = i % 37 * 10 - 180,
                          .online_until = {i % 2},
                          .updated_at = {i + 1}};
        lpx_err err = mapper_index_put(index, &row, &added);
        lpx_assert(!lpx_failed(err) && added);
    }
    return index;
}

static void list(const mapper_index *index, lpx_str text, lpx_arena *arena, lpx_note *note)
{
    static const mapper_viewer viewer = {.kind = MAPPER_VIEW_ALL};
    mapper_query query;
    lpx_err err = mapper_params_list(text, arena, &query, note);
    if (lpx_failed(err)) {
        lpx_assert(note->text[0] != '\0' || err.code == LPX_RESOURCE_EXHAUSTED);
        return;
    }
    lpx_assert(!query.has_near || (fabs(query.near.latitude) <= 90 && fabs(query.near.longitude) <= 180 &&
                                   query.near.radius_degrees >= 0 && query.near.radius_degrees <= 180));
    mapper_scan *scan = mapper_scan_new(&query, &viewer);
    mapper_hit hit;
    uint32_t steps = UINT32_MAX;
    uint64_t found = 0;
    lpx_assert(scan != NULL);
    mapper_scan_resume(scan, index);
    while (mapper_scan_next(scan, index, (lpx_utc){0}, &steps, &hit) == MAPPER_FOUND_HIT) {
        found++;
    }
    lpx_assert(found <= GATEWAYS && found <= query.limit);
    mapper_scan_free(&scan);
}

static void gateway_id(lpx_str text, lpx_arena *arena, lpx_note *note)
{
    mapper_gateway_id id;
    lpx_err err = mapper_params_id(text, arena, &id, note);
    if (lpx_failed(err)) {
        lpx_assert(note->text[0] != '\0' || err.code == LPX_RESOURCE_EXHAUSTED);
        return;
    }
    lpx_assert(id.key.len > 0 && id.key.len <= MAPPER_KEY_BYTES && id.forwarder.net_id < 1u << 24);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static mapper_index *index;
    lpx_arena arena;
    lpx_note note = {""};
    if (index == NULL) {
        index = make_index();
    }
    if (size == 0) {
        return 0;
    }
    lpx_arena_init(&arena, ARENA_BYTES);
    lpx_str text = {(const char *)data + 1, size - 1};
    if (data[0] == 'i') {
        gateway_id(text, &arena, &note);
    } else {
        list(index, text, &arena, &note);
    }
    lpx_arena_fini(&arena);
    return 0;
}
