-- Release 4.8.0: snapshots are known by a UUID instead of a number. The number stays, for links in old mails.

ALTER TABLE snapshot ADD COLUMN new_id uuid;
UPDATE snapshot SET new_id = md5('snapshot ' || snapshot_id || ' of ' || coalesce(workspace_id::text, ''))::uuid;

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
