-- Release 4.5.0: an assistant's environments move from a JSON array into a table of their own; every assistant has
-- a draft and a default environment.

CREATE TABLE environment (
    environment_id uuid PRIMARY KEY,
    assistant_id uuid NOT NULL REFERENCES assistant ON DELETE CASCADE,
    tenant_id uuid NOT NULL REFERENCES tenant,
    name text NOT NULL,
    endpoint text,
    position integer NOT NULL,
    -- What else is known of it, or is written in other words than the columns'.
    extra jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(extra) = 'object'),
    UNIQUE (assistant_id, name)
);

-- Clients have written the array: an item may be anything. Where it has no UUID, or another one's, one is made from the
-- assistant's, so that the same store always gives the same rows.
INSERT INTO environment (environment_id, assistant_id, tenant_id, name, endpoint, position, extra)
SELECT environment_id, assistant_id, tenant_id, name, endpoint, position,
       (
           SELECT coalesce(jsonb_object_agg(member.key, member.value), '{}')
           FROM jsonb_each(value) AS member
           WHERE member.value IS DISTINCT FROM
               jsonb_build_object('environment_id', environment_id, 'name', name, 'endpoint', endpoint) -> member.key
       )
FROM (
    SELECT assistant_id, tenant_id, name, value, position,
           CASE jsonb_typeof(value -> 'endpoint') WHEN 'string' THEN value ->> 'endpoint' END AS endpoint,
           CASE
               WHEN id IS NULL OR row_number() OVER (PARTITION BY id ORDER BY assistant_id, position) > 1
               THEN md5(name || ' environment of ' || assistant_id)::uuid
               ELSE id
           END AS environment_id
    FROM (
        SELECT assistant_id,
               tenant_id,
               element.value,
               element.position::integer AS position,
               element.value ->> 'name' AS name,
               CASE
                   WHEN element.value ->> 'environment_id' ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                   THEN (element.value ->> 'environment_id')::uuid
               END AS id
        FROM assistant
        CROSS JOIN LATERAL jsonb_array_elements(
            CASE json_typeof(environments) WHEN 'array' THEN environments::jsonb ELSE '[]' END
        ) WITH ORDINALITY AS element (value, position)
        WHERE jsonb_typeof(element.value -> 'name') = 'string'
    ) AS named
) AS item
ORDER BY assistant_id, position
-- A repeated name.
ON CONFLICT DO NOTHING;

ALTER TABLE assistant
    ADD COLUMN default_environment_id uuid REFERENCES environment DEFERRABLE INITIALLY DEFERRED,
    -- What has no column.
    ADD COLUMN extra jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(extra) = 'object');

-- What did not become a row is kept with the assistant.
UPDATE assistant
SET extra = jsonb_build_object('environments', rest.items)
FROM (
    SELECT assistant_id, jsonb_agg(element.value ORDER BY element.position) AS items
    FROM assistant
    CROSS JOIN LATERAL jsonb_array_elements(
        CASE json_typeof(environments) WHEN 'array' THEN environments::jsonb ELSE jsonb_build_array(environments) END
    ) WITH ORDINALITY AS element (value, position)
    WHERE json_typeof(environments) <> 'null'
      AND NOT EXISTS (
          SELECT FROM environment
          WHERE environment.assistant_id = assistant.assistant_id AND environment.position = element.position
      )
    GROUP BY assistant_id
) AS rest
WHERE rest.assistant_id = assistant.assistant_id;

INSERT INTO environment (environment_id, assistant_id, tenant_id, name, position)
SELECT md5('draft environment of ' || assistant_id)::uuid, assistant_id, tenant_id, 'draft', 0
FROM assistant
WHERE NOT EXISTS (
    SELECT FROM environment
    WHERE environment.assistant_id = assistant.assistant_id AND environment.name = 'draft'
);

UPDATE assistant
SET default_environment_id = (
    SELECT environment_id
    FROM environment
    WHERE environment.assistant_id = assistant.assistant_id
    ORDER BY name <> 'live', position
    LIMIT 1
);

-- The checks must have run before the table can be altered again.
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE assistant DROP COLUMN environments;
