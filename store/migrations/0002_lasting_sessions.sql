-- When the provider last said what stands in the row: at the login, or at a renewal after it.
ALTER TABLE sessions ADD COLUMN told_at BIGINT NOT NULL DEFAULT 0;
UPDATE sessions SET told_at = begun_at;
-- The provider's refresh token, sealed; an ended session has lost it.
ALTER TABLE sessions ADD COLUMN refresh BLOB;
-- The last use that was noted; null until there is one. Not every use is noted at once.
ALTER TABLE sessions ADD COLUMN used_at BIGINT;
-- The SHA-256 of the second cookie, without which the first opens nothing; null where none was asked for.
ALTER TABLE application_sessions ADD COLUMN binding BLOB;
