//! Server processes of a restore that are ended at any moment: a failure (1), and never a refusal (3), which would say that
//! another attempt ends in the same way.

use crate::support::application;
use crate::support::loading::small_archive;
use crate::support::pgmig::TargetFile;
use crate::support::session::{HeldSession, wait_until};
use crate::support::store::Backup;
use crate::support::untouched::{Before, databases_beside};
use crate::support::{Database, Pgmig, Server};
use std::time::Duration;
use tempfile::TempDir;

/// How pgmig's sessions end, or the statements in them.
const HOW: [&str; 2] = ["pg_terminate_backend", "pg_cancel_backend"];

#[test]
fn while_privileges_are_tried() {
    let server = Server::start_private("");
    let directory = TempDir::new().unwrap();
    let archive = small_archive(&server, directory.path());
    for how in HOW {
        let target = application::empty_database_on(&server, "tried");
        // The statement that tries to carry the setting over waits for the lock.
        let holder = HeldSession::on_settings_of(&target);
        let before = Before::of(&target);
        let pgmig = Pgmig::new().target(&TargetFile::of(&target)).source(&archive);
        let pgmig = pgmig.args(["--keep-ids", "--force", "--strategy", "swap"]).env("PGAPPNAME", "tries");
        let running = pgmig.spawn();
        let waits = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'tries %' AND wait_event_type = 'Lock'";
        wait_until(|| !server.psql("postgres", waits).is_empty());
        server.psql("postgres", &format!("SELECT {how}(pid) FROM ({waits}) waits"));
        if how == "pg_cancel_backend" {
            drop(holder);
            running.wait().expect_status(0);
            continue;
        }
        // The checks begin again, and meet the same lock: twice, then the restore fails.
        for _ in 0..2 {
            wait_until(|| !server.psql("postgres", waits).is_empty());
            server.psql("postgres", &format!("SELECT {how}(pid) FROM ({waits}) waits"));
        }
        let outcome = running.wait().expect_status(1);
        assert!(!outcome.stderr.contains("use a superuser"), "{outcome}");
        assert_eq!(outcome.stderr.matches("the checks begin again").count(), 2, "{outcome}");
        drop(holder);
        before.is_now(outcome);
    }
}

#[test]
fn a_session_that_ends_while_a_target_is_examined() {
    let server = Server::start_private("");
    let directory = TempDir::new().unwrap();
    // Of a database whose names are not UTF-8: they are converted once only.
    let source = Database::create_with(&server, "latin1", "TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
    source.psql("SET client_encoding = 'UTF8'; CREATE TABLE \"größe\" (\"maß\" text); INSERT INTO \"größe\" VALUES ('é')");
    let archive = directory.path().join("latin1.dump");
    source.dump_through_pipe(&[], &archive);
    let target = application::empty_database_on(&server, "examined");
    let holder = HeldSession::on_settings_of(&target);
    let pgmig = Pgmig::new().target(&TargetFile::of(&target)).source(&archive).env("PGAPPNAME", "examines");
    let running = pgmig.args(["--keep-ids", "--force", "--strategy", "swap"]).spawn();
    let waits = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'examines %' AND wait_event_type = 'Lock'";
    wait_until(|| !server.psql("postgres", waits).is_empty());
    server.psql("postgres", &format!("SELECT pg_terminate_backend(pid) FROM ({waits}) waits"));
    drop(holder);
    let outcome = running.wait().expect_status(0);
    assert!(outcome.stderr.contains("the checks begin again"), "{outcome}");
    assert_eq!(target.psql("SELECT \"maß\" FROM \"größe\""), "é\n");
}

#[test]
fn at_many_moments() {
    let backup = Backup::of_oldest_release();
    for (number, strategy) in ["swap", "in-place"].into_iter().cycle().take(10).enumerate() {
        let target = application::target(&format!("moment_{number}"));
        let before = Before::of(&target);
        let file = application::file_for(&target, strategy);
        let name = format!("moment{number}");
        let pgmig =
            Pgmig::new().target(&file).args(["--force", "--strategy", strategy]).env("PGAPPNAME", &name);
        let running = backup.restore(pgmig).spawn();
        let ours = format!("SELECT pid FROM pg_stat_activity WHERE application_name LIKE '{name} %'");
        wait_until(|| !target.server.psql("postgres", &ours).is_empty());
        std::thread::sleep(Duration::from_millis(number as u64 * 150));
        let how = HOW[number / 2 % 2];
        target.server.psql("postgres", &format!("SELECT {how}(pid) FROM ({ours}) ours"));
        let outcome = running.wait();
        match outcome.status.code() {
            Some(0) => backup.assert_restored(&target),
            Some(1) => drop(before.is_now(outcome)),
            _ => panic!("neither restored nor failed\n{outcome}"),
        }
        assert_eq!(databases_beside(&target), "");
    }
}
