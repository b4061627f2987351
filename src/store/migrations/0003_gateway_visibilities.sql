-- Who may see what of a forwarder's gateways: everybody (is_default), or one home network instead. No foreign keys: a
-- home network need not be registered here.
CREATE TABLE gateway_visibilities (
    forwarder_net_id       INTEGER NOT NULL,
    forwarder_tenant_id    TEXT    NOT NULL DEFAULT '',
    is_default             INTEGER NOT NULL CHECK (is_default BETWEEN 0 AND 1), -- 1: home network columns are 0 and ''
    home_network_net_id    INTEGER NOT NULL DEFAULT 0,
    home_network_tenant_id TEXT    NOT NULL DEFAULT '',
    flags                  INTEGER NOT NULL, -- bit N - 1: field N of GatewayVisibility (location 1 ... packet_rates 9)
    updated_at             INTEGER NOT NULL,
    PRIMARY KEY (forwarder_net_id, forwarder_tenant_id, is_default, home_network_net_id, home_network_tenant_id)
);
CREATE INDEX gateway_visibilities_home_network ON gateway_visibilities (home_network_net_id, home_network_tenant_id);
