/* The forms of flag values: one check per kind, used when a command line, the environment or a file is read. */
#include <string.h>

#include "cli/cli_priv.h"
#include "lpx_reasons.h"

static lpx_err check_switch(lpx_str text, lpx_note *note)
{
    static const char *const words[] = {"true", "false", "1", "0", "t", "f", "True", "False", "TRUE", "FALSE"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (lpx_str_is(text, words[i])) {
            return LPX_SUCCESS;
        }
    }
    return lpx_fail(note, CLI_USAGE, "want true or false");
}

static lpx_err check_block(lpx_str block, lpx_note *note)
{
    uint64_t value = 0, length = 0;
    const char *slash = memchr(block.ptr, '/', block.len);
    const char *equal = memchr(block.ptr, '=', block.len);
    size_t prefix_len = equal != NULL ? (size_t)(equal - block.ptr) : block.len;
    size_t value_len = slash != NULL ? (size_t)(slash - block.ptr) : block.len;
    if (slash == NULL || value_len >= prefix_len || !lpx_parse_hex((lpx_str){block.ptr, value_len}, 8, &value) ||
        !lpx_parse_u64((lpx_str){slash + 1, prefix_len - value_len - 1}, 32, &length)) {
        return lpx_fail(note, CLI_USAGE,
                        "want 8 hex digits, / and a length of 0 to 32, like 26011000/20=eu1, not \"%.*s\"",
                        (int)block.len, block.ptr);
    }
    return LPX_SUCCESS;
}

static lpx_err check_right(lpx_str right, lpx_note *note)
{
    const ProtobufCEnumDescriptor *d = &pb__v3__right__descriptor;
    const char *names[64];
    size_t count = 0;
    for (; count < d->n_value_names && count < 64; count++) {
        names[count] = d->values_by_name[count].name;
        if (lpx_str_is(right, names[count])) {
            return LPX_SUCCESS;
        }
    }
    const char *near = cli_nearest(right, names, count);
    return lpx_fail(note, CLI_USAGE, "%.*s is no right%s%s", (int)right.len, right.ptr,
                    near != NULL ? "; did you mean " : "", near != NULL ? near : "");
}

static lpx_err check_eui_prefix(lpx_str prefix, lpx_note *note)
{
    uint64_t value = 0, length = 0;
    if (prefix.len < 18 || prefix.ptr[16] != '/' || !lpx_parse_hex((lpx_str){prefix.ptr, 16}, 16, &value) ||
        !lpx_parse_u64(lpx_str_skip(prefix, 17), 64, &length)) {
        return lpx_fail(note, CLI_USAGE,
                        "want 16 hex digits, / and a length of 0 to 64, like EC656E0000000000/24, not \"%.*s\"",
                        (int)prefix.len, prefix.ptr);
    }
    return LPX_SUCCESS;
}

/* NetID, NetID/tenant, NetID/tenant/cluster, NetID//cluster. */
static lpx_err check_party(lpx_str party, lpx_note *note)
{
    uint64_t net_id = 0;
    lpx_str head = {party.ptr, party.len < 6 ? party.len : 6}, rest = lpx_str_skip(party, head.len);
    size_t slashes = 0;
    for (size_t i = 0; i < rest.len; i++) {
        slashes += rest.ptr[i] == '/' ? 1 : 0;
    }
    if (!lpx_parse_hex(head, 6, &net_id) || (rest.len > 0 && rest.ptr[0] != '/') || slashes > 2) {
        return lpx_fail(note, CLI_USAGE,
                        "want NETID, NETID/TENANT or NETID/TENANT/CLUSTER, like 000013/tenant-a, not \"%.*s\"",
                        (int)party.len, party.ptr);
    }
    return LPX_SUCCESS;
}

/* Check each part of a comma-separated list; the empty text is the empty list. */
static lpx_err check_list(lpx_str text, lpx_err (*check)(lpx_str part, lpx_note *note), lpx_note *note)
{
    while (text.len > 0) {
        const char *comma = memchr(text.ptr, ',', text.len);
        size_t len = comma != NULL ? (size_t)(comma - text.ptr) : text.len;
        LPX_TRY(check((lpx_str){text.ptr, len}, note));
        if (comma != NULL && len + 1 == text.len) {
            return lpx_fail(note, CLI_USAGE, "want no comma at the end");
        }
        text = lpx_str_skip(text, len + 1);
    }
    return LPX_SUCCESS;
}

