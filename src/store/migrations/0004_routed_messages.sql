-- Daily counters of routed messages, one row per day (UTC, days since 1970), forwarder, home network and counter.
-- No foreign keys: reports outlive members.
CREATE TABLE routed_messages (
    day                    INTEGER NOT NULL,
    forwarder_net_id       INTEGER NOT NULL,
    forwarder_tenant_id    TEXT    NOT NULL DEFAULT '',
    home_network_net_id    INTEGER NOT NULL,
    home_network_tenant_id TEXT    NOT NULL DEFAULT '',
    counter                INTEGER NOT NULL, -- direction * 1000 + kind * 500 + (0 routed, 1 success, 100 + error number)
    count                  INTEGER NOT NULL,
    PRIMARY KEY (day, forwarder_net_id, forwarder_tenant_id, home_network_net_id, home_network_tenant_id, counter)
);
CREATE INDEX routed_messages_home_network ON routed_messages (home_network_net_id, home_network_tenant_id, day);
CREATE INDEX routed_messages_forwarder ON routed_messages (forwarder_net_id, forwarder_tenant_id, day);

-- The last batch of counters that each process has added: a commit whose answer was lost is not added twice.
CREATE TABLE report_writers (
    writer     TEXT    NOT NULL PRIMARY KEY,
    batch      INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX report_writers_updated_at ON report_writers (updated_at);
