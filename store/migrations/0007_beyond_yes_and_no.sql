-- Why somebody uses an application, in their own words: once for each login and application.
CREATE TABLE purposes (
    session     BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    application TEXT NOT NULL,
    purpose     TEXT NOT NULL,
    given_at    BIGINT NOT NULL,
    PRIMARY KEY (session, application)
) WITHOUT ROWID;

-- Temporary access: asked for, decided, over. The row outlives the session that asked, since a grant is the person's.
CREATE TABLE access_requests (
    id          TEXT PRIMARY KEY,
    provider    TEXT NOT NULL,
    subject     TEXT NOT NULL,
    email       TEXT,
    person      BIGINT,
    application TEXT NOT NULL,
    policy      TEXT NOT NULL,
    reason      TEXT NOT NULL,
    wanted_s    BIGINT NOT NULL,
    asked_at    BIGINT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('waiting', 'granted', 'refused', 'withdrawn', 'ended')),
    decided_by  TEXT,
    decided_at  BIGINT,
    until       BIGINT,
    ended_by    TEXT,
    ended_at    BIGINT
) WITHOUT ROWID;
CREATE INDEX access_requests_by_subject ON access_requests (provider, subject, asked_at);
CREATE INDEX access_requests_by_state ON access_requests (state, asked_at);
CREATE INDEX access_requests_by_person ON access_requests (person) WHERE person IS NOT NULL;
CREATE INDEX access_requests_by_email ON access_requests (provider, email) WHERE email IS NOT NULL;
