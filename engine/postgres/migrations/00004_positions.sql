-- The identity of the last settled command, so that a commands topic that was cut is
-- recognized also when it has grown again, and the stop of a shard that lost records.

-- +goose Up
ALTER TABLE shards
    ADD COLUMN IF NOT EXISTS last_offset bigint NOT NULL DEFAULT -1,  -- offset of the record that the next two columns describe
    ADD COLUMN IF NOT EXISTS last_epoch  integer NOT NULL DEFAULT -1, -- epoch of the partition's leader that wrote it
    ADD COLUMN IF NOT EXISTS last_digest bytea NOT NULL DEFAULT '',   -- digest of its key and value; empty if unknown
    ADD COLUMN IF NOT EXISTS stopped     text NOT NULL DEFAULT '',    -- reason why no writer may settle the shard before `catalog repair`
    ADD COLUMN IF NOT EXISTS events_from bigint NOT NULL DEFAULT 0;   -- records of the events partition before this offset are not compared with the journal

-- +goose Down
ALTER TABLE shards DROP COLUMN last_offset, DROP COLUMN last_epoch, DROP COLUMN last_digest, DROP COLUMN stopped, DROP COLUMN events_from;
