//! Every wait ends by itself, and is shown while it lasts.
//!
//! Relatives of "pgmig waits for something that never comes": an answer of a server whose network is silent, in the preflight,
//! in the load and in the commit; an answer of a server that is stopped, or of one stopped process of it; a lock of another
//! session; a synchronous standby; standard input; a file descriptor, which this process does not have.

use crate::support::application::{self, file_for};
use crate::support::loading::{is_loading, slow_archive, small_archive};
use crate::support::pgmig::{Outcome, Running, TargetFile};
use crate::support::proxy::{Cut, Proxy};
use crate::support::session::{HeldSession, wait_until};
use crate::support::silence::{SilentProxy, Stopped, end_sessions};
use crate::support::store::Backup;
use crate::support::untouched::{Before, databases_beside};
use crate::support::{Pgmig, Server};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const STRATEGIES: [&str; 2] = ["swap", "in-place"];

/// A restore that must end by itself.
fn restore(file: &TargetFile, archive: &Path, strategy: &str) -> Pgmig {
    let pgmig = Pgmig::new().target(file).source(archive).timeout(Duration::from_secs(100));
    pgmig.args(["--force", "--keep-ids", "--schema", "archive", "--strategy", strategy])
}

#[track_caller]
fn ends(running: Running) -> Outcome {
    running.wait().expect_status(1)
}

#[test]
fn a_network_that_becomes_silent_in_the_load() {
    let directory = TempDir::new().unwrap();
    let archive = slow_archive(&Server::of_this_run(), directory.path(), "");
    for strategy in STRATEGIES {
        let target = application::empty_database("silent");
        let before = Before::of(&target);
        let proxy = SilentProxy::start(&target.server);
        let through = proxy.target(file_for(&target, strategy));
        let running = restore(&through, &archive, strategy).args(["--server-timeout", "5"]);
        let running = running.env("PGAPPNAME", &target.name).spawn();
        wait_until(|| is_loading(&target));
        proxy.become_silent();
        let outcome = ends(running);
        assert!(
            outcome.stderr.contains("has been silent") || outcome.stderr.contains("has not answered"),
            "{outcome}"
        );
        outcome.assert_stderr_has("the target is untouched");
        end_sessions(&target);
        before.is_unchanged();
        let again =
            restore(&file_for(&target, strategy), &archive, strategy).failpoint("clean-leftovers").run();
        again.expect_status(1);
        assert_eq!(databases_beside(&target), "");
    }
}

#[test]
fn a_network_that_is_silent_in_the_preflight() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("silent_preflight");
    let before = Before::of(&target);
    for connections in [1, 2] {
        let proxy = SilentProxy::start(&target.server);
        let through = TargetFile { more: "connect_timeout: 3\n".to_owned(), ..TargetFile::of(&target) };
        let pgmig = Pgmig::new().target(&proxy.target(through)).args(["--force", "--server-timeout", "5"]);
        let running = backup.restore(pgmig).timeout(Duration::from_secs(60)).spawn();
        wait_until(|| proxy.connections() >= connections);
        proxy.become_silent();
        before.is_now(ends(running).stderr_has("answer"));
    }
}

#[test]
fn a_server_that_restarts_in_the_preflight() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("restarts");
    let proxy = SilentProxy::that_restarts(&target.server, Duration::from_secs(3));
    let file = proxy.target(TargetFile::of(&target));
    backup.restore(Pgmig::new().target(&file).arg("--force")).run().expect_status(0);
    assert!(proxy.connections() > 2);
    backup.assert_restored(&target);
}

#[test]
fn a_commit_that_the_network_loses() {
    let backup = Backup::of_oldest_release();
    for strategy in STRATEGIES {
        let target = application::target("lost_commit");
        let before = Before::of(&target);
        let proxy = Proxy::start(&target.server, Cut::HeldAtTheEnd);
        let pgmig = Pgmig::new().target(&proxy.target(file_for(&target, strategy)));
        let pgmig = pgmig.args(["--force", "--strategy", strategy, "--commit-wait", "3"]);
        let outcome = backup.restore(pgmig).timeout(Duration::from_secs(180)).run().expect_status(1);
        assert!(proxy.has_cut(), "{outcome}");
        before.is_now(outcome.stderr_has("--commit-wait").stderr_has("the target is untouched"));
    }
}

#[test]
fn a_server_that_is_stopped() {
    let server = Server::start_private("");
    let directory = TempDir::new().unwrap();
    let archive = slow_archive(&server, directory.path(), "");
    let target = application::empty_database_on(&server, "stopped");
    for strategy in STRATEGIES {
        let running =
            restore(&file_for(&target, strategy), &archive, strategy).args(["--server-timeout", "5"]).spawn();
        wait_until(|| is_loading(&target));
        let postmaster = std::fs::read_to_string(server.data.join("postmaster.pid")).unwrap();
        let mut pids: Vec<u32> = vec![postmaster.lines().next().unwrap().parse().unwrap()];
        let processes =
            server.psql("postgres", "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()");
        pids.extend(processes.lines().map(|pid| pid.parse::<u32>().unwrap()));
        let stopped = Stopped::processes(&pids);
        let outcome = ends(running).stderr_has("lets no new connection in");
        outcome.assert_stderr_has("the target is untouched");
        drop(stopped);
        wait_until(|| !is_loading(&target));
    }
}

