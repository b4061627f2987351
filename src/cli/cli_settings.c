/* Settings: command line over environment over configuration file over default, and what an exchange on this machine
 * leaves for its operator. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli_priv.h"
#include "codec/yaml/yaml.h"
#include "lpx_reasons.h"

enum { READ_BYTES = 4096 };

lpx_err cli_read_file(cli *c, const char *path, size_t limit_bytes, lpx_str *out)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return cli_fail(c, CLI_FILE, "cannot open %s: %s", path, strerror(errno));
    }
    lpx_buf buf;
    lpx_buf_init(&buf, limit_bytes + READ_BYTES);
    size_t got = 0;
    do {
        uint8_t *room = lpx_buf_reserve(&buf, READ_BYTES);
        got = room != NULL ? fread(room, 1, READ_BYTES, file) : 0;
        lpx_buf_grown(&buf, got);
    } while (got > 0 && buf.len <= limit_bytes);
    bool bad = ferror(file) != 0, long_file = buf.len > limit_bytes || lpx_buf_failed(&buf);
    (void)fclose(file);
    char *text = bad || long_file ? NULL : cli_get(c, buf.len + 1);
    if (text != NULL && buf.len > 0) {
        memcpy(text, buf.ptr, buf.len);
    }
    size_t len = buf.len;
    lpx_wipe(buf.ptr, buf.len);
    lpx_buf_fini(&buf);
    if (text == NULL) {
        return cli_fail(c, CLI_FILE, "cannot read %s: %s", path, long_file ? "it is too long" : "reading failed");
    }
    *out = (lpx_str){text, len};
    return LPX_SUCCESS;
}

lpx_err cli_write_private(cli *c, const char *path, lpx_str text)
{
    char *temporary = cli_printf(c, "%s.XXXXXX", path);
    int fd = mkostemp(temporary, O_CLOEXEC); /* made with mode 0600 */
    bool ok = fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len && fsync(fd) == 0;
    int why = errno;
    if (fd >= 0) {
        ok = close(fd) == 0 && ok;
    }
    if (!ok || rename(temporary, path) != 0) {
        why = ok ? errno : why;
        (void)unlink(temporary);
        return cli_fail(c, CLI_FILE, "cannot write %s: %s", path, strerror(why));
    }
    return LPX_SUCCESS;
}

/* A configuration file as flat keys; nothing when it is absent. Existing clients ignore a broken file silently; here
 * it is still ignored, but said. */
static yaml_doc read_config(cli *c, const char *path, bool wanted)
{
    yaml_doc doc = {0};
    lpx_str text;
    lpx_note note = {{0}};
    if (lpx_failed(cli_read_file(c, path, CLI_FILE_BYTES, &text))) {
        if (wanted) {
            (void)fprintf(c->world->err, "%s: %s; going on without it\n", c->program, c->why);
        }
    } else if (lpx_failed(yaml_read(text, &c->arena, &doc, &note))) {
        (void)fprintf(c->world->err, "%s: %s is ignored: %s\n", c->program, path, note.text);
        doc = (yaml_doc){0};
    }
    c->why[0] = 0;
    return doc;
}

/* .pb.yaml of the working directory, else of the home directory. */
static yaml_doc find_config(cli *c)
{
    const char *given = cli_text(c, "config");
    const char *home = c->world->env("HOME");
    c->config_file = given[0] != 0 ? given : ".pb.yaml";
    if (given[0] != 0) {
        return read_config(c, given, true);
    }
    if (access(".pb.yaml", F_OK) == 0) {
        return read_config(c, ".pb.yaml", true);
    }
    return home != NULL ? read_config(c, cli_printf(c, "%s/.pb.yaml", home), false) : (yaml_doc){0};
}

static const char *from_yaml(cli *c, const yaml_doc *doc, const char *key)
{
    for (size_t i = 0; i < doc->count; i++) {
        const yaml_entry *e = &doc->entries[i];
        if (e->kind == YAML_SCALAR && lpx_str_is(e->path, key)) {
            return cli_printf(c, "%.*s", (int)e->text.len, e->text.ptr);
        }
    }
    return NULL;
}

static char *env_name(cli *c, const char *key)
{
    char *name = cli_printf(c, "PB_%s", key);
    for (char *p = name; *p != 0; p++) {
        *p = (char)(*p == '-' ? '_' : (*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p));
    }
    return name;
}

static lpx_err load_setting(cli *c, const yaml_doc *doc, cli_value *value)
{
    char *variable = env_name(c, value->flag->name);
    const char *place = cli_printf(c, "the environment variable %s", variable);
    const char *text = c->world->env(variable);
    if (text == NULL) {
        text = from_yaml(c, doc, value->flag->name);
        place = cli_printf(c, "%s of the configuration file", value->flag->name);
    }
    if (text == NULL) {
        return LPX_SUCCESS;
    }
    lpx_note note = {{0}};
    if (lpx_failed(cli_flag_check(value->flag, lpx_str_of(text), &note))) {
        return cli_fail(c, CLI_USAGE, "%s: %s", place, note.text);
    }
    value->text = cli_printf(c, "%s", text);
    return LPX_SUCCESS;
}

