//! Other activity during a restore: sessions on the target, other runs, signals.

use crate::support::loading::{is_loading, slow_archive};
use crate::support::pgmig::TargetFile;
use crate::support::session::{Exporter, HeldSession, wait_until};
use crate::support::store::Backup;
use crate::support::untouched::{Before, databases_beside};
use crate::support::{Database, Pgmig, Server};
use std::time::Duration;
use tempfile::TempDir;

#[test]
fn a_session_that_stays_is_named() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("stays");
    let before = Before::of(&target);
    let application = format!("{} client", target.name);
    let session = HeldSession::open(&target, &application);
    let outcome = backup.restore_into(&target).args(["--swap-wait", "1"]).run();
    let outcome = outcome
        .expect_status(3)
        .stderr_has("1 session stayed connected for 1 s")
        .stderr_has(&application)
        .stderr_has("--terminate-sessions")
        .stderr_has("--swap-wait");
    // The warning comes at the start, too.
    assert_eq!(outcome.stderr.matches(&application).count(), 2, "{outcome}");
    drop(session);
    before.is_now(outcome);
}

#[test]
fn a_session_can_be_ended() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("ended");
    let sql = "BEGIN; SELECT * FROM store.tenant; SELECT pg_sleep(600);\n";
    let _session = HeldSession::running(&target, &format!("{} client", target.name), sql);
    backup.restore_into(&target).arg("--terminate-sessions").run().expect_status(0);
    backup.assert_restored(&target);
    assert_eq!(databases_beside(&target), "");
}

#[test]
fn a_session_may_leave_in_time() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("leaves");
    let session = HeldSession::open(&target, &format!("{} client", target.name));
    let running = backup.restore_into(&target).args(["--swap-wait", "60"]).spawn();
    // The session stays until pgmig tries the swap: the rename takes the lock that new sessions wait for.
    wait_until(|| !waiting_to_rename(&target).is_empty());
    drop(session);
    running.wait().expect_status(0);
    backup.assert_restored(&target);
}

/// The sessions that hold the lock of a database that is being renamed.
fn waiting_to_rename(target: &Database) -> String {
    target.server.psql(
        "postgres",
        &format!(
            "SELECT pid FROM pg_locks WHERE classid = 'pg_database'::regclass AND mode = 'AccessExclusiveLock'
             AND granted AND objid = (SELECT oid FROM pg_database WHERE datname = '{}')",
            target.name
        ),
    )
}

#[test]
fn sessions_that_come_and_go_do_not_matter() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("exporter");
    let exporters = [(); 2].map(|()| Exporter::start(&target, Duration::from_millis(100)));
    backup.restore_into(&target).run().expect_status(0);
    let visits: u32 = exporters.into_iter().map(Exporter::stop).sum();
    assert!(visits > 4, "the exporters were there {visits} times");
    backup.assert_restored(&target);
    assert_eq!(databases_beside(&target), "");
}

#[test]
fn a_second_run_on_the_same_target_is_refused() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("same");
    let session = HeldSession::open(&target, &format!("{} client", target.name));
    let first =
        backup.restore_into(&target).args(["--swap-wait", "60"]).env("PGAPPNAME", "the first run").spawn();
    wait_until(|| !databases_beside(&target).is_empty());
    let second = backup.restore_into(&target).run().expect_status(3);
    second.stderr_has("another restore of database").stderr_has("the first run").stderr_has("wait for it");
    drop(session);
    first.wait().expect_status(0);
    backup.assert_restored(&target);
    assert_eq!(databases_beside(&target), "");
}

#[test]
fn a_second_run_never_spoils_the_first() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("race");
    let runs = [(); 3].map(|()| backup.restore_into(&target).spawn());
    let outcomes = runs.map(|run| run.wait());
    let done = outcomes.iter().filter(|outcome| outcome.status.success()).count();
    assert!(done >= 1, "{}", outcomes[0]);
    for outcome in outcomes {
        if !outcome.status.success() {
            outcome.expect_status(3).stderr_has("restore");
        }
    }
    backup.assert_restored(&target);
    assert_eq!(databases_beside(&target), "");
}

#[test]
fn two_targets_at_once() {
    let backup = Backup::of_oldest_release();
    let targets = ["one", "two"].map(|purpose| backup.target(purpose));
    let runs = targets.each_ref().map(|target| backup.restore_into(target).spawn());
    for (run, target) in runs.into_iter().zip(&targets) {
        run.wait().expect_status(0);
        backup.assert_restored(target);
        assert_eq!(databases_beside(target), "");
    }
}

/// A table of instances, so that the archive may replace a store.
const INSTANCES: &str = "CREATE TABLE tenant (tenant_id uuid, name text, region text, deleted boolean);";

#[test]
fn an_interrupt_during_a_slow_load() {
    interrupted_while_loading("INT");
}

#[test]
fn a_termination_during_a_slow_load() {
    interrupted_while_loading("TERM");
}

fn interrupted_while_loading(signal: &str) {
    let directory = TempDir::new().unwrap();
    let archive = slow_archive(&Server::of_this_run(), directory.path(), INSTANCES);
    let target = Backup::of_oldest_release().target("slow");
    let before = Before::of(&target);
    let pgmig = Pgmig::new().target(&TargetFile::of(&target)).source(&archive);
    let running =
        pgmig.args(["--force", "--keep-ids", "--schema", "archive"]).timeout(Duration::from_secs(40)).spawn();
    wait_until(|| is_loading(&target));
    running.signal(signal);
    before.is_now(running.wait().expect_status(130).stderr_has("the target is untouched"));
}

#[test]
fn an_interrupt_while_standard_input_stalls() {
    let backup = Backup::of_oldest_release();
    let archive = std::fs::read(&backup.archive).unwrap();
    let target = backup.target("stalled");
    let before = Before::of(&target);
    // A signal while pgmig reads the header, and while it reads data.
    for (length, staging) in [(7, false), (archive.len() * 9 / 10, true)] {
        let pgmig =
            backup.map(Pgmig::new().target(&TargetFile::of(&target)).args(["--force", "--source", "-"]));
        let running =
            pgmig.stalled_stdin(archive[..length].to_vec()).timeout(Duration::from_secs(30)).spawn();
        if staging {
            wait_until(|| !databases_beside(&target).is_empty());
        } else {
            wait_until(|| running.is_listening());
        }
        running.signal("TERM");
        before.is_now(running.wait().expect_status(130));
    }
}
