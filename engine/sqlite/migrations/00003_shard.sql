-- Which shard a product belongs to, so that a snapshot of one shard reads its
-- products alone, in the order of their ids.

-- +goose Up
ALTER TABLE products ADD COLUMN shard INTEGER NOT NULL DEFAULT -1;
UPDATE products SET shard = coalesce((SELECT shard FROM journal WHERE journal.product = products.id AND journal.version = 1 AND journal.kind = 'created'), -1);
CREATE INDEX products_shard ON products (shard, id);
