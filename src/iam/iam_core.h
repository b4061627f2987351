/* Decisions of the registries and of the API key vault: what a request may say, what it changes, who sees what. Pure:
 * everything comes in as parameters, and what is made lies in the arena. */
#pragma once
#include "base/arena.h"
#include "base/time.h"
#include "codec/pb/pb.h"
#include "lorawan/ids.h"
#include "pb_iam_v1_api.pb-c.h"
#include "pb_iam_v2_api.pb-c.h"
#include "pb_v3_api.pb-c.h"
#include "rpc/principal.h"

/* Text and pages. */

/** Same text but for the case of A to Z? */
bool iam_text_equal_fold(lpx_str a, lpx_str b);
/** Does text hold part, but for the case of A to Z? An empty part is in every text. */
bool iam_text_contains_fold(lpx_str text, lpx_str part);
/** Is a text short enough and without control characters? The field's name in notes is at and field together.
 * @err INVALID_ARGUMENT: IAM_BAD_TEXT */
LPX_RESULT iam_text_check(lpx_str text, size_t max, const char *at, const char *field, lpx_note *note);
/** Rows that a page has at most: limit 0 is the default, larger ones are cut. */
uint32_t iam_page_limit(uint32_t limit);

/** Filter of a list; empty texts do not filter. Of two that are given one must match. */
typedef struct iam_filter {
    lpx_str id_contains, name_contains;
} iam_filter;

/** Is there anything to filter by? */
bool iam_filter_is_empty(const iam_filter *filter);
/** Does a row with this id (empty for networks) and name pass? */
bool iam_filter_passes(const iam_filter *filter, lpx_str id, lpx_str name);

/* Members. */

typedef struct iam_contact {
    lpx_str name, email, url;
} iam_contact;

typedef struct iam_block {
    lw_devaddr_prefix prefix; /* normal form */
    lpx_str cluster_id;
} iam_block;

/** A network (tenant_id empty) or a tenant, as stored. Views are borrowed. */
typedef struct iam_member {
    uint32_t net_id;
    lpx_str tenant_id, authority, name;
    iam_contact admin, tech;
    bool listed;
    bool has_target;
    lpx_bytes target; /* serialised */
    bool delegated;   /* networks */
    uint32_t delegated_net_id;
    const iam_block *blocks;
    size_t block_count;
} iam_member;

/** What a request changes of a member; what has no has_ stays. Pointers into the request. */
typedef struct iam_change {
    const char *at; /* "network.", "tenant." or "": what stands before field names in notes */
    bool has_name, has_admin, has_tech, has_listed, has_blocks, has_target, has_delegated;
    lpx_str name;
    const Pb__V3__ContactInfo *admin, *tech; /* NULL: cleared */
    bool listed;
    Pb__V3__DevAddrBlock *const *blocks;
    size_t block_count;
    const Pb__V3__Target *target;                   /* NULL: removed */
    const Google__Protobuf__UInt32Value *delegated; /* NULL: unset */
} iam_change;

/** Where the DevAddr blocks of a member may lie. */
typedef struct iam_space {
    uint32_t net_id;
    const uint32_t *represented; /* NetIDs that delegate to net_id */
    size_t represented_count;
} iam_space;

/** Do the member or the networks that it represents have exactly these addresses? */
bool iam_space_has(const iam_space *space, lw_devaddr_prefix addresses);

/** Does this network delegate to the one of the space? */
bool iam_space_represents(const iam_space *space, uint32_t net_id);

/** All fields of a new network as a change. */
iam_change iam_change_of_network(const Pb__V3__Network *network);
/** All fields of a new tenant as a change. */
iam_change iam_change_of_tenant(const Pb__V3__Tenant *tenant);
/** The fields that an update of a network names. */
iam_change iam_change_of_network_update(const Pb__Iam__V1__UpdateNetworkRequest *request);
/** The fields that an update of a tenant names. */
iam_change iam_change_of_tenant_update(const Pb__Iam__V1__UpdateTenantRequest *request);

/** May this NetID be registered? @err INVALID_ARGUMENT: LW_NETID_INVALID, IAM_BAD_NET_ID (000000 and 000001 unless
 * allowed) */
LPX_RESULT iam_net_id_check(uint32_t net_id, bool allow_private, const char *field, lpx_note *note);
/** The id of an existing or new member; tenant_id NULL: a network is meant.
 * @err INVALID_ARGUMENT: LW_NETID_INVALID, LW_TENANT_ID_INVALID, IAM_MISSING_FIELD */
