#include "control/control_topic.h"
#include "control/limits.h"
#include "lpx_reasons.h"
#include "lpx_routing_v1_settings.pb-c.h"

enum {
    READ_NETWORK = 0,
    READ_ROUTING_POLICY = 4,
    READ_ROUTE_TABLE = 5,
    READ_GATEWAY_VISIBILITY = 8,
    READ_JOIN_SERVER = 12
};

#define RIGHT(name) .right = (name), .right_name = #name
#define FIELD(n) (UINT32_C(1) << (n))

static const control_topic topics[CONTROL_TOPICS] = {
    {.name = "networks",
     .type = &pb__v3__network__descriptor,
     RIGHT(READ_NETWORK),
     .source = STORE_TOPIC_NETWORKS,
     .views = CONTROL_VIEW_CONTACTS | CONTROL_VIEW_SECRETS,
     .identity_fields = FIELD(1),
     .read = control_read_networks},
    {.name = "tenants",
     .type = &pb__v3__tenant__descriptor,
     RIGHT(READ_NETWORK),
     .source = STORE_TOPIC_NETWORKS,
     .views = CONTROL_VIEW_CONTACTS | CONTROL_VIEW_SECRETS,
     .identity_fields = FIELD(1) | FIELD(2),
     .read = control_read_tenants},
    {.name = "policies",
     .type = &pb__v3__routing_policy__descriptor,
     RIGHT(READ_ROUTING_POLICY),
     .source = STORE_TOPIC_POLICIES,
     .identity_fields = FIELD(1) | FIELD(2) | FIELD(3) | FIELD(4),
     .read = control_read_policies},
    {.name = "routes",
     .type = &pb__v3__dev_addr_prefix_route__descriptor,
     RIGHT(READ_ROUTE_TABLE),
     .source = STORE_TOPIC_NETWORKS,
     .views = CONTROL_VIEW_SECRETS,
     .identity_fields = FIELD(1) | FIELD(2) | FIELD(3),
     .read = control_read_routes},
    {.name = "join-routes",
     .type = &pb__v3__join_euiprefix_route__descriptor,
     RIGHT(READ_ROUTE_TABLE),
     .source = STORE_TOPIC_JOIN_SERVERS,
     .views = CONTROL_VIEW_SECRETS,
     .identity_fields = FIELD(1) | FIELD(2),
     .read = control_read_join_routes},
    {.name = "join-servers",
     .type = &pb__v3__join_server__descriptor,
     RIGHT(READ_JOIN_SERVER),
     .source = STORE_TOPIC_JOIN_SERVERS,
     .views = CONTROL_VIEW_JOIN_SERVER_CONTACTS | CONTROL_VIEW_SECRETS,
     .identity_fields = FIELD(1),
     .read = control_read_join_servers},
    {.name = "network-keys",
     .type = &pb__v3__network_apikey__descriptor,
     RIGHT(READ_NETWORK),
     .source = STORE_TOPIC_KEYS,
     .identity_fields = FIELD(1),
     .read = control_read_network_keys},
    {.name = "cluster-keys",
     .type = &pb__v3__cluster_apikey__descriptor,
     RIGHT(READ_NETWORK),
     .source = STORE_TOPIC_KEYS,
     .identity_fields = FIELD(1),
     .read = control_read_cluster_keys},
    {.name = "settings",
     .type = &lpx__routing__v1__home_network_settings__descriptor,
     RIGHT(READ_ROUTING_POLICY),
     .source = STORE_TOPIC_SETTINGS,
     .identity_fields = FIELD(1) | FIELD(2),
     .read = control_read_settings},
    {.name = "visibilities",
     .type = &pb__v3__gateway_visibility__descriptor,
     RIGHT(READ_GATEWAY_VISIBILITY),
     .source = STORE_TOPIC_VISIBILITIES,
     .identity_fields = FIELD(10) | FIELD(11) | FIELD(12) | FIELD(13),
     .read = control_read_visibilities},
};

const control_topic *control_topics(void)
{
    return topics;
}

unsigned control_topic_find(lpx_str name)
{
    unsigned index = 0;
    while (index < CONTROL_TOPICS && !lpx_str_is(name, topics[index].name)) {
        index++;
    }
    return index;
}

unsigned control_topic_view(const control_topic *topic, const rpc_principal *who)
{
    control_view view = control_view_of(who);
    unsigned all = (view.contacts ? CONTROL_VIEW_CONTACTS : 0U) |
                   (view.join_server_contacts ? CONTROL_VIEW_JOIN_SERVER_CONTACTS : 0U) |
                   (view.secrets ? CONTROL_VIEW_SECRETS : 0U);
    return all & topic->views;
}

/* A topic while it is read. */
typedef struct load {
    control_reader reader;
    const control_topic *topic;
    control_state *state;
} load;

static lpx_err add_row(control_reader *reader, const ProtobufCMessage *message)
{
    load *l = LPX_CONTAINER(reader, load, reader);
    return control_state_add(l->state, message, l->topic->identity_fields);
}

/* Page by page, so that neither the engine nor the arena holds everything. */
static lpx_err read_pages(load *l)
{
    l->reader.window = (control_window){.limit = CONTROL_FEED_PAGE_ROWS};
    do {
        l->reader.count = 0;
        LPX_TRY(l->topic->read(&l->reader));
        lpx_arena_reset(l->reader.arena);
        l->reader.window.offset += CONTROL_FEED_PAGE_ROWS;
    } while (l->reader.count == CONTROL_FEED_PAGE_ROWS);
    return LPX_SUCCESS;
}

lpx_err control_topic_load(store_tx *tx, const control_topic *topic, unsigned view, control_state **out)
{
    lpx_arena arena;
    load l = {.reader = {.tx = tx,
                         .arena = &arena,
                         .view = {.contacts = (view & CONTROL_VIEW_CONTACTS) != 0,
                                  .join_server_contacts = (view & CONTROL_VIEW_JOIN_SERVER_CONTACTS) != 0,
                                  .secrets = (view & CONTROL_VIEW_SECRETS) != 0},
                         .sink = add_row},
              .topic = topic,
              .state = control_state_new(CONTROL_FEED_STATE_BYTES)};
    if (l.state == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    lpx_arena_init_wiped(&arena, CONTROL_FEED_ARENA_BYTES);
    lpx_err err = read_pages(&l);
    lpx_arena_fini(&arena);
    if (lpx_failed(err)) {
        control_state_unref(&l.state);
        return err;
    }
    control_state_finish(l.state);
    *out = l.state;
    return LPX_SUCCESS;
}
