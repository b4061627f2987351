#include "mapper/mapper_grants_core.h"

#include <stdlib.h>

struct mapper_grants {
    mapper_grant *grants; /* sorted */
    size_t grant_count;
    traffic_member *members; /* sorted */
    size_t member_count;
    char *text;
};

/* ---- order ---- */

static int member_order(const traffic_member *a, const traffic_member *b)
{
    if (a->net_id != b->net_id) {
        return a->net_id < b->net_id ? -1 : 1;
    }
    size_t common = a->tenant_id.len < b->tenant_id.len ? a->tenant_id.len : b->tenant_id.len;
    int order = common > 0 ? memcmp(a->tenant_id.ptr, b->tenant_id.ptr, common) : 0;
    return order != 0 ? order : (a->tenant_id.len > b->tenant_id.len) - (a->tenant_id.len < b->tenant_id.len);
}

static int compare_members(const void *left, const void *right)
{
    return member_order(left, right);
}

static int compare_grants(const void *left, const void *right)
{
    const mapper_grant *a = left;
    const mapper_grant *b = right;
    int order = member_order(&a->forwarder, &b->forwarder);
    if (order == 0) {
        order = (int)a->is_default - (int)b->is_default;
    }
    return order != 0 ? order : member_order(&a->home, &b->home);
}

/* ---- making ---- */

static size_t text_bytes(const mapper_grant *grants, size_t grant_count, const traffic_member *members,
                         size_t member_count)
{
    size_t bytes = 1;
    for (size_t i = 0; i < grant_count; i++) {
        bytes += grants[i].forwarder.tenant_id.len + grants[i].home.tenant_id.len;
    }
    for (size_t i = 0; i < member_count; i++) {
        bytes += members[i].tenant_id.len;
    }
    return bytes;
}

static traffic_member keep(traffic_member member, char **text)
{
    char *at = *text;
    if (member.tenant_id.len > 0) {
        memcpy(at, member.tenant_id.ptr, member.tenant_id.len);
    }
    *text += member.tenant_id.len;
    return (traffic_member){member.net_id, {at, member.tenant_id.len}};
}

mapper_grants *mapper_grants_new(const mapper_grant *grants, size_t grant_count, const traffic_member *members,
                                 size_t member_count)
{
    mapper_grants *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    made->grants = calloc(grant_count + 1, sizeof *made->grants);
    made->members = calloc(member_count + 1, sizeof *made->members);
    made->text = malloc(text_bytes(grants, grant_count, members, member_count));
    if (made->grants == NULL || made->members == NULL || made->text == NULL) {
        mapper_grants_free(&made);
        return NULL;
    }
    char *text = made->text;
    for (size_t i = 0; i < grant_count; i++) {
        made->grants[i] = grants[i];
        made->grants[i].forwarder = keep(grants[i].forwarder, &text);
        made->grants[i].home = grants[i].is_default ? (traffic_member){0, {"", 0}} : keep(grants[i].home, &text);
    }
    for (size_t i = 0; i < member_count; i++) {
        made->members[i] = keep(members[i], &text);
    }
    made->grant_count = grant_count;
    made->member_count = member_count;
    qsort(made->grants, grant_count, sizeof *made->grants, compare_grants);
    qsort(made->members, member_count, sizeof *made->members, compare_members);
    return made;
}

void mapper_grants_free(mapper_grants **grants)
{
    mapper_grants *old = *grants;
    *grants = NULL;
    if (old != NULL) {
        free(old->grants);
        free(old->members);
        free(old->text);
        free(old);
    }
}

/* ---- asking ---- */

bool mapper_grants_registered(const mapper_grants *grants, traffic_member member)
{
    return bsearch(&member, grants->members, grants->member_count, sizeof member, compare_members) != NULL;
}

static bool find(const mapper_grants *grants, const mapper_grant *key, uint32_t *parts)
{
    const mapper_grant *found = bsearch(key, grants->grants, grants->grant_count, sizeof *key, compare_grants);
    if (found != NULL) {
        *parts = found->parts & MAPPER_SEE_ALL;
    }
    return found != NULL;
}

static traffic_member network_of(traffic_member member)
{
    return (traffic_member){.net_id = member.net_id, .tenant_id = {"", 0}};
}

uint32_t mapper_grants_public(const mapper_grants *grants, traffic_member forwarder)
{
    uint32_t parts = 0;
    mapper_grant key = {.forwarder = forwarder, .is_default = true, .home = {0, {"", 0}}};
    if (!find(grants, &key, &parts)) {
        key.forwarder = network_of(forwarder);
        (void)find(grants, &key, &parts);
    }
    return parts;
}

uint32_t mapper_grants_home(const mapper_grants *grants, traffic_member forwarder, traffic_member home)
{
    uint32_t parts = 0;
    mapper_grant key = {.forwarder = forwarder, .home = home};
    if (find(grants, &key, &parts)) {
        return parts;
    }
    key.home = network_of(home);
    return find(grants, &key, &parts) ? parts : mapper_grants_public(grants, forwarder);
}

uint32_t mapper_viewer_parts(const mapper_viewer *viewer, const mapper_grants *grants, traffic_member forwarder,
                             uint32_t public_parts)
{
    bool own = viewer->has_own && viewer->own.net_id == forwarder.net_id &&
               (viewer->own.tenant_id.len == 0 || lpx_str_equal(viewer->own.tenant_id, forwarder.tenant_id));
    if (own || viewer->kind == MAPPER_VIEW_ALL) {
        return MAPPER_SEE_ALL;
    }
    return viewer->kind == MAPPER_VIEW_HOME ? mapper_grants_home(grants, forwarder, viewer->home) : public_parts;
}