LPX_RESULT iam_member_id_check(uint32_t net_id, const char *tenant_id, const char *at, lpx_note *note);

/** May the caller make this change? An administrator may all. A tenant may change name, contacts and listed of itself;
 * of a member with an authority others may change listed alone.
 * @err PERMISSION_DENIED: IAM_FIELD_FORBIDDEN (note names the field) */
LPX_RESULT iam_change_allowed(const rpc_principal *who, const iam_member *member, const iam_change *change,
                              lpx_note *note);

/** Check the change and apply it to the member.
 * @param member changed on success only; new parts lie in the arena or in the request
 * @err INVALID_ARGUMENT: IAM_BAD_TEXT, IAM_BAD_BLOCK, IAM_TOO_MANY_BLOCKS, IAM_BAD_TARGET, IAM_BAD_NET_ID,
 *      LW_CLUSTER_ID_INVALID, LW_NETID_INVALID; RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT iam_change_apply(iam_member *member, const iam_change *change, const iam_space *space, lpx_arena *arena,
                            lpx_note *note);

/** DevAddr blocks of a request in normal form: each inside the space; one that is wider is cut to the space; the same
 * block twice is kept once. */
LPX_RESULT iam_blocks_fit(const iam_change *change, const iam_space *space, lpx_arena *arena, iam_block **out,
                          size_t *count, lpx_note *note);

/** Names of a contact's fields, for notes. */
typedef struct iam_contact_names {
    const char *name, *email, *url;
} iam_contact_names;

/** Names of the two contacts that members and Join Servers have. */
extern const iam_contact_names iam_admin_names, iam_tech_names;

/** A contact of a request; NULL clears it. @err INVALID_ARGUMENT: IAM_BAD_TEXT */
LPX_RESULT iam_contact_read(const Pb__V3__ContactInfo *in, const char *at, const iam_contact_names *names,
                            iam_contact *out, lpx_note *note);

/** A target of a request, checked and serialised. @param field its name, for notes
 * @err as iam_target_check, RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT iam_target_read(const Pb__V3__Target *target, const char *field, lpx_arena *arena, lpx_bytes *out,
                           lpx_note *note);
/** Is a target usable? @param field its name, for the note @err INVALID_ARGUMENT: IAM_BAD_TARGET, LW_NETID_INVALID */
LPX_RESULT iam_target_check(const Pb__V3__Target *target, const char *field, lpx_note *note);

/** What a caller may see of a member, or of a Join Server. */
typedef struct iam_view {
    bool contacts, secrets;
} iam_view;

/** Contacts: administrators, READ_NETWORK_CONTACT, and of one's own network. Secrets of targets: administrators and
 * READ_TARGET_AUTH. */
iam_view iam_view_of(const rpc_principal *who, uint32_t net_id);

/** What a caller may see of a member in the catalog: contacts by right alone, targets never. */
iam_view iam_view_of_catalog(const rpc_principal *who);

/** Does the caller have this right? An administrator has all. */
bool iam_has_right(const rpc_principal *who, unsigned right);

/** May the caller speak for this member? Administrators and clusters for all, a network for its tenants too.
 * @param at  what stands before field names in notes
 * @err PERMISSION_DENIED: RPC_NOT_OWN; INVALID_ARGUMENT: LW_NETID_INVALID, LW_TENANT_ID_INVALID */
LPX_RESULT iam_member_own(const rpc_principal *who, uint32_t net_id, lpx_str tenant_id, const char *at, lpx_note *note);

/** A network or tenant as the catalog shows it. NULL when memory is short. */
Pb__V3__NetworkOrTenant *iam_member_to_catalog(const iam_member *member, iam_view view, lpx_arena *arena);

/* Pieces of messages. Each answers false when memory is short. */

/** Text as a message has it. */
bool iam_put_text(lpx_str text, lpx_arena *arena, char **out);
/** A contact; an empty one is absent, as clients expect of one that was cleared. */
bool iam_put_contact(const iam_contact *contact, lpx_arena *arena, Pb__V3__ContactInfo **out);
/** Rights of a mask as a list. */
bool iam_put_rights(uint64_t mask, lpx_arena *arena, Pb__V3__Right **out, size_t *count);
/** A time; absent when it is not set. */
bool iam_put_time(bool set, lpx_utc time, lpx_arena *arena, Google__Protobuf__Timestamp **out);
/** A stored target. Without secrets it shows where, and not how to get in. */
bool iam_put_target(lpx_bytes stored, bool secrets, lpx_arena *arena, Pb__V3__Target **out);

