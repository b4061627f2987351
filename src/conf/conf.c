/* A set: its settings, the getters, and what changed between two. */
#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/text.h"
#include "conf/conf_priv.h"
#include "conf/limits.h"
#include "lpx_reasons.h"

/* ---- construction ---- */

static bool name_valid(const char *name)
{
    for (const char *c = name; *c != '\0'; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9');
        bool joint = *c == '.' || *c == '-' || *c == '_';
        if (!plain && (!joint || c == name || c[1] == '\0')) {
            return false;
        }
    }
    return name[0] != '\0' && strlen(name) < CONF_NAME_BYTES / 2;
}

/* Two names may not be one variable of the environment, nor share a letter. */
static void slot_check(const conf_set *set, const conf_option *option)
{
    char mine[CONF_NAME_BYTES], other[CONF_NAME_BYTES];
    lpx_assert(name_valid(option->name) && option->help != NULL);
    lpx_assert(option->type != CONF_WORD || option->words != NULL);
    conf_env_name("", option->name, mine, sizeof mine);
    for (size_t i = 0; i < set->count; i++) {
        const conf_option *before = set->slots[i].option;
        conf_env_name("", before->name, other, sizeof other);
        lpx_assert(strcmp(mine, other) != 0);
        lpx_assert(option->short_name == 0 || option->short_name != before->short_name);
    }
}

static lpx_err slot_add(conf_set *set, const conf_option *option)
{
    conf_slot slot = {.option = option, .value = {.text = {.ptr = ""}}, .source = LPX_STR("default")};
    bool full = false;
    slot_check(set, option);
    if (option->def != NULL && !conf_value_parse(option, lpx_str_of(option->def), &set->arena, &slot.value, &full)) {
        lpx_assert(full); /* a default that its own row refuses is our own mistake */
        return lpx_err_of(BASE_NO_MEMORY);
    }
    set->slots[set->count++] = slot;
    return LPX_SUCCESS;
}

