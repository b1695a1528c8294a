-- Records of the commands topic that were no commands. A row is written in the
-- transaction that moves its shard past the record, so there is one for each.

-- +goose Up
CREATE TABLE dead (
    shard    INTEGER NOT NULL,
    "offset" INTEGER NOT NULL, -- in the commands partition of the shard
    sent_at  INTEGER NOT NULL,
    cause    TEXT NOT NULL,
    payload  BLOB NOT NULL, -- catalog.v1.DeadLetter
    PRIMARY KEY (shard, "offset")
) STRICT, WITHOUT ROWID;
