//! `pgmig doctor`: each thing that stops or slows a restore is found, all of them at once, and nothing is changed.

use crate::support::document::document;
use crate::support::pgmig::TargetFile;
use crate::support::session::{HeldSession, wait_until};
use crate::support::untouched::Before;
use crate::support::{Database, Pgmig, Server, application};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn doctor(target: &Database) -> Pgmig {
    Pgmig::new().arg("doctor").target(&application::target_file(target))
}

/// The gravity of each finding by its code.
fn findings(diagnosis: &Value) -> BTreeMap<&str, &str> {
    let findings = diagnosis["findings"].as_array().unwrap().iter();
    findings.map(|found| (found["code"].as_str().unwrap(), found["gravity"].as_str().unwrap())).collect()
}

#[test]
fn a_target_in_order_has_nothing_that_stops() {
    let target = application::empty_database("doctor");
    target.psql("CREATE TABLE t AS SELECT 1 AS x");
    let before = Before::of(&target);
    let outcome = doctor(&target).args(["--output", "json"]).run().expect_status(0);
    before.is_unchanged();
    let diagnosis = document(&outcome.keeps_secret(&target.server.password), "diagnosis");
    assert_eq!(diagnosis["database"], target.name);
    assert_eq!(findings(&diagnosis).get("target-not-empty"), Some(&"information"));
    assert!(!findings(&diagnosis).values().any(|gravity| *gravity == "stops_restore"), "{diagnosis:#}");
}

/// Each of these is made on a server of its own, and all are found in one run.
#[test]
fn all_that_is_wrong_with_a_server_is_found_at_once() {
    let private = Server::start_private(
        "maintenance_work_mem = 16MB\nmax_wal_size = 64MB\nlog_statement = all\narchive_mode = on\n\
         archive_command = 'false'\nmax_prepared_transactions = 5\n",
    );
    application::create(&private);
    let target = application::empty_database_on(&private, "doctor");
    private.psql("postgres", "SELECT pg_create_physical_replication_slot('unread', true)");
    target.psql("CREATE TABLE t AS SELECT 1 AS x");
    target.psql("BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION E'it''s open\\nerror: forged'");
    target.psql("SELECT pg_switch_wal()");
    let tried = "SELECT failed_count > 0 FROM pg_stat_archiver";
    wait_until(|| target.psql(tried).trim() == "t");
    let _session = HeldSession::open(&target, "held open");
    // Last, since statements that commit would wait from now on.
    private.psql("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    private.psql("postgres", "SELECT pg_reload_conf()");
    let shown = "SHOW synchronous_standby_names";
    wait_until(|| private.psql("postgres", shown).trim() == "nobody");
    let outcome = doctor(&target).args(["--output", "json"]).run().expect_status(3);
    let diagnosis = document(&outcome, "diagnosis");
    let found = findings(&diagnosis);
    for (code, gravity) in [
        ("no-synchronous-standby", "stops_restore"),
        ("no-swap", "stops_restore"),
        ("not-in-place", "stops_restore"),
        ("session-on-target", "costs_time"),
        ("inactive-slot", "costs_time"),
        ("archiving-fails", "costs_time"),
        ("maintenance-memory", "costs_time"),
        ("wal-size", "costs_time"),
        ("statements-logged", "costs_time"),
        ("not-durable", "information"),
        ("space", "information"),
    ] {
        assert_eq!(found.get(code), Some(&gravity), "{code}: {diagnosis:#}");
    }
    let text = doctor(&target).run().expect_status(3);
    assert!(!text.stdout.contains("\nerror: forged"), "{text}");
    let text = text.stdout_has("SELECT pg_drop_replication_slot('unread');").stdout_has("it''s open");
    text.stdout_has("stops the restore").stderr_has("findings would stop a restore");
}

fn source_backup(source: &Database, directory: &Path, name: &str) -> PathBuf {
    let backup = directory.join(name);
    source.server.run_program("pg_dump", ["-Fc", "-f", backup.to_str().unwrap(), source.name.as_str()]);
    backup
}

#[test]
fn the_files_and_the_backup_are_looked_at_too() {
    let target = application::empty_database("doctor");
    let files = TempDir::new().unwrap();
    let source = application::empty_database("doctor_source");
    source.psql("CREATE TABLE t (x int) WITH (fillfactor = 90); CREATE EXTENSION citext");
    let backup = source_backup(&source, files.path(), "b.dump");
    let before = Before::of(&target);
    let outcome = doctor(&target).source(&backup).args(["--output", "json"]).run().expect_status(0);
    before.is_unchanged();
    let diagnosis = document(&outcome, "diagnosis");
    assert_eq!(findings(&diagnosis).get("duration"), Some(&"information"), "{diagnosis:#}");
    doctor(&target)
        .source(&backup)
        .run()
        .expect_status(0)
        .stdout_has("takes a few seconds: the server takes about");
    std::fs::write(&backup, b"PGDMP cut").unwrap();
    doctor(&target).source(&backup).run().expect_status(3).stdout_has("(refused)");
    let missing = files.path().join("missing.dump");
    doctor(&target).source(&missing).run().expect_status(3).stdout_has("cannot open");
    // Nothing is predicted without the right to measure, and nothing is stopped by that.
    let uncompressed = source_backup(&source, files.path(), "measured.dump");
    let private = Server::start_private("");
    application::create(&private);
    private.psql("postgres", "REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC");
    let target_there = application::empty_database_on(&private, "doctor");
    let outcome = doctor(&target_there).source(&uncompressed).run().expect_status(0);
    outcome.stdout_has("how long a restore takes cannot be predicted").stdout_has("permission denied");
    let nowhere = TargetFile { port: 1009, ..application::target_file(&target) };
    let outcome = Pgmig::new().arg("doctor").target(&nowhere).source(&missing).run().expect_status(3);
    outcome.stdout_has("(no-connection)").stdout_has("(refused)");
    let outcome = Pgmig::new().args(["doctor", "--target", "none.yaml", "--source", "none.dump"]).run();
    outcome.expect_status(3).stdout_has("(target-file)").stdout_has("none.dump");
}
