-- Records of the commands topic that were no commands. A row is written in the
-- transaction that moves its shard past the record, so there is one for each.
-- They are named by a number: offsets begin again in a topic that was made anew.

-- +goose Up
CREATE TABLE dead (
    shard    INTEGER NOT NULL,
    number   INTEGER NOT NULL, -- in the shard: 1, 2, 3 …
    "offset" INTEGER NOT NULL, -- in the partition of the commands topic
    cause    TEXT NOT NULL,
    at       INTEGER NOT NULL,
    size     INTEGER NOT NULL, -- of the value, in bytes
    payload  BLOB NOT NULL,    -- catalog.v1.DeadLetter
    PRIMARY KEY (shard, number)
) STRICT;
CREATE INDEX dead_at ON dead (at, shard, number);
ALTER TABLE shards ADD next_dead INTEGER NOT NULL DEFAULT 1; -- of the next dead letter
