-- What people are told beside GitHub, by channel. `due_at`: when the next attempt is made. Who sends one moves it into the future first, so
-- that nobody else does meanwhile; `attempts` counts up with each, so that a sender who was overtaken notices. `state`: `waiting`, `told`,
-- `gathered` (another row tells of it too) or `given-up`. `message` is its JSON, and empty once nobody needs it.
CREATE TABLE messages (
    key       TEXT   NOT NULL,
    channel   TEXT   NOT NULL,
    recipient TEXT   NOT NULL,
    topic     TEXT   NOT NULL,
    queued_at TEXT   NOT NULL,
    due_at    TEXT   NOT NULL,
    attempts  BIGINT NOT NULL,
    state     TEXT   NOT NULL,
    told_at   TEXT,
    message   TEXT   NOT NULL,
    PRIMARY KEY (key, channel)
);
CREATE INDEX messages_due ON messages (channel, due_at) WHERE state = 'waiting';
CREATE INDEX messages_told ON messages (channel, recipient, topic, told_at) WHERE state = 'told';

-- What goes on for a while and is told again until it is over, such as a pull request that waits. `told`: how often it was told.
-- `next_at`: when it is told next; NULL: not again. `open` is 0 once it is over; if it comes back, it is told when its time has come.
CREATE TABLE standing (
    key     TEXT   NOT NULL PRIMARY KEY,
    open    BIGINT NOT NULL,
    told    BIGINT NOT NULL,
    next_at TEXT,
    seen_at TEXT   NOT NULL,
    message TEXT   NOT NULL
);

-- Comments of people that Hallpass answered, or would not answer: each once.
CREATE TABLE answered (
    comment BIGINT NOT NULL PRIMARY KEY,
    pull    BIGINT NOT NULL,
    at      TEXT   NOT NULL,
    outcome TEXT   NOT NULL
);
CREATE INDEX answered_pull ON answered (pull, at);

-- Live grants by their end: what is overdue is asked for every second.
CREATE INDEX ledger_ends ON ledger (ends_at) WHERE live = 1;
