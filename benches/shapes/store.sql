-- Fills a store of release 4.0.0 whose tenants are there with what such a store holds in life: workspaces of some 40 kB of
-- jsonb with words that compress as language does, three fifths of all; documents, snapshots and a log. `scale` is
-- megabytes of COPY text, about. Always the same rows.
SET search_path = store, public;
SELECT set_config('fill.scale', :'scale', false);
SELECT setseed(0.5);
SET max_parallel_workers_per_gather = 0;

-- Words of two to four syllables; a few of them are used much more than others, as in any language.
CREATE TEMP TABLE word AS
    SELECT n, (SELECT string_agg(substr('bcdfghklmnprstvw', 1 + floor(random() * 16)::int, 1) || substr('aeiou', 1 + floor(random() * 5)::int, 1)
                                 || CASE WHEN random() < 0.3 THEN substr('nrst', 1 + floor(random() * 4)::int, 1) ELSE '' END, '')
               FROM generate_series(1, 2 + n % 3)) AS word
    FROM generate_series(1, 6000) AS n;

CREATE FUNCTION pg_temp.sentences(count integer) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    words text[] := (SELECT array_agg(word ORDER BY n) FROM word);
    made text[] := '{}';
    sentence text;
BEGIN
    FOR s IN 1..count LOOP
        sentence := words[1 + floor(power(random(), 2.5) * 6000)::int];
        FOR w IN 1..3 + floor(random() * 8)::int LOOP
            sentence := sentence || ' ' || words[1 + floor(power(random(), 2.5) * 6000)::int];
        END LOOP;
        made[s] := sentence;
    END LOOP;
    RETURN made;
END $$;

CREATE FUNCTION pg_temp.content(tenant uuid, sentences text[]) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    intents text[]; entities text[]; nodes text[]; items text[];
BEGIN
    FOR i IN 1..40 LOOP
        FOR e IN 1..8 LOOP
            items[e] := format('{"text": "%s"}', sentences[1 + floor(random() * 60000)::int]);
        END LOOP;
        intents[i] := format('{"intent": "intent_%s", "description": "%s", "examples": [%s]}',
            i, sentences[1 + floor(random() * 60000)::int], array_to_string(items, ', '));
    END LOOP;
    items := '{}';
    FOR i IN 1..12 LOOP
        FOR v IN 1..6 LOOP
            items[v] := format('{"value": "%s", "synonyms": ["%s"]}',
                split_part(sentences[1 + floor(random() * 60000)::int], ' ', 1), sentences[1 + floor(random() * 60000)::int]);
        END LOOP;
        entities[i] := format('{"entity": "entity_%s", "owner": "%s", "values": [%s]}', i, tenant, array_to_string(items, ', '));
    END LOOP;
    FOR n IN 1..50 LOOP
        nodes[n] := format('{"dialog_node": "node_%s", "parent": "node_%s", "conditions": "#intent_%s && @entity_%s", '
            '"output": {"generic": [{"response_type": "text", "values": [{"text": "%s. %s."}]}]}, '
            '"metadata": {"_customization": {"mcr": %s}, "instance": "%s"}}',
            n, n / 3, n % 40, n % 12, sentences[1 + floor(random() * 60000)::int], sentences[1 + floor(random() * 60000)::int],
            (n % 2 = 0)::text, tenant);
    END LOOP;
    RETURN format('{"metadata": {"tenant": "%s", "api_version": {"major_version": "v2"}}, "intents": [%s], "entities": [%s], "dialog_nodes": [%s]}',
        tenant, array_to_string(intents, ', '), array_to_string(entities, ', '), array_to_string(nodes, ', '))::jsonb;
END $$;

DO $$
DECLARE
    scale integer := current_setting('fill.scale')::integer;
    sentences text[] := pg_temp.sentences(60001);
BEGIN
    INSERT INTO workspace (workspace_id, tenant_id, name, language, content, created_at, updated_at)
    SELECT md5('life ' || tenant_id || n)::uuid, tenant_id, 'Workspace ' || n, 'en', pg_temp.content(tenant_id, sentences),
           '2023-01-01 00:00:00+00'::timestamptz + n * interval '1 hour', '2024-01-01 00:00:00+00'::timestamptz + n * interval '1 hour'
    FROM generate_series(1, scale * 11) AS n, LATERAL (SELECT tenant_id FROM tenant ORDER BY tenant_id OFFSET n % 6 LIMIT 1) AS t;

    -- As before a change: json as text.
    INSERT INTO snapshot (tenant_id, workspace_id, label, body, taken_at)
    SELECT tenant_id, workspace_id, 'before the change of ' || name, content::text, '2023-06-01 00:00:00+00'
    FROM workspace WHERE name ~ '^Workspace .*[05]$';

    INSERT INTO skill (skill_id, tenant_id, workspace_id, document)
    SELECT md5('skill ' || workspace_id || s)::uuid, tenant_id, workspace_id,
           json_build_object('type', 'action', 'tags', json_build_array(sentences[1 + floor(random() * 60000)::int], language),
               'origin', json_build_object('tenant', tenant_id),
               'steps', json_build_array(json_build_object('say', sentences[1 + floor(random() * 60000)::int]), json_build_object('say', sentences[1 + floor(random() * 60000)::int]),
                   json_build_object('say', sentences[1 + floor(random() * 60000)::int])))
    FROM workspace, generate_series(1, 5) AS s WHERE name LIKE 'Workspace %';

    INSERT INTO activity_log (tenant_id, at, action, detail)
    SELECT tenant_id, '2021-01-01 00:00:00+00'::timestamptz + n * (interval '4 years' / (scale * 700)),
           (ARRAY['login', 'train', 'deploy'])[1 + n % 3],
           jsonb_build_object('by', 'user ' || n % 1013, 'tenant', tenant_id, 'message', sentences[1 + floor(random() * 60000)::int])
    FROM generate_series(1, scale * 700) AS n, LATERAL (SELECT tenant_id FROM tenant ORDER BY tenant_id OFFSET n % 6 LIMIT 1) AS t;
END $$;
