-- What home networks ask of the exchange (lpx.routing.v1.HomeNetworkSettings). No foreign key: as policies.
CREATE TABLE home_network_settings (
    home_network_net_id    INTEGER NOT NULL,
    home_network_tenant_id TEXT    NOT NULL DEFAULT '',
    max_copies             INTEGER NOT NULL DEFAULT 0,
    copies_window          INTEGER NOT NULL DEFAULT 0, -- microseconds
    updated_at             INTEGER NOT NULL,
    PRIMARY KEY (home_network_net_id, home_network_tenant_id)
);
CREATE TABLE home_network_parties (
    home_network_net_id    INTEGER NOT NULL,
    home_network_tenant_id TEXT    NOT NULL DEFAULT '',
    allow                  INTEGER NOT NULL CHECK (allow BETWEEN 0 AND 1), -- 0: deny
    position               INTEGER NOT NULL,
    net_id                 INTEGER NOT NULL,
    tenant_id              TEXT    NOT NULL DEFAULT '',
    cluster_id             TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (home_network_net_id, home_network_tenant_id, allow, position),
    FOREIGN KEY (home_network_net_id, home_network_tenant_id)
        REFERENCES home_network_settings (home_network_net_id, home_network_tenant_id) ON DELETE CASCADE
);
