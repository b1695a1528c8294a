-- Which shard a product belongs to, so that a snapshot of one shard reads its
-- products alone, in the order of their ids. A writer that does not yet know
-- the column leaves -1, as what was there before has it: a snapshot asks the
-- journal for those.

-- +goose Up
ALTER TABLE products ADD COLUMN shard integer NOT NULL DEFAULT -1;
UPDATE products SET shard = journal.shard FROM journal WHERE journal.product = products.id AND journal.version = 1 AND journal.kind = 'created';
CREATE INDEX products_shard ON products (shard, id);
