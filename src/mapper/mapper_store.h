/* Gateways, visibilities and members in the store. Private to this folder. Thread: a store worker. */
#pragma once
#include "mapper/mapper_grants_core.h"
#include "mapper/mapper_update_core.h"
#include "store/store.h"

/** Is it a registered network or tenant? */
LPX_RESULT mapper_store_registered(store_tx *tx, traffic_member member, bool *found);

/** A stored gateway, in an arena. */
typedef struct mapper_stored {
    lpx_str key;
    Pb__V3__Gateway *gateway; /* NULL: it goes by another key now */
    lpx_utc online_until, updated_at;
} mapper_stored;

/** The gateway of a key. */
LPX_RESULT mapper_store_get(store_tx *tx, traffic_member forwarder, lpx_str key, lpx_arena *arena, mapper_stored *out,
                            bool *found);
/** The gateway that an update means under another kind of key: that of the same EUI in the same cluster, the one that
 * changed last. */
LPX_RESULT mapper_store_other_key(store_tx *tx, const mapper_update *update, lpx_arena *arena, mapper_stored *out,
                                  bool *found);
/** Store what an update made. */
LPX_RESULT mapper_store_put(store_tx *tx, const mapper_update *update, const mapper_stored *made, lpx_utc now,
                            lpx_arena *arena);
/** Say that a gateway goes by another key now. */
LPX_RESULT mapper_store_retire(store_tx *tx, traffic_member forwarder, lpx_str key, lpx_utc now);

/** A place in the order of changes: behind this time and these keys. Text is borrowed. */
typedef struct mapper_feed {
    lpx_utc updated_at;
    traffic_member forwarder;
    lpx_str key;
} mapper_feed;

/** The next MAPPER_PAGE_ROWS rows behind a place, in the arena. A row that cannot be read counts as gone. */
LPX_RESULT mapper_store_page(store_tx *tx, const mapper_feed *after, lpx_arena *arena, mapper_row *out, size_t *count);
/** All visibilities and members. *out is the caller's. */
LPX_RESULT mapper_store_grants(store_tx *tx, mapper_grants **out);
/** Remove up to MAPPER_SWEEP_ROWS gateways that changed before a time last. */
LPX_RESULT mapper_store_remove_before(store_tx *tx, lpx_utc time, int64_t *removed);
/** Remove the gateways of a forwarder unless it is registered. @param removed whether it is not registered */
LPX_RESULT mapper_store_remove_forwarder(store_tx *tx, traffic_member forwarder, bool *removed);
