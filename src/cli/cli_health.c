/* lpx health: does every service of the exchange answer, and does it say that it is ready? */
#include <string.h>

#include "cli/cli_priv.h"
#include "grpc_health_v1_health.pb-c.h"
#include "lpx_reasons.h"

/* One row. @return whether it is well */
static bool check_service(cli *c, cli_table *table, agent_service service)
{
    Grpc__Health__V1__HealthCheckRequest request;
    Grpc__Health__V1__HealthCheckResponse *answer = NULL;
    grpc__health__v1__health_check_request__init(&request);
    const char *address = cli_text(c, cli_printf(c, "%s-address", agent_service_name(service)));
    lpx_err err = cli_call(c, service, "/grpc.health.v1.Health/Check", &request.base,
                           &grpc__health__v1__health_check_response__descriptor, &answer);
    bool well = !lpx_failed(err) && answer->status == GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    const char *state = lpx_failed(err)
                            ? lpx_code_name(err.code)
                            : cli_show_enum(c, &grpc__health__v1__health_check_response__serving_status__descriptor,
                                            (int)answer->status);
    const char *cells[] = {agent_service_name(service), address, state,
                           lpx_failed(err) ? cli_printf(c, "%s", c->why) : ""};
    cli_table_row(table, NULL, cells);
    return well;
}

static bool check_readiness(cli *c, cli_table *table)
{
    const char *url = cli_text(c, "ready-url");
    agent_page page;
    if (url[0] == 0) {
        return true;
    }
    lpx_err err = agent_get(c->agent, AGENT_IAM, false, url, &c->arena, &page);
    const char *state = page.status == 0 ? lpx_code_name(err.code) : (lpx_failed(err) ? "NOT_READY" : "READY");
    const char *text = page.status == 0 ? page.failure.text
                                        : cli_printf(c, "%.*s", (int)(page.body.len < 400 ? page.body.len : 400),
                                                     page.body.len > 0 ? (const char *)page.body.ptr : "");
    const char *cells[] = {"readiness", url, state, lpx_failed(err) ? text : ""};
    cli_table_row(table, NULL, cells);
    return !lpx_failed(err);
}

static lpx_err run_health(cli *c)
{
    static const char *const headers[] = {"Service", "Address", "State", "Reason", NULL};
    cli_table *table = cli_table_new(c, headers);
    size_t ill = 0;
    LPX_TRY(cli_connect(c));
    for (unsigned i = 0; i < AGENT_SERVICE_COUNT; i++) {
        ill += check_service(c, table, (agent_service)i) ? 0 : 1;
    }
    ill += check_readiness(c, table) ? 0 : 1;
    cli_table_print(c, table);
    if (ill > 0) {
        LPX_TRY(cli_flush(c));
        return cli_fail(c, CLI_INCOMPLETE, "%zu of the checks failed: see the reasons above", ill);
    }
    return LPX_SUCCESS;
}

static const cli_flag health_flags[] = {
    {"ready-url", CLI_TEXT, "readiness of the exchange, which it serves beside its metrics; empty: not asked",
     "http://127.0.0.1:9464/readyz", .setting = true},
    {0},
};

const cli_command cli_health_command = {
    .name = "health",
    .brief = "Check that every service of the exchange answers",
    .about = "Ask every service by the gRPC health protocol, and the exchange itself whether it is ready.\n"
             "Exit status 0: all is well; 6: something is not.",
    .examples = "  Check the exchange on this machine:\n    $ %\n\n"
                "  Check another one, without its readiness (which is not public):\n"
                "    $ % --iam-address exchange.example.com:1900 --controlplane-address exchange.example.com:1900 \\\n"
                "        --reports-address exchange.example.com:1900 --router-address exchange.example.com:1900 \\\n"
                "        --mapper-address exchange.example.com:1900 --ready-url \"\"\n",
    .flags = (const cli_flag *const[]){health_flags, NULL},
    .run = run_health,
};
