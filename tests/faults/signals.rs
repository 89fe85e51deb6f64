//! SIGINT and SIGTERM end pgmig within 5 seconds, whatever blocks it. A second signal ends it at once.
//!
//! Relatives of "the network is silent and a signal comes", each with both strategies where there are two: in the
//! preflight, while rows are loaded, while a transaction begins, in the commit; standard input that stalls in the header,
//! in the definitions and in the data of each format; a file that blocks when it is opened; standard error that nobody
//! reads; a stopped server process.

use crate::support::application;
use crate::support::loading::{is_loading, slow_archive};
use crate::support::pgmig::{Outcome, Running, TargetFile};
use crate::support::proxy::{Cut, Proxy};
use crate::support::session::wait_until;
use crate::support::silence::{SilentProxy, Stopped, end_sessions};
use crate::support::store::Backup;
use crate::support::untouched::{Before, databases_beside};
use crate::support::{Database, Pgmig, Server};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The 5 s that are promised, and some for a busy machine.
const PROMISE: Duration = Duration::from_secs(8);

#[track_caller]
fn ends_after(running: Running, signal: &str) -> Outcome {
    let signalled = Instant::now();
    running.signal(signal);
    let outcome = running.wait();
    assert!(signalled.elapsed() < PROMISE, "it took {:?}\n{outcome}", signalled.elapsed());
    outcome
}

/// What a run in a target of the application's role leaves beside it, that the next run must remove.
#[track_caller]
fn next_run_cleans_up(file: &TargetFile, target: &Database, before: &Before, archive: &Path) {
    end_sessions(target);
    before.is_unchanged();
    let again =
        Pgmig::new().target(file).source(archive).args(["--force", "--keep-ids", "--schema", "archive"]);
    again.failpoint("clean-leftovers").run().expect_status(1);
    assert_eq!(databases_beside(target), "");
}

#[test]
fn while_the_network_is_silent_in_the_load() {
    let directory = TempDir::new().unwrap();
    let archive = slow_archive(&Server::of_this_run(), directory.path(), "");
    for (strategy, signal) in [("swap", "INT"), ("in-place", "TERM")] {
        let target = application::empty_database(&format!("silent_{signal}"));
        let before = Before::of(&target);
        let direct = application::file_for(&target, strategy);
        let proxy = SilentProxy::start(&target.server);
        let pgmig = Pgmig::new().target(&proxy.target(direct.clone())).source(&archive);
        let pgmig = pgmig.args(["--force", "--keep-ids", "--schema", "archive", "--strategy", strategy]);
        let running = pgmig.env("PGAPPNAME", &target.name).spawn();
        wait_until(|| is_loading(&target));
        proxy.become_silent();
        let outcome = ends_after(running, signal).expect_status(130);
        outcome.assert_stderr_has("the target is untouched");
        if strategy == "swap" {
            outcome.assert_stderr_has(
                "left behind (the server did not answer in time); the next run removes it",
            );
        } else {
            outcome.assert_stderr_has("may hold its locks");
        }
        drop(proxy);
        next_run_cleans_up(&direct, &target, &before, &archive);
    }
}

#[test]
fn while_the_network_is_silent_in_the_preflight() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("silent_preflight");
    let before = Before::of(&target);
    for connections in [1, 2] {
        let proxy = SilentProxy::start(&target.server);
        let file = proxy.target(TargetFile::of(&target));
        let running = backup.restore(Pgmig::new().target(&file).arg("--force")).spawn();
        wait_until(|| proxy.connections() >= connections);
        proxy.become_silent();
        let outcome = ends_after(running, "TERM").expect_status(130);
        before.is_now(outcome);
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let directory = TempDir::new().unwrap();
    let archive = slow_archive(&Server::of_this_run(), directory.path(), "");
    let target = application::empty_database("twice");
    let direct = TargetFile { username: application::APPLICATION.to_owned(), ..TargetFile::of(&target) };
    let before = Before::of(&target);
    let proxy = SilentProxy::start(&target.server);
    let pgmig = Pgmig::new().target(&proxy.target(direct.clone())).source(&archive);
    let pgmig = pgmig.args(["--keep-ids", "--schema", "archive"]).env("PGAPPNAME", &target.name);
    let running = pgmig.spawn();
    wait_until(|| is_loading(&target));
    proxy.become_silent();
    running.signal("INT");
    std::thread::sleep(Duration::from_millis(300));
    let second = Instant::now();
    running.signal("TERM");
    running.wait().expect_status(130).stderr_has("interrupted: cleaning up");
    assert!(second.elapsed() < Duration::from_secs(2), "{:?}", second.elapsed());
    next_run_cleans_up(&direct, &target, &before, &archive);
}

