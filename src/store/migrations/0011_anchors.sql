-- What is known of each place outside at which anchors of the evidence are kept: `memory` is its JSON. Whoever writes names the version
-- that they read, so that of several servers one writes.
CREATE TABLE anchors (
    place   TEXT   NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    memory  TEXT   NOT NULL
);
