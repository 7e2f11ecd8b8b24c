-- How target systems differ from the ledger, as last seen. A row a difference: `found` is its JSON.
CREATE TABLE drift (
    key        TEXT NOT NULL PRIMARY KEY,
    connection TEXT NOT NULL,
    first_seen TEXT NOT NULL,
    found      TEXT NOT NULL
);
CREATE INDEX drift_connection ON drift (connection);
