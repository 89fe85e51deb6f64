//! Restores the reference store of every release line to every later line.

use crate::support::document::document;
use crate::support::fixture::{fixture, repository};
use crate::support::migrations::MigrationCopy;
use crate::support::pgmig::TargetFile;
use crate::support::releases::{
    LINES, MAPPING, archive, kept, schema_at, schema_of, without_names_of_not_null,
};
use crate::support::session::wait_until;
use crate::support::store::apply_migrations;
use crate::support::untouched::{Before, databases_beside};
use crate::support::{Database, Outcome, Pgmig, Server};
use std::path::Path;
use std::process::Command;

/// Restores the archive of a release line with the mapping.
fn restore(line: &str, target: &Database) -> Pgmig {
    Pgmig::new().target(&TargetFile::of(target)).source(&archive(line)).mapping(&MAPPING)
}

/// Restores a line's archive to its own line and each later one. Compares schema and data.
#[track_caller]
fn upgrades_from(line: &str) {
    let source = Database::create("line");
    source.restore_with_pg_restore(&archive(line), &["--no-owner"]);
    let before = kept(&source, line);
    assert!(before.len() > 15, "{} quantities are asked for", before.len());
    for release in LINES.iter().skip_while(|other| **other != line) {
        let target = Database::create("release");
        restore(line, &target).args(["--to-release", release]).run().expect_status(0);
        assert_eq!(schema_of(&target), schema_at(&target.server, release), "schema from {line} to {release}");
        let after = kept(&target, release);
        for (name, expected) in &before {
            assert_eq!(after.get(name), Some(expected), "{name}, from {line} to {release}");
        }
    }
}

#[test]
fn from_1_4_2() {
    upgrades_from("1.4.2");
}

#[test]
fn from_4_0_0() {
    upgrades_from("4.0.0");
}

#[test]
fn from_4_5_0() {
    upgrades_from("4.5.0");
}

#[test]
fn from_4_6_5() {
    upgrades_from("4.6.5");
}

#[test]
fn from_4_8_0() {
    upgrades_from("4.8.0");
}

#[test]
fn from_5_0_0() {
    upgrades_from("5.0.0");
}

#[test]
fn from_5_1_0() {
    upgrades_from("5.1.0");
}

/// In place, each restore runs over the result of the one before.
#[test]
fn from_every_line_in_place() {
    let server = Server::of_this_run();
    let newest = LINES[LINES.len() - 1];
    let target = Database::create("release_in_place");
    for line in LINES {
        let source = Database::create("line_in_place");
        source.restore_with_pg_restore(&archive(line), &["--no-owner"]);
        let pgmig = restore(line, &target).args(["--force", "--strategy", "in-place"]);
        pgmig.args(["--to-release", newest]).run().expect_status(0);
        assert_eq!(schema_of(&target), schema_at(&server, newest), "schema from {line}");
        let after = kept(&target, newest);
        for (name, expected) in &kept(&source, line) {
            assert_eq!(after.get(name), Some(expected), "{name}, from {line}");
        }
    }
}

