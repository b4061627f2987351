/* What the files of lpx demo share: a Forwarder and a Home Network in one process, against a running exchange. */
#pragma once
#include "agent/agent.h"
#include "cli/cli_latency.h"
#include "cli/cli_priv.h"
#include "lorawan/phy.h"

/* The two networks. NetIDs of type 6 are given out from C00000 upwards: these stay free for long. */
enum {
    DEMO_FORWARDER = 0xC0FFE0,
    DEMO_HOME = 0xC0FFEE,
    DEMO_MAX_ROWS = 4096,  /* 40 s of messages at the highest rate, with 10 s until one counts as lost */
    DEMO_FRAME_BYTES = 64, /* the frames made here have at most 41 */
    DEMO_TOKEN_BYTES = 13, /* run, sequence number, probe or not */
    DEMO_RUN_BYTES = 8,
    DEMO_ONCE_COUNT = 10, /* each kind of message twice */
    DEMO_MAX_RATE = 100,  /* more than can be read; lpx replay is for load */
    DEMO_VIEW_ROWS = 16,
    DEMO_LOST_US = 10000000, /* a message without an end after so long is lost */
};

typedef enum demo_kind { DEMO_UNCONFIRMED_UP, DEMO_CONFIRMED_UP, DEMO_MAC_UP, DEMO_JOIN } demo_kind;

/** A frame on its way. */
typedef struct demo_frame {
    uint8_t bytes[DEMO_FRAME_BYTES];
    size_t len;
} demo_frame;

/** One message from its sending to its end. */
typedef struct demo_row {
    uint32_t seq; /* from 1; 0: empty */
    demo_kind kind;
    int64_t sent_us, sent_utc_us; /* monotonic, wall clock */
    int64_t down_sent_us;
    char device[LW_EUI64_TEXT_BYTES]; /* DevAddr, or JoinEUI of a join-request */
    uint16_t f_cnt;
    int f_port; /* -1: none */
    const char *gateway;
    float rssi_dbm, snr_db;
    demo_frame up, down;
    int64_t up_us, down_us; /* latencies; -1: not arrived */
    bool published, up_reported, down_published, down_reported;
    bool complete, lost;
    char problem[96];
} demo_row;

/** API key of one of the two networks. */
typedef struct demo_key {
    char *id, *secret;
} demo_key;

/** Sums of a run. */
typedef struct demo_counts {
    uint64_t sent, delivered, answers_sent, answers_delivered, reports, complete, lost;
} demo_counts;

typedef struct demo {
    cli *c;
    const char *state_file;
    demo_key forwarder_key, home_key;
    bool keys_reused;
    agent *forwarder, *home;
    agent_stream *up_stream, *down_stream;
    bool up_live, down_live; /* the subscriptions deliver */
    agent_failure broken;    /* a subscription ended: code LPX_OK while none did */
    uint8_t run[DEMO_RUN_BYTES];
    uint8_t mic_key[16];
    uint64_t random;
    uint32_t next_seq;
    uint32_t oldest; /* sequence number below which all have ended */
    uint16_t f_cnt[4], dev_nonce;
    lpx_arena arena; /* of one message */
    demo_row rows[DEMO_MAX_ROWS];
    demo_counts counts;
    cli_latency up_latency, down_latency;
    /* view */
    bool terminal, color, dirty;
    unsigned printed_lines;
    int64_t last_view_us;
    uint32_t last_printed; /* plain output: rows in the order of their ends */
} demo;

/** Monotonic microseconds now. */
int64_t demo_mono_us(void);
/** Row of a sequence number; NULL when it is gone or never was. */
demo_row *demo_row_of(demo *d, uint32_t seq);
/** Next pseudo random number. */
uint32_t demo_random(demo *d);

/** Make or find networks and keys. */
LPX_RESULT demo_setup(demo *d);
/** Open the two agents and set the policy; makes new keys when those of the state file are refused. */
LPX_RESULT demo_open(demo *d);
/** Delete the networks, with their keys and policies, and the state file. */
LPX_RESULT demo_remove(demo *d);

/** Subscribe as both and send probes until both subscriptions deliver. */
LPX_RESULT demo_subscribe(demo *d);
/** Send the next message. */
LPX_RESULT demo_send(demo *d);
/** Count rows that waited too long as lost. */
void demo_expire(demo *d);
/** Are there messages without an end? */
bool demo_waiting(const demo *d);

/** Frame of the next message of a kind; fills device, f_cnt, f_port of the row. */
LPX_RESULT demo_frame_up(demo *d, demo_row *row);
/** Answer to a message: a data downlink with ACK, or a join-accept. */
LPX_RESULT demo_frame_down(demo *d, demo_row *row);
/** Name of a kind. */
const char *demo_kind_name(demo_kind kind);

/** Begin the table. */
void demo_view_start(demo *d);
/** A row changed. */
void demo_view_row(demo *d, demo_row *row);
/** Draw what changed, not too often; last: whatever the time. */
void demo_view_draw(demo *d, bool last);
/** Totals into c->out. */
void demo_view_summary(demo *d);
