/* The demo's networks, API keys and policy; running it again finds what an earlier run made. */
#include <string.h>
#include <unistd.h>

#include "cli/cli_demo.h"
#include "codec/yaml/yaml.h"
#include "lpx_reasons.h"

#define REGISTRY "/org.packetbroker.iam.v1.NetworkRegistry/"
#define VAULT "/org.packetbroker.iam.v2.NetworkAPIKeyVault/"
#define MANAGER "/org.packetbroker.routing.v1.PolicyManager/"

static const struct {
    uint32_t net_id;
    const char *name, *blocks;
} networks[] = {
    {DEMO_FORWARDER, "Demo Forwarder", ""},
    {DEMO_HOME, "Demo Home Network", "FDFFB800/22"},
};

static const char rights[] = "READ_NETWORK,READ_ROUTING_POLICY,WRITE_ROUTING_POLICY,READ_TRAFFIC,WRITE_TRAFFIC";

/* ---- networks ---- */

static lpx_err create_network(cli *c, size_t i)
{
    Pb__Iam__V1__CreateNetworkRequest request = PB__IAM__V1__CREATE_NETWORK_REQUEST__INIT;
    Pb__Iam__V1__CreateNetworkResponse *answer = NULL;
    Pb__V3__Network *n = cli_new(c, &pb__v3__network__descriptor);
    n->net_id = networks[i].net_id;
    n->name = cli_printf(c, "%s", networks[i].name);
    n->dev_addr_blocks = cli_blocks_of(c, networks[i].blocks, &n->n_dev_addr_blocks);
    request.network = n;
    return cli_call(c, AGENT_IAM, REGISTRY "CreateNetwork", &request.base,
                    &pb__iam__v1__create_network_response__descriptor, &answer);
}

/* An earlier run's network is used as it is, but never somebody else's. */
static lpx_err check_network(cli *c, size_t i, const Pb__V3__Network *n)
{
    if (n == NULL || strcmp(n->name, networks[i].name) != 0) {
        return cli_fail(c, CLI_INCOMPLETE, "network %06X exists and is not the demo's: it is named \"%s\", not \"%s\"",
                        networks[i].net_id, n != NULL ? n->name : "", networks[i].name);
    }
    size_t wanted = 0;
    Pb__V3__DevAddrBlock **blocks = cli_blocks_of(c, networks[i].blocks, &wanted);
    if (n->n_dev_addr_blocks == wanted &&
        (wanted == 0 ||
         (n->dev_addr_blocks[0]->prefix != NULL && n->dev_addr_blocks[0]->prefix->value == blocks[0]->prefix->value))) {
        return LPX_SUCCESS;
    }
    Pb__Iam__V1__UpdateNetworkRequest request = PB__IAM__V1__UPDATE_NETWORK_REQUEST__INIT;
    Google__Protobuf__Empty *answer = NULL;
    request.net_id = networks[i].net_id;
    request.dev_addr_blocks = cli_new(c, &pb__iam__v1__dev_addr_blocks_value__descriptor);
    request.dev_addr_blocks->value = blocks;
    request.dev_addr_blocks->n_value = wanted;
    return cli_call(c, AGENT_IAM, REGISTRY "UpdateNetwork", &request.base, &google__protobuf__empty__descriptor,
                    &answer);
}

static lpx_err ensure_network(cli *c, size_t i)
{
    Pb__Iam__V1__NetworkRequest request = PB__IAM__V1__NETWORK_REQUEST__INIT;
    Pb__Iam__V1__GetNetworkResponse *answer = NULL;
    request.net_id = networks[i].net_id;
    lpx_err err = cli_call(c, AGENT_IAM, REGISTRY "GetNetwork", &request.base,
                           &pb__iam__v1__get_network_response__descriptor, &answer);
    bool made = err.code == LPX_NOT_FOUND;
    if (made) {
        err = create_network(c, i);
    } else if (!lpx_failed(err)) {
        err = check_network(c, i, answer->network);
    }
    if (!lpx_failed(err)) {
        lpx_buf_printf(&c->out, "Network %06X \"%s\"%s%s: %s\n", networks[i].net_id, networks[i].name,
                       networks[i].blocks[0] != 0 ? ", DevAddr block " : "", networks[i].blocks,
                       made ? "made" : "there already");
    }
    return err;
}

