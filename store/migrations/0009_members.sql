-- The processes that serve from this store, by the lease protocol: `renew` counts up while the process lives, `acked` is the last
-- change that it has applied.
CREATE TABLE members (
    id        TEXT PRIMARY KEY,
    renew     BIGINT NOT NULL,
    acked     BIGINT NOT NULL,
    version   TEXT NOT NULL,
    joined_at BIGINT NOT NULL
);

-- What is used once and was, until nobody could use it again.
CREATE TABLE spent (
    id         TEXT PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX spent_by_time ON spent (expires_at);
