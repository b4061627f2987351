/* All gateways in memory, as lists show them: found by key, by place, by time of their last change. About 150 bytes for
 * each. Private to this folder. Pure. Thread: one owner at a time. */
#pragma once
#include "base/err.h"
#include "mapper/mapper_grants_core.h"

typedef struct mapper_index mapper_index;

/** New index without gateways; nobody is registered and nothing is visible until mapper_index_set_grants.
 * @param seed random, against keys that are chosen to collide
 * @return NULL when the heap is exhausted */
mapper_index *mapper_index_new(uint64_t seed);
/** Free; clears the pointer; accepts NULL. */
void mapper_index_free(mapper_index **index);

/** Use these visibilities and members from now on; taken over. */
void mapper_index_set_grants(mapper_index *index, mapper_grants *grants);

/** Put what is known of a gateway in the place of what was; what is not newer changes nothing. A row that is
 * MAPPER_GONE removes its gateway. Copied.
 * @param added set when the gateway was not there before
 * @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY (also at MAPPER_MAX_GATEWAYS); then nothing changed */
LPX_RESULT mapper_index_put(mapper_index *index, const mapper_row *row, bool *added);
/** Remove gateways whose last change was before a time. @return how many there were */
size_t mapper_index_remove_before(mapper_index *index, lpx_utc time);
/** Remove the gateways of a forwarder. @return how many there were */
size_t mapper_index_remove_forwarder(mapper_index *index, traffic_member forwarder);
/** Next forwarder with gateways that is not registered, from *position on, which is moved. Text is borrowed until the
 * index changes. @return false at the end */
bool mapper_index_unregistered(const mapper_index *index, uint32_t *position, traffic_member *out);

/** Find a gateway and what a viewer sees of it.
 * @param row   borrowed until the index changes
 * @param parts mapper_part; 0: hidden
 * @return false when it is not there */
bool mapper_index_find(const mapper_index *index, const mapper_viewer *viewer, traffic_member forwarder, lpx_str key,
                       mapper_row *row, uint32_t *parts);

/** Number of gateways. */
size_t mapper_index_count(const mapper_index *index);
/** Number of gateways that are online. Looks at all of them. */
size_t mapper_index_online(const mapper_index *index, lpx_utc now);
/** Networks with limit gateways or more, rising.
 * @return how many were written, at most max */
size_t mapper_index_full(const mapper_index *index, uint32_t limit, uint32_t *out, size_t max);
