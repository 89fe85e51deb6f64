//! `--backup-first`: the way back from a restore that has no previous database.

use crate::support::backup::{DIRECTORY, Site, names, names_in, script};
use crate::support::document::document;
use crate::support::session::HeldSession;
use crate::support::untouched::Before;
use crate::support::{Database, Pgmig};
use std::fs;
use std::path::PathBuf;

/// A target with data, and an archive of other data.
struct Replaced {
    site: Site,
    archive: PathBuf,
    _directory: tempfile::TempDir,
}

impl Replaced {
    fn new(purpose: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let source = Database::create("backup_first_source");
        source.psql("CREATE TABLE other (n int PRIMARY KEY); INSERT INTO other VALUES (1)");
        let archive = directory.path().join("other.dump");
        source.dump_through_pipe(&[], &archive);
        Self { site: Site::new(purpose), archive, _directory: directory }
    }

    /// A restore with `--backup-first`.
    fn restore(&self, strategy: &str) -> Pgmig {
        let pgmig = Pgmig::new().target(&self.site.file).source(&self.archive);
        fs::create_dir(pgmig.directory().join(DIRECTORY)).unwrap();
        pgmig.args(["--keep-ids", "--schema", "archive", "--strategy", strategy, "--backup-first", DIRECTORY])
    }

    fn with_pg_dump(&self, strategy: &str) -> Pgmig {
        self.restore(strategy)
            .arg("--force")
            .arg("--pg-dump")
            .arg(self.site.database.server.bindir.join("pg_dump"))
    }
}

#[test]
fn the_command_of_the_report_goes_back() {
    for strategy in ["in-place", "swap"] {
        let replaced = Replaced::new("first_back");
        let database = &replaced.site.database;
        let before = database.dump(&[]);
        let outcome = replaced.with_pg_dump(strategy).args(["--output", "json"]).run().expect_status(0);
        let report = document(&outcome, "restore");
        assert_eq!(database.psql("SELECT count(*) FROM other"), "1\n", "{strategy}");
        let command = report["restore_command"].as_str().unwrap();
        assert!(command.contains(report["backup_file"].as_str().unwrap()), "{command}");
        assert!(names(&outcome)[0].starts_with("store.dump_"), "{outcome}");
        // As the operator copies it, in the directory of the first run.
        let path = crate::support::pgmig::binary();
        let bin = path.parent().unwrap().to_str().unwrap();
        let shell = std::process::Command::new("bash")
            .args(["-c", command])
            .env("PATH", format!("{bin}:/usr/bin:/bin"))
            .current_dir(outcome.directory.path())
            .output()
            .unwrap();
        assert!(shell.status.success(), "{}", String::from_utf8_lossy(&shell.stderr));
        assert!(before == database.dump(&[]), "{strategy}: the way back leads elsewhere");
    }
}

#[test]
fn the_summary_names_the_way_back() {
    let replaced = Replaced::new("first_summary");
    for quiet in [&[][..], &["--quiet"]] {
        let outcome = replaced.with_pg_dump("in-place").args(quiet.iter().copied()).run().expect_status(0);
        let file = format!("{DIRECTORY}/{}", names(&outcome)[0]);
        let outcome = outcome.stdout_has(&format!("The target was backed up as {file}"));
        outcome.stdout_has(&format!("To go back: pgmig --source {file} -t postgres.yaml --keep-ids"));
    }
}

