-- Gateways as their forwarders tell of them. gateway_key is the plain id, or "hash:" and hex, or "eui-" and hex.
CREATE TABLE gateways (
    forwarder_net_id     INTEGER NOT NULL,
    forwarder_tenant_id  TEXT    NOT NULL DEFAULT '',
    gateway_key          TEXT    NOT NULL,
    forwarder_cluster_id TEXT    NOT NULL DEFAULT '',
    eui                  INTEGER,          -- 64 bits as a signed number; NULL: not told
    gateway              BLOB    NOT NULL, -- serialised Gateway message; empty: goes by another key by now
    online_until         INTEGER NOT NULL DEFAULT 0,
    updated_at           INTEGER NOT NULL,
    PRIMARY KEY (forwarder_net_id, forwarder_tenant_id, gateway_key)
);
-- What changed since: pages of the feed, in this order.
CREATE INDEX gateways_feed ON gateways (updated_at, forwarder_net_id, forwarder_tenant_id, gateway_key);
CREATE INDEX gateways_eui ON gateways (forwarder_net_id, forwarder_tenant_id, eui);
