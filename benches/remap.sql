-- What people run after pg_restore to give each instance its new ID: one pass over each table, over all of its uuid, uuid[],
-- text, varchar, json and jsonb columns, keys and triggers off. Expects the pairs in public.pair(source uuid, target uuid).
--
--   psql -X -v ON_ERROR_STOP=1 -d DATABASE -f remap.sql
SET session_replication_role = replica;
SET synchronous_commit = off;
SET client_min_messages = warning;

-- One expression for all pairs, in either case, which the planner can put in place of the call.
SELECT format(
    'CREATE FUNCTION public.remap(t text) RETURNS text LANGUAGE sql IMMUTABLE AS %L',
    'SELECT CASE WHEN t ~ ''[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-'' THEN ' || (
        SELECT string_agg('replace(', '') || 't' || string_agg(format(', %L, %L)', s, t), '')
        FROM (SELECT source::text AS s, target::text AS t FROM public.pair
              UNION ALL SELECT upper(source::text), upper(target::text) FROM public.pair
              WHERE upper(source::text) <> source::text) AS both_cases
    ) || ' ELSE t END'
) \gexec
SELECT format(
    'CREATE FUNCTION public.remap(u uuid) RETURNS uuid LANGUAGE sql IMMUTABLE AS %L',
    'SELECT CASE u ' || string_agg(format('WHEN %L::uuid THEN %L::uuid', source, target), ' ') || ' ELSE u END'
) FROM public.pair \gexec

SELECT format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', oid::regclass) FROM pg_class WHERE relforcerowsecurity \gexec
SELECT format(
    'UPDATE %s SET %s',
    c.oid::regclass,
    string_agg(format(
        CASE
            WHEN a.atttypid = 'uuid'::regtype THEN '%1$I = public.remap(%1$I)'
            WHEN a.atttypid = 'uuid[]'::regtype
                THEN '%1$I = (SELECT coalesce(array_agg(public.remap(u) ORDER BY n), %1$I) FROM unnest(%1$I) WITH ORDINALITY AS x(u, n))'
            WHEN a.atttypid IN ('json'::regtype, 'jsonb'::regtype) THEN '%1$I = public.remap(%1$I::text)::%2$s'
            ELSE '%1$I = public.remap(%1$I::text)'
        END, a.attname, a.atttypid::regtype), ', ')
)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
  AND (c.relkind = 'p' OR c.relkind = 'r') AND NOT c.relispartition AND c.oid <> 'public.pair'::regclass
  AND a.atttypid IN ('uuid'::regtype, 'uuid[]'::regtype, 'text'::regtype, 'varchar'::regtype, 'json'::regtype, 'jsonb'::regtype)
GROUP BY c.oid
ORDER BY c.relpages DESC \gexec