static lpx_err check_enum(lpx_str text, const ProtobufCEnumDescriptor *d, unsigned known, lpx_note *note)
{
    char names[160];
    size_t len = 0;
    for (unsigned i = 0; i < d->n_values && i < known; i++) {
        if (lpx_str_is(text, d->values[i].name)) {
            return LPX_SUCCESS;
        }
        len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", i > 0 ? ", " : "", d->values[i].name);
    }
    return lpx_fail(note, CLI_USAGE, "want one of %s", names);
}

/* Digits with at most one dot between, 12 characters at most. */
static bool is_decimal(lpx_str text, bool *above_zero)
{
    bool dot = false, digit = false;
    *above_zero = false;
    for (size_t i = 0; i < text.len; i++) {
        char ch = text.ptr[i];
        if (ch == '.' && !dot) {
            dot = true;
        } else if (ch >= '0' && ch <= '9') {
            digit = true;
            *above_zero = *above_zero || ch != '0';
        } else {
            return false;
        }
    }
    return digit && text.len <= 12;
}

static lpx_err check_decimal(lpx_str text, lpx_note *note)
{
    bool above_zero = false;
    return is_decimal(text, &above_zero) && above_zero
               ? LPX_SUCCESS
               : lpx_fail(note, CLI_USAGE, "want a number above 0, like 20 or 0.5");
}

static lpx_err check_signed(lpx_str text, lpx_note *note)
{
    bool above_zero = false;
    lpx_str digits = text.len > 0 && text.ptr[0] == '-' ? lpx_str_skip(text, 1) : text;
    return is_decimal(digits, &above_zero) ? LPX_SUCCESS
                                           : lpx_fail(note, CLI_USAGE, "want a number, like 45.188 or -5.72");
}

static lpx_err check_duration(lpx_str text, lpx_note *note)
{
    size_t digits = 0, units = 0;
    bool good = text.len <= 12; /* so that the sum of all parts fits */
    for (size_t i = 0; i < text.len && good; i++) {
        char ch = text.ptr[i];
        if (ch >= '0' && ch <= '9') {
            digits++;
        } else {
            good = digits > 0 && (ch == 'h' || ch == 'm' || ch == 's');
            digits = 0;
            units++;
        }
    }
    return good && units > 0 && digits == 0 ? LPX_SUCCESS
                                            : lpx_fail(note, CLI_USAGE, "want a duration, like 5s, 1m30s or 2h");
}

static lpx_err check_month(lpx_str text, lpx_note *note)
{
    uint64_t year = 0, month = 0;
    bool good = text.len == 7 && text.ptr[4] == '-' && lpx_parse_u64((lpx_str){text.ptr, 4}, 9999, &year) &&
                lpx_parse_u64((lpx_str){text.ptr + 5, 2}, 12, &month) && year > 0 && month > 0;
    return good ? LPX_SUCCESS : lpx_fail(note, CLI_USAGE, "want a month, like 2024-05");
}

bool cli_next_part(const char **rest, char separator, lpx_str *part)
{
    if (**rest == 0) {
        return false;
    }
    const char *end = strchrnul(*rest, separator);
    *part = (lpx_str){*rest, (size_t)(end - *rest)};
    *rest = *end != 0 ? end + 1 : end;
    return true;
}

static lpx_err check_word(const char *words, lpx_str text, lpx_note *note)
{
    char names[200];
    size_t len = 0;
    lpx_str word;
    while (cli_next_part(&words, '|', &word)) {
        if (lpx_str_equal(word, text)) {
            return LPX_SUCCESS;
        }
        const char *joint = len == 0 ? "" : (*words != 0 ? ", " : " or ");
        int more = snprintf(names + len, sizeof names - len, "%s%.*s", joint, (int)word.len, word.ptr);
        len += more > 0 && (size_t)more < sizeof names - len ? (size_t)more : 0;
    }
    names[len] = 0;
    return lpx_fail(note, CLI_USAGE, "want %s", names);
}

static lpx_err check_hex(lpx_str text, unsigned digits, const char *what, lpx_note *note)
{
    uint64_t number = 0;
    return lpx_parse_hex(text, digits, &number) ? LPX_SUCCESS
                                                : lpx_fail(note, CLI_USAGE, "want %s of %u hex digits", what, digits);
}

static lpx_err check_number(lpx_str text, lpx_note *note)
{
    uint64_t number = 0;
    return lpx_parse_u64(text, 1000000000, &number)
               ? LPX_SUCCESS
               : lpx_fail(note, CLI_USAGE, "want a whole number from 0 to 1000000000");
}

