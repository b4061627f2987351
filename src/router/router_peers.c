/* The file of peers:
 *   peers:
 *     - name: west                       # router.name there
 *       address: west.example.org:1900
 *       ca-file: /etc/lpx/west-ca.pem    # without: the system's roots
 *       token-url: https://west.example.org:1901/token
 *       client-id: ABCDEFGHIJKLMNOP      # a cluster key with WRITE_TRAFFIC there
 *       client-secret-file: /etc/lpx/west-secret
 *       key-id: QRSTUVWXYZ234567         # the cluster key by which it calls here; without: it may not
 *       uplinks: [C00024, 260B0000/16]   # NetIDs and DevAddr prefixes of home networks there
 *       join-requests: [EC656E0000000000/24]
 *       forwarders: [C00013]             # networks whose downlinks go there, beside those heard lately
 *       speaks-for: [C00042]             # members of this exchange for whom it may speak all the same */
#include "router/router_peers.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "codec/yaml/yaml.h"
#include "lpx_reasons.h"

/* ---- files ---- */

/* A whole file; its text lives in the arena. */
static lpx_err read_file(const char *path, size_t max_bytes, lpx_arena *arena, lpx_str *out, lpx_note *note)
{
    FILE *file = fopen(path, "rb");
    char *text = lpx_arena_get(arena, max_bytes + 1);
    size_t len = file != NULL && text != NULL ? fread(text, 1, max_bytes + 1, file) : 0;
    bool failed = file == NULL || ferror(file) != 0;
    if (file != NULL) {
        (void)fclose(file);
    }
    if (text == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    if (failed || len > max_bytes) {
        return lpx_fail(note, ROUTER_BAD_PEERS, "%s %s.", path,
                        failed ? "cannot be read" : "is larger than a file of peers or secrets may be");
    }
    *out = (lpx_str){text, len};
    return LPX_SUCCESS;
}

static lpx_str without_space(lpx_str text)
{
    while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r')) {
        text.len--;
    }
    return text;
}

/* ---- the document ---- */

/* What is being filled. */
typedef struct reading {
    router_peers *peers;
    const char *path;
    router_peer_addrs *addrs;
    router_peer_joins *joins;
    router_peer_net *forwarders;
    uint32_t *speaks_for; /* of all peers; each one's stand together */
    size_t speaks_for_count;
} reading;

static lpx_err keep(router_peers *peers, lpx_str text, const char **out)
{
    *out = lpx_arena_cstr(&peers->arena, text);
    return *out != NULL ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

static lpx_err add_uplinks(reading *r, uint32_t peer, lpx_str text, lpx_note *note)
{
    router_peer_addrs *entry = &r->addrs[r->peers->routes.addrs_count];
    lw_netid net = {0};
    entry->peer = peer;
    if (memchr(text.ptr, '/', text.len) != NULL) {
        LPX_TRY(lw_devaddr_prefix_parse(text, "uplinks", note, &entry->prefix));
        if (entry->prefix.length > 0 && lw_devaddr_netid((lw_devaddr){entry->prefix.value}, &net)) {
            entry->net_id = net.value;
        }
    } else {
        LPX_TRY(lw_netid_parse(text, "uplinks", note, &net));
        entry->prefix = lw_netid_prefix(net);
        entry->net_id = net.value;
    }
    r->peers->routes.addrs_count++;
    return LPX_SUCCESS;
}

static lpx_err add_join(reading *r, uint32_t peer, lpx_str text, lpx_note *note)
{
    router_peer_joins *entry = &r->joins[r->peers->routes.joins_count];
    LPX_TRY(lw_eui64_prefix_parse(text, "join-requests", note, &entry->prefix));
    entry->peer = peer;
    r->peers->routes.joins_count++;
    return LPX_SUCCESS;
}

static lpx_err add_forwarder(reading *r, uint32_t peer, lpx_str text, lpx_note *note)
{
    lw_netid net;
    LPX_TRY(lw_netid_parse(text, "forwarders", note, &net));
    r->forwarders[r->peers->routes.forwarders_count++] = (router_peer_net){net.value, peer};
    return LPX_SUCCESS;
}

static lpx_err add_speaks_for(reading *r, uint32_t peer, lpx_str text, lpx_note *note)
{
    lw_netid net;
    router_peer *p = &r->peers->list[peer];
    LPX_TRY(lw_netid_parse(text, "speaks-for", note, &net));
    if (p->speaks_for == NULL) {
        p->speaks_for = &r->speaks_for[r->speaks_for_count];
    }
    r->speaks_for[r->speaks_for_count++] = net.value;
    p->speaks_for_count++;
    return LPX_SUCCESS;
}

static lpx_err set_secret(reading *r, router_peer *peer, lpx_str path, lpx_note *note)
{
    const char *name;
    lpx_str text;
    LPX_TRY(keep(r->peers, path, &name));
    LPX_TRY(read_file(name, ROUTER_PEERS_SECRET_BYTES, &r->peers->arena, &text, note));
    return keep(r->peers, without_space(text), &peer->client_secret);
}

/* One leaf below a peer: key, or key[i]. */
static lpx_err set_value(reading *r, uint32_t number, lpx_str key, lpx_str text, lpx_note *note)
{
    router_peer *peer = &r->peers->list[number];
    const struct {
        const char *name;
        const char **to;
    } texts[] = {{"name", &peer->name},           {"address", &peer->address},     {"ca-file", &peer->ca_file},
                 {"token-url", &peer->token_url}, {"client-id", &peer->client_id}, {"key-id", &peer->key_id}};
    const struct {
        const char *name;
        lpx_err (*add)(reading *r, uint32_t peer, lpx_str text, lpx_note *note);
    } lists[] = {{"uplinks[", add_uplinks},
                 {"join-requests[", add_join},
                 {"forwarders[", add_forwarder},
                 {"speaks-for[", add_speaks_for}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (lpx_str_is(key, texts[i].name)) {
            return keep(r->peers, text, texts[i].to);
        }
    }
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        size_t len = strlen(lists[i].name);
        if (key.len > len && memcmp(key.ptr, lists[i].name, len) == 0) {
            return lists[i].add(r, number, text, note);
        }
    }
    if (lpx_str_is(key, "client-secret-file")) {
        return set_secret(r, peer, text, note);
    }
    return lpx_fail(note, ROUTER_BAD_PEERS, "\"%.*s\" is no setting of a peer", (int)key.len, key.ptr);
}

