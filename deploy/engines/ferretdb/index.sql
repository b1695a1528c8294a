-- FerretDB keeps a collection in a table, a document in its column _jsonb, and
-- looks for a document with _jsonb->'_id' @> '…', which none of the indexes that
-- it makes can serve: it reads the whole collection. This gives each new
-- collection an index that can. (What MongoDB has by itself.)
CREATE OR REPLACE FUNCTION index_documents() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
  made record;
BEGIN
  FOR made IN
    SELECT c.object_identity AS name FROM pg_event_trigger_ddl_commands() c
    JOIN pg_attribute a ON a.attrelid = c.objid AND a.attname = '_jsonb'
    WHERE c.command_tag = 'CREATE TABLE' AND c.object_identity NOT LIKE '%\_ferretdb\_%'
  LOOP
    EXECUTE format('CREATE INDEX ON %s USING gin ((_jsonb->''_id'') jsonb_path_ops) WITH (fastupdate = off)', made.name);
  END LOOP;
END $$;

DROP EVENT TRIGGER IF EXISTS index_documents;
CREATE EVENT TRIGGER index_documents ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION index_documents();
-- A plan that is made for any id is a bad one for all.
ALTER DATABASE ferretdb SET plan_cache_mode = force_custom_plan;
