-- The prices that a product had lately, of which the lowest is shown. A writer
-- that does not yet know the column leaves it as it is.

-- +goose Up
ALTER TABLE products ADD COLUMN past_prices bytea NOT NULL DEFAULT ''; -- catalog.v1.PastPrices