#[test]
fn in_a_commit_whose_answer_is_lost() {
    let backup = Backup::of_oldest_release();
    for strategy in ["swap", "in-place"] {
        let target = application::target(&format!("lost_{}", &strategy[..2]));
        let before = Before::of(&target);
        let file = application::file_for(&target, strategy);
        // The COMMIT of something does not arrive. Where it is that of the restore, nothing has been committed.
        let proxy = Proxy::start(&target.server, Cut::HeldAtTheEnd);
        let pgmig = Pgmig::new().target(&proxy.target(file)).args(["--force", "--strategy", strategy]);
        let running = backup.restore(pgmig).spawn();
        wait_until(|| proxy.has_cut());
        let outcome = ends_after(running, "INT");
        assert!(
            outcome.stderr.contains("interrupted: too late, the restore is being committed"),
            "{outcome}"
        );
        // pgmig has ended the server process, and looked: nothing was committed.
        let outcome = outcome.expect_status(130).stderr_has("the target is untouched");
        before.is_now(outcome);
    }
}

#[test]
fn while_a_transaction_begins() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("begins");
    let before = Before::of(&target);
    let proxy = Proxy::start(&target.server, Cut::LateBegin);
    let pgmig = Pgmig::new().target(&proxy.target(TargetFile::of(&target))).arg("--force");
    let running = backup.restore(pgmig).spawn();
    wait_until(|| proxy.has_cut());
    // The session that is to drop the staging database is in a transaction that nobody has counted.
    let outcome = ends_after(running, "INT").expect_status(130).stderr_has("the target is untouched");
    before.is_now(outcome);
    assert_eq!(databases_beside(&target), "");
}

#[test]
fn while_standard_input_stalls() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("stalled_input");
    let before = Before::of(&target);
    let custom = std::fs::read(&backup.archive).unwrap();
    let plain = backup.source.server.run_program("pg_dump", ["-d", &backup.source.name]);
    let tar = backup.source.server.run_program("pg_dump", ["-Ft", "-d", &backup.source.name]);
    for (bytes, signal) in [(&custom, "INT"), (&plain, "TERM"), (&tar, "INT")] {
        for part in [0, 7, bytes.len() / 2, bytes.len() * 9 / 10, bytes.len() - 1] {
            let pgmig = Pgmig::new().target(&TargetFile::of(&target)).args(["--force", "--source", "-"]);
            let running = backup.map(pgmig).stalled_stdin(bytes[..part].to_vec()).spawn();
            wait_until(|| running.is_listening());
            // Somewhere between its beginning and the place where the input stalls.
            std::thread::sleep(Duration::from_millis(700));
            let outcome = ends_after(running, signal).expect_status(130);
            before.is_now(outcome);
        }
    }
}

#[test]
fn before_anything_else_is_done() {
    let directory = TempDir::new().unwrap();
    let fifo = directory.path().join("postgres.yaml");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for signal in ["TERM", "INT"] {
        // Opening the configuration file blocks the main thread.
        let running = Pgmig::new().arg("--target").arg(&fifo).arg("--testPGConnection").spawn();
        wait_until(|| running.is_listening());
        ends_after(running, signal).expect_status(130);
    }
}

#[test]
fn while_a_server_process_is_stopped() {
    let directory = TempDir::new().unwrap();
    let archive = slow_archive(&Server::of_this_run(), directory.path(), "");
    let target = application::empty_database("stopped_load");
    let before = Before::of(&target);
    let file = application::target_file(&target);
    let running =
        Pgmig::new().target(&file).source(&archive).args(["--keep-ids", "--schema", "archive"]).spawn();
    wait_until(|| is_loading(&target));
    let pids = target.psql("SELECT pid FROM pg_stat_progress_copy WHERE datname = current_database()");
    let stopped = Stopped::processes(&[pids.trim().parse().unwrap()]);
    let outcome = ends_after(running, "TERM").expect_status(130).stderr_has("may hold its locks");
    drop(stopped);
    before.is_now(outcome);
}
