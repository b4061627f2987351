/* The places that settings come from: a YAML text, the environment, the command line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "codec/yaml/yaml.h"
#include "conf/conf_priv.h"
#include "conf/limits.h"
#include "lpx_reasons.h"

enum { SOURCE_BYTES = 160 };

/* ---- YAML ---- */

/* Do settings begin with this path and a dot? */
static bool is_group(const conf_set *set, lpx_str path)
{
    for (size_t i = 0; i < set->count; i++) {
        const char *name = set->slots[i].option->name;
        if (lpx_str_starts(lpx_str_of(name), path) && (path.len == 0 || name[path.len] == '.')) {
            return true;
        }
    }
    return false;
}

/* "a.b[3]" gives "a.b"; *index_only says whether nothing but one index followed. */
static lpx_str path_base(lpx_str path, bool *index_only)
{
    const char *open = memchr(path.ptr, '[', path.len);
    const char *close = memchr(path.ptr, ']', path.len);
    *index_only = open == NULL || close == path.ptr + path.len - 1;
    return (lpx_str){path.ptr, open != NULL ? (size_t)(open - path.ptr) : path.len};
}

/* Leaves that are items of the list which the first of them belongs to. */
static size_t items_count(const yaml_doc *doc, size_t from, lpx_str base)
{
    size_t to = from;
    bool index_only = true;
    while (to < doc->count && doc->entries[to].path.len > base.len &&
           lpx_str_equal(path_base(doc->entries[to].path, &index_only), base)) {
        to++;
    }
    return to - from;
}

static lpx_err list_add(conf_set *set, conf_slot *slot, const char *source, const yaml_entry *entries, size_t count,
                        lpx_note *note)
{
    lpx_str items[CONF_MAX_LIST + 1];
    size_t used = 0;
    for (; used < count && used < CONF_MAX_LIST + 1; used++) {
        bool index_only = false;
        (void)path_base(entries[used].path, &index_only);
        if (!index_only || entries[used].kind != YAML_SCALAR) {
            return lpx_fail(note, CONF_BAD_VALUE, "%s: %s must be a list of texts.", source, slot->option->name);
        }
        items[used] = entries[used].text;
    }
    return conf_slot_put_items(set, slot, CONF_FILE_LAYER, source, items, used, note);
}

static lpx_err leaf_add(conf_set *set, conf_slot *slot, const char *source, const yaml_entry *entry, lpx_note *note)
{
    switch (entry->kind) {
    case YAML_SCALAR:
        return conf_slot_put(set, slot, CONF_FILE_LAYER, source, entry->text, note);
    case YAML_EMPTY_LIST:
        if (slot->option->type == CONF_LIST) {
            return conf_slot_put_items(set, slot, CONF_FILE_LAYER, source, NULL, 0, note);
        }
        break;
    case YAML_NULL:
        return lpx_fail(note, CONF_BAD_VALUE, "%s: %s has no value: give one or remove the line.", source,
                        slot->option->name);
    case YAML_EMPTY_MAP:
        break;
    }
    return lpx_fail(note, CONF_BAD_VALUE, "%s: %s must be one value.", source, slot->option->name);
}

/* One leaf, or all leaves of one list. @param used how many were taken */
static lpx_err entry_add(conf_set *set, const char *file, const yaml_doc *doc, size_t at, size_t *used,
                         bool seen[static CONF_MAX_OPTIONS], lpx_note *note)
{
    const yaml_entry *entry = &doc->entries[at];
    char source[SOURCE_BYTES];
    bool index_only = true;
    lpx_str base = path_base(entry->path, &index_only);
    bool in_list = base.len < entry->path.len;
    conf_slot *slot = conf_slot_find(set, base);
    (void)snprintf(source, sizeof source, "%.120s:%u", file, entry->line);
    *used = 1;
    if (slot == NULL) {
        bool empty = !in_list && (entry->kind == YAML_NULL || entry->kind == YAML_EMPTY_MAP);
        bool group = base.len > 0 && is_group(set, base);
        if (empty && (group || base.len == 0)) {
            return LPX_SUCCESS; /* a heading whose settings are all commented out */
        }
        if (group || base.len == 0) {
            return lpx_fail(note, CONF_UNKNOWN_KEY, "%s: %.*s must be a group of settings, not one value.", source,
                            base.len > 0 ? (int)base.len : 8, base.len > 0 ? base.ptr : "the file");
        }
        return conf_unknown(set, source, "", base, note);
    }
    if (seen[slot - set->slots]) {
        return lpx_fail(note, CONF_TWICE, "%s: %s is there twice.", source, slot->option->name);
    }
    seen[slot - set->slots] = true;
    if (!in_list) {
        return leaf_add(set, slot, source, entry, note);
    }
    if (slot->option->type != CONF_LIST) {
        return lpx_fail(note, CONF_BAD_VALUE, "%s: %s must be one value, not a list.", source, slot->option->name);
    }
    *used = items_count(doc, at, base);
    return list_add(set, slot, source, entry, *used, note);
}

