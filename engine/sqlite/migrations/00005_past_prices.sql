-- The prices that a product had lately, of which the lowest is shown.

-- +goose Up
ALTER TABLE products ADD COLUMN past_prices BLOB NOT NULL DEFAULT x''; -- catalog.v1.PastPrices
