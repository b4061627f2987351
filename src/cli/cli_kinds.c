/* The forms of flag values: one check per kind, used when a command line, the environment or a file is read. */
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

static lpx_err check_decimal(lpx_str text, lpx_note *note)
{
    bool dot = false, digit = false, above_zero = false;
    for (size_t i = 0; i < text.len; i++) {
        char ch = text.ptr[i];
        if (ch == '.' && !dot) {
            dot = true;
        } else if (ch >= '0' && ch <= '9') {
            digit = true;
            above_zero = above_zero || ch != '0';
        } else {
            digit = false;
            break;
        }
    }
    if (!digit || !above_zero || text.len > 12) {
        return lpx_fail(note, CLI_USAGE, "want a number above 0, like 20 or 0.5");
    }
    return LPX_SUCCESS;
}

lpx_err cli_kind_check(cli_kind kind, lpx_str text, lpx_note *note)
{
    uint64_t number = 0;
    switch (kind) {
    case CLI_SWITCH:
        return check_switch(text, note);
    case CLI_NETID:
        return lpx_parse_hex(text, 6, &number) ? LPX_SUCCESS
                                               : lpx_fail(note, CLI_USAGE, "want a NetID of 6 hex digits, like 000013");
    case CLI_BLOCKS:
        return check_list(text, check_block, note);
    case CLI_RIGHTS:
        return check_list(text, check_right, note);
    case CLI_PROTOCOL: /* of the enum, only the two of Backend Interfaces make a target */
        return text.len == 0 ? LPX_SUCCESS : check_enum(text, &pb__v3__protocol__descriptor, 2, note);
    case CLI_STATE:
        return check_enum(text, &pb__v3__apikey_state__descriptor, 3, note);
    case CLI_MESSAGE_TYPE:
        return lpx_str_is(text, "message") || lpx_str_is(text, "message-delivery-state")
                   ? LPX_SUCCESS
                   : lpx_fail(note, CLI_USAGE, "want message or message-delivery-state");
    case CLI_NUMBER:
        return lpx_parse_u64(text, 1000000000, &number)
                   ? LPX_SUCCESS
                   : lpx_fail(note, CLI_USAGE, "want a whole number from 0 to 1000000000");
    case CLI_DECIMAL:
        return check_decimal(text, note);
    case CLI_RATE:
        return lpx_str_is(text, "max") ? LPX_SUCCESS : check_decimal(text, note);
    case CLI_TEXT:
    case CLI_PATH:
    case CLI_SECRET:
    case CLI_UPLINK: /* letters are searched in the text, as the existing clients do: others do no harm */
    case CLI_DOWNLINK:
        return LPX_SUCCESS;
    }
    return lpx_fail(note, CLI_USAGE, "kind of flag unknown");
}

const char *cli_kind_placeholder(cli_kind kind)
{
    switch (kind) {
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
    case CLI_RIGHTS:
        return "RIGHTS";
    case CLI_PROTOCOL:
        return "PROTOCOL";
    case CLI_STATE:
        return "STATE";
    case CLI_UPLINK:
    case CLI_DOWNLINK:
        return "LETTERS";
    case CLI_MESSAGE_TYPE:
        return "TYPE";
    case CLI_NUMBER:
        return "N";
    case CLI_DECIMAL:
    case CLI_RATE:
        return "NUMBER";
    }
    return "";
}
