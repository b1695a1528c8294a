-- The tables of the writer, as package postgres has them, and of the view. Ids are
-- 16 bytes, times are microseconds since 1970 in UTC.

-- +goose Up
CREATE TABLE products (
    id          BLOB PRIMARY KEY,
    shard       INTEGER NOT NULL,
    version     INTEGER NOT NULL CHECK (version > 0),
    deleted     INTEGER NOT NULL, -- 1 for a tombstone: sku, data and past_prices are empty
    sku         TEXT UNIQUE,      -- NULL for none; a copy of data->>'sku' for the constraint
    data        TEXT NOT NULL,    -- all fields of the product, as JSON in the form of the HTTP API
    past_prices BLOB NOT NULL,    -- catalog.v1.PastPrices: for the lowest price of the last 30 days
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

-- A snapshot of a shard reads its products in the order of their ids.
CREATE INDEX products_shard ON products (shard, id);

-- One row for every settled command, in the order of its shard.
CREATE TABLE journal (
    shard       INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    product     BLOB NOT NULL,
    version     INTEGER NOT NULL, -- version of the product after the command
    command     BLOB NOT NULL,
    fingerprint BLOB NOT NULL,
    outcome     TEXT NOT NULL,    -- created, changed, deleted, unchanged, refused
    payload     BLOB NOT NULL,    -- catalog.v1.Event
    actor       TEXT NOT NULL,
    trace       TEXT NOT NULL,
    accepted_at INTEGER NOT NULL,
    settled_at  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX journal_seq ON journal (shard, seq);
CREATE UNIQUE INDEX journal_command ON journal (command);
CREATE UNIQUE INDEX journal_version ON journal (product, version) WHERE outcome IN ('created', 'changed', 'deleted');

-- One row for each partition of the commands topic.
CREATE TABLE shards (
    shard            INTEGER PRIMARY KEY,
    epoch            INTEGER NOT NULL DEFAULT 0, -- increases with each owner
    "offset"         INTEGER NOT NULL DEFAULT 0, -- offset of the next command to settle
    next_seq         INTEGER NOT NULL DEFAULT 1, -- seq of the next event
    next_dead_letter INTEGER NOT NULL DEFAULT 1, -- number of the next dead letter
    published        INTEGER NOT NULL DEFAULT 0  -- all events up to this seq are in the events topic
) STRICT;

-- Records of the commands topic that could not be decoded. A row is written in
-- the transaction that moves its shard past the record, so each record has exactly
-- one. Rows have numbers because offsets start again in a recreated topic.
CREATE TABLE dead_letters (
    shard    INTEGER NOT NULL,
    number   INTEGER NOT NULL, -- number in the shard: 1, 2, 3 …
    "offset" INTEGER NOT NULL, -- offset in the partition of the commands topic
    cause    TEXT NOT NULL,
    at       INTEGER NOT NULL,
    size     INTEGER NOT NULL, -- size of the value, in bytes
    payload  BLOB NOT NULL,    -- catalog.v1.DeadLetter
    PRIMARY KEY (shard, number)
) STRICT;
CREATE INDEX dead_letters_at ON dead_letters (at, shard, number);

-- The topics to which the offsets and seqs refer. A recreated topic has another
-- id, which the writer detects.
CREATE TABLE topics (
    name TEXT PRIMARY KEY, -- commands, events
    id   BLOB NOT NULL
) STRICT;

-- The view: the products as the reader has projected them from the events. It can
-- be rebuilt from the tables above. Generation 0 has these two tables, generation
-- n has view_products_n and view_checkpoints_n.
CREATE TABLE view_products (
    id      BLOB PRIMARY KEY,
    version INTEGER NOT NULL,
    data    BLOB NOT NULL -- catalog.v1.Product
) STRICT, WITHOUT ROWID;

CREATE TABLE view_checkpoints (
    shard    INTEGER PRIMARY KEY,
    seq      INTEGER NOT NULL, -- seq of the last applied event
    "offset" INTEGER NOT NULL  -- offset of the next record in the partition
) STRICT;

-- The generations of the view, in one row.
CREATE TABLE view_generations (
    id               INTEGER PRIMARY KEY CHECK (id = 0),
    live             INTEGER NOT NULL, -- generation that is read and written
    standby          INTEGER NOT NULL, -- generation that is also written; equal to live when there is none
    standby_complete INTEGER NOT NULL, -- 1 when the standby has everything that live has
    read_both        INTEGER NOT NULL  -- 1 when reads use both and return the newer product
) STRICT;
INSERT INTO view_generations VALUES (0, 0, 0, 0, 0);
