-- What each open pull request asks for, as it was last judged: so that two that exclude each other know of each other.
CREATE TABLE asks (
    pull    BIGINT NOT NULL,
    subject TEXT   NOT NULL,
    role    TEXT   NOT NULL,
    head    TEXT   NOT NULL,
    PRIMARY KEY (pull, subject, role)
);
CREATE INDEX asks_subject ON asks (subject);