lpx_err cli_flag_check(const cli_flag *flag, lpx_str text, lpx_note *note)
{
    uint64_t number = 0;
    switch (flag->kind) {
    case CLI_SWITCH:
        return check_switch(text, note);
    case CLI_NETID:
        return lpx_parse_hex(text, 6, &number) ? LPX_SUCCESS
                                               : lpx_fail(note, CLI_USAGE, "want a NetID of 6 hex digits, like 000013");
    case CLI_DEVADDR:
        return check_hex(text, 8, "a DevAddr", note);
    case CLI_EUI:
        return check_hex(text, 16, "an EUI", note);
    case CLI_BLOCKS:
        return check_list(text, check_block, note);
    case CLI_EUI_PREFIXES:
        return check_list(text, check_eui_prefix, note);
    case CLI_PARTIES:
        return check_list(text, check_party, note);
    case CLI_RIGHTS:
        return check_list(text, check_right, note);
    case CLI_PROTOCOL: /* of the enum, only the two of Backend Interfaces make a target */
        return text.len == 0 ? LPX_SUCCESS : check_enum(text, &pb__v3__protocol__descriptor, 2, note);
    case CLI_STATE:
        return check_enum(text, &pb__v3__apikey_state__descriptor, 3, note);
    case CLI_WORD:
        return check_word(flag->words, text, note);
    case CLI_NUMBER:
        return check_number(text, note);
    case CLI_DECIMAL:
        return check_decimal(text, note);
    case CLI_SIGNED:
        return check_signed(text, note);
    case CLI_RATE:
        return lpx_str_is(text, "max") ? LPX_SUCCESS : check_decimal(text, note);
    case CLI_DURATION:
        return check_duration(text, note);
    case CLI_MONTH:
        return check_month(text, note);
    case CLI_TEXT:
    case CLI_PATH:
    case CLI_SECRET:
    case CLI_UPLINK: /* the existing clients search letters in the text, others do no harm: the command decides */
    case CLI_DOWNLINK:
    case CLI_VISIBILITY:
        return LPX_SUCCESS;
    }
    return lpx_fail(note, CLI_USAGE, "kind of flag unknown");
}

const char *cli_flag_placeholder(const cli_flag *flag)
{
    switch (flag->kind) {
    case CLI_SWITCH:
        return "";
    case CLI_TEXT:
        return "TEXT";
    case CLI_PATH:
        return "FILE";
    case CLI_SECRET:
        return "SECRET";
    case CLI_NETID:
        return "NETID";
    case CLI_BLOCKS:
        return "BLOCKS";
    case CLI_EUI_PREFIXES:
        return "PREFIXES";
    case CLI_PARTIES:
        return "MEMBERS";
    case CLI_RIGHTS:
        return "RIGHTS";
    case CLI_PROTOCOL:
        return "PROTOCOL";
    case CLI_STATE:
        return "STATE";
    case CLI_UPLINK:
    case CLI_DOWNLINK:
        return "LETTERS";
    case CLI_VISIBILITY:
        return "SYMBOLS";
    case CLI_WORD:
        return "WORD";
    case CLI_NUMBER:
        return "N";
    case CLI_DECIMAL:
    case CLI_SIGNED:
    case CLI_RATE:
        return "NUMBER";
    case CLI_DURATION:
        return "DURATION";
    case CLI_MONTH:
        return "MONTH";
    case CLI_DEVADDR:
        return "DEVADDR";
    case CLI_EUI:
        return "EUI";
    }
    return "";
}

static size_t enum_words(const ProtobufCEnumDescriptor *d, unsigned known, lpx_str *names, size_t max)
{
    size_t count = 0;
    for (; count < d->n_values && count < known && count < max; count++) {
        names[count] = lpx_str_of(d->values[count].name);
    }
    return count;
}

size_t cli_flag_words(const cli_flag *flag, lpx_str *names, size_t max)
{
    if (flag->kind == CLI_RIGHTS) {
        return enum_words(&pb__v3__right__descriptor, 64, names, max);
    }
    if (flag->kind == CLI_PROTOCOL) {
        return enum_words(&pb__v3__protocol__descriptor, 2, names, max);
    }
    if (flag->kind == CLI_STATE) {
        return enum_words(&pb__v3__apikey_state__descriptor, 3, names, max);
    }
    const char *words = flag->kind == CLI_WORD ? flag->words : "";
    size_t count = 0;
    while (count < max && cli_next_part(&words, '|', &names[count])) {
        count++;
    }
    return count;
}
