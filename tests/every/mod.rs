//! Databases that pg_restore can restore. Each is restored by swap and in place. The result is compared with that of
//! pg_restore or psql. `fixtures/reports/` holds inputs that were reported in public.

mod comments;
mod encodings;
mod extensions;
mod inputs;
mod messages;
mod roles_and_releases;
mod row_order;
mod settings;
mod statistics;
mod superuser;
mod verification;

use crate::support::application::{self, APPLICATION};
use crate::support::fixture::fixture;
use crate::support::pgmig::TargetFile;
use crate::support::restored::Restored;
use crate::support::{Database, Outcome, Pgmig};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;

/// The role that restores, and the strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By a superuser, for the application's role.
    Swap,
    /// By the application's role itself.
    InPlace,
}

const WAYS: [Way; 2] = [Way::Swap, Way::InPlace];

/// A database that is dumped.
struct Source {
    database: Database,
    files: TempDir,
}

impl Source {
    #[track_caller]
    fn of(sql: &str) -> Self {
        let database = Database::create("every_source");
        database.psql(sql);
        Self { database, files: TempDir::new().unwrap() }
    }

    /// The file that pg_dump writes with these options.
    #[track_caller]
    fn dump(&self, name: &str, options: &[&str]) -> PathBuf {
        let path = self.files.path().join(name);
        let to = ["-f", path.to_str().unwrap(), "-d", &self.database.name];
        self.database.server.run_program("pg_dump", options.iter().chain(&to));
        path
    }

    /// A script of it, changed.
    #[track_caller]
    fn script(&self, name: &str, change: impl FnOnce(String) -> String) -> PathBuf {
        let path = self.dump(name, &["-Fp"]);
        std::fs::write(&path, change(std::fs::read_to_string(&path).unwrap())).unwrap();
        path
    }
}

/// The command line for an archive.
fn restore(archive: &Path, target: &Database, way: Way) -> Pgmig {
    with_target(target, way).source(archive)
}

fn with_target(target: &Database, way: Way) -> Pgmig {
    let (file, strategy) = match way {
        Way::Swap => (TargetFile { username: APPLICATION.to_owned(), ..TargetFile::of(target) }, "swap"),
        Way::InPlace => (application::target_file(target), "in-place"),
    };
    let pgmig = Pgmig::new().target(&file).args(["--schema", "archive", "--keep-ids", "--force"]);
    pgmig.args(["--strategy", strategy])
}

/// Restores the archive both ways; each result must equal this one.
#[track_caller]
fn assert_restored(archive: &Path, expected: &Restored) {
    for way in WAYS {
        assert_restored_as(archive, expected, way, |pgmig| pgmig);
    }
}

#[track_caller]
fn assert_restored_as(
    archive: &Path,
    expected: &Restored,
    way: Way,
    change: impl FnOnce(Pgmig) -> Pgmig,
) -> Database {
    let target = application::empty_database("every");
    let outcome = change(restore(archive, &target, way)).run();
    assert_eq!(outcome.status.code(), Some(0), "{} {way:?}: {outcome}", archive.display());
    let found = Restored::of(&target).in_any_order();
    assert_eq!(expected.in_any_order().difference(&found), None, "{} {way:?}", archive.display());
    target
}

/// Restores the archive both ways; each run must fail with this status.
#[track_caller]
fn fails(archive: &Path, status: i32, check: impl Fn(Outcome, Way)) {
    for way in WAYS {
        let target = application::empty_database("every");
        check(restore(archive, &target, way).run().expect_status(status), way);
    }
}

/// Restores an archive by pg_restore as superuser.
#[track_caller]
fn by_pg_restore(archive: &Path) -> Restored {
    let oracle = Database::create("every_oracle");
    oracle.restore_with_pg_restore(archive, &["--no-owner"]);
    Restored::of(&oracle)
}

/// Runs a script by psql as superuser. Roles that the script names may be missing.
#[track_caller]
fn by_psql(script: &Path) -> Restored {
    let oracle = Database::create("every_oracle");
    let mut psql = oracle.server.program("psql");
    psql.args(["-X", "-q", "-d", &oracle.name, "-f"]).arg(script).stdin(Stdio::null());
    let output = psql.output().expect("psql runs");
    let stderr = String::from_utf8(output.stderr).unwrap();
    let other = |line: &&str| line.contains("ERROR:") && !line.contains("role \"");
    assert_eq!(stderr.lines().find(other), None, "psql cannot run the script");
    Restored::of(&oracle)
}

fn report(name: &str) -> PathBuf {
    fixture(&format!("reports/{name}"))
}
