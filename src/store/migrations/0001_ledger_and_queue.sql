-- One text for SQLite and PostgreSQL: TEXT and BIGINT only. Instants are RFC 3339 in UTC with six decimals, so that their order
-- as text is their order in time. Booleans are 0 and 1.

-- One row a grant. `entry` is the whole entry as JSON; the other columns repeat what is searched for.
CREATE TABLE ledger (
    id         TEXT   NOT NULL PRIMARY KEY,
    path       TEXT   NOT NULL,
    state      TEXT   NOT NULL,
    live       BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    connection TEXT,
    access_key TEXT,
    wake_at    TEXT,
    ends_at    TEXT,
    subject    TEXT,
    tidied     BIGINT NOT NULL,
    entry      TEXT   NOT NULL
);
CREATE INDEX ledger_path ON ledger (path);
-- Final rows are the history and grow for ever; every hot question is about the live ones.
CREATE INDEX ledger_due ON ledger (connection, wake_at) WHERE live = 1;
CREATE INDEX ledger_next_due ON ledger (wake_at, connection) WHERE live = 1;
CREATE INDEX ledger_access ON ledger (connection, access_key) WHERE live = 1;
CREATE INDEX ledger_state ON ledger (state) WHERE live = 1;
CREATE INDEX ledger_subject ON ledger (subject) WHERE live = 1;
CREATE INDEX ledger_untidied ON ledger (id) WHERE live = 0 AND tidied = 0;

-- Events on their way to the evidence branch. Rows stay after publication: their keys are what makes an event happen once.
CREATE TABLE outbox (
    sequence  BIGINT NOT NULL PRIMARY KEY,
    key       TEXT   NOT NULL UNIQUE,
    kind      TEXT   NOT NULL,
    at        TEXT   NOT NULL,
    message   TEXT   NOT NULL,
    published BIGINT NOT NULL
);
CREATE INDEX outbox_unpublished ON outbox (sequence) WHERE published = 0;

-- Single values, such as the cursor of the protected branch.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- What has to be looked at. `token` changes whenever it is asked for again.
CREATE TABLE wake (
    name        TEXT   NOT NULL PRIMARY KEY,
    token       BIGINT NOT NULL,
    attempts    BIGINT NOT NULL,
    due_at      TEXT   NOT NULL,
    enqueued_at TEXT   NOT NULL
);

-- The check that was last published for each pull request.
CREATE TABLE checks (
    pull   BIGINT NOT NULL PRIMARY KEY,
    id     BIGINT NOT NULL,
    head   TEXT   NOT NULL,
    digest TEXT   NOT NULL
);
