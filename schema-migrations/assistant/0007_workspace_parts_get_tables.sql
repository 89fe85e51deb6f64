-- Release 4.7.0: intents, entities and dialog nodes move from a workspace's content into tables.

CREATE TABLE intent (
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    name text NOT NULL,
    examples text[] NOT NULL DEFAULT '{}',
    position integer NOT NULL,
    PRIMARY KEY (workspace_id, name)
);

CREATE TABLE entity (
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    name text NOT NULL,
    entity_values jsonb NOT NULL DEFAULT '[]',
    position integer NOT NULL,
    PRIMARY KEY (workspace_id, name)
);

CREATE TABLE dialog_node (
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    node_id text NOT NULL,
    parent_id text,
    conditions text,
    output jsonb NOT NULL DEFAULT '{}',
    position integer NOT NULL,
    PRIMARY KEY (workspace_id, node_id),
    -- Nodes are inserted in any order.
    FOREIGN KEY (workspace_id, parent_id) REFERENCES dialog_node DEFERRABLE INITIALLY DEFERRED
);

INSERT INTO intent (workspace_id, name, examples, position)
SELECT workspace_id,
       item.value ->> 'intent',
       ARRAY(SELECT jsonb_array_elements_text(coalesce(item.value -> 'examples', '[]'))),
       item.position::integer
FROM workspace
CROSS JOIN LATERAL jsonb_array_elements(coalesce(content -> 'intents', '[]'))
    WITH ORDINALITY AS item (value, position);

INSERT INTO entity (workspace_id, name, entity_values, position)
SELECT workspace_id, item.value ->> 'entity', coalesce(item.value -> 'values', '[]'), item.position::integer
FROM workspace
CROSS JOIN LATERAL jsonb_array_elements(coalesce(content -> 'entities', '[]'))
    WITH ORDINALITY AS item (value, position);

INSERT INTO dialog_node (workspace_id, node_id, parent_id, conditions, output, position)
SELECT workspace_id,
       item.value ->> 'dialog_node',
       item.value ->> 'parent',
       item.value ->> 'conditions',
       coalesce(item.value -> 'output', '{}'),
       item.position::integer
FROM workspace
CROSS JOIN LATERAL jsonb_array_elements(coalesce(content -> 'dialog_nodes', '[]'))
    WITH ORDINALITY AS item (value, position);

-- The move is no edit of the workspace: updated_at stays.
ALTER TABLE workspace DISABLE TRIGGER workspace_touch;
UPDATE workspace SET content = content - ARRAY['intents', 'entities', 'dialog_nodes'];
ALTER TABLE workspace ENABLE TRIGGER workspace_touch;