/* "peers[3].name" -> 3, "name". */
static bool split_path(lpx_str path, uint32_t *number, lpx_str *key)
{
    static const char head[] = "peers[";
    size_t at = sizeof head - 1;
    if (path.len < at || memcmp(path.ptr, head, at) != 0) {
        return false;
    }
    uint32_t value = 0;
    for (; at < path.len && path.ptr[at] >= '0' && path.ptr[at] <= '9' && value < ROUTER_MAX_PEERS; at++) {
        value = value * 10 + (uint32_t)(path.ptr[at] - '0');
    }
    if (path.len - at < 3 || path.ptr[at] != ']' || path.ptr[at + 1] != '.' || value >= ROUTER_MAX_PEERS) {
        return false;
    }
    *number = value;
    *key = (lpx_str){path.ptr + at + 2, path.len - at - 2};
    return true;
}

static lpx_err read_entry(reading *r, const yaml_entry *entry, lpx_note *note)
{
    uint32_t number;
    lpx_str key;
    lpx_note inner = {.text = ""};
    if (entry->kind == YAML_EMPTY_LIST || entry->kind == YAML_EMPTY_MAP || entry->kind == YAML_NULL) {
        return LPX_SUCCESS;
    }
    if (!split_path(entry->path, &number, &key)) {
        return lpx_fail(note, ROUTER_BAD_PEERS, "%s, line %u: a list \"peers\" of at most %d is expected.", r->path,
                        entry->line, ROUTER_MAX_PEERS);
    }
    if (number >= r->peers->count) {
        r->peers->count = number + 1;
    }
    lpx_err err = set_value(r, number, key, entry->text, &inner);
    if (lpx_failed(err)) {
        return lpx_fail(note, ROUTER_BAD_PEERS, "%s, line %u: %s", r->path, entry->line, inner.text);
    }
    return LPX_SUCCESS;
}

static lpx_err check_peer(reading *r, router_peer *peer, lpx_note *note)
{
    const char *colon = peer->address != NULL ? strrchr(peer->address, ':') : NULL;
    if (peer->name == NULL || colon == NULL || peer->token_url == NULL || peer->client_id == NULL ||
        peer->client_secret == NULL) {
        return lpx_fail(note, ROUTER_BAD_PEERS,
                        "%s: peer %s needs name, address with a port, token-url, client-id and client-secret-file.",
                        r->path, peer->name != NULL ? peer->name : "without a name");
    }
    lpx_str host = {peer->address, (size_t)(colon - peer->address)};
    if (host.len > 2 && host.ptr[0] == '[') {
        host = (lpx_str){host.ptr + 1, host.len - 2};
    }
    return keep(r->peers, host, &peer->host);
}

