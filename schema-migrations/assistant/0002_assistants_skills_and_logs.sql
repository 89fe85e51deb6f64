-- Release 4.0.0: what is built from workspaces, and what happens to it. Every workspace that is there becomes a skill
-- of an assistant of its own, so that clients of the new interface find it.

CREATE TABLE assistant (
    assistant_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    name text NOT NULL,
    settings jsonb NOT NULL DEFAULT '{}',
    -- [{"environment_id": ..., "name": ..., "endpoint": ...}, ...]
    environments json NOT NULL DEFAULT '[]',
    legacy_owner text
);

CREATE TABLE skill (
    skill_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    workspace_id uuid REFERENCES workspace ON DELETE SET NULL,
    -- {"type": "dialog" | "action" | "search", "language": ..., "status": ..., "tags": [...], ...}
    document json NOT NULL
);

CREATE TABLE assistant_skill (
    assistant_id uuid NOT NULL REFERENCES assistant ON DELETE CASCADE,
    skill_id uuid NOT NULL REFERENCES skill ON DELETE CASCADE,
    position integer NOT NULL,
    PRIMARY KEY (assistant_id, skill_id)
);

CREATE TABLE snapshot (
    snapshot_id bigserial PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    workspace_id uuid REFERENCES workspace ON DELETE CASCADE,
    label text NOT NULL,
    body text,
    -- A large object with the workspace's export, for bodies that are too long for a row.
    body_oid oid,
    taken_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE snapshot_note (
    note_id bigserial PRIMARY KEY,
    snapshot_id bigint NOT NULL REFERENCES snapshot ON DELETE CASCADE,
    note text NOT NULL
);

CREATE TABLE webhook (
    webhook_id bigserial PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    url text NOT NULL,
    headers jsonb NOT NULL DEFAULT '{}',
    secret bytea,
    enabled boolean NOT NULL DEFAULT true
);

-- Secrets are hidden from other tenants' sessions, whoever owns the table.
ALTER TABLE webhook ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook FORCE ROW LEVEL SECURITY;
CREATE POLICY webhook_of_tenant ON webhook
    USING (tenant_id = nullif(current_setting('store.tenant', true), '')::uuid);

CREATE TABLE activity_log (
    event_id bigserial PRIMARY KEY,
    tenant_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    action text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX activity_log_tenant ON activity_log (tenant_id, at);

-- IDs are made from the workspace's, so that the same store always gives the same rows.
INSERT INTO skill (skill_id, tenant_id, workspace_id, document)
SELECT md5('skill of workspace ' || workspace_id)::uuid,
       tenant_id,
       workspace_id,
       json_build_object('type', 'dialog', 'language', language, 'status', 'Available', 'name', name)
FROM workspace;

INSERT INTO assistant (assistant_id, tenant_id, name, settings, legacy_owner)
SELECT md5('assistant of workspace ' || workspace_id)::uuid,
       tenant_id,
       name,
       jsonb_build_object('language', language),
       nullif(owner_note, '')
FROM workspace;

INSERT INTO assistant_skill (assistant_id, skill_id, position)
SELECT md5('assistant of workspace ' || workspace_id)::uuid, md5('skill of workspace ' || workspace_id)::uuid, 1
FROM workspace;