/* ---- keys ---- */

static void read_state(demo *d)
{
    cli *c = d->c;
    lpx_str text;
    yaml_doc doc = {0};
    if (lpx_failed(cli_read_file(c, d->state_file, CLI_FILE_BYTES, &text)) ||
        lpx_failed(yaml_read(text, &c->arena, &doc, NULL))) {
        return;
    }
    const struct {
        const char *key;
        char **out;
    } wanted[] = {{"forwarder-client-id", &d->forwarder_key.id},
                  {"forwarder-client-secret", &d->forwarder_key.secret},
                  {"home-network-client-id", &d->home_key.id},
                  {"home-network-client-secret", &d->home_key.secret}};
    for (size_t i = 0; i < doc.count; i++) {
        for (size_t k = 0; k < sizeof wanted / sizeof *wanted; k++) {
            if (doc.entries[i].kind == YAML_SCALAR && lpx_str_is(doc.entries[i].path, wanted[k].key)) {
                *wanted[k].out = cli_printf(c, "%.*s", (int)doc.entries[i].text.len, doc.entries[i].text.ptr);
            }
        }
    }
}

static lpx_err write_state(demo *d)
{
    cli *c = d->c;
    const char *text = cli_printf(c,
                                  "# Keys that lpx demo made; deleted with it.\n"
                                  "forwarder-client-id: '%s'\nforwarder-client-secret: '%s'\n"
                                  "home-network-client-id: '%s'\nhome-network-client-secret: '%s'\n",
                                  d->forwarder_key.id, d->forwarder_key.secret, d->home_key.id, d->home_key.secret);
    return cli_write_private(c, d->state_file, lpx_str_of(text));
}

/* Does the exchange still have this key, approved? */
static lpx_err find_key(cli *c, uint32_t net_id, const char *id, bool *found)
{
    Pb__Iam__V2__ListNetworkAPIKeysRequest request = PB__IAM__V2__LIST_NETWORK_APIKEYS_REQUEST__INIT;
    Pb__Iam__V2__ListNetworkAPIKeysResponse *answer = NULL;
    request.net_id = cli_wrap_uint32(c, net_id);
    LPX_TRY(cli_call(c, AGENT_IAM, VAULT "ListAPIKeys", &request.base,
                     &pb__iam__v2__list_network_apikeys_response__descriptor, &answer));
    *found = false;
    for (size_t i = 0; i < answer->n_keys; i++) {
        const Pb__V3__NetworkAPIKey *k = answer->keys[i];
        *found = *found || (strcmp(k->key_id, id) == 0 && k->state == PB__V3__APIKEY_STATE__APPROVED);
    }
    return LPX_SUCCESS;
}

static lpx_err create_key(cli *c, uint32_t net_id, demo_key *key)
{
    Pb__Iam__V2__CreateNetworkAPIKeyRequest request = PB__IAM__V2__CREATE_NETWORK_APIKEY_REQUEST__INIT;
    Pb__Iam__V2__CreateNetworkAPIKeyResponse *answer = NULL;
    request.net_id = net_id;
    request.rights = cli_rights_of(c, rights, &request.n_rights);
    LPX_TRY(cli_call(c, AGENT_IAM, VAULT "CreateAPIKey", &request.base,
                     &pb__iam__v2__create_network_apikey_response__descriptor, &answer));
    if (answer->key == NULL || answer->key->state != PB__V3__APIKEY_STATE__APPROVED) {
        return cli_fail(c, CLI_INCOMPLETE,
                        "the new API key waits for approval: the demo needs an administrator's "
                        "--iam-username and --iam-password");
    }
    key->id = answer->key->key_id;
    key->secret = answer->key->key;
    return LPX_SUCCESS;
}

static lpx_err ensure_key(demo *d, uint32_t net_id, bool fresh, demo_key *key)
{
    bool found = false;
    if (!fresh && key->id != NULL && key->secret != NULL) {
        LPX_TRY(find_key(d->c, net_id, key->id, &found));
    }
    d->keys_reused = d->keys_reused || found;
    return found ? LPX_SUCCESS : create_key(d->c, net_id, key);
}

