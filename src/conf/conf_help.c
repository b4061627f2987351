/* The tables as texts for people: help, reference, man page, and a set as YAML. */
#include <stdio.h>

#include "base/text.h"
#include "conf/conf_priv.h"
#include "conf/limits.h"

/* ---- help ---- */

static void spaces(lpx_buf *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        lpx_buf_add_str(out, LPX_STR(" "));
    }
}

/* "  -d, --debug" or "      --data.dir DIR". @return its width */
static size_t flag_print(const conf_option *option, lpx_buf *out)
{
    size_t start = out->len;
    if (option->short_name != 0) {
        lpx_buf_printf(out, "  -%c, --%s", option->short_name, option->name);
    } else {
        lpx_buf_printf(out, "      --%s", option->name);
    }
    if (option->type != CONF_BOOL) {
        lpx_buf_printf(out, " %s", conf_value_arg(option));
    }
    return out->len - start;
}

static bool has_default(const conf_option *option)
{
    bool off = option->type == CONF_BOOL && (option->def == NULL || lpx_str_is(lpx_str_of(option->def), "false"));
    return option->def != NULL && option->def[0] != '\0' && !off;
}

/* Help text with what may be given and the default. */
static void text_print(const conf_option *option, lpx_buf *out)
{
    lpx_buf_add_str(out, lpx_str_of(option->help));
    if (option->words != NULL) {
        lpx_buf_add_str(out, LPX_STR(": "));
        conf_value_range(option, out);
    }
    if (has_default(option)) {
        lpx_buf_printf(out, " (default %s)", option->def);
    }
}

/* Words of text in lines that begin at CONF_HELP_COLUMN; the first line stands there already. */
static void wrapped_print(lpx_str text, lpx_buf *out)
{
    size_t width = 0;
    while (text.len > 0) {
        const char *space = memchr(text.ptr, ' ', text.len);
        lpx_str word = {text.ptr, space != NULL ? (size_t)(space - text.ptr) : text.len};
        if (width > 0 && width + 1 + word.len > CONF_HELP_WIDTH - CONF_HELP_COLUMN) {
            lpx_buf_add_str(out, LPX_STR("\n"));
            spaces(out, CONF_HELP_COLUMN);
            width = 0;
        }
        if (width > 0) {
            lpx_buf_add_str(out, LPX_STR(" "));
            width++;
        }
        lpx_buf_add_str(out, word);
        width += word.len;
        text = lpx_str_skip(text, word.len + 1);
    }
    lpx_buf_add_str(out, LPX_STR("\n"));
}

static void option_help(const conf_option *option, lpx_buf *out)
{
    enum { TEXT_BYTES = 1024 };
    lpx_buf text;
    size_t width = flag_print(option, out);
    if (width + 2 > CONF_HELP_COLUMN) {
        lpx_buf_add_str(out, LPX_STR("\n"));
        width = 0;
    }
    spaces(out, CONF_HELP_COLUMN - width);
    lpx_buf_init(&text, TEXT_BYTES);
    text_print(option, &text);
    wrapped_print(lpx_bytes_str(lpx_buf_view(&text)), out);
    lpx_buf_fini(&text);
}

void conf_help(const conf_table *const *tables, size_t count, lpx_buf *out)
{
    for (size_t i = 0; i < count; i++) {
        lpx_buf_printf(out, "%s%s:\n", i > 0 ? "\n" : "", tables[i]->title);
        for (size_t j = 0; j < tables[i]->count; j++) {
            option_help(&tables[i]->options[j], out);
        }
    }
}

/* ---- reference ---- */

/* Text for a cell of a Markdown table. */
static void cell_print(lpx_str text, lpx_buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '|') {
            lpx_buf_add_str(out, LPX_STR("\\"));
        }
        lpx_buf_add_str(out, (lpx_str){text.ptr + i, 1});
    }
}

static void option_reference(const conf_option *option, const char *env_prefix, lpx_buf *out)
{
    lpx_buf_printf(out, "| `%s` | ", option->name);
    if (env_prefix != NULL) {
        char env[CONF_NAME_BYTES];
        conf_env_name(env_prefix, option->name, env, sizeof env);
        lpx_buf_printf(out, "`%s` | ", env);
    }
    lpx_buf_printf(out, "%s | ", conf_type_name(option->type));
    if (option->def != NULL && option->def[0] != '\0') {
        lpx_buf_add_str(out, LPX_STR("`"));
        cell_print(lpx_str_of(option->def), out);
        lpx_buf_add_str(out, LPX_STR("`"));
    }
    lpx_buf_add_str(out, LPX_STR(" | "));
    conf_value_range(option, out);
    lpx_buf_printf(out, " | %s | ", option->reloadable ? "yes" : "no");
    cell_print(lpx_str_of(option->help), out);
    lpx_buf_add_str(out, LPX_STR(" |\n"));
}

void conf_reference(const conf_table *const *tables, size_t count, const char *env_prefix, lpx_buf *out)
{
    for (size_t i = 0; i < count; i++) {
        lpx_buf_printf(out, "%s## %s\n\n", i > 0 ? "\n" : "", tables[i]->title);
        lpx_buf_printf(out, "| setting | %stype | default | allowed | reload | meaning |\n",
                       env_prefix != NULL ? "environment | " : "");
        lpx_buf_printf(out, "| --- | %s--- | --- | --- | --- | --- |\n", env_prefix != NULL ? "--- | " : "");
        for (size_t j = 0; j < tables[i]->count; j++) {
            option_reference(&tables[i]->options[j], env_prefix, out);
        }
    }
}

