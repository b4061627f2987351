/* Message ids. An id says when, which way and what kind, and carries a keyed tag over that and over the members that
 * the message is between, so that a report with a made-up id, or by somebody else, does not count, and nothing need be
 * remembered for it. Printable, 46 characters: a ULID, two letters, 80 bits of SipHash-2-4-128 in base32:
 * "01J9Z3V5M8K2N4P6R8T0V2X4Z6-UD-0123456789ABCDEF". Level 6; pure. Thread: any.
 *
 * An uplink's tag binds the forwarder's network and tenant, a downlink's both sides'. An uplink goes to several home
 * networks under one id; each may report it once. */
#pragma once
#include "base/err.h"
#include "base/time.h"
#include "crypto/siphash.h"
#include "router/limits.h"
#include "traffic/traffic.h"

enum { ROUTER_ID_CHARS = 46, ROUTER_ID_TEXT_BYTES = ROUTER_ID_CHARS + 1, ROUTER_ID_RANDOM_BYTES = 10 };

/** Secret of all ids of one exchange. */
typedef union router_id_key {
    uint8_t bytes[ROUTER_ID_KEY_BYTES]; /* as it is stored; random */
    crypto_siphash_key tag;             /* its first half */
} router_id_key;

/** What an id says. */
typedef struct router_id {
    int64_t issued_ms; /* since 1970, 48 bits */
    traffic_direction direction;
    traffic_kind kind;
    uint64_t hash; /* of the tag: equal for equal ids, spread evenly */
} router_id;

/** What an id is made of. */
typedef struct router_id_parts {
    lpx_utc now;
    uint8_t random[ROUTER_ID_RANDOM_BYTES];
    traffic_direction direction;
    traffic_kind kind;
    traffic_member forwarder, home; /* home counts for downlinks only */
} router_id_parts;

/** Write an id, NUL-ended. */
void router_id_make(const router_id_key *key, const router_id_parts *parts, char out[static ROUTER_ID_TEXT_BYTES]);

/** Read an id and check its tag.
 * @param parts direction, forwarder and home count: what the report claims
 * @return false when it is not one of this exchange, of this direction and between these members */
bool router_id_check(const router_id_key *key, lpx_str text, const router_id_parts *parts, router_id *out);

/** Reports that were counted, in two generations of limited size: when one is full or old the older one is forgotten,
 * and messages issued before the older one began are too old to report on. So no report counts twice, whatever the
 * load, and memory is bounded. */
typedef struct router_seen_set {
    uint64_t *slots; /* 0: empty */
    uint32_t room;   /* a power of two, or 0 */
    uint32_t count;
    int64_t began_ms;
} router_seen_set;
typedef struct router_seen {
    router_seen_set recent, older;
} router_seen;

typedef enum router_seen_answer { ROUTER_SEEN_NEW, ROUTER_SEEN_AGAIN, ROUTER_SEEN_TOO_OLD } router_seen_answer;

/** Is this key remembered? */
bool router_seen_has(const router_seen *seen, uint64_t key);
/** Start empty. Messages issued before now are too old: what was reported on them is not known. */
void router_seen_init(router_seen *seen, lpx_utc now);
/** Free. */
void router_seen_fini(router_seen *seen);
/** Remember a report.
 * @param key    hash of message and home network
 * @param issued_ms when the message's id was made
 * @return ROUTER_SEEN_TOO_OLD also when memory is short: a report is rather lost than counted twice */
router_seen_answer router_seen_add(router_seen *seen, uint64_t key, int64_t issued_ms, lpx_utc now);
