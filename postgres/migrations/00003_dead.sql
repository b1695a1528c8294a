-- Records of the commands topic that were no commands. A row is written in the
-- transaction that moves its shard past the record, so there is one for each.

-- +goose Up
CREATE TABLE dead (
    shard    integer NOT NULL,
    "offset" bigint NOT NULL, -- in the commands partition of the shard
    sent_at  timestamptz NOT NULL,
    cause    text NOT NULL,
    payload  bytea NOT NULL, -- catalog.v1.DeadLetter
    PRIMARY KEY (shard, "offset")
);
