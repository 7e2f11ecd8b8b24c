-- A check is a commit's, and open pull requests may share their head: what each of them says there, and which of them the forge shows.
-- `digest` is of what is said of the pull request itself, `shown` of what the forge shows; empty where that is another's. Rows from before
-- have no status until their pull request is judged again. An earlier version beside this one writes `head` alone, and not `said_at`.
ALTER TABLE checks ADD COLUMN here BIGINT NOT NULL DEFAULT 1;
ALTER TABLE checks ADD COLUMN status TEXT;
ALTER TABLE checks ADD COLUMN said_at TEXT;
ALTER TABLE checks ADD COLUMN shown TEXT NOT NULL DEFAULT '';
UPDATE checks SET shown = digest;
CREATE INDEX checks_head ON checks (head);
