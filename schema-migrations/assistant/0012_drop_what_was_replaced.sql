-- Release 5.1.0: columns that have been deprecated since 4.5.0 are dropped; what they still hold is kept elsewhere.

UPDATE assistant
SET extra = extra || jsonb_build_object('legacy_owner', legacy_owner)
WHERE legacy_owner IS NOT NULL;
ALTER TABLE assistant DROP COLUMN legacy_owner;

ALTER TABLE tenant ALTER COLUMN deleted SET DEFAULT false;
UPDATE tenant SET deleted = false WHERE deleted IS NULL;
ALTER TABLE tenant ALTER COLUMN deleted SET NOT NULL;

-- For people who look into a database and wonder what it is.
CREATE TABLE store_property (
    name text PRIMARY KEY,
    value text NOT NULL
);
INSERT INTO store_property (name, value) VALUES ('release', '5.1.0');
