-- Creates the roles and the database of deploy/compose.yaml. The image of PostgreSQL runs this
-- file once, when its data folder is empty. The passwords come from the environment, so that no
-- command line shows them.
\set ON_ERROR_STOP on
\getenv catalog_password CATALOG_PASSWORD
\getenv exporter_password EXPORTER_PASSWORD

-- The writer and the migrations own the database, and nothing else.
CREATE ROLE catalog LOGIN PASSWORD :'catalog_password';
CREATE DATABASE catalog OWNER catalog;
REVOKE ALL ON DATABASE catalog FROM PUBLIC;
GRANT CONNECT ON DATABASE catalog TO pg_monitor;

-- pg_monitor reads statistics, and no tables.
CREATE ROLE exporter LOGIN PASSWORD :'exporter_password' IN ROLE pg_monitor;
