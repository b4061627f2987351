/* Tables and id key from the store: statements, rows, and when to load. Loads follow the change feed, one at a time, at
 * the pace of router_pace.h. Loops only take a reference: workers read, build, and free what is old. */
#include <stdlib.h>

#include "base/text.h"
#include "crypto/random.h"
#include "lpx_reasons.h"
#include "router/router_join.h"
#include "router/router_priv.h"

/* ---- rows ---- */

/* Rows while they are read. */
typedef struct reading {
    lpx_arena text;
    router_block_row *blocks;
    router_delegation_row *delegations;
    router_policy_row *policies;
    size_t block_count, block_room;
    size_t delegation_count, delegation_room;
    size_t policy_count, policy_room;
    uint32_t *members;
    size_t member_count, member_room;
    router_settings_row *settings;
    router_party_row *parties;
    size_t settings_count, settings_room;
    size_t party_count, party_room;
    lpx_str last; /* text that was kept last: sorted rows repeat it */
} reading;

static bool grow(void **list, size_t count, size_t *room, size_t size)
{
    if (count < *room) {
        return true;
    }
    size_t bigger = *room > 0 ? *room * 2 : 64;
    void *moved = realloc(*list, bigger * size);
    if (moved == NULL) {
        return false;
    }
    *list = moved;
    *room = bigger;
    return true;
}

/* Copy of a column's text that lives as long as the reading. */
static bool keep(reading *r, lpx_str text, lpx_str *out)
{
    if (text.len == 0 || lpx_str_equal(text, r->last)) {
        *out = text.len == 0 ? (lpx_str){"", 0} : r->last;
        return true;
    }
    lpx_bytes copy = lpx_arena_copy(&r->text, lpx_str_bytes(text));
    r->last = lpx_bytes_str(copy);
    *out = r->last;
    return copy.ptr != NULL;
}

static lpx_err read_block(reading *r, store_rows *rows)
{
    void *list = r->blocks;
    if (r->block_count >= ROUTER_MAX_BLOCKS || !grow(&list, r->block_count, &r->block_room, sizeof *r->blocks)) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    r->blocks = list;
    router_block_row row = {
        .owner = {.net_id = (uint32_t)store_col_int(rows, 0)},
        .prefix = (uint32_t)store_col_int(rows, 2),
        .length = (uint8_t)store_col_int(rows, 3),
    };
    if (!keep(r, store_col_text(rows, 1), &row.owner.tenant_id) ||
        !keep(r, store_col_text(rows, 4), &row.owner.cluster_id)) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    r->blocks[r->block_count++] = row;
    return LPX_SUCCESS;
}

static lpx_err read_delegation(reading *r, store_rows *rows)
{
    void *list = r->delegations;
    if (r->delegation_count >= ROUTER_MAX_DELEGATIONS ||
        !grow(&list, r->delegation_count, &r->delegation_room, sizeof *r->delegations)) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    r->delegations = list;
    r->delegations[r->delegation_count++] =
        (router_delegation_row){(uint32_t)store_col_int(rows, 0), (uint32_t)store_col_int(rows, 1)};
    return LPX_SUCCESS;
}

/* Flags from columns: bit i from column first + i. */
static uint8_t flags(store_rows *rows, unsigned first, unsigned count)
{
    unsigned set = 0;
    for (unsigned i = 0; i < count; i++) {
        set |= store_col_int(rows, first + i) != 0 ? 1u << i : 0u;
    }
    return (uint8_t)set;
}

static lpx_err read_policy(reading *r, store_rows *rows)
{
    void *list = r->policies;
    if (r->policy_count >= ROUTER_MAX_POLICIES || !grow(&list, r->policy_count, &r->policy_room, sizeof *r->policies)) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    r->policies = list;
    router_policy_row row = {
        .forwarder = {.net_id = (uint32_t)store_col_int(rows, 0)},
        .is_default = store_col_int(rows, 2) != 0,
        .home = {.net_id = (uint32_t)store_col_int(rows, 3)},
        .policy = {.uplink = flags(rows, 5, 5), .downlink = flags(rows, 10, 3)},
    };
    if (!keep(r, store_col_text(rows, 1), &row.forwarder.tenant_id) ||
        !keep(r, store_col_text(rows, 4), &row.home.tenant_id)) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    r->policies[r->policy_count++] = row;
    return LPX_SUCCESS;
}

