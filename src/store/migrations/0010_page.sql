-- What the page for people asks for, a few rows at a time.

-- The resource of each grant. What is there already gets the folder of its file, which for a part of a bundle is the bundle's, until it is
-- written the next time.
ALTER TABLE ledger ADD COLUMN resource TEXT;
UPDATE ledger SET resource = RTRIM(SUBSTR(RTRIM(path, REPLACE(path, '/', '')), 15), '/');
CREATE INDEX ledger_ending ON ledger (ends_at, id) WHERE live = 1;
CREATE INDEX ledger_over ON ledger (settled_at, id) WHERE live = 0;
CREATE INDEX ledger_resource ON ledger (resource, live);
CREATE INDEX ledger_any_pull ON ledger (pull);
CREATE INDEX ledger_names ON ledger (path, subject, live, id);

-- Of what an event tells: the file of a grant, and the pull request that brought it. And the commit of the evidence branch that it became.
-- Events from before have none of these.
ALTER TABLE outbox ADD COLUMN path TEXT;
ALTER TABLE outbox ADD COLUMN pull BIGINT;
ALTER TABLE outbox ADD COLUMN evidence TEXT;
CREATE INDEX outbox_path ON outbox (path, sequence);

-- What each open pull request waits for, as it was last judged: the title of its check.
CREATE TABLE judged (
    pull    BIGINT NOT NULL PRIMARY KEY,
    author  TEXT,
    outcome TEXT   NOT NULL,
    says    TEXT   NOT NULL,
    since   TEXT   NOT NULL
);

-- Who is signed in. `key` is the SHA-256 of what the browser keeps, `sign_in` that of the state it came back from GitHub with: one state
-- makes one session. `asked_at`: when GitHub last said that they may see it. Rows stay until their time is over.
CREATE TABLE sessions (
    key      TEXT   NOT NULL PRIMARY KEY,
    sign_in  TEXT   NOT NULL UNIQUE,
    account  BIGINT NOT NULL,
    login    TEXT   NOT NULL,
    ends_at  TEXT   NOT NULL,
    asked_at TEXT   NOT NULL,
    over     BIGINT NOT NULL
);
CREATE INDEX sessions_end ON sessions (ends_at);