static lpx_err read_document(reading *r, lpx_note *note)
{
    router_peers *peers = r->peers;
    lpx_str text;
    yaml_doc doc;
    LPX_TRY(read_file(r->path, ROUTER_PEERS_FILE_BYTES, &peers->arena, &text, note));
    LPX_TRY(yaml_read(text, &peers->arena, &doc, note));
    peers->list = lpx_arena_array(&peers->arena, ROUTER_MAX_PEERS, sizeof *peers->list);
    r->addrs = lpx_arena_array(&peers->arena, doc.count, sizeof *r->addrs);
    r->joins = lpx_arena_array(&peers->arena, doc.count, sizeof *r->joins);
    r->forwarders = lpx_arena_array(&peers->arena, doc.count, sizeof *r->forwarders);
    r->speaks_for = lpx_arena_array(&peers->arena, doc.count, sizeof *r->speaks_for);
    if (peers->list == NULL || r->addrs == NULL || r->joins == NULL || r->forwarders == NULL || r->speaks_for == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    for (size_t i = 0; i < doc.count; i++) {
        LPX_TRY(read_entry(r, &doc.entries[i], note));
    }
    for (size_t i = 0; i < peers->count; i++) {
        LPX_TRY(check_peer(r, &peers->list[i], note));
    }
    peers->routes.addrs = r->addrs;
    peers->routes.joins = r->joins;
    peers->routes.forwarders = r->forwarders;
    return LPX_SUCCESS;
}

lpx_err router_peers_read(const char *path, router_peers **out, lpx_note *note)
{
    router_peers *peers = calloc(1, sizeof *peers);
    if (peers == NULL || pthread_mutex_init(&peers->lock, NULL) != 0) {
        free(peers);
        return lpx_err_of(BASE_NO_MEMORY);
    }
    lpx_arena_init_wiped(&peers->arena, ROUTER_PEERS_ARENA_BYTES);
    reading r = {.peers = peers, .path = path};
    lpx_err err = read_document(&r, note);
    if (lpx_failed(err)) {
        router_peers_free(&peers);
        return err;
    }
    *out = peers;
    return LPX_SUCCESS;
}

void router_peers_free(router_peers **ref)
{
    router_peers *peers = *ref;
    *ref = NULL;
    if (peers != NULL) {
        lpx_arena_fini(&peers->arena);
        (void)pthread_mutex_destroy(&peers->lock);
        free(peers);
    }
}

/* ---- questions ---- */

uint32_t router_peers_by_key(const router_peers *peers, const char *key_id)
{
    for (size_t i = 0; peers != NULL && key_id[0] != '\0' && i < peers->count; i++) {
        if (peers->list[i].key_id != NULL && strcmp(peers->list[i].key_id, key_id) == 0) {
            return (uint32_t)i;
        }
    }
    return ROUTER_NO_PEER;
}

bool router_peer_speaks_for(const router_peer *peer, uint32_t net_id, bool registered)
{
    bool named = false;
    for (size_t i = 0; !named && i < peer->speaks_for_count; i++) {
        named = peer->speaks_for[i] == net_id;
    }
    return named || !registered;
}

/* A place that is taken by somebody else is taken over: its owner is heard again with its next uplink. */
void router_peers_hear(router_peers *peers, uint64_t hash, uint32_t peer, lpx_mono now)
{
    (void)pthread_mutex_lock(&peers->lock);
    peers->heard[hash % ROUTER_HEARD_SLOTS] =
        (router_heard){.hash = hash, .peer = peer, .until_us = now.us + ROUTER_HEARD_US};
    (void)pthread_mutex_unlock(&peers->lock);
}

uint32_t router_peers_heard(router_peers *peers, uint64_t hash, lpx_mono now)
{
    (void)pthread_mutex_lock(&peers->lock);
    const router_heard *slot = &peers->heard[hash % ROUTER_HEARD_SLOTS];
    uint32_t peer = slot->hash == hash && now.us < slot->until_us ? slot->peer : ROUTER_NO_PEER;
    (void)pthread_mutex_unlock(&peers->lock);
    return peer;
}
