-- Release 4.6.5: a tenant has a webhook once. Of repeated ones the oldest stays; it is enabled if any of them was.

UPDATE webhook
SET enabled = true
WHERE NOT enabled
  AND EXISTS (
      SELECT FROM webhook AS same
      WHERE same.tenant_id = webhook.tenant_id AND same.url = webhook.url AND same.enabled
  );

DELETE FROM webhook
USING webhook AS older
WHERE older.tenant_id = webhook.tenant_id
  AND older.url = webhook.url
  AND older.webhook_id < webhook.webhook_id;

CREATE UNIQUE INDEX webhook_tenant_url ON webhook (tenant_id, url);
