-- Release 1.4.0: service instances and their workspaces.

CREATE TABLE tenant (
    tenant_id uuid PRIMARY KEY,
    -- The platform's number of the same instance, or a UUID.
    instance_id text NOT NULL UNIQUE,
    name text,
    region text NOT NULL DEFAULT 'us-south',
    -- Null means no: the column is younger than some rows.
    deleted boolean,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE VIEW live_tenant AS
    SELECT tenant_id, instance_id, coalesce(name, '(unnamed)') AS name, region
    FROM tenant
    WHERE deleted IS NOT TRUE;

CREATE TABLE workspace (
    workspace_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    name text NOT NULL,
    language text NOT NULL DEFAULT 'en',
    -- {"intents": [...], "entities": [...], "dialog_nodes": [...], "metadata": {...}}
    content jsonb NOT NULL DEFAULT '{}',
    shared_with uuid[] NOT NULL DEFAULT '{}',
    owner_note text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT workspace_name_length CHECK (length(name) BETWEEN 1 AND 200)
);

CREATE FUNCTION touch_updated_at() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

CREATE TRIGGER workspace_touch
    BEFORE UPDATE ON workspace
    FOR EACH ROW EXECUTE PROCEDURE touch_updated_at();
