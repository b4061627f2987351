/* Latencies as a histogram: fixed memory, values at most 4 % above what was put in. */
#pragma once
#include <stdint.h>

enum { CLI_LATENCY_STEPS = 64, CLI_LATENCY_BUCKETS = 31 * CLI_LATENCY_STEPS };

/** Counts by latency. Begin with all zero. */
typedef struct cli_latency {
    uint64_t counts[CLI_LATENCY_BUCKETS];
    uint64_t total;
    int64_t max_us;
} cli_latency;

/** Count one latency of 0 or more microseconds. */
void cli_latency_add(cli_latency *latency, int64_t us);
/** Least latency that part (0 to 1) of all do not exceed; 0 when there are none. */
int64_t cli_latency_quantile(const cli_latency *latency, double part);
