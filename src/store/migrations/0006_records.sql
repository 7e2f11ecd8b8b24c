-- Each event as data too. What waits from before has none: its message says it all.
ALTER TABLE outbox ADD COLUMN record TEXT NOT NULL DEFAULT '{}';
