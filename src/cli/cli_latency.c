#include "cli/cli_latency.h"

/* Bucket of a value: exact below CLI_LATENCY_STEPS, then CLI_LATENCY_STEPS / 2 buckets for each power of two. */
static unsigned bucket_of(uint64_t us)
{
    unsigned shift = 0;
    while (us >> shift >= CLI_LATENCY_STEPS) {
        shift++;
    }
    unsigned bucket = shift * (CLI_LATENCY_STEPS / 2) + (unsigned)(us >> shift);
    return bucket < CLI_LATENCY_BUCKETS ? bucket : CLI_LATENCY_BUCKETS - 1;
}

/* Greatest value of a bucket. */
static uint64_t end_of(unsigned bucket)
{
    if (bucket < CLI_LATENCY_STEPS) {
        return bucket;
    }
    unsigned shift = (bucket - CLI_LATENCY_STEPS / 2) / (CLI_LATENCY_STEPS / 2);
    uint64_t top = bucket - shift * (CLI_LATENCY_STEPS / 2);
    return ((top + 1) << shift) - 1;
}

void cli_latency_add(cli_latency *latency, int64_t us)
{
    us = us > 0 ? us : 0;
    latency->counts[bucket_of((uint64_t)us)]++;
    latency->total++;
    latency->max_us = us > latency->max_us ? us : latency->max_us;
}

int64_t cli_latency_quantile(const cli_latency *latency, double part)
{
    uint64_t seen = 0;
    uint64_t wanted = (uint64_t)((double)latency->total * part);
    wanted = (double)wanted < (double)latency->total * part ? wanted + 1 : wanted;
    for (unsigned i = 0; i < CLI_LATENCY_BUCKETS && latency->total > 0; i++) {
        seen += latency->counts[i];
        if (seen >= wanted && seen > 0) {
            int64_t us = (int64_t)end_of(i);
            return us < latency->max_us ? us : latency->max_us;
        }
    }
    return latency->max_us;
}
