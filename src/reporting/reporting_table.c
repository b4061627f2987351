#include "reporting/reporting_table.h"

#include <stdlib.h>

enum { FIRST_ROWS = 16 };

void reporting_table_init(reporting_table *table, size_t max_rows)
{
    *table = (reporting_table){.max_rows = max_rows};
}

void reporting_table_fini(reporting_table *table)
{
    free(table->rows);
    free(table->index);
    reporting_table_init(table, table->max_rows);
}

void reporting_table_clear(reporting_table *table)
{
    table->count = 0;
    table->lost = 0;
    if (table->index != NULL) {
        memset(table->index, 0, table->index_room * sizeof *table->index);
    }
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 29;
}

static uint64_t hash_text(uint64_t hash, const char *text, size_t size)
{
    for (size_t i = 0; i < size && text[i] != '\0'; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, text + i, sizeof word);
        hash = mix(hash, word);
    }
    return hash;
}

static uint64_t hash_key(const reporting_key *key)
{
    uint64_t hash = mix((uint64_t)key->day, (uint64_t)key->forwarder_net_id << 32 | key->home_net_id);
    hash = hash_text(hash, key->forwarder_tenant_id, sizeof key->forwarder_tenant_id);
    return hash_text(mix(hash, 1), key->home_tenant_id, sizeof key->home_tenant_id);
}

/* Where the key is, or would be. The index has room. */
static uint32_t *find(const reporting_table *table, const reporting_key *key)
{
    size_t at = hash_key(key) & (table->index_room - 1);
    while (table->index[at] != 0 && memcmp(&table->rows[table->index[at] - 1].key, key, sizeof *key) != 0) {
        at = (at + 1) & (table->index_room - 1);
    }
    return &table->index[at];
}

/* Room for one more row. */
static bool grow(reporting_table *table)
{
    if (table->count < table->room) {
        return true;
    }
    size_t room = table->room > 0 ? 2 * table->room : FIRST_ROWS;
    room = room < table->max_rows ? room : table->max_rows;
    size_t index_room = 2 * FIRST_ROWS;
    while (index_room < 2 * room) {
        index_room *= 2;
    }
    reporting_row *rows = room > table->count ? realloc(table->rows, room * sizeof *rows) : NULL;
    if (rows == NULL) {
        return false;
    }
    table->rows = rows;
    uint32_t *index = calloc(index_room, sizeof *index);
    if (index == NULL) {
        return false;
    }
    free(table->index);
    table->index = index;
    table->index_room = index_room;
    table->room = room;
    for (size_t i = 0; i < table->count; i++) {
        *find(table, &table->rows[i].key) = (uint32_t)i + 1;
    }
    return true;
}

static reporting_row *take_row(reporting_table *table, const reporting_key *key)
{
    uint32_t *place = table->index != NULL ? find(table, key) : NULL;
    if (place != NULL && *place != 0) {
        return &table->rows[*place - 1];
    }
    if (!grow(table)) {
        return NULL;
    }
    reporting_row *row = &table->rows[table->count];
    *row = (reporting_row){.key = *key};
    *find(table, key) = (uint32_t)++table->count;
    return row;
}

static bool put_text(lpx_str text, char *out, size_t size)
{
    if (text.len >= size) {
        return false;
    }
    if (text.len > 0) {
        memcpy(out, text.ptr, text.len);
    }
    return true;
}

void reporting_table_add(reporting_table *table, int64_t day, const traffic_member *forwarder,
                         const traffic_member *home, unsigned slot, uint64_t count)
{
    reporting_key key;
    memset(&key, 0, sizeof key);
    key.day = day;
    key.forwarder_net_id = forwarder->net_id;
    key.home_net_id = home->net_id;
    bool fits = put_text(forwarder->tenant_id, key.forwarder_tenant_id, sizeof key.forwarder_tenant_id) &&
                put_text(home->tenant_id, key.home_tenant_id, sizeof key.home_tenant_id);
    reporting_row *row = fits ? take_row(table, &key) : NULL;
    *(row != NULL ? &row->counts[slot] : &table->lost) += count;
}

void reporting_table_merge(reporting_table *table, const reporting_table *from)
{
    table->lost += from->lost;
    for (size_t i = 0; i < from->count; i++) {
        reporting_row *row = take_row(table, &from->rows[i].key);
        for (unsigned slot = 0; slot < REPORTING_SLOTS; slot++) {
            *(row != NULL ? &row->counts[slot] : &table->lost) += from->rows[i].counts[slot];
        }
    }
}

static int compare_rows(const void *a, const void *b)
{
    const reporting_key *x = &((const reporting_row *)a)->key;
    const reporting_key *y = &((const reporting_row *)b)->key;
    if (x->day != y->day) {
        return x->day < y->day ? -1 : 1;
    }
    return memcmp(x, y, sizeof *x); /* any order will do that all processes share */
}

void reporting_table_sort(reporting_table *table)
{
    if (table->count > 0) {
        qsort(table->rows, table->count, sizeof *table->rows, compare_rows);
    }
}
