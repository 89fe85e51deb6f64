//! Which targets a backup may replace: a store, another application's database, other contents.

use crate::support::pgmig::TargetFile;
use crate::support::store::Backup;
use crate::support::untouched::Before;
use crate::support::{Database, Pgmig};
use std::path::PathBuf;

/// A database of another application, and a backup of it.
struct Other {
    directory: tempfile::TempDir,
    source: Database,
}

const OTHER_APPLICATION: &str = "CREATE TABLE parts (id int PRIMARY KEY); INSERT INTO parts VALUES (1), (2)";

impl Other {
    fn new() -> Self {
        let source = Database::create("other_source");
        source.psql(OTHER_APPLICATION);
        Self { directory: tempfile::tempdir().unwrap(), source }
    }

    fn dump(&self, options: &[&str]) -> PathBuf {
        let archive = self.directory.path().join("other.dump");
        self.source.dump_through_pipe(options, &archive);
        archive
    }
}

fn keep_ids(target: &Database) -> Pgmig {
    Pgmig::new().target(&TargetFile::of(target)).args(["--force", "--keep-ids"])
}

#[test]
fn what_is_no_store_never_replaces_one() {
    let other = Other::new();
    let target = Backup::of_oldest_release().target("kept_store");
    let before = Before::of(&target);
    let outcome = keep_ids(&target).source(&other.dump(&[])).run().expect_status(3);
    before.is_now(outcome.stderr_has("holds no store"));
}

#[test]
fn what_is_no_store_replaces_only_what_looks_the_same() {
    let other = Other::new();
    let archive = other.dump(&[]);
    let target = Database::create("same_schema");
    target.psql(OTHER_APPLICATION);
    target.psql("DELETE FROM parts WHERE id = 1");
    keep_ids(&target).source(&archive).run().expect_status(0);
    assert_eq!(target.psql("SELECT count(*) FROM parts").trim(), "2");

    target.psql("ALTER TABLE parts ADD COLUMN note text");
    let before = Before::of(&target);
    let outcome = keep_ids(&target).source(&archive).run().expect_status(3);
    before.is_now(outcome.stderr_has("public.parts.note"));
}

#[test]
fn event_triggers_do_not_see_the_restore() {
    let other = Other::new();
    other.source.psql(
        "CREATE MATERIALIZED VIEW all_parts AS SELECT * FROM parts;
         CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'no more changes'; END $$;
         ALTER TABLE parts ENABLE ROW LEVEL SECURITY; ALTER TABLE parts FORCE ROW LEVEL SECURITY;
         CREATE EVENT TRIGGER locked ON ddl_command_start EXECUTE FUNCTION forbid()",
    );
    let target = Database::create("locked");
    keep_ids(&target).source(&other.dump(&[])).run().expect_status(0);
    assert_eq!(target.psql("SELECT count(*) FROM all_parts").trim(), "2");
    assert_eq!(target.psql("SELECT evtname FROM pg_event_trigger").trim(), "locked");
}

#[test]
fn a_half_done_migration_of_the_target_does_not_matter() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("half_done");
    target.psql(
        "UPDATE store._sqlx_migrations SET success = false
         WHERE version = (SELECT max(version) FROM store._sqlx_migrations)",
    );
    let finished = target.psql("SELECT max(version) FROM store._sqlx_migrations WHERE success");
    backup.restore_into(&target).run().expect_status(0);
    assert_eq!(target.psql("SELECT max(version) FROM store._sqlx_migrations"), finished);
}
