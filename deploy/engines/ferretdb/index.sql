-- FerretDB stores a collection as a table and a document as its column _jsonb. It finds a
-- document by _jsonb->'_id' @> '…', which none of its indexes supports, so it would scan the
-- whole collection. This trigger gives every new collection an index that supports it, as
-- MongoDB does by itself.
CREATE OR REPLACE FUNCTION index_documents() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
  created record;
BEGIN
  FOR created IN
    SELECT c.object_identity AS name FROM pg_event_trigger_ddl_commands() c
    JOIN pg_attribute a ON a.attrelid = c.objid AND a.attname = '_jsonb'
    WHERE c.command_tag = 'CREATE TABLE' AND c.object_identity NOT LIKE '%\_ferretdb\_%'
  LOOP
    EXECUTE format('CREATE INDEX ON %s USING gin ((_jsonb->''_id'') jsonb_path_ops) WITH (fastupdate = off)', created.name);
  END LOOP;
END $$;

DROP EVENT TRIGGER IF EXISTS index_documents;
CREATE EVENT TRIGGER index_documents ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION index_documents();
-- A generic plan does not use this index; custom plans do.
ALTER DATABASE ferretdb SET plan_cache_mode = force_custom_plan;
