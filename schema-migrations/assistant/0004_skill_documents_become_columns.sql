-- Release 4.5.0: what is searched for in skills becomes columns; the rest of the document becomes jsonb.

CREATE TYPE skill_kind AS ENUM ('dialog', 'action', 'search');

ALTER TABLE skill
    ADD COLUMN kind skill_kind,
    ADD COLUMN language text,
    ADD COLUMN status text,
    ADD COLUMN tags text[] NOT NULL DEFAULT '{}',
    ADD COLUMN content jsonb;

UPDATE skill
SET kind = coalesce(document ->> 'type', 'dialog')::skill_kind,
    language = coalesce(
        document ->> 'language',
        (SELECT workspace.language FROM workspace WHERE workspace.workspace_id = skill.workspace_id),
        'en'
    ),
    status = coalesce(document ->> 'status', 'Available'),
    tags = ARRAY(SELECT json_array_elements_text(coalesce(document -> 'tags', '[]'))),
    content = document::jsonb - ARRAY['type', 'language', 'status', 'tags'];

ALTER TABLE skill
    ALTER COLUMN kind SET NOT NULL,
    ALTER COLUMN language SET NOT NULL,
    ALTER COLUMN status SET NOT NULL,
    ALTER COLUMN content SET NOT NULL,
    DROP COLUMN document;

CREATE INDEX skill_tags ON skill USING gin (tags);
