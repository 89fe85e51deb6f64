-- Release 4.6.5: a tenant has a webhook once. Of repeated ones the oldest stays; it is enabled if any of them was.

-- Each of the repeated webhooks as it was, the one that stays among them.
ALTER TABLE webhook ADD COLUMN merged jsonb NOT NULL DEFAULT '[]';

UPDATE webhook
SET enabled = repeated.enabled,
    merged = repeated.merged
FROM (
    SELECT min(same.webhook_id) AS webhook_id,
           bool_or(same.enabled) AS enabled,
           jsonb_agg(to_jsonb(same) - ARRAY['tenant_id', 'url', 'merged'] ORDER BY same.webhook_id) AS merged
    FROM webhook AS same
    GROUP BY same.tenant_id, same.url
    HAVING count(*) > 1
) AS repeated
WHERE repeated.webhook_id = webhook.webhook_id;

DELETE FROM webhook
USING webhook AS older
WHERE older.tenant_id = webhook.tenant_id
  AND older.url = webhook.url
  AND older.webhook_id < webhook.webhook_id;

CREATE UNIQUE INDEX webhook_tenant_url ON webhook (tenant_id, url);
