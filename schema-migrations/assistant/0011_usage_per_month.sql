-- Release 5.1.0: usage is counted by month, with what the activity log has so far.

CREATE TABLE usage_month (
    tenant_id uuid NOT NULL REFERENCES tenant,
    month date NOT NULL CHECK (extract(day FROM month) = 1),
    events bigint NOT NULL CHECK (events > 0),
    PRIMARY KEY (tenant_id, month)
);

-- The log has no foreign key: events of tenants that were removed long ago are not counted.
INSERT INTO usage_month (tenant_id, month, events)
SELECT tenant_id, date_trunc('month', at AT TIME ZONE 'UTC')::date, count(*)
FROM activity_log
JOIN tenant USING (tenant_id)
GROUP BY 1, 2;