#[test]
fn the_plan_says_which_way_back_there_is() {
    let replaced = Replaced::new("first_plan");
    let plan = |args: &[&str]| {
        let pgmig = Pgmig::new().target(&replaced.site.file).source(&replaced.archive);
        let pgmig = pgmig.args(["--keep-ids", "--schema", "archive", "--dry-run"]).args(args.iter().copied());
        let outcome = pgmig.run().expect_status(0);
        outcome.stdout.lines().find(|line| line.contains("way back")).unwrap().to_owned()
    };
    let none = plan(&["--strategy", "in-place"]);
    assert!(none.contains("none: --backup-first DIR takes a backup"), "{none}");
    assert!(plan(&["--strategy", "swap"]).contains("none: --keep-previous keeps"));
    assert!(plan(&["--strategy", "swap", "--keep-previous"]).contains("pgmig previous rollback"));
    let bindir = replaced.site.database.server.bindir.join("pg_dump");
    let first = ["--strategy", "in-place", "--backup-first", ".", "--pg-dump", bindir.to_str().unwrap()];
    assert!(plan(&first).contains("a backup of the target, taken first, in ."));
    let json = replaced.restore("in-place").args(["--dry-run", "--output", "json"]);
    let json = json.arg("--pg-dump").arg(&bindir).run().expect_status(0);
    assert_eq!(document(&json, "plan")["way_back"]["by"], "backup");
    assert_eq!(names(&json), [""; 0], "a dry run takes no backup");
}

#[test]
fn without_the_backup_nothing_is_restored() {
    let replaced = Replaced::new("first_fails");
    let before = Before::of(&replaced.site.database);
    let directory = tempfile::tempdir().unwrap();
    let server = &replaced.site.database.server;
    let fails = script(
        directory.path(),
        server,
        r#"if [ "$1" = -V ]; then exec "$PG_DUMP" -V; fi; echo 'pg_dump: error: no' >&2; exit 1"#,
    );
    for strategy in ["in-place", "swap"] {
        let restore = || replaced.restore(strategy).arg("--force");
        let outcome =
            restore().arg("--pg-dump").arg(&fails).run().expect_status(1).stderr_has("pg_dump failed");
        assert_eq!(names(&outcome), [""; 0]);
        before.is_now(outcome.stderr_has("the target is untouched"));
        // What can be known beforehand is known in the dry run, too.
        let outcome = restore().args(["--dry-run", "--pg-dump", "/bin/true"]).run().expect_status(2);
        before.is_now(outcome.stderr_has("is not a pg_dump"));
        let pgmig = Pgmig::new()
            .target(&replaced.site.file)
            .source(&replaced.archive)
            .args(["--keep-ids", "--force"]);
        let pgmig = pgmig.args(["--schema", "archive", "--strategy", strategy, "--backup-first", "missing"]);
        before.is_now(pgmig.run().expect_status(1).stderr_has("cannot use the directory missing"));
    }
}

#[test]
fn an_interruption_during_the_backup_leaves_nothing() {
    let replaced = Replaced::new("first_interrupted");
    let before = Before::of(&replaced.site.database);
    let directory = tempfile::tempdir().unwrap();
    let server = &replaced.site.database.server;
    let sleeps = script(
        directory.path(),
        server,
        r#"if [ "$1" = -V ]; then exec "$PG_DUMP" -V; fi; touch "$(dirname "$0")/begun"; exec sleep 60"#,
    );
    for strategy in ["in-place", "swap"] {
        let running = replaced.restore(strategy).arg("--force").arg("--pg-dump").arg(&sleeps).spawn();
        crate::support::session::wait_until(|| directory.path().join("begun").exists());
        running.signal("TERM");
        let outcome = running.wait().expect_status(130);
        assert_eq!(names(&outcome), [""; 0], "{strategy}");
        before.is_now(outcome);
        fs::remove_file(directory.path().join("begun")).unwrap();
    }
}

#[test]
fn sessions_that_may_write_meanwhile_are_warned_of() {
    let replaced = Replaced::new("first_sessions");
    let database = &replaced.site.database;
    let before = Before::of(database);
    let session = HeldSession::open(database, &format!("{} app", database.name));
    let outcome =
        replaced.with_pg_dump("in-place").args(["--strict", "--terminate-sessions"]).run().expect_status(4);
    outcome.assert_stderr_has("connected to the target while it was backed up");
    // The backup is there all the same.
    assert_eq!(names_in(&outcome.directory.path().join(DIRECTORY)).len(), 1);
    before.is_now(outcome);
    drop(session);
}
