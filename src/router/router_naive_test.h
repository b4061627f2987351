/* A second implementation of the routing rules, for the property test: linear scans over plain lists, bit by bit,
 * sharing no code with the router. */
#pragma once
#include "traffic/traffic.h"

enum {
    MAX_BLOCKS = 14,
    MAX_POLICIES = 16,
    MAX_SUBS = 18,
    MAX_FILTERS = 3,
    MAX_CONDITIONS = 3,
    MAX_COPIES = MAX_SUBS * 16,
    NETS = 3,
    TENANTS = 3,
    MAX_KNOWN = 2,
    MAX_SETTINGS = 4,
    MAX_PARTIES = 2,
    MAX_COUNTED = 256,
    MAX_ROUTES = 3,
    PEERS = 2,
};

/* ---- the model: what the world is made of ---- */

typedef struct who {
    uint32_t net;
    const char *tenant, *cluster;
} who;

typedef struct m_block {
    who owner;
    uint32_t value;
    unsigned length;
} m_block;

typedef struct m_policy {
    who forwarder, home;
    bool is_default;
    unsigned up, down;
} m_policy;

typedef struct m_condition {
    uint64_t join_eui, dev_eui;
    unsigned join_len, dev_len;
    uint32_t dev_addr;
    unsigned addr_len;
    uint32_t low, high;
} m_condition;

typedef struct m_filter {
    int kind;     /* 0 any, 1 join-request, 2 data */
    int metadata; /* -1 not said, 0 false, 1 true; confirmed and f_opts alike */
    int confirmed, f_opts;
    unsigned euis, addrs, ports; /* how many of the conditions count for what */
    m_condition conditions[MAX_CONDITIONS];
} m_filter;

typedef struct m_sub {
    bool up, gone, full;
    who at;
    const char *group;
    unsigned filter_count;
    m_filter filters[MAX_FILTERS];
} m_sub;

typedef struct m_message {
    bool up, join, encrypted;
    who forwarder, home;
    uint64_t join_eui, dev_eui;
    uint32_t dev_addr, port; /* port 256: none */
    bool confirmed, f_opts, metadata, signal, localization;
    unsigned came_by, heard_by; /* number of a peer plus 1, 0: none */
    unsigned payload;           /* which of a few */
    int64_t now;
    unsigned known_count; /* joins: home networks that the Join Server named, each another member */
    who known[MAX_KNOWN];
} m_message;

typedef struct m_settings {
    who home;
    unsigned allow_count, deny_count;
    who allow[MAX_PARTIES], deny[MAX_PARTIES];
    unsigned max_copies;
    int64_t window;
} m_settings;

/* What goes to peers: addresses or JoinEUIs. */
typedef struct m_peer_route {
    uint64_t value;
    unsigned length, peer;
} m_peer_route;

/* Copies of one payload that a home network has had since began. */
typedef struct m_counted {
    who home;
    unsigned payload, copies;
    int64_t began;
} m_counted;

typedef struct world {
    uint64_t seed, random;
    int64_t now;
    m_settings settings[MAX_SETTINGS];
    unsigned settings_count;
    m_counted counted[MAX_COUNTED];
    unsigned counted_count;
    m_block blocks[MAX_BLOCKS];
    unsigned block_count;
    int delegated[NETS]; /* index of the other network, -1: not */
    m_policy policies[MAX_POLICIES];
    unsigned policy_count;
    bool open, loopback;
    m_peer_route peer_addrs[MAX_ROUTES], peer_joins[MAX_ROUTES];
    unsigned peer_addr_count, peer_join_count;
    int peer_of_net[NETS]; /* -1: none */
    bool registered[NETS];
    m_sub subs[MAX_SUBS];
    unsigned sub_count;
    unsigned turns[MAX_SUBS]; /* all subscriptions, the next of each group before the later ones */
} world;

/* One copy as either side sees it. */
typedef struct copy {
    unsigned sub;
    who home;
    unsigned strip;
    unsigned filter;   /* that passed, from 1; 0: there are none */
    unsigned decision; /* index of the one that it belongs to */
} copy;

/* What was decided about one home network or forwarder. */
typedef struct decision {
    who home; /* its member counts */
    traffic_route route;
    traffic_policy policy;
    unsigned copies;
    traffic_drop drop; /* without copies */
    bool stripped_signal_quality, stripped_localization;
} decision;

typedef struct outcome {
    copy copies[MAX_COPIES];
    unsigned copy_count;
    decision decisions[MAX_COPIES];
    unsigned decision_count;
    unsigned handed_to; /* number of a peer plus 1, 0: none */
} outcome;

/** The NetIDs and tenant ids that there are. */
extern const uint32_t naive_nets[NETS];
extern const char *const naive_tenants[TENANTS];

/** Are both texts the same? */
bool naive_same_text(const char *a, const char *b);
/** Route one message: adds to *out, which begins empty, and gives groups their next turn. */
void naive_route(world *w, const m_message *m, outcome *out);
