-- What somebody had before is asked for by subject, newest end first.
ALTER TABLE ledger ADD COLUMN settled_at TEXT;
-- What ended before this column was there: by its term, which is near enough for an order.
UPDATE ledger SET settled_at = ends_at WHERE live = 0;
CREATE INDEX ledger_history ON ledger (subject, settled_at) WHERE live = 0;

-- What closed pull requests had asked for: `asks` forgets it when they close.
CREATE TABLE turned_down (
    pull    BIGINT NOT NULL,
    subject TEXT   NOT NULL,
    role    TEXT   NOT NULL,
    at      TEXT   NOT NULL,
    PRIMARY KEY (pull, subject, role)
);
CREATE INDEX turned_down_subject ON turned_down (subject, at);

-- The pull request that brought it: what it brought is told of together.
ALTER TABLE ledger ADD COLUMN pull BIGINT;
CREATE INDEX ledger_pull ON ledger (pull) WHERE live = 1;

-- Notices that access ends soon. `notice_at`: when its holder is to be told, and NULL until that was worked out. `noticed`: 1 once
-- they were told, or when they are not to be. An entry is written without touching either.
ALTER TABLE ledger ADD COLUMN notice_at TEXT;
ALTER TABLE ledger ADD COLUMN noticed BIGINT NOT NULL DEFAULT 0;
CREATE INDEX ledger_notice ON ledger (notice_at) WHERE live = 1 AND noticed = 0 AND state = 'active';
