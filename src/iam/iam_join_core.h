/* Join Servers: what a request may say, what it changes, who sees what. Pure, as iam_core. */
#pragma once
#include "iam/iam_core.h"

/** How the owner of a device is found. */
typedef enum iam_resolver {
    IAM_RESOLVER_NONE,
    IAM_RESOLVER_LOOKUP, /* the Join Server is asked */
    IAM_RESOLVER_FIXED,  /* all devices are of one member */
} iam_resolver;

/** A Join Server as stored. Views are borrowed. */
typedef struct iam_join_server {
    uint32_t id;
    lpx_str name;
    iam_contact admin, tech;
    bool listed;
    iam_resolver resolver;
    lpx_bytes lookup; /* LOOKUP: serialised target */
    uint32_t fixed_net_id;
    lpx_str fixed_tenant_id, fixed_cluster_id;
    const lw_eui64_prefix *prefixes; /* normal form */
    size_t prefix_count;
} iam_join_server;

/** What a request changes of a Join Server; what has no has_ stays. Pointers into the request. */
typedef struct iam_join_change {
    const char *at; /* "join_server." or "" */
    bool has_name, has_admin, has_tech, has_listed, has_prefixes;
    lpx_str name;
    const Pb__V3__ContactInfo *admin, *tech; /* NULL: cleared */
    bool listed;
    Pb__V3__JoinEUIPrefix *const *prefixes;
    size_t prefix_count;
    const Pb__V3__Target *lookup; /* at most one of both; none: the resolver stays, as no update can say "none" */
    const Pb__V3__JoinServerFixedEndpoint *fixed;
} iam_join_change;

/** All fields of a new Join Server as a change. */
iam_join_change iam_join_change_of(const Pb__V3__JoinServer *server);
/** The fields that an update names. */
iam_join_change iam_join_change_of_update(const Pb__Iam__V2__UpdateJoinServerRequest *request);

/** Check the change and apply it. Prefixes are brought into normal form, and the same one is kept once.
 * @param server changed on success only; new parts lie in the arena or in the request
 * @err INVALID_ARGUMENT: IAM_BAD_TEXT, IAM_BAD_PREFIX, IAM_BAD_TARGET, IAM_BAD_NET_ID, LW_NETID_INVALID,
 *      LW_TENANT_ID_INVALID, LW_CLUSTER_ID_INVALID; RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT iam_join_change_apply(iam_join_server *server, const iam_join_change *change, lpx_arena *arena,
                                 lpx_note *note);

/** Contacts: administrators and READ_JOIN_SERVER_CONTACT. Secrets of lookup targets: administrators and
 * READ_TARGET_AUTH. */
iam_view iam_view_of_join_server(const rpc_principal *who);

/** A Join Server as message. NULL: memory is short or the stored target is not readable. */
Pb__V3__JoinServer *iam_join_server_to_message(const iam_join_server *server, iam_view view, lpx_arena *arena);
/** A Join Server as the catalog shows it: without its resolver. NULL as above. */
Pb__V3__JoinServer *iam_join_server_to_catalog(const iam_join_server *server, iam_view view, lpx_arena *arena);
