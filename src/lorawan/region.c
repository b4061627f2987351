/* Regions, their names and their data rates. */
#include "lorawan/region.h"

enum { INDEX_COUNT = 16, SPELLINGS = 2, REGION_COUNT = LW_CN_470_510_26_B + 1 };

/* In which direction a data rate is used; 0 is an index without a data rate. */
enum { UP = 1, DOWN = 2, BOTH = UP | DOWN };

typedef struct rate_row {
    uint8_t directions;
    uint8_t kind;
    uint8_t spreading_factor;
    uint32_t hz_or_bits; /* bandwidth, channel width or bits per second, by kind */
    const char *coding_rate;
} rate_row;

typedef struct region_row {
    const char *name;
    const char *short_name;
    const char *spellings[SPELLINGS]; /* others that peers use, upper case with hyphens */
    const rate_row *up;
    const rate_row *down; /* the same table where both agree */
} region_row;

/* clang-format off */
#define LORA_ROW(directions, sf, khz) {(directions), LW_LORA, (sf), (khz) * 1000, "4/5"}
#define FSK_ROW {BOTH, LW_FSK, 0, 50000, ""}
#define LRFHSS_ROW(khz, rate) {UP, LW_LRFHSS, 0, (khz) * 1000, (rate)}
/* DR0 to DR5 of every region with 125 kHz channels from SF12 on. */
#define SF12_TO_SF7(directions)                                                                                       \
    [0] = LORA_ROW(directions, 12, 125), [1] = LORA_ROW(directions, 11, 125), [2] = LORA_ROW(directions, 10, 125),     \
    [3] = LORA_ROW(directions, 9, 125), [4] = LORA_ROW(directions, 8, 125), [5] = LORA_ROW(directions, 7, 125)
/* Added to them by the newest revision of RP002. */
#define SF6_SF5(directions) [12] = LORA_ROW(directions, 6, 125), [13] = LORA_ROW(directions, 5, 125)

static const rate_row rates_eu868[INDEX_COUNT] = {
    SF12_TO_SF7(BOTH), [6] = LORA_ROW(BOTH, 7, 250), [7] = FSK_ROW,
    [8] = LRFHSS_ROW(137, "1/3"), [9] = LRFHSS_ROW(137, "2/3"),
    [10] = LRFHSS_ROW(336, "1/3"), [11] = LRFHSS_ROW(336, "2/3"), SF6_SF5(BOTH),
};
/* RU864, EU433, AS923. */
static const rate_row rates_like_eu[INDEX_COUNT] = {
    SF12_TO_SF7(BOTH), [6] = LORA_ROW(BOTH, 7, 250), [7] = FSK_ROW, SF6_SF5(BOTH),
};
static const rate_row rates_cn779[INDEX_COUNT] = {
    SF12_TO_SF7(BOTH), [6] = LORA_ROW(BOTH, 7, 250), [7] = FSK_ROW,
};
static const rate_row rates_cn470[INDEX_COUNT] = {
    SF12_TO_SF7(BOTH), [6] = LORA_ROW(BOTH, 7, 500), [7] = FSK_ROW,
};
static const rate_row rates_kr920[INDEX_COUNT] = {SF12_TO_SF7(BOTH), SF6_SF5(UP)};
static const rate_row rates_in865[INDEX_COUNT] = {SF12_TO_SF7(BOTH), [7] = FSK_ROW, SF6_SF5(BOTH)};
static const rate_row rates_us915_up[INDEX_COUNT] = {
    [0] = LORA_ROW(UP, 10, 125), [1] = LORA_ROW(UP, 9, 125), [2] = LORA_ROW(UP, 8, 125), [3] = LORA_ROW(UP, 7, 125),
    [4] = LORA_ROW(UP, 8, 500), [5] = LRFHSS_ROW(1523, "1/3"), [6] = LRFHSS_ROW(1523, "2/3"),
    [7] = LORA_ROW(UP, 6, 125), [8] = LORA_ROW(UP, 5, 125),
};
static const rate_row rates_au915_up[INDEX_COUNT] = {
    SF12_TO_SF7(UP), [6] = LORA_ROW(UP, 8, 500), [7] = LRFHSS_ROW(1523, "1/3"),
    [9] = LORA_ROW(UP, 6, 125), [10] = LORA_ROW(UP, 5, 125),
};
/* US915 and AU915. */
static const rate_row rates_wide_down[INDEX_COUNT] = {
    [0] = LORA_ROW(DOWN, 5, 500),
    [8] = LORA_ROW(DOWN, 12, 500), [9] = LORA_ROW(DOWN, 11, 500), [10] = LORA_ROW(DOWN, 10, 500),
    [11] = LORA_ROW(DOWN, 9, 500), [12] = LORA_ROW(DOWN, 8, 500), [13] = LORA_ROW(DOWN, 7, 500),
    [14] = LORA_ROW(DOWN, 6, 500),
};
#define WIDE_ROW(sf) {BOTH, LW_LORA, (sf), 812000, "4/8LI"}
static const rate_row rates_2g4[INDEX_COUNT] = {
    WIDE_ROW(12), WIDE_ROW(11), WIDE_ROW(10), WIDE_ROW(9), WIDE_ROW(8), WIDE_ROW(7), WIDE_ROW(6), WIDE_ROW(5),
};

