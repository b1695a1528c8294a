-- The truth: what package postgres keeps in PostgreSQL, in the types of SQLite.
-- Ids are 16 bytes, times are microseconds since 1970 in UTC.

-- +goose Up
CREATE TABLE products (
    id          BLOB PRIMARY KEY,
    version     INTEGER NOT NULL CHECK (version > 0),
    deleted     INTEGER NOT NULL, -- 1 for a tombstone: only id, version and the times are left
    sku         TEXT UNIQUE,      -- NULL for none
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    price_units INTEGER NOT NULL, -- the price is price_units + price_nanos / 1e9, exactly
    price_nanos INTEGER NOT NULL,
    currency    TEXT NOT NULL,
    category    TEXT NOT NULL,
    tags        TEXT NOT NULL,    -- JSON list of strings
    attributes  TEXT NOT NULL,    -- JSON object of strings
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

-- One row for every command that was ever settled, in the order of its shard.
CREATE TABLE journal (
    shard       INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    product     BLOB NOT NULL,
    version     INTEGER NOT NULL, -- of the product right after the command
    command     BLOB NOT NULL,
    fingerprint BLOB NOT NULL,
    kind        TEXT NOT NULL,    -- created, changed, deleted, unchanged, refused
    payload     BLOB NOT NULL,    -- catalog.v1.Event
    actor       TEXT NOT NULL,
    trace       TEXT NOT NULL,
    accepted_at INTEGER NOT NULL,
    settled_at  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX journal_seq ON journal (shard, seq);
CREATE UNIQUE INDEX journal_command ON journal (command);
CREATE UNIQUE INDEX journal_version ON journal (product, version) WHERE kind IN ('created', 'changed', 'deleted');

-- One row for each partition of the commands topic.
CREATE TABLE shards (
    shard     INTEGER PRIMARY KEY,
    epoch     INTEGER NOT NULL DEFAULT 0, -- counts the owners
    "offset"  INTEGER NOT NULL DEFAULT 0, -- of the next command to settle
    next_seq  INTEGER NOT NULL DEFAULT 1, -- of the next event
    published INTEGER NOT NULL DEFAULT 0  -- a seq up to which the events are surely in the events topic
) STRICT;
