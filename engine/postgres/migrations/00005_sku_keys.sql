-- SKUs are unique without regard to case: their key is unique. `catalog migrate` sets the
-- keys of products that an earlier version has stored. Earlier versions use sku alone.
--
-- +goose NO TRANSACTION

-- +goose Up
ALTER TABLE products
    ADD COLUMN IF NOT EXISTS sku_key    text COLLATE "C",  -- catalog.SKUKey of sku; NULL without one, or if an older product owns it
    ADD COLUMN IF NOT EXISTS former_key text COLLATE "C";  -- key of the SKU that a tombstone had, whose past prices go to the next product with it
DROP INDEX CONCURRENTLY IF EXISTS products_sku_key; -- leftover of an interrupted migration
CREATE UNIQUE INDEX CONCURRENTLY products_sku_key ON products (sku_key);
DROP INDEX CONCURRENTLY IF EXISTS products_former_key;
CREATE INDEX CONCURRENTLY products_former_key ON products (former_key) WHERE former_key IS NOT NULL;

-- +goose Down
ALTER TABLE products DROP COLUMN IF EXISTS sku_key, DROP COLUMN IF EXISTS former_key;
