/* Manual pages of the server, from the tables of its settings: lpxd(8) and lpxd.conf(5). */
#include "bin/lpxd.h"

static const char page_head[] =
    ".TH LPXD 8 \"\" \"lpxd " LPX_VERSION "\" \"System Administration\"\n"
    ".SH NAME\nlpxd \\- LoRaWAN packet exchange\n"
    ".SH SYNOPSIS\n"
    ".B lpxd\n[\\fB\\-\\-config\\fR \\fIFILE\\fR] [\\fB\\-\\-\\fISETTING\\fR \\fIVALUE\\fR ...]\n.br\n"
    ".B lpxd check\\-config\n[\\fB\\-\\-config\\fR \\fIFILE\\fR] [...]\n.br\n"
    ".B lpxd reference\n"
    ".SH DESCRIPTION\n"
    "The exchange routes LoRaWAN messages between forwarders and home networks. Without any setting it makes a data\n"
    "folder, its own certificate authority and an administrator's account, and listens on this machine alone.\n"
    ".PP\n"
    "A setting is looked for on the command line, then in the environment (LPX_ and the name in upper case, dots and\n"
    "dashes as underscores), then in the configuration file, see\n.BR lpxd.conf (5).\n"
    ".PP\n"
    "\\fBcheck\\-config\\fR checks the settings and prints them with their sources; \\fBreference\\fR prints all of\n"
    "them as Markdown.\n";

static const char page_tail[] =
    ".SH SIGNALS\n"
    ".TP\n.B SIGHUP\nReads certificates and those settings again that can change while it runs.\n"
    ".TP\n.B SIGTERM, SIGINT\nLets open calls finish, and ends.\n"
    ".SH FILES\n"
    "In the data folder (/var/lib/lpx for root, else $XDG_DATA_HOME/lpx or ~/.local/share/lpx):\n"
    ".TP\n.I ca.pem, ca\\-key.pem\nThe own certificate authority; clients trust ca.pem.\n"
    ".TP\n.I server.pem, server\\-key.pem\nThe server's certificate.\n"
    ".TP\n.I admin.yaml\nThe first administrator's account, in the form of the configuration of\n.BR lpx (1).\n"
    ".TP\n.I lpx.db\nThe database, unless store.url names another one.\n"
    ".SH SEE ALSO\n.BR lpx (1),\n.BR lpxd.conf (5)\n";

static const char conf_head[] =
    ".TH LPXD.CONF 5 \"\" \"lpxd " LPX_VERSION "\" \"File Formats\"\n"
    ".SH NAME\nlpxd.conf \\- settings of the LoRaWAN packet exchange\n"
    ".SH DESCRIPTION\n"
    "The file that \\fBlpxd \\-\\-config\\fR \\fIFILE\\fR reads is YAML. Names with dots may be written as such or as\n"
    "nested keys; a list is a YAML list or text with commas. A name that is no setting is an error.\n"
    ".SH EXAMPLE\n"
    ".nf\n"
    "grpc.listen: [\"0.0.0.0:1900\"]\n"
    "http.listen: [\"0.0.0.0:1901\"]\n"
    "tls.names: [exchange.example.org]\n"
    "store.url: postgresql://lpx@db.example.org/lpx\n"
    ".fi\n";

/* Options as they stand in the file: without the dashes of the command line. */
static void add_settings(lpx_str options, lpx_buf *out)
{
    const lpx_str dashes = LPX_STR("\\fB\\-\\-"), heading = LPX_STR(".SH OPTIONS\n");
    while (options.len > 0) {
        bool option = lpx_str_starts(options, dashes), first = lpx_str_starts(options, heading);
        lpx_buf_add_str(out,
                        first ? LPX_STR(".SH SETTINGS\n") : (option ? LPX_STR("\\fB") : (lpx_str){options.ptr, 1}));
        options = lpx_str_skip(options, first ? heading.len : (option ? dashes.len : 1));
    }
}

void lpxd_man(bool settings, lpx_buf *out)
{
    size_t count;
    const conf_table *const *tables = lpxd_tables(&count);
    if (!settings) {
        lpx_buf_add_str(out, LPX_STR(page_head));
        conf_man(tables, count, out);
        lpx_buf_add_str(out, LPX_STR(page_tail));
        return;
    }
    lpx_buf options;
    lpx_buf_init(&options, out->max_bytes);
    conf_man(tables, count, &options);
    lpx_buf_add_str(out, LPX_STR(conf_head));
    add_settings(lpx_bytes_str(lpx_buf_view(&options)), out);
    lpx_buf_add_str(out, LPX_STR(".SH SEE ALSO\n.BR lpxd (8)\n"));
    lpx_buf_fini(&options);
}
