/* One query over the index: which gateways, in which order, as whom; taken up again slice by slice while the index
 * changes in between. Private to this folder. Pure. */
#pragma once
#include "mapper/mapper_geo_core.h"
#include "mapper/mapper_index_core.h"
#include "mapper/mapper_order_core.h"

/** What a list is asked for. Text is borrowed. */
typedef struct mapper_query {
    bool has_near; /* near counts */
    mapper_circle near;
    bool has_since; /* since counts: changed then or later, in the order of change */
    lpx_utc since;
    bool has_online; /* online counts: those that are, or those that are not */
    bool online;
    bool has_forwarder, has_tenant, has_cluster; /* what of forwarder counts */
    traffic_endpoint forwarder;
    bool has_home; /* home counts: the view of this home network */
    traffic_member home;
    uint64_t offset, limit; /* after all other conditions; UINT64_MAX: no limit */
} mapper_query;

/** A gateway that was found. */
typedef struct mapper_hit {
    mapper_row row;
    uint32_t parts; /* what may be shown; not 0 */
} mapper_hit;

typedef struct mapper_scan mapper_scan;

/** New scan. The query and what the viewer points to are borrowed.
 * @return NULL when the heap is exhausted */
mapper_scan *mapper_scan_new(const mapper_query *query, const mapper_viewer *viewer);
/** Free; clears the pointer; accepts NULL. */
void mapper_scan_free(mapper_scan **scan);

/** What a step found. */
typedef enum mapper_found {
    MAPPER_FOUND_HIT,
    MAPPER_FOUND_PAUSE, /* looked at as many as it may: go on later */
    MAPPER_FOUND_END,
} mapper_found;

/** Begin, or go on after the index may have changed. */
void mapper_scan_resume(mapper_scan *scan, const mapper_index *index);
/** Next gateway; the index has not changed since mapper_scan_resume.
 * @param steps gateways that may still be looked at; counted down
 * @param out   set on a hit; text is borrowed until the index changes */
mapper_found mapper_scan_next(mapper_scan *scan, const mapper_index *index, lpx_utc now, uint32_t *steps,
                              mapper_hit *out);
