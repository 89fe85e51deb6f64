-- Release 4.5.0: an assistant's environments move from a JSON array into a table of their own; every assistant has
-- a draft and a default environment.

CREATE TABLE environment (
    environment_id uuid PRIMARY KEY,
    assistant_id uuid NOT NULL REFERENCES assistant ON DELETE CASCADE,
    tenant_id uuid NOT NULL REFERENCES tenant,
    name text NOT NULL,
    endpoint text,
    position integer NOT NULL,
    UNIQUE (assistant_id, name)
);

INSERT INTO environment (environment_id, assistant_id, tenant_id, name, endpoint, position)
SELECT (item.value ->> 'environment_id')::uuid,
       assistant.assistant_id,
       assistant.tenant_id,
       item.value ->> 'name',
       item.value ->> 'endpoint',
       item.position::integer
FROM assistant
CROSS JOIN LATERAL json_array_elements(assistant.environments) WITH ORDINALITY AS item (value, position);

-- The ID is made from the assistant's, so that the same store always gives the same rows.
INSERT INTO environment (environment_id, assistant_id, tenant_id, name, position)
SELECT md5('draft environment of ' || assistant_id)::uuid, assistant_id, tenant_id, 'draft', 0
FROM assistant
WHERE NOT EXISTS (
    SELECT FROM environment
    WHERE environment.assistant_id = assistant.assistant_id AND environment.name = 'draft'
);

ALTER TABLE assistant
    ADD COLUMN default_environment_id uuid REFERENCES environment DEFERRABLE INITIALLY DEFERRED;

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
