-- How many people and groups of a directory have their ids in each stretch of 4096: what a page far behind begins with, and how many
-- there are in all, is known without counting them one by one.
CREATE TABLE listing_stretches (
    directory BIGINT NOT NULL,
    kind      TEXT NOT NULL,
    stretch   BIGINT NOT NULL,
    present   BIGINT NOT NULL,
    PRIMARY KEY (directory, kind, stretch)
) WITHOUT ROWID;
INSERT INTO listing_stretches SELECT directory, 'person', id / 4096, count(*) FROM persons GROUP BY directory, id / 4096;
INSERT INTO listing_stretches SELECT directory, 'group', id / 4096, count(*) FROM groups GROUP BY directory, id / 4096;
-- Folded like every name that is compared; filled in by the program, which knows how.
ALTER TABLE persons ADD COLUMN display_name_folded TEXT;
CREATE INDEX persons_by_display_name ON persons (directory, display_name_folded) WHERE display_name_folded IS NOT NULL;
