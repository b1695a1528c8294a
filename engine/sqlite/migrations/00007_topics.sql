-- The topics that offsets and seqs are of. One that was made anew has another
-- id, and is noticed.

-- +goose Up
CREATE TABLE topics (
    name TEXT PRIMARY KEY,
    id   BLOB NOT NULL
) STRICT;
