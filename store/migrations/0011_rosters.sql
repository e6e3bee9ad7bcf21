-- A membership belongs to a roster, and a group names the roster that is in force: a large group is emptied by naming another. Rosters
-- have the ids of their groups at first, so that no membership is touched here, and negative numbers later.
ALTER TABLE groups ADD COLUMN roster BIGINT NOT NULL DEFAULT 0;
UPDATE groups SET roster = id;
CREATE UNIQUE INDEX groups_by_roster ON groups (roster);
-- Rosters that are in force no more, until their memberships are swept away. A number is never given twice (AUTOINCREMENT): made negative it
-- is the group's next roster.
CREATE TABLE abandoned_rosters (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    roster BIGINT NOT NULL
);
-- A roster may outlive its group, so the key to groups goes; the one to persons stays. SQLite takes a key away from the text of a table
-- alone (https://sqlite.org/lang_altertable.html, section 7), without a walk over millions of rows; the renaming after it reads the
-- schema anew, here and in whoever else has the file open.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, ' REFERENCES groups (id) ON DELETE CASCADE', '')
    WHERE type = 'table' AND name = 'memberships';
PRAGMA writable_schema = OFF;
ALTER TABLE memberships RENAME COLUMN group_id TO roster;
