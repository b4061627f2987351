/* Authorisation of every rpc, in one table that tests walk. A rule says which subjects may call, which right they need,
 * and which fields of the request name the resource: a network or tenant token must own it. Pure. Level 5.
 * Source of the rules: who may do what in the official system, and for its gaps docs/adr/0003-authorisation.md. */
#pragma once
#include <protobuf-c/protobuf-c.h>

#include "base/err.h"
#include "rpc/principal.h"

/** How the resource of a call is found. */
typedef enum rpc_scope {
    RPC_SCOPE_NONE,   /* the call names no resource */
    RPC_SCOPE_FIELDS, /* the named fields must be the caller's own */
    RPC_SCOPE_REPORT, /* as FIELDS, but the cluster may be empty: it is copied from a message whose route names none */
    RPC_SCOPE_FILTER, /* the named fields narrow a list: a caller who leaves them out sees its own (the handler narrows)
                       */
    RPC_SCOPE_HANDLER, /* the resource is known only to the store: the handler compares */
} rpc_scope;

/** One row. */
typedef struct rpc_rule {
    const char *path;
    unsigned subjects; /* mask of rpc_subject */
    int right;         /* Right number that tokens need; -1: none */
    rpc_scope scope;
    const char *net_field, *tenant_field, *cluster_field; /* paths in the request; NULL: not named */
} rpc_rule;

/** The rule of a method; NULL when there is none: then nobody may call it. */
const rpc_rule *rpc_authz_find(const char *path);
/** All rules, for tests and documentation. */
const rpc_rule *rpc_authz_rules(size_t *count);

/** Name of a right that rules need ("READ_NETWORK"); static. */
const char *rpc_right_name(int right);

/** May this principal call this method with this request?
 * @err UNAUTHENTICATED: RPC_NO_CREDENTIALS; PERMISSION_DENIED: RPC_WRONG_SUBJECT, RPC_MISSING_RIGHT, RPC_NOT_OWN (note
 *      says which right or field, and what it would have to be) */
LPX_RESULT rpc_authz_check(const rpc_rule *rule, const rpc_principal *who, const ProtobufCMessage *request,
                           lpx_note *note);

/** Who owns what a request is about, as its fields say; what a rule does not name is not looked at. */
typedef struct rpc_owner {
    uint64_t net_id;
    lpx_str tenant_id, cluster_id;
} rpc_owner;

/** The same for a request whose fields were read already. Not for rules of RPC_SCOPE_FILTER. */
LPX_RESULT rpc_authz_check_owner(const rpc_rule *rule, const rpc_principal *who, const rpc_owner *owner,
                                 lpx_note *note);