/// The archives equal those that `make fixtures` would make today. A changed migration or row shows here.
#[test]
fn archives_are_up_to_date() {
    let server = Server::of_this_run();
    let directory = tempfile::tempdir().unwrap();
    let status = Command::new(repository().join("tests/make-releases"))
        .arg(directory.path())
        .env("PGMIG_TEST_SOCKET", &server.socket)
        .env("PGMIG_TEST_PORT", server.port.to_string())
        .env("PGMIG_TEST_SUPERUSER", &server.superuser)
        .env("PGMIG_TEST_BINDIR", &server.bindir)
        .status();
    assert!(status.unwrap().success(), "tests/make-releases");
    let contents = |archive: &Path| {
        let database = Database::create("made");
        database.restore_with_pg_restore(archive, &["--no-owner", "--no-acl"]);
        // The time at which a migration was applied differs each time.
        database.psql("UPDATE store._sqlx_migrations SET installed_on = 'epoch'");
        // Rows that were updated are in no fixed order.
        let dump = without_names_of_not_null(&database.dump(&[]));
        let mut lines: Vec<String> = dump.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    for line in LINES {
        let made = contents(&directory.path().join(format!("{line}.dump")));
        assert!(made == contents(&archive(line)), "fixtures/releases/{line}.dump: run `make fixtures`");
    }
}

/// Upgrades the oldest store for a target of the newest release, with text appended to one migration.
struct Broken {
    target: Database,
    before: Before,
    pgmig: Pgmig,
    _migrations: MigrationCopy,
}

impl Broken {
    #[track_caller]
    fn by(version: u32, sql: &str) -> Self {
        let migrations = MigrationCopy::new().append(&format!("{version:04}_"), sql);
        let target = Database::create("broken");
        apply_migrations(&target, "newest");
        target.psql("INSERT INTO store.store_property VALUES ('mine', 'stays')");
        let pgmig = restore("1.4.2", &target).arg("--force").arg("--migrations").arg(migrations.path());
        Self { before: Before::of(&target), target, pgmig, _migrations: migrations }
    }
}

/// A migration that fails after its last change, and one that is interrupted there.
#[track_caller]
fn stops_at(version: u32) {
    let broken = Broken::by(version, "\nSELECT 1 / (SELECT 0);\n");
    let outcome = broken.pgmig.run().expect_status(1).stderr_has(&format!("migration {version} ("));
    broken.before.is_now(outcome.stderr_has("22012"));

    // The ID distinguishes it from those of other tests.
    let sleep = format!("SELECT pg_sleep(600), '{}'", uuid::Uuid::new_v4());
    let broken = Broken::by(version, &format!("\n{sleep};\n"));
    let running = broken.pgmig.spawn();
    let asleep = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()
         AND strpos(query, '{}') > 0",
        sleep.replace('\'', "''")
    );
    wait_until(|| broken.target.psql(&asleep) == "1\n");
    running.signal("INT");
    broken.before.is_now(running.wait().expect_status(130));
    assert_eq!(databases_beside(&broken.target), "");
}

#[test]
fn stopped_at_migration_2() {
    stops_at(2);
}

#[test]
fn stopped_at_migration_3() {
    stops_at(3);
}

#[test]
fn stopped_at_migration_4() {
    stops_at(4);
}

#[test]
fn stopped_at_migration_5() {
    stops_at(5);
}

#[test]
fn stopped_at_migration_6() {
    stops_at(6);
}

#[test]
fn stopped_at_migration_7() {
    stops_at(7);
}

#[test]
fn stopped_at_migration_8() {
    stops_at(8);
}

#[test]
fn stopped_at_migration_9() {
    stops_at(9);
}

#[test]
fn stopped_at_migration_10() {
    stops_at(10);
}

#[test]
fn stopped_at_migration_11() {
    stops_at(11);
}

#[test]
fn stopped_at_migration_12() {
    stops_at(12);
}

/// Checks that the list above is complete.
#[test]
fn every_migration_is_stopped_at() {
    let migrations = repository().join("schema-migrations/assistant").read_dir().unwrap();
    let names = migrations.map(|file| file.unwrap().file_name().to_string_lossy().into_owned());
    let newest = names.filter(|name| name.ends_with(".sql")).max().unwrap();
    assert!(newest.starts_with("0012_"), "add a test that stops at {newest}");
}