static lpx_err slots_fill(conf_set *set)
{
    size_t total = 0;
    for (size_t i = 0; i < set->table_count; i++) {
        total += set->tables[i]->count;
    }
    lpx_assert(total <= CONF_MAX_OPTIONS);
    set->slots = lpx_arena_array(&set->arena, total, sizeof *set->slots);
    if (set->slots == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    for (size_t i = 0; i < set->table_count; i++) {
        for (size_t j = 0; j < set->tables[i]->count; j++) {
            LPX_TRY(slot_add(set, &set->tables[i]->options[j]));
        }
    }
    return LPX_SUCCESS;
}

LPX_RESULT conf_new(const conf_table *const *tables, size_t count, conf_set **out)
{
    conf_set *set = calloc(1, sizeof *set);
    if (set == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    set->tables = tables;
    set->table_count = count;
    lpx_arena_init_wiped(&set->arena, CONF_MAX_MEMORY_BYTES);
    lpx_err err = slots_fill(set);
    if (lpx_failed(err)) {
        conf_free(&set);
        return err;
    }
    *out = set;
    return LPX_SUCCESS;
}

void conf_free(conf_set **set)
{
    if (*set == NULL) {
        return;
    }
    lpx_arena_fini(&(*set)->arena);
    free(*set);
    *set = NULL;
}

/* ---- settings ---- */

conf_slot *conf_slot_find(const conf_set *set, lpx_str name)
{
    for (size_t i = 0; i < set->count; i++) {
        if (lpx_str_is(name, set->slots[i].option->name)) {
            return &set->slots[i];
        }
    }
    return NULL;
}

static lpx_err bad_value(const conf_option *option, const char *source, lpx_str text, lpx_note *note)
{
    lpx_buf want;
    lpx_buf_init(&want, CONF_WANT_BYTES);
    conf_value_want(option, &want);
    lpx_str shown = lpx_bytes_str(lpx_buf_view(&want));
    bool hide = option->secret || !lpx_utf8_valid(lpx_str_bytes(text));
    int text_len = (int)(text.len < CONF_SHOWN_CHARS ? text.len : CONF_SHOWN_CHARS);
    lpx_err err =
        hide ? lpx_fail(note, CONF_BAD_VALUE, "%s: %s must be %.*s.", source, option->name, (int)shown.len, shown.ptr)
             : lpx_fail(note, CONF_BAD_VALUE, "%s: %s must be %.*s, not \"%.*s\"%s.", source, option->name,
                        (int)shown.len, shown.ptr, text_len, text.ptr, text.len > CONF_SHOWN_CHARS ? " ..." : "");
    lpx_buf_fini(&want);
    return err;
}

static lpx_err slot_set(conf_set *set, conf_slot *slot, conf_layer layer, const char *source, const conf_value *value)
{
    const char *copy = lpx_arena_cstr(&set->arena, lpx_str_of(source));
    if (copy == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    slot->value = *value;
    slot->layer = layer;
    slot->source = lpx_str_of(copy);
    return LPX_SUCCESS;
}

LPX_RESULT conf_slot_put(conf_set *set, conf_slot *slot, conf_layer layer, const char *source, lpx_str text,
                         lpx_note *note)
{
    conf_value value;
    bool full = false;
    if (!conf_value_parse(slot->option, text, &set->arena, &value, &full)) {
        return full ? lpx_err_of(BASE_NO_MEMORY) : bad_value(slot->option, source, text, note);
    }
    return layer >= slot->layer ? slot_set(set, slot, layer, source, &value) : LPX_SUCCESS;
}

LPX_RESULT conf_slot_put_items(conf_set *set, conf_slot *slot, conf_layer layer, const char *source,
                               const lpx_str *items, size_t count, lpx_note *note)
{
    conf_value value;
    bool full = false;
    if (!conf_value_items(slot->option, items, count, &set->arena, &value, &full)) {
        return full ? lpx_err_of(BASE_NO_MEMORY)
                    : bad_value(slot->option, source, count > 0 ? items[count - 1] : LPX_STR("[]"), note);
    }
    return layer >= slot->layer ? slot_set(set, slot, layer, source, &value) : LPX_SUCCESS;
}

void conf_env_name(const char *prefix, const char *name, char *out, size_t room)
{
    (void)snprintf(out, room, "%s%s", prefix, name);
    for (char *c = out + strlen(prefix); *c != '\0'; c++) {
        if (*c >= 'a' && *c <= 'z') {
            *c = (char)(*c - 'a' + 'A');
        } else if (*c == '.' || *c == '-') {
            *c = '_';
        }
    }
}

/* ---- unknown names ---- */

/* Name of the option whose written form is nearest; NULL when none is near. */
static const char *nearest_name(const conf_set *set, lpx_str name, bool as_env)
{
    char form[CONF_NAME_BYTES];
    const char *best = NULL;
    unsigned best_distance = 2 + (unsigned)(name.len < 24 ? name.len / 4 : 6);
    for (size_t i = 0; i < set->count; i++) {
        const char *known = set->slots[i].option->name;
        if (as_env) {
            conf_env_name("", known, form, sizeof form);
        }
        unsigned distance = lpx_edit_distance(name, lpx_str_of(as_env ? form : known));
        if (distance < best_distance) {
            best_distance = distance;
            best = known;
        }
    }
    return best;
}

lpx_err conf_unknown(const conf_set *set, const char *source, const char *lead, lpx_str name, lpx_note *note)
{
    char known[CONF_NAME_BYTES];
    bool as_env = lead[0] != '\0' && lead[0] != '-';
    const char *nearest = nearest_name(set, name, as_env);
    int name_len = (int)(name.len < CONF_SHOWN_CHARS * 2 ? name.len : CONF_SHOWN_CHARS * 2);
    if (nearest == NULL) {
        return lpx_fail(note, CONF_UNKNOWN_KEY, "%s: there is no setting %s%.*s.", source, lead, name_len, name.ptr);
    }
    if (as_env) {
        conf_env_name("", nearest, known, sizeof known);
        nearest = known;
    }
    return lpx_fail(note, CONF_UNKNOWN_KEY, "%s: there is no setting %s%.*s; did you mean %s%s?", source, lead,
                    name_len, name.ptr, lead, nearest);
}

/* ---- getters ---- */

static const conf_slot *slot_get(const conf_set *set, const char *name)
{
    const conf_slot *slot = conf_slot_find(set, lpx_str_of(name));
    lpx_assert(slot != NULL);
    return slot;
}

static int64_t number_get(const conf_set *set, const char *name, conf_type type)
{
    const conf_slot *slot = slot_get(set, name);
    lpx_assert(slot->option->type == type);
    return slot->value.number;
}

lpx_str conf_str(const conf_set *set, const char *name)
{
    const conf_slot *slot = slot_get(set, name);
    lpx_assert(slot->option->type == CONF_STR || slot->option->type == CONF_WORD);
    return slot->value.text;
}

bool conf_bool(const conf_set *set, const char *name)
{
    return number_get(set, name, CONF_BOOL) != 0;
}

int64_t conf_int(const conf_set *set, const char *name)
{
    return number_get(set, name, CONF_INT);
}

int64_t conf_duration_us(const conf_set *set, const char *name)
{
    return number_get(set, name, CONF_DURATION);
}

int64_t conf_size_bytes(const conf_set *set, const char *name)
{
    return number_get(set, name, CONF_SIZE);
}

size_t conf_list(const conf_set *set, const char *name, const lpx_str **out)
{
    const conf_slot *slot = slot_get(set, name);
    lpx_assert(slot->option->type == CONF_LIST);
    *out = slot->value.items;
    return slot->value.count;
}

unsigned conf_word(const conf_set *set, const char *name)
{
    return (unsigned)number_get(set, name, CONF_WORD);
}

conf_layer conf_layer_of(const conf_set *set, const char *name)
{
    return slot_get(set, name)->layer;
}

lpx_str conf_source_of(const conf_set *set, const char *name)
{
    return slot_get(set, name)->source;
}

/* ---- changes ---- */

size_t conf_diff(const conf_set *before, const conf_set *after, conf_change_fn *fn, void *ctx)
{
    size_t restarts = 0;
    lpx_assert(before->count == after->count);
    for (size_t i = 0; i < before->count; i++) {
        const conf_option *option = before->slots[i].option;
        lpx_assert(option == after->slots[i].option);
        if (!conf_value_equal(option, &before->slots[i].value, &after->slots[i].value)) {
            restarts += option->reloadable ? 0 : 1;
            if (fn != NULL) {
                fn(ctx, option);
            }
        }
    }
    return restarts;
}
