-- Release 4.7.0: intents, entities and dialog nodes move from a workspace's content into tables.

CREATE TABLE intent (
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    name text NOT NULL,
    examples text[] NOT NULL DEFAULT '{}',
    position integer NOT NULL,
    -- What else is known of it, or is written in other words than the columns'.
    extra jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(extra) = 'object'),
    PRIMARY KEY (workspace_id, name)
);

CREATE TABLE entity (
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    name text NOT NULL,
    entity_values jsonb NOT NULL DEFAULT '[]',
    position integer NOT NULL,
    extra jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(extra) = 'object'),
    PRIMARY KEY (workspace_id, name)
);

CREATE TABLE dialog_node (
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    node_id text NOT NULL,
    parent_id text,
    conditions text,
    output jsonb NOT NULL DEFAULT '{}',
    position integer NOT NULL,
    extra jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(extra) = 'object'),
    PRIMARY KEY (workspace_id, node_id),
    -- Nodes are inserted in any order.
    FOREIGN KEY (workspace_id, parent_id) REFERENCES dialog_node DEFERRABLE INITIALLY DEFERRED
);

-- The items of one part of a workspace's content. Clients have written it: an item may be anything. It fits into its
-- table if it has a name that an index takes, and is the first of that name.
CREATE FUNCTION workspace_items(content jsonb, part text, key text)
    RETURNS TABLE (item jsonb, item_name text, "position" integer, fits boolean)
    LANGUAGE sql IMMUTABLE
    AS $$
SELECT element.value,
       element.value ->> key,
       element.position::integer,
       coalesce(jsonb_typeof(element.value -> key) = 'string' AND octet_length(element.value ->> key) <= 2000, false)
           AND row_number() OVER (PARTITION BY element.value -> key ORDER BY element.position) = 1
FROM jsonb_array_elements(CASE jsonb_typeof(content -> part) WHEN 'array' THEN content -> part ELSE '[]' END)
    WITH ORDINALITY AS element (value, position)
$$;

-- What an item says beyond the columns that hold it.
CREATE FUNCTION item_beyond(item jsonb, columns jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    AS $$
SELECT coalesce(jsonb_object_agg(member.key, member.value), '{}')
FROM jsonb_each(item) AS member
WHERE member.value IS DISTINCT FROM columns -> member.key
$$;

INSERT INTO intent (workspace_id, name, examples, position, extra)
SELECT workspace_id, item_name, examples, position,
       item_beyond(item, jsonb_build_object('intent', item_name, 'examples', examples))
FROM workspace
CROSS JOIN LATERAL workspace_items(content, 'intents', 'intent')
CROSS JOIN LATERAL (
    -- An example is a string, or an object with a text.
    SELECT ARRAY(
        SELECT coalesce(example.value ->> 'text', example.value #>> '{}')
        FROM jsonb_array_elements(CASE jsonb_typeof(item -> 'examples') WHEN 'array' THEN item -> 'examples' ELSE '[]' END)
            WITH ORDINALITY AS example (value, position)
        ORDER BY example.position
    ) AS examples
) AS list
WHERE fits;

INSERT INTO entity (workspace_id, name, entity_values, position, extra)
SELECT workspace_id, item_name, entity_values, position,
       item_beyond(item, jsonb_build_object('entity', item_name, 'values', entity_values))
FROM workspace
CROSS JOIN LATERAL workspace_items(content, 'entities', 'entity')
CROSS JOIN LATERAL (
    SELECT CASE jsonb_typeof(item -> 'values') WHEN 'array' THEN item -> 'values' ELSE '[]' END AS entity_values
) AS list
WHERE fits;

INSERT INTO dialog_node (workspace_id, node_id, conditions, output, position, extra)
SELECT workspace_id, item_name, conditions, output, position,
       item_beyond(
           item,
           jsonb_build_object('dialog_node', item_name, 'parent', NULL, 'conditions', conditions, 'output', output)
       )
FROM workspace
CROSS JOIN LATERAL workspace_items(content, 'dialog_nodes', 'dialog_node')
CROSS JOIN LATERAL (
    SELECT CASE jsonb_typeof(item -> 'conditions') WHEN 'string' THEN item ->> 'conditions' END AS conditions,
           coalesce(item -> 'output', '{}') AS output
) AS columns
WHERE fits;

-- A parent that does not exist stays a word.
UPDATE dialog_node
SET parent_id = parent.node_id,
    extra = dialog_node.extra - 'parent'
FROM dialog_node AS parent
WHERE parent.workspace_id = dialog_node.workspace_id
  AND to_jsonb(parent.node_id) = dialog_node.extra -> 'parent';

-- What did not become a row stays in the content. The move is no edit of the workspace: updated_at stays.
ALTER TABLE workspace DISABLE TRIGGER workspace_touch;
UPDATE workspace
SET content = content - ARRAY['intents', 'entities', 'dialog_nodes'] || (
    SELECT coalesce(jsonb_object_agg(part, rest), '{}')
    FROM (VALUES ('intents', 'intent'), ('entities', 'entity'), ('dialog_nodes', 'dialog_node')) AS parts (part, key)
    CROSS JOIN LATERAL (
        SELECT CASE jsonb_typeof(content -> part)
            WHEN 'array' THEN (
                SELECT jsonb_agg(item ORDER BY position) FROM workspace_items(content, part, key) WHERE NOT fits
            )
            ELSE content -> part
        END AS rest
    ) AS rests
    WHERE rest IS NOT NULL
)
WHERE jsonb_typeof(content) = 'object' AND content ?| ARRAY['intents', 'entities', 'dialog_nodes'];
ALTER TABLE workspace ENABLE TRIGGER workspace_touch;

DROP FUNCTION workspace_items;
DROP FUNCTION item_beyond;
