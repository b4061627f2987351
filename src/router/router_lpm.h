/* Longest prefix match of 32-bit addresses and 64-bit EUIs: sorted disjoint intervals with an index over the top 16
 * bits. Of an address that leaves 16 bits, so that the intervals to search among are two bytes each, usually in one
 * line of the cache: some 15 ns at a million prefixes of addresses that lie anywhere, and 10 MiB. EUIs of one
 * manufacturer agree in their top bits; a search among all takes what it takes. Level 6; pure. Thread: any, once built.
 */
#pragma once
#include "base/bytes.h"

#define ROUTER_LPM_NONE UINT32_MAX
enum { ROUTER_LPM_INDEX = 65536 };

/** How long addresses are. */
typedef enum router_lpm_width { ROUTER_LPM_32 = 32, ROUTER_LPM_64 = 64 } router_lpm_width;

/** One prefix. */
typedef struct router_lpm_entry {
    uint64_t start; /* bits behind length are 0 */
    uint32_t value; /* not ROUTER_LPM_NONE */
    uint8_t length; /* 0 to the width */
} router_lpm_entry;

/** Fields are private. Interval i begins at its start and ends before the next; values[i] is ROUTER_LPM_NONE when no
 * prefix has its addresses. */
typedef struct router_lpm {
    router_lpm_width width;
    uint16_t *lows;   /* ROUTER_LPM_32: low 16 bits of starts; every value of the top bits has an interval at 0 */
    uint64_t *starts; /* ROUTER_LPM_64; the first is 0 */
    uint32_t *values;
    uint32_t *index; /* by top bits: the interval of their first address; one more is the number of intervals */
    size_t count;
} router_lpm;

/** Put entries in ascending order of (start, length); those of equal prefixes stay in their order.
 * @return false when memory is short; then they are as before */
bool router_lpm_sort(router_lpm_entry *entries, size_t count);
/** Build from entries in ascending order of (start, length), no two of them equal in both.
 * @param out written on success only; router_lpm_fini frees it
 * @return false when memory is short */
bool router_lpm_build(router_lpm_width width, const router_lpm_entry *entries, size_t count, router_lpm *out);
/** Free; harmless when all zero. */
void router_lpm_fini(router_lpm *lpm);
/** Value of the longest prefix that has the address, or ROUTER_LPM_NONE; of a table of 32 bits. */
uint32_t router_lpm_find(const router_lpm *lpm, uint32_t addr);
/** As router_lpm_find; of a table of 64 bits. */
uint32_t router_lpm_find_wide(const router_lpm *lpm, uint64_t addr);
