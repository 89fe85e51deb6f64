-- Release 4.8.0: snapshots are known by a UUID instead of a number. The number stays, for links in old mails.

ALTER TABLE snapshot ADD COLUMN new_id uuid;

-- In batches along the key, so that no statement is long.
DO $$
DECLARE
    batch constant integer := 1000;
    last_done bigint := (SELECT min(snapshot_id) - 1 FROM snapshot);
    last_of_batch bigint;
BEGIN
    LOOP
        SELECT max(snapshot_id) INTO last_of_batch
        FROM (SELECT snapshot_id FROM snapshot WHERE snapshot_id > last_done ORDER BY snapshot_id LIMIT batch) AS next;
        EXIT WHEN last_of_batch IS NULL;
        UPDATE snapshot
        SET new_id = md5('snapshot ' || snapshot_id || ' of ' || coalesce(workspace_id::text, ''))::uuid
        WHERE snapshot_id > last_done AND snapshot_id <= last_of_batch;
        last_done := last_of_batch;
    END LOOP;
END
$$;

ALTER TABLE snapshot_note ADD COLUMN new_id uuid;
UPDATE snapshot_note
SET new_id = snapshot.new_id
FROM snapshot
WHERE snapshot.snapshot_id = snapshot_note.snapshot_id;

ALTER TABLE snapshot_note DROP COLUMN snapshot_id;
ALTER TABLE snapshot DROP CONSTRAINT snapshot_pkey;
ALTER TABLE snapshot RENAME COLUMN snapshot_id TO number;
ALTER TABLE snapshot RENAME COLUMN new_id TO snapshot_id;
ALTER TABLE snapshot
    ADD PRIMARY KEY (snapshot_id),
    ADD CONSTRAINT snapshot_number UNIQUE (number);

ALTER TABLE snapshot_note RENAME COLUMN new_id TO snapshot_id;
ALTER TABLE snapshot_note
    ALTER COLUMN snapshot_id SET NOT NULL,
    ADD FOREIGN KEY (snapshot_id) REFERENCES snapshot ON DELETE CASCADE;
