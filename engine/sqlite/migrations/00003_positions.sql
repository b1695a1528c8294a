-- The identity of the last settled command, so that a commands topic that was cut is
-- recognized also when it has grown again, and the stop of a shard that lost records.

-- +goose Up
ALTER TABLE shards ADD COLUMN last_offset INTEGER NOT NULL DEFAULT -1; -- offset of the record that the next two columns describe
ALTER TABLE shards ADD COLUMN last_epoch INTEGER NOT NULL DEFAULT -1; -- epoch of the partition's leader that wrote it
ALTER TABLE shards ADD COLUMN last_digest BLOB NOT NULL DEFAULT x''; -- digest of its key and value; empty if unknown
ALTER TABLE shards ADD COLUMN stopped TEXT NOT NULL DEFAULT ''; -- reason why no writer may settle the shard before `catalog repair`
ALTER TABLE shards ADD COLUMN events_from INTEGER NOT NULL DEFAULT 0; -- records of the events partition before this offset are not compared with the journal