static lpx_err doc_add(conf_set *set, const char *file, const yaml_doc *doc, lpx_note *note)
{
    bool seen[CONF_MAX_OPTIONS] = {false};
    size_t used = 0;
    for (size_t i = 0; i < doc->count; i += used) {
        LPX_TRY(entry_add(set, file, doc, i, &used, seen, note));
    }
    return LPX_SUCCESS;
}

LPX_RESULT conf_add_yaml(conf_set *set, const char *file, lpx_str text, lpx_note *note)
{
    lpx_arena arena;
    lpx_note inner = {{0}};
    yaml_doc doc;
    lpx_arena_init_wiped(&arena, CONF_MAX_MEMORY_BYTES);
    lpx_err err = yaml_read(text, &arena, &doc, &inner);
    if (!lpx_failed(err)) {
        err = doc_add(set, file, &doc, note);
    } else if (inner.text[0] != '\0') {
        err = lpx_fail(note, err.reason, "%.60s: %.160s", file, inner.text);
    }
    lpx_arena_fini(&arena);
    return err;
}

LPX_RESULT conf_add_file(conf_set *set, const char *file, lpx_note *note)
{
    FILE *stream = fopen(file, "re");
    if (stream == NULL) {
        char why[80];
        return lpx_fail(note, CONF_FILE, "Cannot read %.120s: %s.", file, strerror_r(errno, why, sizeof why));
    }
    lpx_arena arena;
    lpx_arena_init_wiped(&arena, CONF_MAX_FILE_BYTES + 64);
    char *room = lpx_arena_get(&arena, CONF_MAX_FILE_BYTES + 1);
    size_t len = room != NULL ? fread(room, 1, CONF_MAX_FILE_BYTES + 1, stream) : 0;
    bool broken = room == NULL || ferror(stream) != 0;
    (void)fclose(stream);
    lpx_err err;
    if (broken || len > CONF_MAX_FILE_BYTES) {
        err = lpx_fail(note, CONF_FILE, "Cannot read %.120s: it must be a file of at most %d bytes.", file,
                       CONF_MAX_FILE_BYTES);
    } else {
        err = conf_add_yaml(set, file, (lpx_str){room, len}, note);
    }
    lpx_arena_fini(&arena);
    return err;
}

/* ---- environment ---- */

static conf_slot *env_find(const conf_set *set, const char *prefix, lpx_str name)
{
    char form[CONF_NAME_BYTES];
    for (size_t i = 0; i < set->count; i++) {
        conf_env_name(prefix, set->slots[i].option->name, form, sizeof form);
        if (lpx_str_is(name, form)) {
            return &set->slots[i];
        }
    }
    return NULL;
}

static lpx_err variable_add(conf_set *set, const char *prefix, lpx_str name, lpx_str value, bool strict, lpx_note *note)
{
    char source[SOURCE_BYTES];
    conf_slot *slot = env_find(set, prefix, name);
    (void)snprintf(source, sizeof source, "%.*s", (int)(name.len < 120 ? name.len : 120), name.ptr);
    if (slot == NULL) {
        return strict ? conf_unknown(set, "Environment", prefix, lpx_str_skip(name, strlen(prefix)), note)
                      : LPX_SUCCESS;
    }
    return value.len > 0 ? conf_slot_put(set, slot, CONF_ENV, source, value, note) : LPX_SUCCESS;
}

LPX_RESULT conf_add_env(conf_set *set, const char *prefix, char *const *environ, bool strict, lpx_note *note)
{
    for (; *environ != NULL; environ++) {
        lpx_str whole = lpx_str_of(*environ);
        const char *equals = strchr(*environ, '=');
        if (equals == NULL || !lpx_str_starts(whole, lpx_str_of(prefix))) {
            continue;
        }
        lpx_str name = {whole.ptr, (size_t)(equals - whole.ptr)};
        LPX_TRY(variable_add(set, prefix, name, lpx_str_of(equals + 1), strict, note));
    }
    return LPX_SUCCESS;
}

/* ---- command line ---- */

typedef struct args {
    conf_set *set;
    int count, at; /* arguments, and the next to look at */
    char **argv;
    int kept;
    bool grown[CONF_MAX_OPTIONS]; /* lists that this command line has begun */
} args;

