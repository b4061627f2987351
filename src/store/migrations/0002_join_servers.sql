-- Join Servers and their JoinEUI prefixes. Ids start at 1 and are never given twice (settings: join_server_next_id).
CREATE TABLE join_servers (
    join_server_id   INTEGER NOT NULL PRIMARY KEY CHECK (join_server_id >= 1),
    name             TEXT    NOT NULL DEFAULT '',
    admin_name       TEXT    NOT NULL DEFAULT '',
    admin_email      TEXT    NOT NULL DEFAULT '',
    admin_url        TEXT    NOT NULL DEFAULT '',
    tech_name        TEXT    NOT NULL DEFAULT '',
    tech_email       TEXT    NOT NULL DEFAULT '',
    tech_url         TEXT    NOT NULL DEFAULT '',
    listed           INTEGER NOT NULL DEFAULT 0,
    lookup           BLOB,    -- serialised Target message; NULL: none
    fixed_net_id     INTEGER, -- NULL: none; never together with lookup
    fixed_tenant_id  TEXT    NOT NULL DEFAULT '',
    fixed_cluster_id TEXT    NOT NULL DEFAULT '',
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL
);

-- In the order in which they were given. The value's 64 bits are stored as a signed number: order by it only within a server.
CREATE TABLE join_eui_prefixes (
    join_server_id INTEGER NOT NULL REFERENCES join_servers (join_server_id) ON DELETE CASCADE,
    position       INTEGER NOT NULL,
    prefix_value   INTEGER NOT NULL,
    prefix_length  INTEGER NOT NULL CHECK (prefix_length BETWEEN 0 AND 64),
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (join_server_id, position)
);
CREATE INDEX join_eui_prefixes_prefix ON join_eui_prefixes (prefix_value, prefix_length);