/* ---- man page ---- */

/* Text for roff: backslashes and dashes escaped, no line that begins with a request. */
static void roff_print(lpx_str text, lpx_buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (i == 0 && (c == '.' || c == '\'')) {
            lpx_buf_add_str(out, LPX_STR("\\&"));
        }
        if (c == '-') {
            lpx_buf_add_str(out, LPX_STR("\\-"));
        } else if (c == '\\') {
            lpx_buf_add_str(out, LPX_STR("\\e"));
        } else {
            lpx_buf_add_str(out, (lpx_str){&c, 1});
        }
    }
}

static void option_man(const conf_option *option, lpx_buf *out)
{
    enum { TEXT_BYTES = 1024 };
    lpx_buf text;
    lpx_buf_add_str(out, LPX_STR(".TP\n"));
    if (option->short_name != 0) {
        lpx_buf_printf(out, "\\fB\\-%c\\fR, ", option->short_name);
    }
    lpx_buf_add_str(out, LPX_STR("\\fB\\-\\-"));
    roff_print(lpx_str_of(option->name), out);
    lpx_buf_add_str(out, LPX_STR("\\fR"));
    if (option->type != CONF_BOOL) {
        lpx_buf_add_str(out, LPX_STR(" \\fI"));
        roff_print(lpx_str_of(conf_value_arg(option)), out);
        lpx_buf_add_str(out, LPX_STR("\\fR"));
    }
    lpx_buf_add_str(out, LPX_STR("\n"));
    lpx_buf_init(&text, TEXT_BYTES);
    text_print(option, &text);
    roff_print(lpx_bytes_str(lpx_buf_view(&text)), out);
    lpx_buf_fini(&text);
    lpx_buf_add_str(out, LPX_STR("\n"));
}

void conf_man(const conf_table *const *tables, size_t count, lpx_buf *out)
{
    lpx_buf_add_str(out, LPX_STR(".SH OPTIONS\n"));
    for (size_t i = 0; i < count; i++) {
        lpx_buf_printf(out, ".SS \"%s\"\n", tables[i]->title);
        for (size_t j = 0; j < tables[i]->count; j++) {
            option_man(&tables[i]->options[j], out);
        }
    }
}

/* ---- a set ---- */

/* The character that text begins with, which is valid UTF-8. @return its length */
static size_t character_take(lpx_str text, uint32_t *out)
{
    unsigned char lead = (unsigned char)text.ptr[0];
    size_t len = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    *out = len == 1 ? lead : lead & (0x7FU >> len);
    for (size_t i = 1; i < len; i++) {
        *out = *out << 6 | ((unsigned char)text.ptr[i] & 0x3F);
    }
    return len;
}

/* Text in double quotes as YAML reads it back: what does not print is escaped. */
static void quoted_print(lpx_str text, lpx_buf *out)
{
    lpx_buf_add_str(out, LPX_STR("\""));
    while (text.len > 0) {
        uint32_t c;
        size_t len = character_take(text, &c);
        bool hidden =
            c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029 || c == 0xFEFF || (c & 0xFFFE) == 0xFFFE;
        if (hidden) {
            lpx_buf_printf(out, "\\U%08x", c);
        } else {
            lpx_buf_add_str(out, c == '"' || c == '\\' ? LPX_STR("\\") : LPX_STR(""));
            lpx_buf_add_str(out, (lpx_str){text.ptr, len});
        }
        text = lpx_str_skip(text, len);
    }
    lpx_buf_add_str(out, LPX_STR("\""));
}

static void value_print(const conf_slot *slot, lpx_buf *out)
{
    const conf_value *value = &slot->value;
    if (slot->option->type != CONF_LIST) {
        quoted_print(value->text, out);
        return;
    }
    lpx_buf_add_str(out, LPX_STR("["));
    for (size_t i = 0; i < value->count; i++) {
        lpx_buf_add_str(out, i > 0 ? LPX_STR(", ") : LPX_STR(""));
        quoted_print(value->items[i], out);
    }
    lpx_buf_add_str(out, LPX_STR("]"));
}

void conf_print(const conf_set *set, lpx_buf *out)
{
    for (size_t i = 0; i < set->count; i++) {
        const conf_slot *slot = &set->slots[i];
        bool unset = slot->layer == CONF_DEFAULT && slot->option->def == NULL;
        lpx_buf_printf(out, "%s%s: ", unset || slot->option->secret ? "# " : "", slot->option->name);
        if (slot->option->secret && !unset) {
            lpx_buf_add_str(out, LPX_STR("(hidden)"));
        } else if (unset) {
            lpx_buf_add_str(out, LPX_STR("(not set)"));
        } else if (slot->option->type == CONF_BOOL) {
            lpx_buf_add_str(out, slot->value.number != 0 ? LPX_STR("true") : LPX_STR("false"));
        } else if (slot->option->type == CONF_INT) {
            lpx_buf_printf(out, "%lld", (long long)slot->value.number);
        } else {
            value_print(slot, out);
        }
        lpx_buf_printf(out, "  # %.*s\n", (int)slot->source.len, slot->source.ptr);
    }
}
