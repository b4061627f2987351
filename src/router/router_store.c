/* Tables and id key from the store: statements, rows, and when to load. Loads follow the change feed; while one is
 * under way further changes are remembered and make one more load behind it. */
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

static lpx_err read_block(void *ctx, store_rows *rows)
{
    reading *r = ctx;
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

static lpx_err read_delegation(void *ctx, store_rows *rows)
{
    reading *r = ctx;
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

static lpx_err read_policy(void *ctx, store_rows *rows)
{
    reading *r = ctx;
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

static lpx_err read_member(void *ctx, store_rows *rows)
{
    reading *r = ctx;
    void *list = r->members;
    if (r->member_count >= ROUTER_MAX_MEMBERS || !grow(&list, r->member_count, &r->member_room, sizeof *r->members)) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    r->members = list;
    r->members[r->member_count++] = (uint32_t)store_col_int(rows, 0);
    return LPX_SUCCESS;
}

static lpx_err read_settings(void *ctx, store_rows *rows)
{
    reading *r = ctx;
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

static lpx_err read_party(void *ctx, store_rows *rows)
{
    reading *r = ctx;
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

/* An absent half of a policy has flags of 0 in its columns: it allows nothing. */
static lpx_err read_everything(store_tx *tx, reading *r)
{
    LPX_TRY(store_each(tx,
                       "SELECT net_id, tenant_id, prefix_value, prefix_length, home_network_cluster_id "
                       "FROM dev_addr_blocks",
                       NULL, 0, read_block, r));
    LPX_TRY(store_each(tx, "SELECT net_id, delegated_net_id FROM networks WHERE delegated_net_id IS NOT NULL", NULL, 0,
                       read_delegation, r));
    LPX_TRY(store_each(tx, "SELECT net_id FROM networks", NULL, 0, read_member, r));
    LPX_TRY(store_each(tx,
                       "SELECT home_network_net_id, home_network_tenant_id, max_copies, copies_window "
                       "FROM home_network_settings",
                       NULL, 0, read_settings, r));
    LPX_TRY(store_each(tx,
                       "SELECT home_network_net_id, home_network_tenant_id, allow, net_id, tenant_id, cluster_id "
                       "FROM home_network_parties",
                       NULL, 0, read_party, r));
    return store_each(tx,
                      "SELECT forwarder_net_id, forwarder_tenant_id, is_default, home_network_net_id, "
                      "home_network_tenant_id, up_join_request, up_mac_data, up_application_data, up_signal_quality, "
                      "up_localization, down_join_accept, down_mac_data, down_application_data FROM routing_policies",
                      NULL, 0, read_policy, r);
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

static lpx_err load_joins(store_tx *tx, const reading *r, router_tables *tables)
{
    router_join_table *joins = NULL;
    LPX_TRY(router_join_load(tx, r->delegations, r->delegation_count, &joins));
    router_tables_give_joins(tables, joins);
    return LPX_SUCCESS;
}

/* Tables from the transaction's view of the store; on a worker. */
static lpx_err load_work(store_tx *tx, store_job *job)
{
    router_loader *loader = LPX_CONTAINER(job, router_loader, job);
    const router *self = LPX_CONTAINER(loader, struct router, loader);
    reading r = {.block_count = 0};
    lpx_arena_init(&r.text, ROUTER_LOAD_BYTES);
    router_tables_unref(&loader->loaded);
    lpx_err err = read_everything(tx, &r);
    if (!lpx_failed(err)) {
        router_rows rows = {
            .blocks = r.blocks,
            .block_count = r.block_count,
            .delegations = r.delegations,
            .delegation_count = r.delegation_count,
            .policies = r.policies,
            .policy_count = r.policy_count,
            .members = r.members,
            .member_count = r.member_count,
            .peers = self->peers != NULL ? &self->peers->routes : NULL,
            .settings = r.settings,
            .settings_count = r.settings_count,
            .parties = r.parties,
            .party_count = r.party_count,
            .previous = loader->sent,
            .default_open = self->opts.default_open,
            .loopback = self->opts.loopback,
            .seed = loader->seed,
        };
        loader->loaded = router_tables_new(&rows);
        err = loader->loaded != NULL ? load_joins(tx, &r, loader->loaded) : lpx_err_of(BASE_NO_MEMORY);
    }
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

static void load_done(store_job *job, lpx_err err);

static void load_again_later(router_loader *loader, lpx_err err)
{
    router *self = LPX_CONTAINER(loader, struct router, loader);
    LPX_LOG(LPX_LOG_WARN, "router_tables_failed", LPX_F_STR("reason", lpx_str_of(lpx_reason_name(err.reason))));
    router_counter_add(&self->tables_failed, 1);
    loader->loading = false;
    io_timer_arm(&loader->retry, ROUTER_RELOAD_US);
}

static void load_begin(router_loader *loader)
{
    router *self = LPX_CONTAINER(loader, struct router, loader);
    loader->loading = true;
    loader->again = false;
    io_timer_cancel(&loader->retry);
    loader->job = (store_job){.home = self->shards[0]->loop, .work = load_work, .done = load_done};
    lpx_err err = store_submit(self->opts.store, &loader->job);
    if (lpx_failed(err)) {
        load_again_later(loader, err);
    }
}

static void load_done(store_job *job, lpx_err err)
{
    router_loader *loader = LPX_CONTAINER(job, router_loader, job);
    router *self = LPX_CONTAINER(loader, struct router, loader);
    if (!loader->watching) {
        loader->loading = false;
        return;
    }
    if (lpx_failed(err)) {
        load_again_later(loader, err);
        return;
    }
    size_t blocks, policies;
    router_tables_sizes(loader->loaded, &blocks, &policies);
    LPX_LOG(LPX_LOG_DEBUG, "router_tables_loaded", LPX_F_INT("blocks", blocks), LPX_F_INT("policies", policies));
    router_counter_add(&self->tables_loaded, 1);
    router_send_tables(self, loader->loaded);
    router_tables_unref(&loader->sent);
    loader->sent = loader->loaded;
    loader->loaded = NULL;
    loader->loading = false;
    if (loader->again) {
        load_begin(loader);
    }
}

static void on_changed(store_watch *watch, uint32_t topics)
{
    (void)topics;
    router_loader *loader = LPX_CONTAINER(watch, router_loader, watch);
    if (loader->loading) {
        loader->again = true;
        return;
    }
    load_begin(loader);
}

static void on_retry(io_timer *timer)
{
    router_loader *loader = LPX_CONTAINER(timer, router_loader, retry);
    if (loader->watching && !loader->loading) {
        load_begin(loader);
    }
}

lpx_err router_watch_start(router *self)
{
    router_loader *loader = &self->loader;
    if (self->opts.store == NULL) {
        return LPX_SUCCESS;
    }
    LPX_TRY(io_timer_init(&loader->retry, self->shards[0]->loop, on_retry));
    loader->watch = (store_watch){
        .topics = 1u << STORE_TOPIC_NETWORKS | 1u << STORE_TOPIC_POLICIES | 1u << STORE_TOPIC_SETTINGS |
                  1u << STORE_TOPIC_JOIN_SERVERS,
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
        io_timer_fini(&loader->retry);
    }
}
