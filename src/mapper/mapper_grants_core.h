/* Who may see what of a forwarder's gateways: an immutable table of all visibilities and members. Private to this
 * folder. Pure. */
#pragma once
#include "mapper/mapper_row.h"

/** One visibility: toward everybody, or toward one home network. Text is borrowed. */
typedef struct mapper_grant {
    traffic_member forwarder;
    bool is_default;     /* then home counts as empty */
    traffic_member home; /* a network, or one of its tenants */
    uint32_t parts;      /* mapper_part */
} mapper_grant;

typedef struct mapper_grants mapper_grants;

/** New table; everything is copied.
 * @param members registered networks and tenants
 * @return NULL when the heap is exhausted */
mapper_grants *mapper_grants_new(const mapper_grant *grants, size_t grant_count, const traffic_member *members,
                                 size_t member_count);
/** Free; clears the pointer; accepts NULL. */
void mapper_grants_free(mapper_grants **grants);

/** Is it a registered network or tenant? */
bool mapper_grants_registered(const mapper_grants *grants, traffic_member member);
/** What everybody sees of a forwarder's gateways: its default, else its network's default, else nothing. */
uint32_t mapper_grants_public(const mapper_grants *grants, traffic_member forwarder);
/** What a home network sees: the forwarder's visibility toward the tenant, else toward the tenant's network, else what
 * everybody sees. */
uint32_t mapper_grants_home(const mapper_grants *grants, traffic_member forwarder, traffic_member home);

/** Who looks. */
typedef struct mapper_viewer {
    enum { MAPPER_VIEW_PUBLIC, MAPPER_VIEW_HOME, MAPPER_VIEW_ALL } kind;
    traffic_member home; /* MAPPER_VIEW_HOME */
    bool has_own;        /* own counts: a member sees everything of its own gateways */
    traffic_member own;  /* tenant_id empty: a network, with all its tenants */
} mapper_viewer;

/** Parts of a forwarder's gateways that a viewer sees; 0: the gateways are hidden.
 * @param public_parts mapper_grants_public of the forwarder, which the caller keeps */
uint32_t mapper_viewer_parts(const mapper_viewer *viewer, const mapper_grants *grants, traffic_member forwarder,
                             uint32_t public_parts);