static lpx_err read_member(reading *r, store_rows *rows)
{
    void *list = r->members;
    if (r->member_count >= ROUTER_MAX_MEMBERS || !grow(&list, r->member_count, &r->member_room, sizeof *r->members)) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    r->members = list;
    r->members[r->member_count++] = (uint32_t)store_col_int(rows, 0);
    return LPX_SUCCESS;
}

static lpx_err read_settings(reading *r, store_rows *rows)
{
    void *list = r->settings;
    if (r->settings_count >= ROUTER_MAX_SETTINGS ||
        !grow(&list, r->settings_count, &r->settings_room, sizeof *r->settings)) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    r->settings = list;
    router_settings_row row = {
        .home = {.net_id = (uint32_t)store_col_int(rows, 0)},
        .max_copies = (uint32_t)store_col_int(rows, 2),
        .window_us = store_col_int(rows, 3),
    };
    if (!keep(r, store_col_text(rows, 1), &row.home.tenant_id)) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    r->settings[r->settings_count++] = row;
    return LPX_SUCCESS;
}

static lpx_err read_party(reading *r, store_rows *rows)
{
    void *list = r->parties;
    if (r->party_count >= ROUTER_MAX_PARTIES || !grow(&list, r->party_count, &r->party_room, sizeof *r->parties)) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    r->parties = list;
    router_party_row row = {
        .home = {.net_id = (uint32_t)store_col_int(rows, 0)},
        .allow = store_col_int(rows, 2) != 0,
        .party = {.net_id = (uint32_t)store_col_int(rows, 3)},
    };
    if (!keep(r, store_col_text(rows, 1), &row.home.tenant_id) ||
        !keep(r, store_col_text(rows, 4), &row.party.tenant_id) ||
        !keep(r, store_col_text(rows, 5), &row.party.cluster_id)) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    r->parties[r->party_count++] = row;
    return LPX_SUCCESS;
}

/* Run one query, each row through read. */
static lpx_err read_all(store_tx *tx, const char *sql, reading *r, lpx_err (*read)(reading *r, store_rows *rows))
{
    store_rows *rows;
    LPX_TRY(store_query(tx, sql, NULL, 0, &rows));
    lpx_err err = LPX_SUCCESS;
    while (!lpx_failed(err) && store_next(rows)) {
        err = read(r, rows);
    }
    lpx_err closed = store_rows_close(&rows);
    return lpx_failed(err) ? err : closed;
}

static lpx_err read_networks(store_tx *tx, reading *r)
{
    LPX_TRY(read_all(tx,
                     "SELECT net_id, tenant_id, prefix_value, prefix_length, home_network_cluster_id "
                     "FROM dev_addr_blocks",
                     r, read_block));
    LPX_TRY(read_all(tx, "SELECT net_id, delegated_net_id FROM networks WHERE delegated_net_id IS NOT NULL", r,
                     read_delegation));
    return read_all(tx, "SELECT net_id FROM networks", r, read_member);
}

/* An absent half of a policy has flags of 0 in its columns: it allows nothing. */
static lpx_err read_rest(store_tx *tx, reading *r)
{
    LPX_TRY(read_all(tx,
                     "SELECT home_network_net_id, home_network_tenant_id, max_copies, copies_window "
                     "FROM home_network_settings",
                     r, read_settings));
    LPX_TRY(read_all(tx,
                     "SELECT home_network_net_id, home_network_tenant_id, allow, net_id, tenant_id, cluster_id "
                     "FROM home_network_parties",
                     r, read_party));
    return read_all(tx,
                    "SELECT forwarder_net_id, forwarder_tenant_id, is_default, home_network_net_id, "
                    "home_network_tenant_id, up_join_request, up_mac_data, up_application_data, up_signal_quality, "
                    "up_localization, down_join_accept, down_mac_data, down_application_data FROM routing_policies",
                    r, read_policy);
}

