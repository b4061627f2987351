#include "rpc/authz_doc.h"

#include <string.h>

#include "rpc/authz.h"

static const char head[] =
    "# Who may call what\n"
    "\n"
    "Generated from the table in `src/rpc/authz.c`, which decides every call, over gRPC and as JSON\n"
    "(`meson test authz_doc` compares; `rpc_authz_doc --write docs/authorisation.md` writes). A method without a row\n"
    "cannot be served.\n"
    "\n"
    "- **Nobody** is a caller without credentials. Credentials that are wrong, expired or revoked are refused with\n"
    "  UNAUTHENTICATED everywhere, also where none are needed; a caller without them where some are needed as well.\n"
    "- **Administrators** use Basic, the others bearer tokens or client certificates. A **network** acts for a whole\n"
    "  NetID and all its tenants, a **tenant** for itself, a **cluster** for a part of the exchange or another "
    "exchange.\n"
    "- **Right** is what the API key (or the certificate) must have; administrators need none.\n"
    "- **Own** are the fields of the request that must name the caller itself, for networks and tenants: the NetID, "
    "the\n"
    "  tenant (for tenants; a network may name any of its own), the cluster (for keys that are bound to one). *(or "
    "empty)*:\n"
    "  the cluster may be left out. *(or left out)*: who leaves the field out gets its own. *as stored*: the resource "
    "is\n"
    "  known only from what is stored; the method compares, and answers for what is somebody else's as if it were not\n"
    "  there, or leaves it out.\n"
    "- Any other refusal for lack of permission is PERMISSION_DENIED.\n";

/* "/package.Service/Method": the part before the last slash, and what follows. */
static lpx_str service_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return (lpx_str){path + 1, (size_t)(slash - path) - 1};
}

static const char *method_of(const char *path)
{
    return strrchr(path, '/') + 1;
}

static const char *mark(const rpc_rule *rule, rpc_subject subject)
{
    return (rule->subjects & (unsigned)subject) != 0 ? "yes" : "-";
}

static void add_field(const char *field, lpx_buf *out)
{
    if (field != NULL) {
        lpx_buf_printf(out, " `%s`", field);
    }
}

static void add_own(const rpc_rule *rule, lpx_buf *out)
{
    switch (rule->scope) {
    case RPC_SCOPE_NONE:
        lpx_buf_add_str(out, LPX_STR(" -"));
        return;
    case RPC_SCOPE_HANDLER:
        lpx_buf_add_str(out, LPX_STR(" *as stored*"));
        return;
    case RPC_SCOPE_FIELDS:
    case RPC_SCOPE_REPORT:
    case RPC_SCOPE_FILTER:
        add_field(rule->net_field, out);
        add_field(rule->tenant_field, out);
        add_field(rule->cluster_field, out);
        break;
    }
    if (rule->scope == RPC_SCOPE_REPORT) {
        lpx_buf_add_str(out, LPX_STR(" *(or empty)*"));
    } else if (rule->scope == RPC_SCOPE_FILTER) {
        lpx_buf_add_str(out, LPX_STR(" *(or left out)*"));
    }
}

void rpc_authz_document(lpx_buf *out)
{
    size_t count;
    const rpc_rule *rules = rpc_authz_rules(&count);
    lpx_str service = LPX_STR("");
    lpx_buf_add_str(out, lpx_str_of(head));
    for (size_t i = 0; i < count; i++) {
        lpx_str next = service_of(rules[i].path);
        if (!lpx_str_equal(next, service)) {
            service = next;
            lpx_buf_printf(out,
                           "\n## %.*s\n\n| method | nobody | admin | cluster | network | tenant | right | own |\n"
                           "| --- | --- | --- | --- | --- | --- | --- | --- |\n",
                           (int)service.len, service.ptr);
        }
        const char *right = rules[i].right >= 0 ? rpc_right_name(rules[i].right) : "-";
        lpx_buf_printf(out, "| %s | %s | %s | %s | %s | %s | %s |", method_of(rules[i].path),
                       mark(&rules[i], RPC_ANONYMOUS), mark(&rules[i], RPC_ADMIN), mark(&rules[i], RPC_CLUSTER),
                       mark(&rules[i], RPC_NETWORK), mark(&rules[i], RPC_TENANT), right);
        add_own(&rules[i], out);
        lpx_buf_add_str(out, LPX_STR(" |\n"));
    }
}
