/* Other exchanges: who they are, what they get, for whom they may speak, and which forwarders have been heard through
 * them lately. Read from a file at the start (docs in README.md). Level 6. */
#pragma once
#include <pthread.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/time.h"
#include "router/limits.h"
#include "router/router_peer_routes.h"

/** One peer. Texts are NUL-ended and live as long as the peers. */
typedef struct router_peer {
    const char *name;    /* of its exchange, as in hops */
    const char *address; /* "host:port" */
    const char *host;    /* of the address: the audience of tokens */
    const char *ca_file; /* NULL: the system's roots */
    const char *token_url, *client_id, *client_secret;
    const char *key_id;         /* of the key by which it calls here; NULL: it may not */
    const uint32_t *speaks_for; /* NetIDs; members of this exchange among them */
    size_t speaks_for_count;
} router_peer;

/** Who was heard through whom. */
typedef struct router_heard {
    uint64_t hash; /* of the forwarder; 0: empty */
    uint32_t peer;
    int64_t until_us;
} router_heard;

typedef struct router_peers {
    lpx_arena arena;
    router_peer *list;
    size_t count;
    router_peer_routes routes;
    pthread_mutex_t lock; /* of heard */
    router_heard heard[ROUTER_HEARD_SLOTS];
} router_peers;

/** Read the file of peers. @param out free by router_peers_free
 * @err INVALID_ARGUMENT: ROUTER_BAD_PEERS (note says line and what would be right), those of YAML */
LPX_RESULT router_peers_read(const char *path, router_peers **out, lpx_note *note);
/** Free; wipes secrets; clears the pointer; accepts NULL. */
void router_peers_free(router_peers **peers);

/** Peer that calls with this key, or ROUTER_NO_PEER. */
uint32_t router_peers_by_key(const router_peers *peers, const char *key_id);
/** May this peer speak for a network? registered: the network is a member of this exchange. */
bool router_peer_speaks_for(const router_peer *peer, uint32_t net_id, bool registered);
/** An uplink of this forwarder has come from a peer. hash is secret-keyed. @thread any */
void router_peers_hear(router_peers *peers, uint64_t hash, uint32_t peer, lpx_mono now);
/** Peer through which this forwarder was heard, or ROUTER_NO_PEER. @thread any */
uint32_t router_peers_heard(router_peers *peers, uint64_t hash, lpx_mono now);
