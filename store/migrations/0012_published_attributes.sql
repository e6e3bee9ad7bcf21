-- Attributes that stand in documents of a directory and in no schema that everybody knows, as they were seen when they were written:
-- what its /Schemas publishes beside those. The path is a JSON list of names.
CREATE TABLE seen_attributes (
    directory BIGINT NOT NULL REFERENCES directories (id),
    seen_in   TEXT NOT NULL,
    urn       TEXT NOT NULL,
    path      TEXT NOT NULL,
    holds     TEXT NOT NULL,
    many      INTEGER NOT NULL,
    PRIMARY KEY (directory, seen_in, urn, path, holds, many)
) WITHOUT ROWID;
-- A page of a million people sorted by their ids begins where it begins, without a walk over everybody's rows.
CREATE INDEX persons_by_scim_id ON persons (directory, scim_id);
CREATE INDEX groups_by_scim_id ON groups (directory, scim_id);
