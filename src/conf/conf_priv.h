/* Values of settings as text and back. For this folder only. Level 2. */
#pragma once
#include "base/arena.h"
#include "conf/conf.h"

/** A value, parsed. */
typedef struct conf_value {
    lpx_str text;   /* as given, NUL-ended */
    int64_t number; /* bool, int, microseconds, bytes, position of the word */
    const lpx_str *items;
    size_t count;
} conf_value;

/** A setting of a set. */
typedef struct conf_slot {
    const conf_option *option;
    conf_value value;
    conf_layer layer;
    lpx_str source;
} conf_slot;

struct conf_set {
    lpx_arena arena;
    const conf_table *const *tables;
    size_t table_count;
    conf_slot *slots;
    size_t count;
};

/** Parse text for an option; texts go into the arena. @return false when it is not what conf_value_want says; *out is
 * then untouched. *full is set when the arena is. */
bool conf_value_parse(const conf_option *option, lpx_str text, lpx_arena *arena, conf_value *out, bool *full);
/** The same from the items of a list. */
bool conf_value_items(const conf_option *option, const lpx_str *items, size_t count, lpx_arena *arena, conf_value *out,
                      bool *full);
/** Append what a value of the option must be: "a duration from 1s to 1h, like \"30s\"". */
void conf_value_want(const conf_option *option, lpx_buf *out);
/** Append the range alone, empty when there is none: "1s to 1h", "info, warn". */
void conf_value_range(const conf_option *option, lpx_buf *out);
/** How help names the value: "HOST:PORT", "NUMBER". */
const char *conf_value_arg(const conf_option *option);
/** Name of the type: "duration". */
const char *conf_type_name(conf_type type);
/** Are two values of an option the same setting? */
bool conf_value_equal(const conf_option *option, const conf_value *a, const conf_value *b);

/** Setting by name; NULL when there is none. */
conf_slot *conf_slot_find(const conf_set *set, lpx_str name);
/** Give a setting the text, unless a stronger layer has decided; checks it in any case.
 * @param source who says so; copied */
LPX_RESULT conf_slot_put(conf_set *set, conf_slot *slot, conf_layer layer, const char *source, lpx_str text,
                         lpx_note *note);
/** The same with the items of a list. */
LPX_RESULT conf_slot_put_items(conf_set *set, conf_slot *slot, conf_layer layer, const char *source,
                               const lpx_str *items, size_t count, lpx_note *note);
/** Name of the environment variable of an option, NUL-ended. */
void conf_env_name(const char *prefix, const char *name, char *out, size_t room);
/** Fail with "there is no setting NAME", and the nearest known name.
 * @param lead how names are written there: "", "--" or, for the environment, its prefix */
lpx_err conf_unknown(const conf_set *set, const char *source, const char *lead, lpx_str name, lpx_note *note);
