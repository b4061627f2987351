/* Private to the server program: its settings, its home folder, its log. Level 8. */
#pragma once
#include "conf/conf.h"

/** The tables of all settings of the server. @param count number of tables */
const conf_table *const *lpxd_tables(size_t *count);

/** Append a manual page. @param settings lpxd.conf(5) instead of lpxd(8) */
void lpxd_man(bool settings, lpx_buf *out);

enum { LPXD_PATH_BYTES = 4096, LPXD_PASSWORD_BYTES = 32 };

/** What the server keeps in its data folder. Paths are NUL-ended. */
typedef struct lpxd_home {
    char dir[LPXD_PATH_BYTES];
    char ca_file[LPXD_PATH_BYTES];     /* ca.pem: own CA's certificate, for clients */
    char ca_key_file[LPXD_PATH_BYTES]; /* ca-key.pem */
    char cert_file[LPXD_PATH_BYTES];   /* server.pem, or tls.cert_file */
    char key_file[LPXD_PATH_BYTES];    /* server-key.pem, or tls.key_file */
    char admin_file[LPXD_PATH_BYTES];  /* admin.yaml: the first administrator's account, mode 0600 */
    char store_url[LPXD_PATH_BYTES];   /* store.url, or sqlite:DIR/lpx.db */
    bool made_ca, made_cert;           /* this start made them */
} lpxd_home;

/** Where the data folder is when data.dir is unset: /var/lib/lpx for root, else $XDG_DATA_HOME/lpx or
 * ~/.local/share/lpx. @err FAILED_PRECONDITION: LPXD_HOME (no home folder) */
LPX_RESULT lpxd_home_find(const conf_set *conf, lpxd_home *out, lpx_note *note);
/** Make what is missing: the folder (mode 0700), the CA, the server's certificate (renewed when it ends within 30
 * days).
 * @err FAILED_PRECONDITION: LPXD_HOME, CRYPTO_FILE (note names the file and why) */
LPX_RESULT lpxd_home_prepare(const conf_set *conf, lpxd_home *home, lpx_note *note);
/** Write the account file of the first administrator (mode 0600). */
LPX_RESULT lpxd_home_save_admin(const lpxd_home *home, const char *username, const char *password, lpx_note *note);

/** Send log lines to standard error. @param json JSON lines instead of logfmt */
void lpxd_log_start(bool json);

/** Run the server until a signal ends it. @return exit status */
int lpxd_serve(conf_set *conf, int argc, char **argv);
/** Read the settings from file, environment and command line; on failure the sentence is printed.
 * @return NULL on failure */
conf_set *lpxd_read_conf(int argc, char **argv, int *left);
