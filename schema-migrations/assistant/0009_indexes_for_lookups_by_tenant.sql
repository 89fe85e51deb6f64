-- no-transaction
-- Release 4.8.0: indexes that are built while the service runs. A repeated run starts over.

DROP INDEX IF EXISTS workspace_tenant;
CREATE INDEX CONCURRENTLY workspace_tenant ON workspace (tenant_id, lower(name));

DROP INDEX IF EXISTS skill_tenant;
CREATE INDEX CONCURRENTLY skill_tenant ON skill (tenant_id) WHERE workspace_id IS NOT NULL;