static const region_row regions[REGION_COUNT] = {
    [LW_EU_863_870] = {"EU_863_870", "EU868", {"EU863", "EU863-870"}, rates_eu868, rates_eu868},
    [LW_US_902_928] = {"US_902_928", "US915", {"US902", "US902-928"}, rates_us915_up, rates_wide_down},
    [LW_CN_779_787] = {"CN_779_787", "CN779", {"CHINA779", "CN779-787"}, rates_cn779, rates_cn779},
    [LW_EU_433] = {"EU_433", "EU433", {NULL}, rates_like_eu, rates_like_eu},
    [LW_AU_915_928] = {"AU_915_928", "AU915", {"AUSTRALIA915", "AU915-928"}, rates_au915_up, rates_wide_down},
    [LW_CN_470_510] = {"CN_470_510", "CN470", {"CHINA470", "CN470-510"}, rates_cn470, rates_cn470},
    [LW_AS_923] = {"AS_923", "AS923", {"AS923-1", "AS-923-1"}, rates_like_eu, rates_like_eu},
    [LW_KR_920_923] = {"KR_920_923", "KR920", {"KR920-923"}, rates_kr920, rates_kr920},
    [LW_IN_865_867] = {"IN_865_867", "IN865", {"IN865-867"}, rates_in865, rates_in865},
    [LW_RU_864_870] = {"RU_864_870", "RU864", {"RU864-870"}, rates_like_eu, rates_like_eu},
    [LW_AS_923_2] = {"AS_923_2", "AS923-2", {NULL}, rates_like_eu, rates_like_eu},
    [LW_AS_923_3] = {"AS_923_3", "AS923-3", {NULL}, rates_like_eu, rates_like_eu},
    [LW_WW_2G4] = {"WW_2G4", "ISM2400", {"WW2G4", "ISM-2400"}, rates_2g4, rates_2g4},
    [LW_AS_923_4] = {"AS_923_4", "AS923-4", {NULL}, rates_like_eu, rates_like_eu},
    [LW_CN_470_510_20_A] = {"CN_470_510_20_A", "CN470-20A", {"CN-470-510-20A"}, rates_cn470, rates_cn470},
    [LW_CN_470_510_20_B] = {"CN_470_510_20_B", "CN470-20B", {"CN-470-510-20B"}, rates_cn470, rates_cn470},
    [LW_CN_470_510_26_A] = {"CN_470_510_26_A", "CN470-26A", {"CN-470-510-26A"}, rates_cn470, rates_cn470},
    [LW_CN_470_510_26_B] = {"CN_470_510_26_B", "CN470-26B", {"CN-470-510-26B"}, rates_cn470, rates_cn470},
};
/* clang-format on */

bool lw_region_data_rate(uint32_t region, lw_direction direction, uint32_t index, lw_data_rate *out)
{
    if (region >= REGION_COUNT || regions[region].name == NULL || index >= INDEX_COUNT) {
        return false;
    }
    const rate_row *row = (direction == LW_UPLINK ? regions[region].up : regions[region].down) + index;
    if ((row->directions & (direction == LW_UPLINK ? UP : DOWN)) == 0) {
        return false;
    }
    *out = (lw_data_rate){
        .kind = (lw_modulation)row->kind,
        .spreading_factor = row->spreading_factor,
        .bandwidth_hz = row->kind == LW_FSK ? 0 : row->hz_or_bits,
        .bits_per_second = row->kind == LW_FSK ? row->hz_or_bits : 0,
        .coding_rate = lpx_str_of(row->coding_rate),
    };
    return true;
}

const char *lw_region_name(uint32_t region)
{
    if (region == LW_REGION_UNKNOWN) {
        return "UNKNOWN_REGION";
    }
    return region < REGION_COUNT ? regions[region].name : NULL;
}

const char *lw_region_short_name(uint32_t region)
{
    return region < REGION_COUNT ? regions[region].short_name : NULL;
}

/* Upper case, with hyphens for underscores. */
static char plain_char(char c)
{
    if (c >= 'a' && c <= 'z') {
        return (char)(c - 'a' + 'A');
    }
    return c == '_' ? '-' : c;
}

static bool same_name(lpx_str name, const char *known)
{
    if (known == NULL || strlen(known) != name.len) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (plain_char(name.ptr[i]) != plain_char(known[i])) {
            return false;
        }
    }
    return true;
}

static bool region_has_name(const region_row *row, lpx_str name)
{
    bool found = same_name(name, row->name) || same_name(name, row->short_name);
    for (size_t i = 0; i < SPELLINGS && !found; i++) {
        found = same_name(name, row->spellings[i]);
    }
    return found;
}

bool lw_region_find(lpx_str name, lw_region *out)
{
    for (uint32_t i = 0; i < REGION_COUNT; i++) {
        if (region_has_name(&regions[i], name)) {
            *out = (lw_region)i;
            return true;
        }
    }
    return false;
}
