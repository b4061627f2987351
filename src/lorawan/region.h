/* Regions and their data rates. Level 2; static tables, no allocation. Thread: any.
 * Source: LoRaWAN Regional Parameters RP002-1.0.x; numbers and first names of regions as in api/ (enum Region). */
#pragma once
#include "base/bytes.h"
#include "base/err.h"

/** Region; numbers are those of the wire. */
typedef enum lw_region {
    LW_REGION_UNKNOWN = 0,
    LW_EU_863_870 = 1,
    LW_US_902_928 = 2,
    LW_CN_779_787 = 3,
    LW_EU_433 = 4,
    LW_AU_915_928 = 5,
    LW_CN_470_510 = 6,
    LW_AS_923 = 7,
    LW_KR_920_923 = 8,
    LW_IN_865_867 = 9,
    LW_RU_864_870 = 10,
    LW_AS_923_2 = 12,
    LW_AS_923_3 = 13,
    LW_WW_2G4 = 14,
    LW_AS_923_4 = 15,
    LW_CN_470_510_20_A = 16,
    LW_CN_470_510_20_B = 17,
    LW_CN_470_510_26_A = 18,
    LW_CN_470_510_26_B = 19,
} lw_region;

typedef enum lw_direction { LW_UPLINK, LW_DOWNLINK } lw_direction;

typedef enum lw_modulation { LW_LORA, LW_FSK, LW_LRFHSS } lw_modulation;

/** How a frame goes on the air. */
typedef struct lw_data_rate {
    lw_modulation kind;
    uint8_t spreading_factor; /* LoRa: 5 to 12; else 0 */
    uint32_t bandwidth_hz;    /* LoRa: bandwidth; LR-FHSS: operating channel width; FSK: 0 */
    uint32_t bits_per_second; /* FSK; else 0 */
    uint32_t modulation_type; /* LR-FHSS: 0; else 0 */
    lpx_str coding_rate;      /* LoRa "4/5" or "4/8LI", LR-FHSS "1/3" or "2/3", FSK empty; static */
} lw_data_rate;

/** Data rate behind an index.
 * @param region any number from the wire
 * @param direction in some regions one index means different things up and down
 * @return false when region or index is unknown in this direction; *out untouched then */
bool lw_region_data_rate(uint32_t region, lw_direction direction, uint32_t index, lw_data_rate *out);

/** Name of a region as in the API, "EU_863_870"; static; NULL for a number that is none. */
const char *lw_region_name(uint32_t region);

/** Name of a region as LoRaWAN Backend Interfaces write it, "EU868"; static; NULL for a number that is none and for
 * LW_REGION_UNKNOWN. */
const char *lw_region_short_name(uint32_t region);

/** Region of a name: either form above and the other spellings that peers use ("US902", "China470", "AS923-1",
 * "EU863-870"), either case, "_" and "-" alike.
 * @return false when nothing has this name (UNKNOWN_REGION included); *out untouched then */
bool lw_region_find(lpx_str name, lw_region *out);
