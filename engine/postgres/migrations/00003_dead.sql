-- Records of the commands topic that were no commands. A row is written in the
-- transaction that moves its shard past the record, so there is one for each.
-- They are named by a number: offsets begin again in a topic that was made anew.

-- +goose Up
CREATE TABLE dead (
    shard    integer NOT NULL,
    number   bigint NOT NULL, -- in the shard: 1, 2, 3 …
    "offset" bigint NOT NULL, -- in the partition of the commands topic
    cause    text NOT NULL,
    at       timestamptz NOT NULL,
    size     integer NOT NULL, -- of the value, in bytes
    payload  bytea NOT NULL,   -- catalog.v1.DeadLetter
    PRIMARY KEY (shard, number)
);
CREATE INDEX dead_at ON dead (at, shard, number);
ALTER TABLE shards ADD next_dead bigint NOT NULL DEFAULT 1; -- of the next dead letter
