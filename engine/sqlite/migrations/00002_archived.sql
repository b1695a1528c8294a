-- The mark of `catalog journal archive`, which moves old events to files.

-- +goose Up
ALTER TABLE shards ADD COLUMN archived INTEGER NOT NULL DEFAULT 0; -- the journal no longer has the events up to this seq