static lpx_err ensure_keys(demo *d, bool fresh)
{
    d->keys_reused = false;
    LPX_TRY(ensure_key(d, DEMO_FORWARDER, fresh, &d->forwarder_key));
    LPX_TRY(ensure_key(d, DEMO_HOME, fresh, &d->home_key));
    LPX_TRY(write_state(d));
    lpx_buf_printf(&d->c->out, "API keys %s (Forwarder), %s (Home Network): %s, kept in %s\n", d->forwarder_key.id,
                   d->home_key.id, d->keys_reused ? "there already" : "made", d->state_file);
    return LPX_SUCCESS;
}

lpx_err demo_setup(demo *d)
{
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
        LPX_TRY(ensure_network(d->c, i));
    }
    read_state(d);
    return ensure_keys(d, false);
}

/* ---- agents and policy ---- */

static lpx_err open_agent(demo *d, const demo_key *key, agent **out)
{
    agent_opts opts;
    lpx_note note = {{0}};
    cli_agent_opts(d->c, &opts);
    opts.loop = agent_loop(d->c->agent);
    opts.username = opts.password = opts.token = opts.loopback_username = opts.loopback_password = NULL;
    opts.client_id = key->id;
    opts.client_secret = key->secret;
    lpx_err err = agent_open(&opts, out, &note);
    return lpx_failed(err) ? cli_fail(d->c, err.reason, "%s", note.text) : LPX_SUCCESS;
}

static lpx_err set_policy(demo *d)
{
    cli *c = d->c;
    Pb__Routing__V1__SetPolicyRequest request = PB__ROUTING__V1__SET_POLICY_REQUEST__INIT;
    Pb__V3__RoutingPolicy *policy = cli_new(c, &pb__v3__routing_policy__descriptor);
    policy->forwarder_net_id = DEMO_FORWARDER;
    policy->home_network_net_id = DEMO_HOME;
    policy->uplink = cli_uplink_policy_of(c, "JMASL");
    policy->downlink = cli_downlink_policy_of(c, "JMA");
    request.policy = policy;
    agent_failure why;
    ProtobufCMessage *answer = NULL;
    lpx_err err = agent_call(d->forwarder, AGENT_CONTROL, MANAGER "SetHomeNetworkPolicy", &request.base,
                             &google__protobuf__empty__descriptor, &c->arena, &answer, &why);
    if (lpx_failed(err)) {
        cli_explain(c, "%s", why.text);
        return err;
    }
    lpx_buf_printf(&c->out, "Policy %06X -> %06X: uplink JMASL, downlink JMA\n", DEMO_FORWARDER, DEMO_HOME);
    return LPX_SUCCESS;
}

static lpx_err open_both(demo *d)
{
    agent_close(&d->forwarder);
    agent_close(&d->home);
    LPX_TRY(open_agent(d, &d->forwarder_key, &d->forwarder));
    LPX_TRY(open_agent(d, &d->home_key, &d->home));
    return set_policy(d);
}

lpx_err demo_open(demo *d)
{
    lpx_err err = open_both(d);
    if (err.code == LPX_UNAUTHENTICATED && d->keys_reused) { /* a secret of another database */
        LPX_TRY(ensure_keys(d, true));
        err = open_both(d);
    }
    return err;
}

lpx_err demo_remove(demo *d)
{
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
        Pb__Iam__V1__NetworkRequest request = PB__IAM__V1__NETWORK_REQUEST__INIT;
        Google__Protobuf__Empty *answer = NULL;
        request.net_id = networks[i].net_id;
        LPX_TRY(cli_call(d->c, AGENT_IAM, REGISTRY "DeleteNetwork", &request.base, &google__protobuf__empty__descriptor,
                         &answer));
    }
    (void)unlink(d->state_file);
    lpx_buf_printf(&d->c->out, "Removed the networks %06X and %06X with their keys and policies.\n", DEMO_FORWARDER,
                   DEMO_HOME);
    return LPX_SUCCESS;
}
