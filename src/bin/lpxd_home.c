/* The server's data folder: made at the first start, kept in order afterwards. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bin/lpxd.h"
#include "crypto/x509.h"
#include "io/file.h"
#include "io/loop.h"
#include "lpx_reasons.h"

enum { RENEW_DAYS = 30, NAMES_MAX = 16 };

/* dir/name, or the setting when it is given. */
static lpx_err set_path(char out[static LPXD_PATH_BYTES], lpx_str setting, const char *prefix, const char *dir,
                        const char *name, lpx_note *note)
{
    int len = setting.len > 0 ? snprintf(out, LPXD_PATH_BYTES, "%.*s", (int)setting.len, setting.ptr)
                              : snprintf(out, LPXD_PATH_BYTES, "%s%s/%s", prefix, dir, name);
    if (len < 0 || len >= LPXD_PATH_BYTES) {
        return lpx_fail(note, LPXD_HOME, "The path of %s is too long.", name);
    }
    return LPX_SUCCESS;
}

static lpx_err find_dir(const conf_set *conf, lpxd_home *out, lpx_note *note)
{
    lpx_str setting = conf_str(conf, "data.dir");
    const char *xdg = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    if (setting.len > 0 || geteuid() == 0) {
        return set_path(out->dir, setting, "", "/var/lib", "lpx", note);
    }
    if (xdg != NULL && xdg[0] == '/') {
        return set_path(out->dir, LPX_STR(""), "", xdg, "lpx", note);
    }
    if (home == NULL || home[0] != '/') {
        return lpx_fail(note, LPXD_HOME, "There is no home folder for the data; set data.dir (--data.dir DIR).");
    }
    return set_path(out->dir, LPX_STR(""), "", home, ".local/share/lpx", note);
}

lpx_err lpxd_home_find(const conf_set *conf, lpxd_home *out, lpx_note *note)
{
    *out = (lpxd_home){.dir = ""};
    lpx_str cert = conf_str(conf, "tls.cert-file");
    lpx_str key = conf_str(conf, "tls.key-file");
    if ((cert.len == 0) != (key.len == 0)) {
        return lpx_fail(note, LPXD_CONF, "tls.cert-file and tls.key-file belong together: set both or neither.");
    }
    LPX_TRY(find_dir(conf, out, note));
    LPX_TRY(set_path(out->ca_file, LPX_STR(""), "", out->dir, "ca.pem", note));
    LPX_TRY(set_path(out->ca_key_file, LPX_STR(""), "", out->dir, "ca-key.pem", note));
    LPX_TRY(set_path(out->cert_file, cert, "", out->dir, "server.pem", note));
    LPX_TRY(set_path(out->key_file, key, "", out->dir, "server-key.pem", note));
    LPX_TRY(set_path(out->admin_file, LPX_STR(""), "", out->dir, "admin.yaml", note));
    return set_path(out->store_url, conf_str(conf, "store.url"), "sqlite:", out->dir, "lpx.db", note);
}

static lpx_err issue_cert(const conf_set *conf, const lpxd_home *home, lpx_note *note)
{
    const lpx_str *names;
    size_t count = conf_list(conf, "tls.names", &names);
    const char *texts[NAMES_MAX];
    for (size_t i = 0; i < count && i < NAMES_MAX; i++) {
        texts[i] = names[i].ptr; /* entries of a list are NUL-ended */
    }
    crypto_cert_opts opts = {.ca_cert_file = home->ca_file,
                             .ca_key_file = home->ca_key_file,
                             .cert_file = home->cert_file,
                             .key_file = home->key_file,
                             .common_name = "lpx exchange",
                             .names = texts,
                             .name_count = count < NAMES_MAX ? count : NAMES_MAX,
                             .now = io_wall_clock()};
    return crypto_cert_issue(&opts, note);
}

lpx_err lpxd_home_prepare(const conf_set *conf, lpxd_home *home, lpx_note *note)
{
    LPX_TRY(io_dir_make(home->dir, 0700, note));
    if (access(home->ca_file, F_OK) != 0) {
        LPX_TRY(crypto_ca_create(home->ca_file, home->ca_key_file, "lpx local CA", io_wall_clock(), note));
        home->made_ca = true;
    }
    if (conf_str(conf, "tls.cert-file").len > 0) {
        return LPX_SUCCESS;
    }
    bool missing = access(home->cert_file, F_OK) != 0;
    if (!missing && !home->made_ca) {
        crypto_cert_info info;
        LPX_TRY(crypto_cert_read(home->cert_file, &info, note));
        if (info.not_after.us > io_wall_clock().us + RENEW_DAYS * INT64_C(86400000000)) {
            return LPX_SUCCESS;
        }
    }
    home->made_cert = true;
    return issue_cert(conf, home, note);
}

lpx_err lpxd_home_save_admin(const lpxd_home *home, const char *username, const char *password, lpx_note *note)
{
    char text[256];
    int len = snprintf(text, sizeof text, "iam-username: %s\niam-password: %s\n", username, password);
    lpx_err err = io_file_write(home->admin_file, lpx_bytes_of(text, (size_t)len), 0600, note);
    explicit_bzero(text, sizeof text);
    return err;
}
