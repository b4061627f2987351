-- Members, their blocks and keys, policies, signing keys, administrators.
-- Both engines read this file: INTEGER is 64 bits, and text is compared byte by byte. Times are microseconds since
-- 1970-01-01T00:00:00Z; flags are 0 or 1. An empty tenant_id or cluster_id means "none". An applied migration never
-- changes: a change of the schema is a new file with the next number.

CREATE TABLE networks (
    net_id           INTEGER NOT NULL PRIMARY KEY CHECK (net_id BETWEEN 0 AND 16777215),
    authority        TEXT    NOT NULL DEFAULT '',
    name             TEXT    NOT NULL DEFAULT '',
    admin_name       TEXT    NOT NULL DEFAULT '',
    admin_email      TEXT    NOT NULL DEFAULT '',
    admin_url        TEXT    NOT NULL DEFAULT '',
    tech_name        TEXT    NOT NULL DEFAULT '',
    tech_email       TEXT    NOT NULL DEFAULT '',
    tech_url         TEXT    NOT NULL DEFAULT '',
    listed           INTEGER NOT NULL DEFAULT 0,
    target           BLOB,    -- serialised Target message; NULL: none
    delegated_net_id INTEGER, -- NULL: not delegated
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL
);

CREATE TABLE tenants (
    net_id      INTEGER NOT NULL REFERENCES networks (net_id) ON DELETE CASCADE,
    tenant_id   TEXT    NOT NULL CHECK (tenant_id <> ''),
    authority   TEXT    NOT NULL DEFAULT '',
    name        TEXT    NOT NULL DEFAULT '',
    admin_name  TEXT    NOT NULL DEFAULT '',
    admin_email TEXT    NOT NULL DEFAULT '',
    admin_url   TEXT    NOT NULL DEFAULT '',
    tech_name   TEXT    NOT NULL DEFAULT '',
    tech_email  TEXT    NOT NULL DEFAULT '',
    tech_url    TEXT    NOT NULL DEFAULT '',
    listed      INTEGER NOT NULL DEFAULT 0,
    target      BLOB,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (net_id, tenant_id)
);

-- The blocks of a network (tenant_id '') and of its tenants, in the order in which they were given.
CREATE TABLE dev_addr_blocks (
    net_id                  INTEGER NOT NULL REFERENCES networks (net_id) ON DELETE CASCADE,
    tenant_id               TEXT    NOT NULL DEFAULT '',
    position                INTEGER NOT NULL,
    prefix_value            INTEGER NOT NULL CHECK (prefix_value BETWEEN 0 AND 4294967295),
    prefix_length           INTEGER NOT NULL CHECK (prefix_length BETWEEN 0 AND 32),
    home_network_cluster_id TEXT    NOT NULL DEFAULT '',
    created_at              INTEGER NOT NULL,
    PRIMARY KEY (net_id, tenant_id, position)
);
CREATE INDEX dev_addr_blocks_prefix ON dev_addr_blocks (prefix_value, prefix_length);

-- No foreign key: a key may wait for approval before its network is registered.
CREATE TABLE api_keys (
    key_id           TEXT    NOT NULL PRIMARY KEY,
    kind             INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 1), -- 0 network, 1 cluster
    net_id           INTEGER NOT NULL DEFAULT 0,
    tenant_id        TEXT    NOT NULL DEFAULT '',
    cluster_id       TEXT    NOT NULL DEFAULT '',
    rights           INTEGER NOT NULL DEFAULT 0,                    -- bit N is right N
    secret_hash      BLOB    NOT NULL,                              -- SHA-256
    state            INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    authenticated_at INTEGER                                        -- NULL: never used
);
CREATE INDEX api_keys_owner ON api_keys (net_id, tenant_id, cluster_id);
CREATE INDEX api_keys_state ON api_keys (state, created_at);

-- No foreign keys: a policy may name members that are not registered here.
CREATE TABLE routing_policies (
    forwarder_net_id       INTEGER NOT NULL,
    forwarder_tenant_id    TEXT    NOT NULL DEFAULT '',
    is_default             INTEGER NOT NULL CHECK (is_default BETWEEN 0 AND 1), -- 1: home network columns are 0 and ''
    home_network_net_id    INTEGER NOT NULL DEFAULT 0,
    home_network_tenant_id TEXT    NOT NULL DEFAULT '',
    has_uplink             INTEGER NOT NULL DEFAULT 0,
    up_join_request        INTEGER NOT NULL DEFAULT 0,
    up_mac_data            INTEGER NOT NULL DEFAULT 0,
    up_application_data    INTEGER NOT NULL DEFAULT 0,
    up_signal_quality      INTEGER NOT NULL DEFAULT 0,
    up_localization        INTEGER NOT NULL DEFAULT 0,
    has_downlink           INTEGER NOT NULL DEFAULT 0,
    down_join_accept       INTEGER NOT NULL DEFAULT 0,
    down_mac_data          INTEGER NOT NULL DEFAULT 0,
    down_application_data  INTEGER NOT NULL DEFAULT 0,
    updated_at             INTEGER NOT NULL,
    PRIMARY KEY (forwarder_net_id, forwarder_tenant_id, is_default, home_network_net_id, home_network_tenant_id)
);
-- Pages are cut at a time, so no two policies may share one.
CREATE UNIQUE INDEX routing_policies_updated_at ON routing_policies (updated_at);
CREATE INDEX routing_policies_home_network ON routing_policies (home_network_net_id, home_network_tenant_id);

-- Private token signing keys: secret.
CREATE TABLE signing_keys (
    kid          TEXT    NOT NULL PRIMARY KEY,
    jwk          TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    use_from     INTEGER NOT NULL,
    sign_until   INTEGER NOT NULL,
    verify_until INTEGER NOT NULL
);

CREATE TABLE admins (
    username     TEXT    NOT NULL PRIMARY KEY,
    password_phc TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
);

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
