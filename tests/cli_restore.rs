//! The command line's main job, as an operator sees it: what it prints, how it ends, and what is left.

use crate::support::pgmig::TargetFile;
use crate::support::store::{Backup, databases_beside};
use crate::support::{Database, Pgmig};
use std::time::{Duration, Instant};

/// A command line for this target, before the backup is named.
fn pgmig(target: &Database) -> Pgmig {
    Pgmig::new().target(&TargetFile::of(target))
}

#[test]
fn a_store_of_an_older_release_is_restored_and_upgraded() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("target");
    let mut outcome = backup.restore(pgmig(&target)).arg("--force").run().expect_status(0);
    backup.assert_restored(&target);
    assert_eq!(databases_beside(&target), "");
    for (source, provisioned) in &backup.mapping {
        outcome = outcome.stdout_has(source).stdout_has(provisioned);
    }
    outcome
        .stdout_has(&target.name)
        .stdout_has("store.workspace")
        .stdout_has("drop what was replaced")
        .stderr_has("loading rows")
        .keeps_secret(&target.server.password);
}

#[test]
fn from_standard_input() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("stdin");
    let pairs: Vec<_> = backup.mapping.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    let pgmig = pgmig(&target).args(["--force", "--source", "-"]).stdin(&backup.archive).mapping(&pairs);
    pgmig.run().expect_status(0);
    backup.assert_restored(&target);
}

#[test]
fn without_force_and_terminal_data_are_not_erased() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("refused");
    let before = target.dump(&[]);
    let outcome = backup.restore(pgmig(&target)).arg("--yes").run();
    outcome.expect_status(3).stderr_has("--force").stderr_has(&backup.mapping[0].1);
    assert_eq!(before, target.dump(&[]));
    assert_eq!(databases_beside(&target), "");
}

#[test]
fn without_force_an_empty_target_is_filled() {
    let backup = Backup::of_oldest_release();
    let target = Database::create("empty");
    backup.restore(pgmig(&target)).run().expect_status(0);
    backup.assert_restored(&target);
}

#[test]
fn quiet_prints_nothing_when_all_is_well() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("quiet");
    let outcome = backup.restore(pgmig(&target)).args(["--force", "--quiet"]).run().expect_status(0);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
    backup.assert_restored(&target);
}

#[test]
fn without_a_mapping_the_instances_are_listed() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("unmapped");
    let before = target.dump(&[]);
    let mut outcome = pgmig(&target).source(&backup.archive).arg("--force").run().expect_status(3);
    for (source, _) in &backup.mapping {
        outcome = outcome.stderr_has(source);
    }
    assert_eq!(before, target.dump(&[]));
}

#[test]
fn a_missing_backup_is_named() {
    let target = Database::create("missing");
    let outcome = pgmig(&target).args(["--source", "nowhere.dump", "--keep-ids"]).run();
    outcome.expect_status(1).stderr_has("nowhere.dump");
}

#[test]
fn a_signal_leaves_the_target_as_it_was_and_nothing_behind() {
    for signal in ["INT", "TERM"] {
        let backup = Backup::of_oldest_release();
        let target = backup.target("signal");
        let before = target.dump(&[]);
        // A session on the target holds the swap up, so that the signal always comes before it.
        let mut session = target.server.program("psql");
        let mut session =
            session.args(["-X", "-d", &target.name, "-c", "SELECT pg_sleep(600)"]).spawn().unwrap();
        let running = backup.restore(pgmig(&target)).args(["--force", "--swap-wait", "600"]).spawn();
        wait_until(|| !databases_beside(&target).is_empty());
        running.signal(signal);
        running.wait().expect_status(130);
        session.kill().unwrap();
        session.wait().unwrap();
        assert_eq!(before, target.dump(&[]));
        assert_eq!(databases_beside(&target), "");
    }
}

#[track_caller]
fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "waited for 60 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}
