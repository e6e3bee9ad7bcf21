-- Since when a key is in its state, so that whoever moves it on knows how long it was published, or signs no more.
ALTER TABLE signing_keys ADD COLUMN state_since BIGINT NOT NULL DEFAULT 0;
UPDATE signing_keys SET state_since = created_at;
-- One key signs, and one waits for its turn, whoever makes them.
CREATE UNIQUE INDEX signing_keys_one_active ON signing_keys (state) WHERE state = 'active';
CREATE UNIQUE INDEX signing_keys_one_next ON signing_keys (state) WHERE state = 'next';
