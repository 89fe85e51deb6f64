//! Databases that pgmig must never drop, and changes of the target while a restore is running.

use crate::support::pgmig::TargetFile;
use crate::support::session::{HeldSession, wait_until};
use crate::support::store::Backup;
use crate::support::untouched::{Before, databases_beside};
use crate::support::{Database, Pgmig};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// If a run died between the swap and its end, the operator may still use the previous database.
#[test]
fn a_previous_database_that_was_put_back_is_the_target() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("put_back");
    target.psql("CREATE TABLE store.mine AS SELECT 1 AS a");
    backup.restore_into(&target).failpoint("swapped:kill").run().expect_killed();
    let previous = databases_beside(&target).trim().to_owned();
    let swapped = format!("{}_swapped", target.name);
    let rename = |from: &str, to: &str| {
        target.server.psql("postgres", &format!("ALTER DATABASE \"{from}\" RENAME TO \"{to}\""));
    };
    rename(&target.name, &swapped);
    rename(&previous, &target.name);
    let before = Before::of(&target);
    // This run stops before the swap, so the target must still exist with all its contents.
    let outcome = backup.restore_into(&target).failpoint("pre-data").run();
    before.is_now(outcome.expect_status(1));
    assert_eq!(target.psql("SELECT a FROM store.mine"), "1\n");
    backup.restore_into(&target).run().expect_status(0);
    backup.assert_restored(&target);
    assert!(Database::exists(&target.server, &swapped), "the database that was set aside is gone");
    let comment = "SELECT shobj_description(oid, 'pg_database') IS NULL FROM pg_database
                   WHERE datname = current_database()";
    assert_eq!(target.psql(comment), "t\n", "the marker was carried over");
    target.server.psql("postgres", &format!("DROP DATABASE \"{swapped}\""));
}

/// If the operator renames a previous database to keep it, its name is not one that pgmig gives.
#[test]
fn a_previous_database_with_another_name_is_not_removed() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("renamed");
    backup.restore_into(&target).failpoint("swapped:kill").run().expect_killed();
    let previous = databases_beside(&target).trim().to_owned();
    let kept = format!("{}_do_not_touch", target.name);
    target.server.psql("postgres", &format!("ALTER DATABASE \"{previous}\" RENAME TO \"{kept}\""));
    backup.restore_into(&target).run().expect_status(0);
    assert!(Database::exists(&target.server, &kept), "the renamed database is gone");
    target.server.psql("postgres", &format!("DROP DATABASE \"{kept}\""));
}

/// A session in another database can hold a lock on the target. The rename must wait for this lock.
#[test]
fn a_lock_on_the_target_does_not_hold_the_swap_for_ever() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("locked");
    let before = Before::of(&target);
    let other = Database::create("locker");
    let sql = format!("BEGIN; COMMENT ON DATABASE \"{}\" IS 'later'; SELECT pg_sleep(600);\n", target.name);
    let held = HeldSession::running(&other, &format!("{} locker", target.name), &sql);
    let pgmig = backup.restore_into(&target).args(["--swap-wait", "1"]).timeout(Duration::from_secs(60));
    let outcome = pgmig.run().expect_status(3).stderr_has("a lock on the database");
    drop(held);
    before.is_now(outcome);
}

/// A dump whose table has a check constraint. For each row, the constraint calls a function with this body.
fn archive_with_check(directory: &Path, rows: u32, body: &str) -> PathBuf {
    let source = Database::create("checked");
    source.psql(&format!(
        "CREATE FUNCTION checked(int) RETURNS boolean LANGUAGE sql AS 'SELECT true';
         CREATE TABLE t (id int CHECK (checked(id)), pad text);
         INSERT INTO t SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, {rows}) g;
         CREATE OR REPLACE FUNCTION checked(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN true; END $$"
    ));
    let archive = directory.join("checked.dump");
    source.dump_through_pipe(&[], &archive);
    archive
}

/// Data that arrive during the restore are never erased without permission.
#[test]
fn an_empty_target_that_is_filled_meanwhile_is_refused() {
    let directory = TempDir::new().unwrap();
    let archive = archive_with_check(directory.path(), 100, "PERFORM pg_sleep(0.02)");
    let target = Database::create("filled");
    let pgmig = Pgmig::new().target(&TargetFile::of(&target)).arg("--keep-ids").source(&archive);
    let running = pgmig.timeout(Duration::from_secs(60)).spawn();
    wait_until(|| !databases_beside(&target).is_empty());
    target.psql("CREATE TABLE surprise AS SELECT generate_series(1, 10)");
    let before = Before::of(&target);
    before.is_now(running.wait().expect_status(3).stderr_has("now holds data (10 rows in 1 table)"));
}

/// Messages that no setting suppresses fill the socket while pgmig sends rows. The run must end with an error instead
/// of hanging.
#[test]
fn a_load_that_comes_to_a_halt_is_ended() {
    let directory = TempDir::new().unwrap();
    let body = "RAISE INFO '%', repeat('x', 1000)";
    let archive = archive_with_check(directory.path(), 20_000, body);
    let target = Database::create("halted");
    let before = Before::of(&target);
    let pgmig = Pgmig::new().target(&TargetFile::of(&target)).arg("--keep-ids").source(&archive);
    let outcome = pgmig.timeout(Duration::from_secs(120)).run();
    before.is_now(outcome.expect_status(1).stderr_has("came to a halt"));
}
