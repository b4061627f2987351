/* Fill the store of an exchange that is stopped with a world of networks, DevAddr blocks and routing policies, so that
 * figures are those of a busy exchange. What it makes depends on the numbers alone: the same numbers, the same world.
 * Blocks lie anywhere: 5 % of length 7 to 16, 60 % of 17 to 24, 35 % of 25 to 32, no two equal, none at or inside the
 * block that is spared. Networks are C10000 and so on; the first policies are one for each forwarder.
 * Prints one line per number: name value.
 * Usage: populate --store URL [--networks N] [--prefixes P] [--policies Q] [--spare HEX/LENGTH] */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"

enum {
    FIRST_NET_ID = 0xC10000,
    MAX_NETWORKS = 0xD00000 - FIRST_NET_ID,
    MAX_PREFIXES = 4 << 20,
    MAX_POLICIES = 1 << 20,
    LENGTHS = 33,
};
static const int64_t made_at_us = INT64_C(1600000000000000);

typedef struct world {
    store_job job;
    const char *url;
    uint32_t networks, prefixes, policies;
    uint32_t spare_value;
    unsigned spare_length;  /* 0: nothing is spared */
    uint32_t used[LENGTHS]; /* blocks of each length so far */
} world;

static _Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
static _Noreturn void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("populate: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(1);
}

/* ---- rows ---- */

static uint32_t mask_of(unsigned length)
{
    return length == 0 ? 0 : UINT32_MAX << (32 - length);
}

static lpx_err add_network(store_tx *tx, uint32_t i)
{
    const store_value values[] = {STORE_V_INT(FIRST_NET_ID + i), STORE_V_INT(made_at_us)};
    return store_exec(tx, "INSERT INTO networks (net_id, created_at, updated_at) VALUES (?1, ?2, ?2)", values, 2, NULL);
}

/* Length of block i, in the proportions of the world. */
static unsigned length_of(uint32_t i)
{
    uint32_t percent = i % 100, turn = i / 100;
    if (percent < 5) {
        return 7 + (percent + turn * 5) % 10;
    }
    return percent < 65 ? 17 + (percent + turn) % 8 : 25 + (percent + turn) % 8;
}

/* The next block of that length, or of the next longer one that has any left. An odd factor makes every value of length
 * bits once. */
static uint32_t take_block(world *w, unsigned *length)
{
    while (*length < 32 && w->used[*length] >= UINT32_C(1) << *length) {
        (*length)++;
    }
    uint32_t nth = w->used[*length]++;
    return nth * UINT32_C(2654435769) << (32 - *length);
}

static bool is_spared(const world *w, uint32_t value, unsigned length)
{
    return w->spare_length > 0 && length >= w->spare_length && (value & mask_of(w->spare_length)) == w->spare_value;
}

static lpx_err add_block(store_tx *tx, world *w, uint32_t i)
{
    unsigned length = length_of(i);
    uint32_t value = take_block(w, &length);
    while (is_spared(w, value, length)) {
        value = take_block(w, &length);
    }
    const store_value values[] = {STORE_V_INT(FIRST_NET_ID + i % w->networks), STORE_V_INT(i / w->networks),
                                  STORE_V_INT(value), STORE_V_INT(length), STORE_V_INT(made_at_us)};
    return store_exec(tx,
                      "INSERT INTO dev_addr_blocks (net_id, position, prefix_value, prefix_length, created_at) "
                      "VALUES (?1, ?2, ?3, ?4, ?5)",
                      values, 5, NULL);
}

/* Everything allowed but the location of gateways. */
static lpx_err add_policy(store_tx *tx, const world *w, uint32_t i)
{
    uint32_t forwarder = i % w->networks, home = (forwarder + i / w->networks + 1) % w->networks;
    const store_value values[] = {STORE_V_INT(FIRST_NET_ID + forwarder), STORE_V_INT(FIRST_NET_ID + home),
                                  STORE_V_INT(made_at_us + i)};
    return store_exec(tx,
                      "INSERT INTO routing_policies (forwarder_net_id, is_default, home_network_net_id, has_uplink, "
                      "up_join_request, up_mac_data, up_application_data, up_signal_quality, has_downlink, "
                      "down_join_accept, down_mac_data, down_application_data, updated_at) "
                      "VALUES (?1, 0, ?2, 1, 1, 1, 1, 1, 1, 1, 1, 1, ?3)",
                      values, 3, NULL);
}

static lpx_err fill(store_tx *tx, store_job *job)
{
    world *w = LPX_CONTAINER(job, world, job);
    memset(w->used, 0, sizeof w->used);
    for (uint32_t i = 0; i < w->networks; i++) {
        LPX_TRY(add_network(tx, i));
    }
    for (uint32_t i = 0; i < w->prefixes; i++) {
        LPX_TRY(add_block(tx, w, i));
    }
    for (uint32_t i = 0; i < w->policies; i++) {
        LPX_TRY(add_policy(tx, w, i));
    }
    store_touch(tx, STORE_TOPIC_NETWORKS);
    store_touch(tx, STORE_TOPIC_POLICIES);
    return LPX_SUCCESS;
}

/* ---- options ---- */

static uint32_t number(const char *name, const char *text, uint32_t most)
{
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != 0 || text[0] == '-' || value > most) {
        die("%s %s: want a number up to %" PRIu32, name, text, most);
    }
    return (uint32_t)value;
}

static void parse_spare(world *w, const char *text)
{
    char *end = NULL;
    w->spare_value = (uint32_t)strtoul(text, &end, 16);
    if (*end != '/') {
        die("--spare %s: want a block such as FC009000/22", text);
    }
    w->spare_length = number("--spare", end + 1, 32);
    w->spare_value &= mask_of(w->spare_length);
}

static world parse(int argc, char **argv)
{
    world w = {.networks = 10000, .prefixes = 100000, .policies = 10000};
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(name, "--store") == 0) {
            w.url = value;
        } else if (strcmp(name, "--networks") == 0) {
            w.networks = number(name, value, MAX_NETWORKS);
        } else if (strcmp(name, "--prefixes") == 0) {
            w.prefixes = number(name, value, MAX_PREFIXES);
        } else if (strcmp(name, "--policies") == 0) {
            w.policies = number(name, value, MAX_POLICIES);
        } else if (strcmp(name, "--spare") == 0) {
            parse_spare(&w, value);
        } else {
            die("usage: populate --store URL [--networks N] [--prefixes P] [--policies Q] [--spare HEX/LENGTH]");
        }
    }
    if (w.url == NULL || w.networks == 0) {
        die("--store URL is missing, or there are no networks");
    }
    if (w.policies > (uint64_t)w.networks * w.networks) {
        die("%" PRIu32 " networks cannot have %" PRIu32 " policies", w.networks, w.policies);
    }
    return w;
}

int main(int argc, char **argv)
{
    world w = parse(argc, argv);
    store_opts opts = {.url = w.url};
    store *db = NULL;
    lpx_note note = {""};
    if (lpx_failed(store_open(&opts, &db, &note))) {
        die("%s: %s", w.url, note.text);
    }
    w.job = (store_job){.write = true, .work = fill};
    lpx_err err = store_run(db, &w.job);
    store_close(&db);
    if (lpx_failed(err)) {
        die("%s: %s", w.url, lpx_reason_name(err.reason));
    }
    (void)printf("networks %" PRIu32 "\nprefixes %" PRIu32 "\npolicies %" PRIu32 "\n", w.networks, w.prefixes,
                 w.policies);
    return 0;
}
