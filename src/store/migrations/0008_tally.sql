-- What metrics count at each scrape is in the index alone: live grants by connection and state, and those whose end has come. `live` is in it
-- although it is always 1 there: without it SQLite looks every row up.
CREATE INDEX ledger_tally ON ledger (connection, state, ends_at, live) WHERE live = 1;
