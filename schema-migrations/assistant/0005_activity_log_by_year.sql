-- Release 4.6.0: the activity log is partitioned by year, so that old years can be dropped at once. Rows are moved.

ALTER TABLE activity_log RENAME TO activity_log_old;
ALTER INDEX activity_log_pkey RENAME TO activity_log_old_pkey;
ALTER INDEX activity_log_tenant RENAME TO activity_log_old_tenant;

CREATE TABLE activity_log (
    event_id bigint NOT NULL DEFAULT nextval('activity_log_event_id_seq'),
    tenant_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    action text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (event_id, at)
) PARTITION BY RANGE (at);

CREATE TABLE activity_log_rest PARTITION OF activity_log DEFAULT;

-- Years are those of UTC, whatever the session's time zone is. Older and later events go to the rest.
DO $$
BEGIN
    FOR year IN 2019..2028 LOOP
        EXECUTE format(
            'CREATE TABLE activity_log_%s PARTITION OF activity_log FOR VALUES FROM (%L) TO (%L)',
            year, make_timestamptz(year, 1, 1, 0, 0, 0, 'UTC'), make_timestamptz(year + 1, 1, 1, 0, 0, 0, 'UTC')
        );
    END LOOP;
END
$$;

INSERT INTO activity_log (event_id, tenant_id, at, action, detail)
SELECT event_id, tenant_id, at, action, detail
FROM activity_log_old
ORDER BY event_id;

ALTER SEQUENCE activity_log_event_id_seq OWNED BY activity_log.event_id;
DROP TABLE activity_log_old;
CREATE INDEX activity_log_tenant ON activity_log (tenant_id, at);