/// On a server of its own: DROP DATABASE waits for every process of the server, the stopped one too.
#[test]
fn a_server_process_that_is_stopped_in_the_preflight() {
    let server = Server::start_private("");
    let directory = TempDir::new().unwrap();
    let archive = small_archive(&server, directory.path());
    let target = application::empty_database_on(&server, "stopped_process");
    // The session that tries to carry the setting over waits for this lock, and is stopped meanwhile.
    let holder = HeldSession::on_settings_of(&target);
    let before = Before::of(&target);
    let pgmig = restore(&file_for(&target, "swap"), &archive, "swap").args(["--server-timeout", "5"]);
    let running = pgmig.env("PGAPPNAME", "is stopped").timeout(Duration::from_secs(60)).spawn();
    let waits = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'is stopped %' AND wait_event_type = 'Lock'";
    wait_until(|| !server.psql("postgres", waits).is_empty());
    let pid = server.psql("postgres", waits);
    let stopped = Stopped::processes(&[pid.trim().parse().unwrap()]);
    let outcome = ends(running).stderr_has("the server has not answered for ");
    drop((holder, stopped));
    before.is_now(outcome);
}

#[test]
fn a_lock_of_another_session() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("locked");
    let holder = HeldSession::running(&target, "holder of the lock", "BEGIN; LOCK TABLE store.tenant;\n");
    let is_locked = "SELECT count(*) FROM pg_locks WHERE relation = 'store.tenant'::regclass AND granted";
    wait_until(|| target.psql(is_locked) != "0\n");
    let outcome =
        backup.restore_into(&target).args(["--lock-wait", "7"]).timeout(Duration::from_secs(60)).run();
    // It is shown while it lasts, with who holds it.
    let outcome = outcome
        .expect_status(1)
        .stderr_has("waiting up to 7 s for a lock that another session holds: process ");
    let outcome = outcome.stderr_has("holder of the lock").stderr_has("that another session holds");
    assert_eq!(databases_beside(&target), "", "{outcome}");
    drop(holder);
    backup.restore_into(&target).run().expect_status(0);
}

#[test]
fn a_standby_that_is_not_there() {
    let server = Server::start_private("synchronous_commit = on");
    let directory = TempDir::new().unwrap();
    let archive = small_archive(&server, directory.path());
    for (strategy, is_signalled) in [("swap", false), ("in-place", false), ("swap", true), ("in-place", true)]
    {
        let target = application::empty_database_on(&server, "standby");
        let of_all = |names: &str| {
            server.psql("postgres", &format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'"));
            server.psql("postgres", "SELECT pg_reload_conf()");
            wait_until(|| server.psql("postgres", "SHOW synchronous_standby_names").trim() == names);
        };
        of_all("nobody");
        let limit = if is_signalled { "60" } else { "8" };
        let running =
            restore(&file_for(&target, strategy), &archive, strategy).args(["--commit-wait", limit]).spawn();
        if is_signalled {
            let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
            wait_until(|| server.psql("postgres", waits) == "1\n");
            running.signal("TERM");
        }
        let outcome = running.wait();
        of_all("");
        // What is committed on this server is restored, and is not called untouched.
        let outcome = outcome.expect_status(0).stderr_has("no synchronous standby has confirmed it");
        assert!(!outcome.stderr.contains("untouched"), "{outcome}");
        if !is_signalled {
            outcome.assert_stderr_has(
                "waiting up to 8 s for a synchronous standby to confirm the commit; start a standby",
            );
        }
        assert_eq!(target.psql("SELECT id FROM t"), "7\n");
    }
}

#[test]
fn standard_input_that_stalls() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("stalls");
    let before = Before::of(&target);
    let bytes = std::fs::read(&backup.archive).unwrap();
    for part in [7, bytes.len() * 9 / 10] {
        let pgmig = Pgmig::new().target(&TargetFile::of(&target)).args(["--force", "--source", "-"]);
        let pgmig = backup.map(pgmig).args(["--source-wait", "12"]).timeout(Duration::from_secs(60));
        let outcome = pgmig.stalled_stdin(bytes[..part].to_vec()).run().expect_status(1);
        let outcome = outcome
            .stderr_has("waiting up to 12 s for ")
            .stderr_has("brought nothing for 12 s (--source-wait)");
        before.is_now(outcome);
    }
}

#[test]
fn few_file_descriptors() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("few_files");
    let before = Before::of(&target);
    let mut refused = 0;
    for files in [10, 12, 14, 16, 18, 20, 24, 28] {
        let outcome = backup.restore_into(&target).limit("nofile", files).args(["--jobs", "8"]).run();
        assert!(!outcome.stderr.contains("no PostgreSQL server answers"), "{outcome}");
        assert!(!outcome.stderr.contains("internal error"), "{outcome}");
        if outcome.status.success() {
            return;
        }
        refused += 1;
        assert!(matches!(outcome.status.code(), Some(1..=3)), "{outcome}");
        before.is_now(outcome.stderr_has("ulimit -n"));
    }
    assert!(refused > 0);
}