#[test]
fn a_release_that_is_not_known() {
    let target = Database::create("unknown");
    for (release, status) in [("9.9.9", 3), ("4.8", 2), ("newest", 2)] {
        let outcome = restore("4.0.0", &target).args(["--to-release", release]).run();
        outcome.expect_status(status).stderr_has(release);
    }
    let pgmig = Pgmig::new().target(&TargetFile::of(&target)).mapping(&MAPPING);
    let pgmig = pgmig.args(["--source", "-", "--to-release", "9.9.9"]).stdin(&archive("4.0.0"));
    pgmig.run().expect_status(3).stderr_has("unknown release 9.9.9");
    assert_eq!(target.psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'store'"), "0\n");
}

#[test]
fn an_archive_newer_than_the_release() {
    let target = Database::create("newer");
    let outcome = restore("5.0.0", &target).args(["--to-release", "4.8.0"]).run();
    let outcome = outcome.expect_status(3).stderr_has("5.0.0").stderr_has("newer than").stderr_has("4.8.0");
    outcome.stderr_has("--to-release");
}

#[test]
fn another_release_than_the_targets_own_is_warned_of() {
    let run = |strict: bool| -> (Database, Outcome) {
        let target = Database::create("own");
        apply_migrations(&target, "4.8.0");
        let pgmig = restore("4.0.0", &target).args(["--force", "--to-release", "5.0.0"]);
        let outcome = if strict { pgmig.arg("--strict").run() } else { pgmig.run() };
        (target, outcome.stderr_has("the target has version 9 (releases 4.8.0 to 4.8.8) now"))
    };
    let (target, outcome) = run(false);
    outcome.expect_status(0);
    assert_eq!(target.psql("SELECT max(version) FROM store._sqlx_migrations"), "10\n");
    run(true).1.expect_status(4);
}

#[test]
fn what_has_no_history_cannot_be_brought_to_a_release() {
    let directory = tempfile::tempdir().unwrap();
    let store = Database::create("no_history");
    store.restore_with_pg_restore(&archive("4.0.0"), &["--no-owner"]);
    store.psql("DROP TABLE store._sqlx_migrations");
    let without = directory.path().join("without.dump");
    store.dump_through_pipe(&[], &without);
    let no_store = fixture("archives/emptydb_15.dump");
    for (archive, reason) in [(&without, "it has no migration history"), (&no_store, "it holds no store")] {
        let target = Database::create("no_release");
        let pgmig = Pgmig::new().target(&TargetFile::of(&target)).source(archive).arg("--keep-ids");
        let outcome = pgmig.args(["--to-release", "5.0.0"]).run().expect_status(3).stderr_has(reason);
        outcome.stderr_has("release 5.0.0");
    }
}

#[test]
fn what_this_build_knows() {
    let outcome = Pgmig::new().arg("releases").run().expect_status(0);
    let outcome = outcome.stdout_has("Profile assistant: 42 releases, 12 migrations");
    outcome.stdout_has("indexes for lookups by tenant").stdout_has("4.8.0, 4.8.2, 4.8.3");
    let outcome = Pgmig::new().args(["releases", "--output", "json"]).run().expect_status(0);
    let known = document(&outcome, "releases");
    assert_eq!((&known["kind"], &known["profile"]), (&"releases".into(), &"assistant".into()));
    let releases = known["releases"].as_array().unwrap();
    let last =
        |release: &str| releases.iter().find(|known| known["release"] == release).unwrap()["version"].clone();
    assert_eq!((last("1.4.2"), last("4.8.8"), last("5.4.0")), (1.into(), 9.into(), 12.into()));
    assert_eq!(known["migrations"][8]["transaction"], false);
    assert_eq!(known["migrations"].as_array().unwrap().len(), 12);
    Pgmig::new().arg("--version").run().expect_status(0).stdout_has(", releases up to 5.4.0\n");
}

#[test]
fn what_a_directory_knows() {
    let copy = MigrationCopy::new();
    std::fs::write(copy.path().join("releases.yaml"), "2030.1.0: 3\n").unwrap();
    let directory = copy.path().to_str().unwrap();
    let pgmig = Pgmig::new().args(["releases", "--profile", directory, "--migrations", directory]);
    pgmig.run().expect_status(0).stdout_has("1 release, 12 migrations").stdout_has("2030.1.0");
    let pgmig = Pgmig::new().args(["releases", "--profile", directory, "--migrations", directory]);
    // The third migration is the last one of its release. No release has the fourth one.
    pgmig.run().expect_status(0).stdout_has("(in 2030.1.0)").stdout_has("(no release)");
    let pgmig = Pgmig::new().args(["releases", "--profile", "nonesuch"]);
    pgmig.run().expect_status(2).stderr_has("nonesuch");
}

/// The releases of one profile do not describe the migrations of another profile.
#[test]
fn releases_without_their_own_migrations() {
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("0001_first.sql"), "SELECT 1;").unwrap();
    let directory = other.path().to_str().unwrap();
    let pgmig = Pgmig::new().args(["releases", "--migrations", directory]);
    pgmig.run().expect_status(2).stderr_has("are not those of profile assistant").stderr_has("--profile");
    let pgmig = Pgmig::new().args(["releases", "--profile", "assistant", "--migrations", directory]);
    pgmig.run().expect_status(2).stderr_has("gives release 4.0.0 the migration 2, which is not in");
    let copy = MigrationCopy::new();
    let pgmig = Pgmig::new().args(["releases", "--migrations", copy.path().to_str().unwrap()]);
    pgmig.run().expect_status(0).stdout_has("42 releases, 12 migrations");
}

#[test]
fn migrations_after_the_newest_release_are_told_of() {
    let copy = MigrationCopy::new();
    std::fs::write(copy.path().join("0013_more.sql"), "SELECT 1;").unwrap();
    let target = Database::create("later");
    let pgmig = restore("5.0.0", &target).arg("--dry-run").arg("--migrations").arg(copy.path());
    pgmig.run().expect_status(0).stdout_has("version 12: 0013_more.sql");
}