static void reading_fini(reading *r)
{
    free(r->blocks);
    free(r->delegations);
    free(r->policies);
    free(r->settings);
    free(r->members);
    free(r->parties);
    lpx_arena_fini(&r->text);
}

static lpx_err make_tables(router_loader *loader, const reading *r)
{
    const router *self = LPX_CONTAINER(loader, struct router, loader);
    router_rows rows = {
        .blocks = r->blocks,
        .block_count = r->block_count,
        .delegations = r->delegations,
        .delegation_count = r->delegation_count,
        .policies = r->policies,
        .policy_count = r->policy_count,
        .members = r->members,
        .member_count = r->member_count,
        .peers = self->peers != NULL ? &self->peers->routes : NULL,
        .settings = r->settings,
        .settings_count = r->settings_count,
        .parties = r->parties,
        .party_count = r->party_count,
        .previous = loader->sent,
        .keep_blocks = loader->part != ROUTER_PART_BLOCKS,
        .default_open = self->opts.default_open,
        .loopback = self->opts.loopback,
        .seed = loader->seed,
    };
    loader->loaded = router_tables_new(&rows);
    return loader->loaded != NULL ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

static lpx_err read_tables(store_tx *tx, router_loader *loader, reading *r)
{
    if (loader->part == ROUTER_PART_BLOCKS) {
        LPX_TRY(read_networks(tx, r));
    }
    LPX_TRY(read_rest(tx, r));
    LPX_TRY(make_tables(loader, r));
    if (loader->part == ROUTER_PART_REST) {
        router_tables_keep_joins(loader->loaded, loader->sent);
        return LPX_SUCCESS;
    }
    router_join_table *joins = NULL;
    LPX_TRY(router_join_load(tx, r->delegations, r->delegation_count, &joins));
    router_tables_give_joins(loader->loaded, joins);
    return LPX_SUCCESS;
}

/* Tables from the transaction's view of the store; on a worker. */
static lpx_err load_work(store_tx *tx, store_job *job)
{
    router_loader *loader = LPX_CONTAINER(job, router_loader, job);
    reading r = {.block_count = 0};
    lpx_arena_init(&r.text, ROUTER_LOAD_BYTES);
    router_tables_unref(&loader->retired);
    router_tables_unref(&loader->loaded);
    lpx_err err = read_tables(tx, loader, &r);
    reading_fini(&r);
    return err;
}

/* ---- the id key ---- */

enum { KEY_HEX_CHARS = 2 * ROUTER_ID_KEY_BYTES };

/* A job that finds the exchange's id key, or stores the one that it was given. */
typedef struct key_job {
    store_job job;
    uint8_t fresh[ROUTER_ID_KEY_BYTES];
    uint8_t found[ROUTER_ID_KEY_BYTES];
} key_job;

static lpx_err read_key(store_tx *tx, uint8_t out[static ROUTER_ID_KEY_BYTES], bool *found)
{
    store_rows *rows;
    LPX_TRY(store_query(tx, "SELECT value FROM settings WHERE name = 'router.id_key'", NULL, 0, &rows));
    *found = store_next(rows) && lpx_hex_decode(store_col_text(rows, 0), (lpx_space){out, ROUTER_ID_KEY_BYTES});
    return store_rows_close(&rows);
}

static lpx_err key_work(store_tx *tx, store_job *job)
{
    key_job *key = LPX_CONTAINER(job, key_job, job);
    bool found;
    LPX_TRY(read_key(tx, key->found, &found));
    if (found) {
        return LPX_SUCCESS;
    }
    char hex[KEY_HEX_CHARS + 1];
    lpx_hex_encode(lpx_bytes_of(key->fresh, sizeof key->fresh), hex);
    store_value value = STORE_V_TEXT(lpx_str_of(hex));
    LPX_TRY(store_exec(tx,
                       "INSERT INTO settings (name, value) VALUES ('router.id_key', ?1) ON CONFLICT (name) DO NOTHING",
                       &value, 1, NULL));
    lpx_wipe(hex, sizeof hex);
    LPX_TRY(read_key(tx, key->found, &found)); /* another node may have been first */
    return found ? LPX_SUCCESS : lpx_err_of(ROUTER_BAD_ID_KEY);
}

static lpx_err load_key(store *db, router_id_key *out)
{
    key_job key = {.job = {.write = true, .work = key_work}};
    LPX_TRY(crypto_random((lpx_space){key.fresh, sizeof key.fresh}));
    lpx_err err = store_run(db, &key.job);
    memcpy(out->bytes, key.found, sizeof out->bytes);
    lpx_wipe(&key, sizeof key);
    return err;
}

/* ---- when to load ---- */

/* What brings a load of everything; policies and settings alone keep blocks and Join Servers as they are. */
#define BLOCK_TOPICS (1u << STORE_TOPIC_NETWORKS | 1u << STORE_TOPIC_JOIN_SERVERS)

lpx_err router_load_first(router *self, router_tables **out, lpx_note *note)
{
    (void)note;
    router_loader *loader = &self->loader;
    if (self->opts.store == NULL) {
        router_rows none = {
            .default_open = self->opts.default_open, .loopback = self->opts.loopback, .seed = loader->seed};
        *out = router_tables_new(&none);
        LPX_TRY(crypto_random((lpx_space){self->id_key.bytes, sizeof self->id_key.bytes}));
        return *out != NULL ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
    }
    LPX_TRY(load_key(self->opts.store, &self->id_key));
    loader->job = (store_job){.work = load_work};
    LPX_TRY(store_run(self->opts.store, &loader->job));
    *out = loader->loaded;
    loader->loaded = NULL;
    loader->sent = router_tables_ref(*out);
    return LPX_SUCCESS;
}

static void next_step(router_loader *loader);

static lpx_mono now_of(router_loader *loader)
{
    const router *self = LPX_CONTAINER(loader, struct router, loader);
    return io_loop_now(self->shards[0]->loop).mono;
}

static void load_failed(router_loader *loader, lpx_err err)
{
    router *self = LPX_CONTAINER(loader, struct router, loader);
    LPX_LOG(LPX_LOG_WARN, "router_tables_failed", LPX_F_STR("reason", lpx_str_of(lpx_reason_name(err.reason))));
    router_counter_add(&self->tables_failed, 1);
    router_pace_failed(&loader->pace, loader->part, now_of(loader));
}

/* Every loop gets the new tables; the ones before are freed later, by a worker. */
static void send_loaded(router_loader *loader)
{
    router *self = LPX_CONTAINER(loader, struct router, loader);
    lpx_mono now = now_of(loader);
    size_t blocks, policies;
    router_tables_sizes(loader->loaded, &blocks, &policies);
    LPX_LOG(LPX_LOG_DEBUG, "router_tables_loaded", LPX_F_INT("blocks", blocks), LPX_F_INT("policies", policies),
            LPX_F_INT("took_us", now.us - loader->began.us));
    router_counter_add(&self->tables_loaded, 1);
    router_pace_done(&loader->pace, loader->part, loader->began, now);
    router_send_tables(self, loader->loaded);
    loader->retired = loader->sent;
    loader->retire_us = now.us + ROUTER_RETIRE_US;
    loader->sent = loader->loaded;
    loader->loaded = NULL;
}

static void load_done(store_job *job, lpx_err err)
{
    router_loader *loader = LPX_CONTAINER(job, router_loader, job);
    loader->busy = false;
    if (!loader->watching) {
        return;
    }
    if (lpx_failed(err)) {
        load_failed(loader, err);
    } else {
        send_loaded(loader);
    }
    next_step(loader);
}

static lpx_err retire_work(store_tx *tx, store_job *job)
{
    (void)tx;
    router_tables_unref(&LPX_CONTAINER(job, router_loader, job)->retired);
    return LPX_SUCCESS;
}

static void retire_done(store_job *job, lpx_err err)
{
    (void)err;
    router_loader *loader = LPX_CONTAINER(job, router_loader, job);
    loader->busy = false;
    if (loader->watching) {
        next_step(loader);
    }
}

static lpx_err submit(router_loader *loader, lpx_err (*work)(store_tx *tx, store_job *job),
                      void (*done)(store_job *job, lpx_err err))
{
    const router *self = LPX_CONTAINER(loader, struct router, loader);
    loader->job = (store_job){.home = self->shards[0]->loop, .work = work, .done = done};
    lpx_err err = store_submit(self->opts.store, &loader->job);
    loader->busy = !lpx_failed(err);
    return err;
}

/* Free what no loop has any more, when its time has come. @return how long until then, -1: nothing is left to do */
static int64_t retire(router_loader *loader, lpx_mono now)
{
    if (loader->retired == NULL || now.us < loader->retire_us) {
        return loader->retired != NULL ? loader->retire_us - now.us : -1;
    }
    lpx_err err = submit(loader, retire_work, retire_done);
    return lpx_failed(err) ? ROUTER_RETIRE_US : -1;
}

/* Begin to load what changed, if it is time; free what is old; else wait until it is time for either. */
static void next_step(router_loader *loader)
{
    lpx_mono now = now_of(loader);
    io_timer_cancel(&loader->timer);
    if (router_pace_take(&loader->pace, now, &loader->part)) {
        loader->began = now;
        lpx_err err = submit(loader, load_work, load_done);
        if (lpx_failed(err)) {
            load_failed(loader, err);
        }
    }
    int64_t load_us = router_pace_wait_us(&loader->pace, now);
    int64_t retire_us = loader->busy ? -1 : retire(loader, now);
    if (loader->busy || (load_us < 0 && retire_us < 0)) {
        return;
    }
    io_timer_arm(&loader->timer, retire_us < 0 || (load_us >= 0 && load_us < retire_us) ? load_us : retire_us);
}

static void on_changed(store_watch *watch, uint32_t topics)
{
    router_loader *loader = LPX_CONTAINER(watch, router_loader, watch);
    router_pace_want(&loader->pace, (topics & BLOCK_TOPICS) != 0 ? ROUTER_PART_BLOCKS : ROUTER_PART_REST);
    if ((topics & ~BLOCK_TOPICS) != 0) {
        router_pace_want(&loader->pace, ROUTER_PART_REST);
    }
    if (!loader->busy) {
        next_step(loader);
    }
}

static void on_timer(io_timer *timer)
{
    router_loader *loader = LPX_CONTAINER(timer, router_loader, timer);
    if (loader->watching && !loader->busy) {
        next_step(loader);
    }
}

lpx_err router_watch_start(router *self)
{
    router_loader *loader = &self->loader;
    if (self->opts.store == NULL) {
        return LPX_SUCCESS;
    }
    LPX_TRY(io_timer_init(&loader->timer, self->shards[0]->loop, on_timer));
    loader->watch = (store_watch){
        .topics = BLOCK_TOPICS | 1u << STORE_TOPIC_POLICIES | 1u << STORE_TOPIC_SETTINGS,
        .home = self->shards[0]->loop,
        .changed = on_changed,
    };
    loader->watching = true;
    store_watch_start(self->opts.store, &loader->watch);
    return LPX_SUCCESS;
}

void router_watch_stop(router *self)
{
    router_loader *loader = &self->loader;
    if (loader->watching) {
        store_watch_stop(self->opts.store, &loader->watch);
        loader->watching = false;
        io_timer_fini(&loader->timer);
    }
}