char *cli_data_dir(cli *c)
{
    const char *given = c->world->env("LPX_DATA_DIR");
    if (given != NULL) {
        return cli_printf(c, "%s", given);
    }
    if (geteuid() == 0) {
        return cli_printf(c, "%s", "/var/lib/lpx");
    }
    const char *data = c->world->env("XDG_DATA_HOME"), *home = c->world->env("HOME");
    return data != NULL && data[0] == '/' ? cli_printf(c, "%s/lpx", data)
                                          : cli_printf(c, "%s/.local/share/lpx", home != NULL ? home : "/nonexistent");
}

static bool no_credentials(cli *c)
{
    static const char *const names[] = {"iam-username",  "iam-password", "client-id",
                                        "client-secret", "access-token", "client-cert-file"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (cli_text(c, names[i])[0] != 0) {
            return false;
        }
    }
    return true;
}

/* The agent uses what is found here for loopback addresses only. */
static void look_for_local_exchange(cli *c)
{
    const char *dir = cli_data_dir(c);
    const char *ca = cli_printf(c, "%s/ca.pem", dir), *admin = cli_printf(c, "%s/admin.yaml", dir);
    if (access(ca, R_OK) == 0) {
        c->local_ca_file = ca;
    }
    if (no_credentials(c) && access(admin, R_OK) == 0) {
        yaml_doc doc = read_config(c, admin, true);
        c->local_username = from_yaml(c, &doc, "iam-username");
        c->local_password = from_yaml(c, &doc, "iam-password");
    }
}

lpx_err cli_settings_load(cli *c)
{
    yaml_doc doc = find_config(c);
    for (size_t i = 0; i < c->line.value_count; i++) {
        cli_value *value = &c->line.values[i];
        if (value->flag->setting && !value->changed) {
            LPX_TRY(load_setting(c, &doc, value));
        }
    }
    look_for_local_exchange(c);
    return LPX_SUCCESS;
}

/* Always quoted: a key ID of digits would be read as a number by some. */
static void add_line(lpx_buf *out, lpx_str key, lpx_str value)
{
    lpx_buf_printf(out, "%.*s: '", (int)key.len, key.ptr);
    for (size_t i = 0; i < value.len; i++) {
        lpx_buf_add(out, lpx_bytes_of(value.ptr + i, 1));
        if (value.ptr[i] == '\'') {
            lpx_buf_add_str(out, LPX_STR("'"));
        }
    }
    lpx_buf_add_str(out, LPX_STR("'\n"));
}

lpx_err cli_settings_save(cli *c, const cli_setting *settings, size_t count)
{
    yaml_doc doc = {0};
    if (access(c->config_file, F_OK) == 0) {
        doc = read_config(c, c->config_file, true);
    }
    lpx_buf out;
    lpx_buf_init(&out, CLI_FILE_BYTES);
    for (size_t i = 0; i < doc.count; i++) {
        bool replaced = doc.entries[i].kind != YAML_SCALAR;
        for (size_t k = 0; k < count; k++) {
            replaced = replaced || lpx_str_is(doc.entries[i].path, settings[k].key);
        }
        if (!replaced) {
            add_line(&out, doc.entries[i].path, doc.entries[i].text);
        }
    }
    for (size_t k = 0; k < count; k++) {
        add_line(&out, lpx_str_of(settings[k].key), lpx_str_of(settings[k].value));
    }
    lpx_err err = lpx_buf_failed(&out) ? cli_fail(c, CLI_FILE, "%s would be too long", c->config_file)
                                       : cli_write_private(c, c->config_file, lpx_bytes_str(lpx_buf_view(&out)));
    lpx_wipe(out.ptr, out.len);
    lpx_buf_fini(&out);
    return err;
}

static const char *or_null(const char *text)
{
    return text[0] != 0 ? text : NULL;
}

/* Settings that the command does not have stay out: a program without reports never connects there. */
void cli_agent_opts(cli *c, agent_opts *opts)
{
    *opts = (agent_opts){
        .address = {[AGENT_IAM] = or_null(cli_text(c, "iam-address")),
                    [AGENT_CONTROL] = or_null(cli_text(c, "controlplane-address")),
                    [AGENT_REPORTS] = or_null(cli_text(c, "reports-address")),
                    [AGENT_ROUTER] = or_null(cli_text(c, "router-address")),
                    [AGENT_MAPPER] = or_null(cli_text(c, "mapper-address"))},
        .insecure = cli_on(c, "insecure"),
        .ca_file = or_null(cli_text(c, "ca-file")),
        .cert_file = or_null(cli_text(c, "client-cert-file")),
        .key_file = or_null(cli_text(c, "client-key-file")),
        .loopback_ca_file = c->local_ca_file,
        .username = or_null(cli_text(c, "iam-username")),
        .password = or_null(cli_text(c, "iam-password")),
        .client_id = or_null(cli_text(c, "client-id")),
        .client_secret = or_null(cli_text(c, "client-secret")),
        .token_url = or_null(cli_text(c, "token-url")),
        .token = or_null(cli_text(c, "access-token")),
        .loopback_username = c->local_username,
        .loopback_password = c->local_password,
    };
}
