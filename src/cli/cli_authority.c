/* lpx authority: who alone may change an entity of the registry. */
#include "cli/cli_priv.h"
#include "lpx_iam_v1_iam.pb-c.h"
#include "lpx_reasons.h"

static lpx_err run_set(cli *c)
{
    Lpx__Iam__V1__SetAuthorityRequest request;
    cli_endpoint e;
    LPX_TRY(cli_need_member(c, &e));
    if (!cli_changed(c, "authority")) {
        return cli_fail(c, CLI_USAGE, "say who the authority is: --authority NAME, or --authority \"\" for none");
    }
    lpx__iam__v1__set_authority_request__init(&request);
    request.net_id = e.net_id;
    request.tenant_id = e.tenant_id;
    request.authority = cli_text(c, "authority");
    return cli_call_empty(c, AGENT_IAM, "/lpx.iam.v1.AuthorityManager/SetAuthority", &request.base);
}

static const cli_flag set_flags[] = {{"authority", CLI_TEXT, "name of the authority; empty: none"}, {0}};

static const cli_command set_command = {
    .name = "set",
    .brief = "Set the authority of a network or tenant",
    .about = "Set the authority of a network or tenant. Of an entity with an authority, its own API keys may change\n"
             "only whether it is listed; everything else is left to the authority and to the administrator.",
    .examples = "  Set the authority of a tenant:\n"
                "    $ % --net-id 000013 --tenant-id tti --authority account-server\n\n"
                "  Let a network change itself again:\n    $ % --net-id 000013 --authority \"\"\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, set_flags, NULL},
    .run = run_set,
};

const cli_command cli_authority_command = {
    .name = "authority",
    .brief = "Manage who may change networks and tenants",
    .below = (const cli_command *const[]){&set_command, NULL},
};
