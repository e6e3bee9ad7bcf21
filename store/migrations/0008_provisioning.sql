-- What the configuration says of a directory: what tells its people apart beside the userName, by what a login finds its person, and
-- what a change of somebody's groups does to their sessions.
ALTER TABLE directories ADD COLUMN unique_by TEXT NOT NULL DEFAULT 'user_name';
ALTER TABLE directories ADD COLUMN links_by_external_id INTEGER NOT NULL DEFAULT 1;
ALTER TABLE directories ADD COLUMN links_by_email INTEGER NOT NULL DEFAULT 1;
ALTER TABLE directories ADD COLUMN links_by_user_name INTEGER NOT NULL DEFAULT 1;
ALTER TABLE directories ADD COLUMN on_group_change TEXT NOT NULL DEFAULT 'apply';
-- What provisioning clients wrote, and what was refused to those that had a key. No values of attributes, but which of them changed.
CREATE TABLE provisioning_log (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    at        BIGINT NOT NULL,
    directory TEXT NOT NULL,
    key_id    TEXT NOT NULL,
    key_name  TEXT NOT NULL,
    operation TEXT NOT NULL,
    resource  TEXT NOT NULL,
    changed   TEXT NOT NULL,
    joined    BIGINT NOT NULL,
    departed  BIGINT NOT NULL,
    ended     BIGINT NOT NULL,
    status    BIGINT,
    reason    TEXT NOT NULL
);
CREATE INDEX provisioning_log_by_resource ON provisioning_log (resource, id);
