-- Release 4.5.0: what is searched for in skills becomes columns; the rest of the document becomes jsonb.

CREATE TYPE skill_kind AS ENUM ('dialog', 'action', 'search');

ALTER TABLE skill
    ADD COLUMN kind skill_kind,
    ADD COLUMN language text,
    ADD COLUMN status text,
    ADD COLUMN tags text[] NOT NULL DEFAULT '{}',
    ADD COLUMN content jsonb;

-- Clients have written the documents: a member may be anything. One that its column does not say in the same words
-- stays in the document.
UPDATE skill
SET kind = new.kind,
    language = new.language,
    status = new.status,
    tags = new.tags,
    content = CASE jsonb_typeof(new.document)
        WHEN 'object' THEN (
            SELECT coalesce(jsonb_object_agg(member.key, member.value), '{}')
            FROM jsonb_each(new.document) AS member
            WHERE member.value IS DISTINCT FROM jsonb_build_object(
                'type', new.kind, 'language', new.language, 'status', new.status, 'tags', new.tags
            ) -> member.key
        )
        ELSE new.document
    END
FROM (
    SELECT skill_id,
           document,
           coalesce(
               (
                   SELECT label
                   FROM unnest(enum_range(NULL::skill_kind)) AS label
                   WHERE label::text = lower(document ->> 'type')
               ),
               'dialog'
           ) AS kind,
           coalesce(
               CASE jsonb_typeof(document -> 'language') WHEN 'string' THEN document ->> 'language' END,
               workspace_language,
               'en'
           ) AS language,
           coalesce(
               CASE jsonb_typeof(document -> 'status') WHEN 'string' THEN document ->> 'status' END,
               'Available'
           ) AS status,
           ARRAY(
               SELECT jsonb_array_elements_text(
                   CASE jsonb_typeof(document -> 'tags') WHEN 'array' THEN document -> 'tags' ELSE '[]' END
               )
           ) AS tags
    FROM (
        SELECT skill_id, document::jsonb AS document, workspace.language AS workspace_language
        FROM skill
        LEFT JOIN workspace USING (workspace_id)
    ) AS old
) AS new
WHERE new.skill_id = skill.skill_id;

ALTER TABLE skill
    ALTER COLUMN kind SET NOT NULL,
    ALTER COLUMN language SET NOT NULL,
    ALTER COLUMN status SET NOT NULL,
    ALTER COLUMN content SET NOT NULL,
    DROP COLUMN document;

CREATE INDEX skill_tags ON skill USING gin (tags);
