-- Deployments that wait for the ledger's word, and how far the answers are. `found` is the JSON, `answered` repeats whether they were
-- let through; repositories are in lower case.
CREATE TABLE deployments (
    key        TEXT   NOT NULL PRIMARY KEY,
    repository TEXT   NOT NULL,
    answered   BIGINT NOT NULL,
    found      TEXT   NOT NULL
);
CREATE INDEX deployments_repository ON deployments (repository);
CREATE INDEX deployments_open ON deployments (key) WHERE answered = 0;
