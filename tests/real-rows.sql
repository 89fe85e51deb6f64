-- Inserts a few rows into each table of the database. Columns with a default get it; others get values of their types,
-- and foreign keys values of the tables that they refer to. A table whose constraints refuse these rows stays as it is.
DO $fill$
DECLARE
    relation record;
    names text;
    expressions text;
    number int;
BEGIN
    -- Later passes fill tables that refer to tables of earlier ones.
    FOR pass IN 1..4 LOOP
        FOR relation IN
            SELECT c.oid, c.oid::regclass AS name FROM pg_class c
            WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
                AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
            ORDER BY c.oid
        LOOP
            SELECT string_agg(format('%I', a.attname), ', '),
                string_agg(
                    CASE
                        WHEN f.key IS NOT NULL THEN format('(SELECT %I FROM %s ORDER BY random() LIMIT 1)', f.key, f.target)
                        WHEN t.typtype = 'e' THEN format('(enum_range(NULL::%s))[1]', t.oid::regtype)
                        WHEN t.typname = 'uuid' THEN 'gen_random_uuid()'
                        WHEN t.typcategory = 'N' THEN format('(%s + %s)::%s', '%1$s', pass * 10, t.oid::regtype)
                        WHEN t.typcategory = 'B' THEN 'true'
                        WHEN t.typcategory = 'D' THEN format('(''2026-01-02 03:04:05''::timestamp + interval ''1 h'' * %s)::%s', '%1$s', t.oid::regtype)
                        WHEN t.typcategory = 'S' THEN
                            format('left(E''Zoë\t"%s'' || md5(random()::text), %s)', '%1$s', CASE WHEN a.atttypmod > 4 THEN a.atttypmod - 4 ELSE 40 END)
                        WHEN t.typname IN ('json', 'jsonb') THEN format('''{"a": [1, "\\u00eb", %s]}''', '%1$s')
                        WHEN t.typname = 'bytea' THEN '''\x00ff5c'''
                        WHEN t.typcategory = 'A' THEN '''{}'''
                        ELSE 'NULL'
                    END, ', ')
            INTO names, expressions
            FROM pg_attribute a
            JOIN pg_type d ON d.oid = a.atttypid JOIN pg_type t ON t.oid = CASE d.typtype WHEN 'd' THEN d.typbasetype ELSE d.oid END
            LEFT JOIN LATERAL (
                SELECT k.confrelid::regclass AS target, r.attname AS key FROM pg_constraint k
                JOIN pg_attribute r ON r.attrelid = k.confrelid AND r.attnum = k.confkey[array_position(k.conkey, a.attnum)]
                WHERE k.contype = 'f' AND k.conrelid = a.attrelid AND a.attnum = ANY (k.conkey) LIMIT 1
            ) f ON true
            WHERE a.attrelid = relation.oid AND a.attnum > 0 AND NOT a.attisdropped AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = '';
            FOR number IN 1..3 LOOP
                BEGIN
                    IF names IS NULL THEN
                        EXECUTE format('INSERT INTO %s DEFAULT VALUES', relation.name);
                    ELSE
                        EXECUTE format('INSERT INTO %s (%s) VALUES (%s)', relation.name, names, replace(expressions, '%1$s', number::text));
                    END IF;
                EXCEPTION WHEN OTHERS THEN
                    NULL;
                END;
            END LOOP;
        END LOOP;
    END LOOP;
END
$fill$;