/* A list on the command line grows with each flag. */
static lpx_err list_grow(args *a, conf_slot *slot, const char *source, lpx_str text, lpx_note *note)
{
    conf_option free_form = *slot->option;
    conf_value more;
    bool full = false, *begun = &a->grown[slot - a->set->slots];
    free_form.min = 0;
    free_form.max = 0;
    if (!*begun || !conf_value_parse(&free_form, text, &a->set->arena, &more, &full)) {
        *begun = true;
        return full ? lpx_err_of(BASE_NO_MEMORY) : conf_slot_put(a->set, slot, CONF_ARGS, source, text, note);
    }
    lpx_str items[2 * CONF_MAX_LIST];
    size_t count = slot->value.count;
    for (size_t i = 0; i < count; i++) {
        items[i] = slot->value.items[i];
    }
    for (size_t i = 0; i < more.count; i++) {
        items[count++] = more.items[i];
    }
    return conf_slot_put_items(a->set, slot, CONF_ARGS, source, items, count, note);
}

static lpx_err flag_put(args *a, conf_slot *slot, const char *source, lpx_str text, lpx_note *note)
{
    if (slot->option->type == CONF_LIST) {
        return list_grow(a, slot, source, text, note);
    }
    return conf_slot_put(a->set, slot, CONF_ARGS, source, text, note);
}

/* Value in the next argument. */
static lpx_err next_put(args *a, conf_slot *slot, const char *source, lpx_note *note)
{
    if (slot->option->type == CONF_BOOL) {
        return flag_put(a, slot, source, LPX_STR("true"), note);
    }
    if (a->at == a->count) {
        return lpx_fail(note, CONF_BAD_VALUE, "%s wants a value after it: %s.", source, conf_value_arg(slot->option));
    }
    return flag_put(a, slot, source, lpx_str_of(a->argv[a->at++]), note);
}

/* "name", "name=value" or "no-name". */
static lpx_err long_add(args *a, const char *text, lpx_note *note)
{
    char source[SOURCE_BYTES];
    size_t len = strcspn(text, "=");
    lpx_str name = {text, len}, no = LPX_STR("no-");
    conf_slot *slot = conf_slot_find(a->set, name);
    (void)snprintf(source, sizeof source, "--%.*s", (int)(len < 120 ? len : 120), text);
    if (slot != NULL) {
        return text[len] == '=' ? flag_put(a, slot, source, lpx_str_of(text + len + 1), note)
                                : next_put(a, slot, source, note);
    }
    slot = lpx_str_starts(name, no) ? conf_slot_find(a->set, lpx_str_skip(name, no.len)) : NULL;
    if (slot == NULL || slot->option->type != CONF_BOOL || text[len] == '=') {
        return conf_unknown(a->set, "Command line", "--", name, note);
    }
    return flag_put(a, slot, source, LPX_STR("false"), note);
}

static conf_slot *short_find(const conf_set *set, char letter)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->slots[i].option->short_name == letter) {
            return &set->slots[i];
        }
    }
    return NULL;
}

/* Letters after one dash: booleans may stand together, a value may follow at once. */
static lpx_err short_add(args *a, const char *letters, lpx_note *note)
{
    for (; *letters != '\0'; letters++) {
        char source[3] = {'-', *letters, '\0'};
        conf_slot *slot = short_find(a->set, *letters);
        if (slot == NULL) {
            return lpx_fail(note, CONF_UNKNOWN_KEY, "Command line: there is no option -%c.", *letters);
        }
        if (slot->option->type != CONF_BOOL && letters[1] != '\0') {
            return flag_put(a, slot, source, lpx_str_of(letters + 1), note);
        }
        LPX_TRY(next_put(a, slot, source, note));
    }
    return LPX_SUCCESS;
}

LPX_RESULT conf_add_args(conf_set *set, int *argc, char **argv, lpx_note *note)
{
    args a = {.set = set, .count = *argc, .at = 1, .argv = argv, .kept = *argc > 0 ? 1 : 0};
    bool open = true;
    while (a.at < a.count) {
        char *text = argv[a.at++];
        if (!open || text[0] != '-' || text[1] == '\0') {
            argv[a.kept++] = text;
        } else if (strcmp(text, "--") == 0) {
            open = false;
        } else {
            LPX_TRY(text[1] == '-' ? long_add(&a, text + 2, note) : short_add(&a, text + 1, note));
        }
    }
    *argc = a.kept;
    return LPX_SUCCESS;
}

LPX_RESULT conf_put(conf_set *set, const char *name, const char *value, lpx_note *note)
{
    char source[SOURCE_BYTES];
    conf_slot *slot = conf_slot_find(set, lpx_str_of(name));
    if (slot == NULL) {
        return conf_unknown(set, "Command line", "--", lpx_str_of(name), note);
    }
    (void)snprintf(source, sizeof source, "--%.120s", name);
    return conf_slot_put(set, slot, CONF_ARGS, source, lpx_str_of(value), note);
}