/** A network as message; represents is copied. NULL: memory is short or the stored target is not readable. */
Pb__V3__Network *iam_member_to_network(const iam_member *member, const iam_space *space, iam_view view,
                                       lpx_arena *arena);
/** A tenant as message. NULL as above. */
Pb__V3__Tenant *iam_member_to_tenant(const iam_member *member, iam_view view, lpx_arena *arena);

/* API keys. */

enum { IAM_KEY_REQUESTED = 0, IAM_KEY_APPROVED = 1, IAM_KEY_REJECTED = 2 };
enum {
    IAM_RIGHT_READ_NETWORK_CONTACT = 1,
    IAM_RIGHT_READ_TARGET_AUTH = 6,
    IAM_RIGHT_READ_JOIN_SERVER_CONTACT = 13,
};

/** Whose a key is; numbers as stored. */
typedef enum iam_key_kind { IAM_KEY_OF_NETWORK = 0, IAM_KEY_OF_CLUSTER = 1 } iam_key_kind;

/** An API key as stored, without its secret. */
typedef struct iam_key {
    iam_key_kind kind;
    lpx_str key_id, tenant_id, cluster_id;
    uint32_t net_id;
    uint64_t rights;
    int state;
    bool used;
    lpx_utc authenticated_at;
} iam_key;

/** Rights of a request as bits. @err INVALID_ARGUMENT: IAM_BAD_RIGHT (note names the place) */
LPX_RESULT iam_rights_mask(const Pb__V3__Right *rights, size_t count, uint64_t *out, lpx_note *note);

/** May this caller make a key with these rights, bound to this cluster? An administrator: any. A network: its own
 * rights, and its own cluster when it is bound to one. A stranger: those that networks have.
 * @err INVALID_ARGUMENT: IAM_BAD_RIGHT; PERMISSION_DENIED: IAM_RIGHTS_EXCEEDED, IAM_FIELD_FORBIDDEN */
LPX_RESULT iam_key_allowed(const rpc_principal *who, uint64_t rights, lpx_str cluster_id, lpx_note *note);

/** State of a key that this caller makes. */
int iam_key_first_state(const rpc_principal *who);

/** Is a secret that a caller chose usable? @err INVALID_ARGUMENT: IAM_BAD_SECRET */
LPX_RESULT iam_secret_check(lpx_str secret, lpx_note *note);

/** Which keys a list holds; what has no has_ does not narrow. */
typedef struct iam_key_filter {
    iam_key_kind kind;
    bool has_net_id, has_tenant_id, has_cluster_id;
    uint32_t net_id;
    lpx_str tenant_id, cluster_id;
} iam_key_filter;

/** Filter of a request: a network sees its own keys.
 * @err INVALID_ARGUMENT: IAM_BAD_FILTER (an empty tenant beside a NetID), LW_NETID_INVALID */
LPX_RESULT iam_key_filter_of(const Pb__Iam__V2__ListNetworkAPIKeysRequest *request, const rpc_principal *who,
                             iam_key_filter *out, lpx_note *note);

/** Rights of a key that is made by the first generation of the API, whose request names none: those that a network gets
 * which registers itself, as far as the caller has them. */
uint64_t iam_key_first_rights(const rpc_principal *who);

/** A key of a network or tenant as message, without secret. NULL when memory is short. */
Pb__V3__NetworkAPIKey *iam_key_to_message(const iam_key *key, lpx_arena *arena);
/** A key of a cluster as message, without secret. NULL when memory is short. */
Pb__V3__ClusterAPIKey *iam_key_to_cluster_message(const iam_key *key, lpx_arena *arena);

/** Token bucket as one number: the time at which the bucket would be full again. Refills one token per interval, holds
 * burst of them. A clock that went back does not block it for longer than an empty bucket takes to fill.
 * @param full_at_us  state, 0 at first
 * @return whether a token was there; then it is taken */
bool iam_bucket_take(int64_t *full_at_us, int64_t now_us, int64_t interval_us, uint32_t burst);
