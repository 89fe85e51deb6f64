//! The command line's main job, as an operator sees it: its output, its exit status, and the remaining databases.

use crate::support::pgmig::TargetFile;
use crate::support::session::{HeldSession, wait_until};
use crate::support::store::{Backup, SPARE};
use crate::support::untouched::{Before, databases_beside};
use crate::support::{Database, Pgmig, Server};
use tempfile::TempDir;

/// A command line for this target, before the backup is named.
fn pgmig(target: &Database) -> Pgmig {
    Pgmig::new().target(&TargetFile::of(target))
}

#[test]
fn a_store_of_an_older_release_is_restored_and_upgraded() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("target");
    let mut outcome = backup.restore_into(&target).run().expect_status(0);
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
    let pgmig = pgmig(&target).args(["--force", "--source", "-"]).stdin(&backup.archive);
    backup.map(pgmig).run().expect_status(0);
    backup.assert_restored(&target);
}

/// Whoever names one of these has mostly forgotten to change the file.
#[test]
fn a_database_of_postgresql_itself_is_replaced_with_force_only() {
    let server = Server::start_private("");
    let source = Database::create_on(&server, "source");
    source.psql("CREATE TABLE t AS SELECT 1 AS x");
    let files = TempDir::new().unwrap();
    let archive = files.path().join("t.dump");
    server.run_program("pg_dump", ["-Fc", "-f", archive.to_str().unwrap(), source.name.as_str()]);
    let oid = |database| {
        server.psql("template1", &format!("SELECT oid FROM pg_database WHERE datname = '{database}'"))
    };
    for database in ["postgres", "template1"] {
        let before = oid(database);
        let target = TargetFile { database: database.to_owned(), ..TargetFile::of(&source) };
        let restore = || Pgmig::new().target(&target).source(&archive).arg("--keep-ids");
        restore().run().expect_status(3).stderr_has("PostgreSQL's own").stderr_has("--force");
        restore().arg("--dry-run").run().expect_status(0).stdout_has("one of PostgreSQL's own databases");
        assert_eq!(oid(database), before);
    }
    let target = TargetFile { database: "postgres".to_owned(), ..TargetFile::of(&source) };
    let restore = Pgmig::new().target(&target).source(&archive).args(["--keep-ids", "--force"]);
    restore.run().expect_status(0);
    assert_eq!(server.psql("postgres", "SELECT x FROM t"), "1\n");
}

#[test]
fn without_force_and_terminal_data_are_not_erased() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("refused");
    let before = Before::of(&target);
    let outcome = backup.restore(pgmig(&target)).arg("--yes").run().expect_status(3);
    // The numbers of rows and tables, counted independently.
    let counts = target.psql(
        "SELECT sum(n) || ' rows in ' || count(*) || ' tables' FROM (
           SELECT (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %s', oid::regclass), true, true, '')))[1]
             ::text::bigint AS n FROM pg_class WHERE relkind = 'r' AND relnamespace = 'store'::regnamespace) t WHERE n > 0",
    );
    let outcome = outcome
        .stderr_has("--force erases it")
        .stderr_has(&format!("{} instances, {}, 0 large objects", backup.mapping.len() + 1, counts.trim()))
        .stderr_has(&backup.mapping[0].1)
        .stderr_has(SPARE);
    before.is_now(outcome);
}

#[test]
fn a_single_row_or_large_object_is_data() {
    let backup = Backup::of_oldest_release();
    for (sql, contents) in [
        (
            "CREATE TABLE \"odd; name\" (a int); INSERT INTO \"odd; name\" VALUES (1)",
            "1 row in 1 table, 0 large objects",
        ),
        ("SELECT lo_create(0)", "0 rows in 0 tables, 1 large object"),
        (
            "CREATE TABLE parted (a int) PARTITION BY LIST (a); CREATE SCHEMA other;
          CREATE TABLE other.part PARTITION OF parted DEFAULT; INSERT INTO parted VALUES (1), (2)",
            "2 rows in 1 table, 0 large objects",
        ),
    ] {
        let target = Database::create("single");
        target.psql(sql);
        let before = Before::of(&target);
        let outcome = backup.restore(pgmig(&target)).run();
        before.is_now(outcome.expect_status(3).stderr_has(&format!("0 instances, {contents}")));
    }
}

#[test]
fn without_force_an_empty_target_is_filled() {
    let backup = Backup::of_oldest_release();
    let target = Database::create("empty");
    // Tables without rows do not count as data, and neither do tables of an extension.
    target.psql("CREATE TABLE nothing (a int); INSERT INTO nothing VALUES (1); DELETE FROM nothing");
    backup.restore(pgmig(&target)).run().expect_status(0);
    backup.assert_restored(&target);
    assert_eq!(target.psql("SELECT to_regclass('nothing') IS NULL"), "t\n");
}

#[test]
fn quiet_prints_nothing_when_all_is_well() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("quiet");
    let outcome = backup.restore_into(&target).arg("--quiet").run().expect_status(0);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
    backup.assert_restored(&target);
}

#[test]
fn without_a_mapping_the_instances_are_listed() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("unmapped");
    let before = Before::of(&target);
    let mut outcome = pgmig(&target).source(&backup.archive).arg("--force").run().expect_status(3);
    for (source, _) in &backup.mapping {
        outcome = outcome.stderr_has(source);
    }
    before.is_now(outcome.stderr_has("--keep-ids"));
}

#[test]
fn strict_stops_before_the_swap() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("strict");
    let before = Before::of(&target);
    let unknown = "11111111-2222-4333-8444-555555555555";
    let mut pairs: Vec<_> = backup.mapping.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    pairs.push((unknown, SPARE));
    let run = |strict: bool| {
        let pgmig = pgmig(&target).args(["--force", "--allow-unused"]).args(strict.then_some("--strict"));
        pgmig.source(&backup.archive).mapping(&pairs).run()
    };
    let outcome = run(true).expect_status(4).stderr_has("2 warnings (--strict)").stderr_has(unknown);
    before.is_now(outcome);
    run(false).expect_status(0).stdout_has("Warnings").stdout_has(unknown);
    backup.assert_restored(&target);
}

#[test]
fn an_interrupt_leaves_the_target_as_it_was() {
    interrupted_by("INT");
}

#[test]
fn a_termination_leaves_the_target_as_it_was() {
    interrupted_by("TERM");
}

fn interrupted_by(signal: &str) {
    let backup = Backup::of_oldest_release();
    let target = backup.target("signal");
    let before = Before::of(&target);
    // A session on the target delays the swap, so that the signal always arrives before the swap.
    let session = HeldSession::open(&target, &format!("{} client", target.name));
    let running = backup.restore(pgmig(&target)).args(["--force", "--swap-wait", "600"]).spawn();
    wait_until(|| !databases_beside(&target).is_empty());
    running.signal(signal);
    let outcome = running.wait().expect_status(130).stderr_has("the target is untouched");
    drop(session);
    before.is_now(outcome);
}
