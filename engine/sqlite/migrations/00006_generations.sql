-- Which generations of the view there are: generation 0 is view_products and
-- view_progress, generation n is view_products_n and view_progress_n.

-- +goose Up
CREATE TABLE view_generations (
    only  INTEGER PRIMARY KEY CHECK (only = 0), -- there is one row
    live  INTEGER NOT NULL,
    also  INTEGER NOT NULL,
    whole INTEGER NOT NULL,
    both  INTEGER NOT NULL
) STRICT;
INSERT INTO view_generations VALUES (0, 0, 0, 0, 0);
