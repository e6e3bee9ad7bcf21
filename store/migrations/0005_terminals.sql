-- A token of somebody's at a terminal is an application session that no browser's cookie names: the name that the program
-- gave itself, and nothing for a browser's.
ALTER TABLE application_sessions ADD COLUMN terminal TEXT;
