//! A backup that fails leaves no file.

use crate::support::backup::{DIRECTORY, Site, names, script};
use crate::support::pgmig::TargetFile;
use crate::support::session::{HeldSession, wait_until};
use crate::support::{Outcome, Pgmig};
use std::fs::File;
use std::time::{Duration, SystemTime};

/// A backup by this script, which must fail and leave nothing.
#[track_caller]
fn fails(site: &Site, body: &str) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let body = format!("if [ \"$1\" = -V ]; then exec \"$PG_DUMP\" -V; fi\n{body}");
    let program = script(directory.path(), &site.database.server, &body);
    let outcome = site.backup_with(&program).args(["-o", DIRECTORY]).run().expect_status(1);
    assert_eq!(names(&outcome), [""; 0], "{outcome}");
    outcome
}

#[test]
fn whatever_pg_dump_does_wrong() {
    let site = Site::new("backup_fails");
    // An archive that is cut, by a program that reports success, and by one that does not.
    fails(&site, r#""$PG_DUMP" "$@" | head -c 20000"#).stderr_has("cannot be restored");
    let cut = r#""$PG_DUMP" "$@" | head -c 20000; echo "pg_dump: error: the disk is gone" >&2; exit 7"#;
    fails(&site, cut).stderr_has("pg_dump failed (exit status: 7):").stderr_has("the disk is gone");
    // Success of all of it, except at the end.
    fails(&site, r#""$PG_DUMP" "$@"; exit 1"#).stderr_has("pg_dump failed (exit status: 1)");
    fails(&site, "kill -9 $$").stderr_has("pg_dump failed (signal: 9");
    fails(&site, r#""$PG_DUMP" "$@"; echo more"#).stderr_has("error: ");
    fails(&site, "exit 0").stderr_has("cannot be restored");
    fails(&site, "echo CREATE TABLE x").stderr_has("cannot be restored");
    // One byte of a row is another one.
    let damaged = r#""$PG_DUMP" "$@" --compress=0 | sed 's/19999\t/19999 /'"#;
    fails(&site, damaged).stderr_has("row 19999 of");
}

#[test]
fn a_table_that_may_not_be_read() {
    let site = Site::new("backup_rights");
    let (su_username, su_password) = (format!("{}_reader", site.database.name), "s3cret-reader".to_owned());
    let role = format!("CREATE ROLE {su_username} LOGIN PASSWORD '{su_password}'");
    site.database.server.psql("postgres", &role);
    let site = Site { file: TargetFile { su_username, su_password, ..site.file }, database: site.database };
    let outcome = site.backup().args(["-o", DIRECTORY]).run().expect_status(1);
    outcome.assert_stderr_has("permission denied for");
    assert_eq!(names(&outcome), [""; 0]);
}

/// A backup that waits for a lock.
fn waiting(site: &Site) -> (HeldSession, crate::support::pgmig::Running) {
    let application = format!("{} holder", site.database.name);
    let held = HeldSession::running(&site.database, &application, "BEGIN; LOCK TABLE note;\n");
    let locked = "SELECT count(*) FROM pg_locks \
                  WHERE mode = 'AccessExclusiveLock' AND relation = 'note'::regclass AND granted";
    wait_until(|| site.database.psql(locked) == "1\n");
    let running = site.backup().args(["-o", DIRECTORY]).spawn();
    let waits = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND wait_event_type = 'Lock'",
        site.database.name
    );
    wait_until(|| site.database.server.psql("postgres", &waits) == "1\n");
    (held, running)
}

#[test]
fn an_interruption_leaves_nothing() {
    let site = Site::new("backup_interrupted");
    for signal in ["INT", "TERM"] {
        let (held, running) = waiting(&site);
        running.signal(signal);
        let outcome = running.wait().expect_status(130).stderr_has("there is no backup");
        assert_eq!(names(&outcome), [""; 0], "{signal}");
        drop(held);
    }
}

#[test]
fn what_a_killed_run_leaves_is_no_backup_and_is_removed_by_the_next() {
    let site = Site::new("backup_killed");
    let (held, running) = waiting(&site);
    running.signal("KILL");
    let outcome = running.wait().expect_killed();
    drop(held);
    let left = names(&outcome);
    assert!(
        left.len() == 1 && left[0].starts_with(".pgmig-backup-") && left[0].ends_with(".partial"),
        "{left:?}"
    );
    let directory = outcome.directory.path().join(DIRECTORY);
    let old = SystemTime::now() - Duration::from_secs(3600);
    File::options().write(true).open(directory.join(&left[0])).unwrap().set_modified(old).unwrap();
    let next = site.backup().arg("-o").arg(&directory).run().expect_status(0);
    let names = crate::support::backup::names_in(&directory);
    assert!(names.len() == 1 && names[0].starts_with("store.dump_"), "{names:?}\n{next}");
}

#[test]
fn a_lock_is_waited_for_only_so_long() {
    let site = Site::new("backup_lock");
    let (held, running) = waiting(&site);
    running.signal("TERM");
    running.wait().expect_status(130);
    let outcome = site.backup().args(["-o", DIRECTORY, "--lock-wait", "1"]).run().expect_status(1);
    outcome.assert_stderr_has("canceling statement due to");
    assert_eq!(names(&outcome), [""; 0]);
    drop(held);
}

#[test]
fn places_that_cannot_hold_a_backup() {
    let site = Site::new("backup_places");
    for (to, status, says) in [
        ("missing/store.dump", 1, "cannot make a file in missing"),
        ("missing/", 1, "cannot use the directory missing/: it does not exist"),
        ("postgres.yaml", 3, "postgres.yaml exists already"),
        ("/dev/full", 3, "/dev/full exists already"),
    ] {
        site.backup().args(["-o", to]).run().expect_status(status).stderr_has(says);
    }
    let keep = ["--keep-daily", "1", "--keep-weekly", "1"];
    site.backup().args(["-o", "x.dump"]).args(keep).run().expect_status(2).stderr_has("-o must name");
    site.backup().run().expect_status(2).stderr_has("-o is missing");
    Pgmig::new().args(["backup", "-o", "."]).run().expect_status(2).stderr_has("--target is missing");
}
