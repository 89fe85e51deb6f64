-- Release 5.0.0: webhook is renamed to callback. Programs of older releases find the old names in a view.

ALTER TABLE webhook RENAME TO callback;
ALTER TABLE callback RENAME COLUMN webhook_id TO callback_id;
ALTER SEQUENCE webhook_webhook_id_seq RENAME TO callback_callback_id_seq;
ALTER INDEX webhook_pkey RENAME TO callback_pkey;
ALTER INDEX webhook_tenant_url RENAME TO callback_tenant_url;
ALTER POLICY webhook_of_tenant ON callback RENAME TO callback_of_tenant;

ALTER TABLE callback ADD COLUMN content_type text NOT NULL DEFAULT 'application/json';
-- What is no text stays among the headers.
UPDATE callback
SET content_type = headers ->> 'Content-Type',
    headers = headers - 'Content-Type'
WHERE jsonb_typeof(headers -> 'Content-Type') = 'string';

CREATE VIEW webhook AS
    SELECT callback_id AS webhook_id, tenant_id, url, headers, secret, enabled
    FROM callback;
COMMENT ON VIEW webhook IS 'the names of releases before 5.0.0';
