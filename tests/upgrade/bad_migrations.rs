//! Upgrades that are refused or fail. The target stays unchanged.

use crate::support::migrations::MigrationCopy;
use crate::support::pgmig::TargetFile;
use crate::support::store::{Backup, OLDEST, apply_migrations};
use crate::support::untouched::Before;
use crate::support::{Database, Outcome, Pgmig};

/// Expects that a restore with these migrations fails, by either strategy.
#[track_caller]
fn fails_with(migrations: &MigrationCopy, status: i32, texts: &[&str]) -> Outcome {
    let backup = Backup::of_oldest_release();
    let target = backup.target("migrations");
    let before = Before::of(&target);
    let [swap, _] = ["swap", "in-place"].map(|strategy| {
        let pgmig = backup.restore_into(&target).args(["--strategy", strategy]);
        let outcome = pgmig.arg("--migrations").arg(migrations.path()).run();
        let outcome = outcome.expect_status(status).stderr_has("error: ");
        for text in texts {
            outcome.assert_stderr_has(text);
        }
        before.is_now(outcome)
    });
    swap
}

#[test]
fn a_copy_of_the_migrations_works() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("copy");
    let copy = MigrationCopy::new();
    let pgmig = backup.restore_into(&target).arg("--migrations").arg(copy.path());
    pgmig.arg("--profile").arg(copy.path()).run().expect_status(0);
    backup.assert_restored(&target);
}

#[test]
fn a_migration_that_fails_half_way() {
    let copy = MigrationCopy::new().append("0007_", "\nUPDATE workspace SET name = 'x';\nSELECT 1\n / 0;\n");
    fails_with(
        &copy,
        1,
        &["migration 7 (workspace parts get tables) failed in line 130 (SELECT 1 / 0): ", "22012"],
    );
}

#[test]
fn a_migration_whose_error_quotes_a_row() {
    let copy = MigrationCopy::new()
        .append("0003_", "\nSELECT owner_note::int FROM workspace WHERE owner_note LIKE 'r0w%';\n");
    fails_with(&copy, 1, &["migration 3", "22P02"]);
}

#[test]
fn a_migration_that_violates_a_constraint() {
    let copy = MigrationCopy::new()
        .append("0003_", "\nALTER TABLE workspace ADD CONSTRAINT one_note UNIQUE (owner_note);\n");
    fails_with(&copy, 1, &["migration 3", "one_note", "23505"]);
}

#[test]
fn a_migration_without_transaction_that_fails_half_way() {
    let copy = MigrationCopy::new().append(
        "0009_",
        "\nCREATE INDEX CONCURRENTLY bad ON workspace ((1 / (length(name) - length(name))));\n",
    );
    fails_with(&copy, 1, &["migration 9", "22012"]);
}

#[test]
fn a_migration_that_controls_transactions() {
    let copy = MigrationCopy::new().append("0004_", "\nCOMMIT;\n");
    let outcome = fails_with(&copy, 2, &["0004_", "in line 71", "COMMIT", "-- no-transaction"]);
    assert!(!outcome.stderr.contains("staging"), "found out before anything is done\n{outcome}");
}

#[test]
fn what_cannot_run_in_a_transaction_is_found_beforehand() {
    let sql = "\nCREATE INDEX CONCURRENTLY\n    late ON skill (status);\n";
    let copy = MigrationCopy::new().append("0004_", sql);
    let texts = [
        "0004_",
        "in line 71: CREATE INDEX CONCURRENTLY late ON skill (status): ",
        "-- no-transaction",
        "first line",
    ];
    let outcome = fails_with(&copy, 2, &texts);
    assert!(!outcome.stderr.contains("staging"), "found out before anything is done\n{outcome}");
}

#[test]
fn rows_for_psql_are_refused_beforehand() {
    let copy = MigrationCopy::new().append("0004_", "\nCOPY skill (status) FROM stdin;\nx\n\\.\n");
    let outcome = fails_with(&copy, 2, &["0004_", "in line 71: a migration cannot have COPY FROM STDIN"]);
    assert!(!outcome.stderr.contains("staging"), "found out before anything is done\n{outcome}");
}

#[test]
fn what_a_migration_sets_does_not_reach_the_next() {
    let settings = "\nSELECT pg_catalog.set_config('search_path', 'pg_catalog', false);
                    SET statement_timeout = '1h'; SET ROLE NONE; SET default_transaction_isolation = 'serializable';\n";
    // If the settings of the migration before applied, this one would fail: it needs pgmig's search_path and role.
    let next = "\nDO $$ BEGIN
                    ASSERT current_setting('statement_timeout') <> '1h';
                    ASSERT current_setting('default_transaction_isolation') = 'read committed';
                END $$;\n";
    let copy = MigrationCopy::new().append("0003_", settings).append("0004_", next);
    let backup = Backup::of_oldest_release();
    let target = backup.target("settings");
    backup.restore_into(&target).arg("--migrations").arg(copy.path()).run().expect_status(0);
    backup.assert_restored(&target);
    let owners = "SELECT count(DISTINCT relowner) FROM pg_class WHERE relnamespace = 'store'::regnamespace";
    assert_eq!(target.psql(owners), "1\n");
}

#[test]
fn a_migration_that_cannot_be_split() {
    let copy = MigrationCopy::new().append("0004_", "\nSELECT 'open\n");
    let outcome = fails_with(&copy, 2, &["0004_", "cannot be split into statements", "unterminated string"]);
    assert!(!outcome.stderr.contains("staging"), "found out before anything is done\n{outcome}");
}

#[test]
fn a_changed_checksum_is_refused() {
    let copy = MigrationCopy::new().append("0002_", "\n-- changed\n");
    fails_with(
        &copy,
        3,
        &["migration 2", "checksum differs", "use the migrations that the store was made with"],
    );
}

#[test]
fn a_missing_file_is_refused() {
    let copy = MigrationCopy::new();
    std::fs::remove_file(copy.path().join("0006_webhooks_are_unique.sql")).unwrap();
    fails_with(&copy, 2, &["no migration 6", "missing"]);
}

#[test]
fn an_archive_newer_than_the_target_is_refused() {
    let backup = Backup::of_oldest_release();
    let newest = backup.target("newest");
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("newest.dump");
    newest.dump_through_pipe(&[], &archive);
    let target = Database::create("oldest");
    apply_migrations(&target, OLDEST);
    let before = Before::of(&target);
    let pgmig = || Pgmig::new().target(&TargetFile::of(&target)).args(["--force", "--keep-ids"]);
    let texts = |outcome: Outcome| outcome.expect_status(3).stderr_has("newer than").stderr_has(OLDEST);
    before.is_now(texts(pgmig().source(&archive).run()));
    // From a stream, this is known only when the rows have been read.
    before.is_now(texts(pgmig().args(["--source", "-"]).stdin(&archive).run()));
    before.is_now(texts(pgmig().args(["--strategy", "in-place", "--source", "-"]).stdin(&archive).run()));
}
