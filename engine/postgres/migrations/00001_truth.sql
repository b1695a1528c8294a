-- The truth. Package sqlite keeps the same in the types of SQLite.

-- +goose Up
CREATE TABLE products (
    id          uuid PRIMARY KEY,
    version     bigint NOT NULL CHECK (version > 0),
    deleted     boolean NOT NULL, -- a tombstone: only id, version and the times are left
    sku         text COLLATE "C", -- NULL for none
    name        text NOT NULL,
    description text NOT NULL,
    price       numeric CHECK (price >= 0), -- NULL in a tombstone
    currency    text NOT NULL,
    category    text NOT NULL,
    tags        text[] NOT NULL,
    attributes  jsonb NOT NULL, -- an object of strings
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    CONSTRAINT products_sku UNIQUE (sku)
) WITH (fillfactor = 85); -- room for the next version on the same page

-- One row for every command that was ever settled, in the order of its shard.
-- It is the outbox, the history of the products, the receipts and the memory
-- for idempotency.
--
-- When it has grown too large for one table it becomes one that is partitioned
-- BY RANGE (shard, seq): both are in the primary key, and within a shard seq
-- runs with time, so that a partition is a stretch of time of one shard. The
-- unique indexes become plain ones then; they are a second guard only, because
-- a product and its commands belong to one shard, whose row the transaction
-- that writes here has locked.
CREATE TABLE journal (
    shard       integer NOT NULL,
    seq         bigint NOT NULL,
    product     uuid NOT NULL,
    version     bigint NOT NULL, -- of the product right after the command
    command     uuid NOT NULL,
    fingerprint bytea NOT NULL,
    kind        text NOT NULL,   -- created, changed, deleted, unchanged, refused
    payload     bytea NOT NULL,  -- catalog.v1.Event
    actor       text NOT NULL,
    trace       text NOT NULL,
    accepted_at timestamptz NOT NULL,
    settled_at  timestamptz NOT NULL,
    PRIMARY KEY (shard, seq),
    CONSTRAINT journal_command UNIQUE (command)
);
CREATE UNIQUE INDEX journal_version ON journal (product, version) WHERE kind IN ('created', 'changed', 'deleted');

-- One row for each partition of the commands topic.
CREATE TABLE shards (
    shard     integer PRIMARY KEY,
    epoch     bigint NOT NULL DEFAULT 0, -- counts the owners
    "offset"  bigint NOT NULL DEFAULT 0, -- of the next command to settle
    next_seq  bigint NOT NULL DEFAULT 1, -- of the next event
    published bigint NOT NULL DEFAULT 0  -- a seq up to which the events are surely in the events topic
) WITH (fillfactor = 10); -- each row is updated all the time: let it stay on its page
