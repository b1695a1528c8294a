-- SKUs are unique without regard to case: their key is unique. Then setSKUKeys, in
-- sku_keys.go, sets the keys of the products that are there.

-- +goose Up
ALTER TABLE products ADD COLUMN sku_key TEXT;    -- catalog.SKUKey of sku; NULL without one, or if an older product owns it
ALTER TABLE products ADD COLUMN former_key TEXT; -- key of the SKU that a tombstone had, whose past prices go to the next product with it
CREATE UNIQUE INDEX products_sku_key ON products (sku_key);
CREATE INDEX products_former_key ON products (former_key) WHERE former_key IS NOT NULL;
CREATE INDEX products_keyless ON products (id) WHERE sku IS NOT NULL AND sku_key IS NULL; -- the index has few rows or none
