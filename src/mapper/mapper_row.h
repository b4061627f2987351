/* A gateway as lists show it, and who may see which part of it. Private to this folder. Plain data. */
#pragma once
#include "traffic/traffic.h"

/** What is known of a gateway. */
typedef enum mapper_known {
    MAPPER_HAS_EUI = 1 << 0,
    MAPPER_HAS_LOCATION = 1 << 1,   /* latitude to accuracy count */
    MAPPER_IS_TERRESTRIAL = 1 << 2, /* placement counts */
    MAPPER_HAS_COUNT = 1 << 3,      /* antenna_count counts */
    MAPPER_HAS_TIMESTAMPS = 1 << 4, /* the next one counts */
    MAPPER_FINE_TIMESTAMPS = 1 << 5,
    MAPPER_HAS_STATUS = 1 << 6, /* online_until counts */
    MAPPER_GONE = 1 << 7,       /* goes by another key now: nothing else counts */
} mapper_known;

/** Parts of a gateway that a visibility opens: bit N - 1 is field N of GatewayVisibility. */
typedef enum mapper_part {
    MAPPER_SEE_LOCATION = 1 << 0,
    MAPPER_SEE_PLACEMENT = 1 << 1,
    MAPPER_SEE_COUNT = 1 << 2,
    MAPPER_SEE_TIMESTAMPS = 1 << 3,
    MAPPER_SEE_CONTACTS = 1 << 4,
    MAPPER_SEE_STATUS = 1 << 5,
    MAPPER_SEE_FREQUENCY_PLAN = 1 << 7,
    MAPPER_SEE_RATES = 1 << 8,
    MAPPER_SEE_ALL = 0x1bf,
} mapper_part;

/** One gateway. Text is borrowed. */
typedef struct mapper_row {
    traffic_endpoint forwarder;
    lpx_str key;
    uint64_t eui;
    double latitude, longitude, altitude_m;
    float accuracy_m;
    uint32_t known; /* mapper_known */
    uint8_t placement, antenna_count;
    lpx_utc online_until, updated_at;
} mapper_row;

/** Is the gateway online at this time? */
static inline bool mapper_row_online(const mapper_row *row, lpx_utc now)
{
    return (row->known & MAPPER_HAS_STATUS) != 0 && row->online_until.us > now.us;
}
