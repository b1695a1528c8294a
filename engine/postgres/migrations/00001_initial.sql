-- The tables of the writer. Package sqlite has the same tables in the types of
-- SQLite. `catalog migrate` also creates the view product_fields, which has one
-- column for each field of a product.

-- +goose Up
-- The data is json, not jsonb: jsonb takes 15 µs more to write a product and 25 µs
-- more to write and read it, which is a tenth of the time of settling a command. No
-- statement searches in it; a query that needs operators of jsonb casts it.
CREATE TABLE products (
    id          uuid PRIMARY KEY,
    shard       integer NOT NULL,
    version     bigint NOT NULL CHECK (version > 0),
    deleted     boolean NOT NULL,  -- true for a tombstone: sku, data and past_prices are empty
    sku         text COLLATE "C",  -- NULL for none; a copy of data->>'sku' for the constraint
    data        json NOT NULL,     -- all fields of the product, in the form of the HTTP API
    past_prices bytea NOT NULL,    -- catalog.v1.PastPrices: for the lowest price of the last 30 days
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    CONSTRAINT products_sku UNIQUE (sku)
) WITH (fillfactor = 85); -- leaves space for the next version on the same page

-- A snapshot of a shard reads its products in the order of their ids.
CREATE INDEX products_shard ON products (shard, id);

-- One row for every settled command, in the order of its shard. The journal is
-- the outbox, the history of the products, the receipts of the commands and the
-- record that makes commands idempotent.
-- Migration 2, in journal_partitions.go, partitions it by shard.
CREATE TABLE journal (
    shard       integer NOT NULL,
    seq         bigint NOT NULL,
    product     uuid NOT NULL,
    version     bigint NOT NULL, -- version of the product after the command
    command     uuid NOT NULL,
    fingerprint bytea NOT NULL,
    outcome     text NOT NULL,   -- created, changed, deleted, unchanged, refused
    payload     bytea NOT NULL,  -- catalog.v1.Event
    actor       text NOT NULL,
    trace       text NOT NULL,
    accepted_at timestamptz NOT NULL,
    settled_at  timestamptz NOT NULL,
    PRIMARY KEY (shard, seq),
    CONSTRAINT journal_command UNIQUE (command)
);
CREATE UNIQUE INDEX journal_version ON journal (product, version) WHERE outcome IN ('created', 'changed', 'deleted');

-- One row for each partition of the commands topic.
CREATE TABLE shards (
    shard            integer PRIMARY KEY,
    epoch            bigint NOT NULL DEFAULT 0, -- increases with each owner
    "offset"         bigint NOT NULL DEFAULT 0, -- offset of the next command to settle
    next_seq         bigint NOT NULL DEFAULT 1, -- seq of the next event
    next_dead_letter bigint NOT NULL DEFAULT 1, -- number of the next dead letter
    published        bigint NOT NULL DEFAULT 0  -- all events up to this seq are in the events topic
) WITH (fillfactor = 10); -- every batch updates its row: leaves space for new versions on the same page

-- Records of the commands topic that could not be decoded. A row is written in
-- the transaction that moves its shard past the record, so each record has exactly
-- one. Rows have numbers because offsets start again in a recreated topic.
CREATE TABLE dead_letters (
    shard    integer NOT NULL,
    number   bigint NOT NULL,  -- number in the shard: 1, 2, 3 …
    "offset" bigint NOT NULL,  -- offset in the partition of the commands topic
    cause    text NOT NULL,
    at       timestamptz NOT NULL,
    size     integer NOT NULL, -- size of the value, in bytes
    payload  bytea NOT NULL,   -- catalog.v1.DeadLetter
    PRIMARY KEY (shard, number)
);
CREATE INDEX dead_letters_at ON dead_letters (at, shard, number);

-- The topics to which the offsets and seqs refer. A recreated topic has another
-- id, which the writer detects.
CREATE TABLE topics (
    name text PRIMARY KEY, -- commands, events
    id   uuid NOT NULL
);
