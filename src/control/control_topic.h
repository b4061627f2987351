/* Topics of the change feed: names, types, rights, and how their present state is read. */
#pragma once
#include "control/control_entity.h"
#include "control/control_feed_core.h"

enum { CONTROL_TOPICS = 10 };

/** Parts of a view that a topic's rows depend on. */
enum { CONTROL_VIEW_CONTACTS = 1, CONTROL_VIEW_JOIN_SERVER_CONTACTS = 2, CONTROL_VIEW_SECRETS = 4, CONTROL_VIEWS = 8 };

/** One topic. */
typedef struct control_topic {
    const char *name;
    const ProtobufCMessageDescriptor *type;
    int right; /* that a subscriber needs */
    const char *right_name;
    store_topic source;       /* what touches it */
    unsigned views;           /* mask of CONTROL_VIEW_* */
    uint32_t identity_fields; /* bit N: field N */
    lpx_err (*read)(control_reader *reader);
} control_topic;

/** All topics, CONTROL_TOPICS of them. */
const control_topic *control_topics(void);
/** Number of the topic with this name; CONTROL_TOPICS when there is none. */
unsigned control_topic_find(lpx_str name);
/** What this caller sees of a topic, as a mask of CONTROL_VIEW_*. */
unsigned control_topic_view(const control_topic *topic, const rpc_principal *who);
/** The present state, one reference. Inside a transaction, on its thread.
 * @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY, CONTROL_TOPIC_TOO_LARGE; those of store_query */
LPX_RESULT control_topic_load(store_tx *tx, const control_topic *topic, unsigned view, control_state **out);
