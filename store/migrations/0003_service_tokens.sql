-- A name is free again when its token was revoked: policies speak of names.
CREATE TABLE service_tokens (
    client_id    TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    revoked_at   BIGINT,
    last_used_at BIGINT
);
CREATE UNIQUE INDEX service_tokens_by_name ON service_tokens (name) WHERE revoked_at IS NULL;
-- One secret, or two while the older one is in its grace. The id is a hash of client id and secret.
CREATE TABLE service_token_secrets (
    id         BLOB PRIMARY KEY,
    client_id  TEXT NOT NULL REFERENCES service_tokens (client_id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX service_token_secrets_by_token ON service_token_secrets (client_id, created_at, id);
