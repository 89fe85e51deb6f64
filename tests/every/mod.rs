//! Databases that pg_restore can restore. Each is restored by swap and in place. The result is compared with that of
//! pg_restore or psql. `fixtures/reports/` holds inputs that were reported in public.

mod comments;
mod compared_rows;
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

use crate::support::application;
use crate::support::fixture::fixture;
use crate::support::restored::Restored;
use crate::support::way::{Source, WAYS, Way, restore, with_target};
use crate::support::{Database, Outcome, Pgmig};
use std::path::{Path, PathBuf};
use std::process::Stdio;

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
