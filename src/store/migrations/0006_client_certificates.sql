-- Client certificates and what they stand for. Revoked ones stay, so that they are refused by name.
CREATE TABLE client_certificates (
    fingerprint      TEXT    NOT NULL PRIMARY KEY, -- lower-case hex of the SHA-256 of the DER
    subject          TEXT    NOT NULL,
    issuer           TEXT    NOT NULL,
    serial           TEXT    NOT NULL,
    not_before       INTEGER NOT NULL,
    not_after        INTEGER NOT NULL,
    own_ca           INTEGER NOT NULL DEFAULT 0,
    kind             INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 1), -- 0 network, 1 cluster; as in api_keys
    net_id           INTEGER NOT NULL DEFAULT 0,
    tenant_id        TEXT    NOT NULL DEFAULT '',
    cluster_id       TEXT    NOT NULL DEFAULT '',
    rights           INTEGER NOT NULL DEFAULT 0,
    created_at       INTEGER NOT NULL,
    revoked_at       INTEGER, -- NULL: valid
    authenticated_at INTEGER  -- NULL: never used
);
CREATE INDEX client_certificates_owner ON client_certificates (net_id, tenant_id);
