-- What the gateway keeps for itself under a name, sealed: an account at a certificate authority, the certificates from there.
CREATE TABLE sealed_items (
    name       TEXT PRIMARY KEY,
    sealed     BLOB NOT NULL,
    changed_at BIGINT NOT NULL
);
