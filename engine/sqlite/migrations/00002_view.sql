-- The view: what the reader projects from the events. All of it can be made
-- again from the truth.

-- +goose Up
CREATE TABLE view_products (
    id      BLOB PRIMARY KEY,
    version INTEGER NOT NULL,
    data    BLOB NOT NULL -- catalog.v1.Product
) STRICT, WITHOUT ROWID;

CREATE TABLE view_progress (
    shard    INTEGER PRIMARY KEY,
    seq      INTEGER NOT NULL,
    "offset" INTEGER NOT NULL
) STRICT;
