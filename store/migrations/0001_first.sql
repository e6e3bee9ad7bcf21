-- The change feed: one row that counts, and one row per change. Commit order is seq order, without gaps.
CREATE TABLE store_epoch (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), uuid TEXT NOT NULL);
CREATE TABLE watermark (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), seq BIGINT NOT NULL);
INSERT INTO watermark (only_row, seq) VALUES (1, 0);
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY,
    kind    TEXT NOT NULL,
    subject TEXT NOT NULL,
    payload TEXT NOT NULL,
    at      BIGINT NOT NULL
);

-- Numbers are never given twice (AUTOINCREMENT): an ended session may still name a deleted person.
CREATE TABLE directories (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    name              TEXT NOT NULL UNIQUE,
    identity_provider TEXT NOT NULL,
    served            INTEGER NOT NULL
);
CREATE TABLE persons (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    directory        BIGINT NOT NULL REFERENCES directories (id),
    scim_id          TEXT NOT NULL UNIQUE,
    user_name        TEXT NOT NULL,
    user_name_folded TEXT NOT NULL,
    external_id      TEXT,
    display_name     TEXT,
    active           INTEGER NOT NULL,
    document         TEXT NOT NULL,
    version          BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL
);
CREATE UNIQUE INDEX persons_by_user_name ON persons (directory, user_name_folded);
CREATE INDEX persons_by_external_id ON persons (directory, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX persons_in_order ON persons (directory, id);
CREATE TABLE person_emails (
    person   BIGINT NOT NULL REFERENCES persons (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    email    TEXT NOT NULL,
    PRIMARY KEY (person, position)
) WITHOUT ROWID;
CREATE UNIQUE INDEX person_emails_by_email ON person_emails (email, person);

CREATE TABLE groups (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    directory           BIGINT NOT NULL REFERENCES directories (id),
    scim_id             TEXT NOT NULL UNIQUE,
    display_name        TEXT NOT NULL,
    display_name_folded TEXT NOT NULL,
    external_id         TEXT,
    document            TEXT NOT NULL,
    version             BIGINT NOT NULL,
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL
);
CREATE UNIQUE INDEX groups_by_display_name ON groups (directory, display_name_folded);
CREATE INDEX groups_by_external_id ON groups (directory, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX groups_in_order ON groups (directory, id);
CREATE TABLE memberships (
    group_id  BIGINT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    person_id BIGINT NOT NULL REFERENCES persons (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, person_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX memberships_by_person ON memberships (person_id, group_id);
-- Names that groups bore: a claim from before `left_at` that tells such a name tells of the group.
CREATE TABLE former_group_names (
    directory BIGINT NOT NULL REFERENCES directories (id),
    name      TEXT NOT NULL,
    left_at   BIGINT NOT NULL,
    PRIMARY KEY (directory, name)
) WITHOUT ROWID;
CREATE INDEX former_group_names_by_time ON former_group_names (left_at);

-- A live session is one whose end_reason is null. Its person is not a foreign key, for an ended one outlives them.
CREATE TABLE sessions (
    id               BLOB PRIMARY KEY,
    provider         TEXT NOT NULL,
    subject          TEXT NOT NULL,
    email            TEXT,
    display_name     TEXT,
    group_names      TEXT NOT NULL,
    claims           TEXT NOT NULL,
    authenticated_at BIGINT NOT NULL,
    begun_at         BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    person           BIGINT,
    ended_at         BIGINT,
    end_reason       TEXT,
    sealed           BLOB
);
CREATE INDEX sessions_by_subject ON sessions (provider, subject) WHERE end_reason IS NULL;
CREATE INDEX sessions_by_email ON sessions (provider, email) WHERE end_reason IS NULL AND email IS NOT NULL;
CREATE INDEX sessions_by_person ON sessions (person) WHERE end_reason IS NULL AND person IS NOT NULL;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
-- Addresses that a login claimed without proof: they never link a session, they only deny it.
CREATE TABLE session_claims (
    session BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    PRIMARY KEY (session, address)
) WITHOUT ROWID;
CREATE UNIQUE INDEX session_claims_by_address ON session_claims (address, session);
CREATE TABLE application_sessions (
    id         BLOB PRIMARY KEY,
    parent     BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    host       TEXT NOT NULL,
    begun_at   BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at   BIGINT,
    end_reason TEXT
) WITHOUT ROWID;
CREATE INDEX application_sessions_by_parent ON application_sessions (parent, host);
CREATE INDEX application_sessions_by_expiry ON application_sessions (expires_at);

-- A key names its directory by name: it may be made before the gateway has first seen the directory.
CREATE TABLE scim_keys (
    key_id       TEXT PRIMARY KEY,
    directory    TEXT NOT NULL,
    name         TEXT NOT NULL,
    token_hash   BLOB NOT NULL,
    created_at   BIGINT NOT NULL,
    revoked_at   BIGINT,
    last_used_at BIGINT,
    expires_at   BIGINT
);
CREATE TABLE signing_keys (
    kid             TEXT PRIMARY KEY,
    algorithm       TEXT NOT NULL,
    sealed_private  BLOB NOT NULL,
    public_jwk      TEXT NOT NULL,
    certificate_pem TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('next', 'active', 'retired'))
);
