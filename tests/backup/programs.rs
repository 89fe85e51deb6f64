//! Which pg_dump is run, and which is refused.

use crate::support::backup::{DIRECTORY, Site, names, script};
use std::path::Path;

#[test]
fn the_one_on_path_is_found() {
    let site = Site::new("backup_path");
    let path = format!("/nowhere:{}:/usr/bin:/bin", site.database.server.bindir.display());
    let outcome = site.backup_found().env("PATH", path).args(["-o", DIRECTORY]).run().expect_status(0);
    assert_eq!(names(&outcome).len(), 1);
    let version = site.database.server.major_version().to_string();
    assert!(outcome.stdout.contains(&format!("by pg_dump {version}")), "{outcome}");
}

#[test]
fn one_that_is_older_than_the_server_is_refused_before_anything() {
    let site = Site::new("backup_old");
    let directory = tempfile::tempdir().unwrap();
    let old = script(directory.path(), &site.database.server, "echo 'pg_dump (PostgreSQL) 9.6.24'");
    let outcome = site.backup_with(&old).args(["-o", DIRECTORY]).run().expect_status(3);
    let version = site.database.server.major_version();
    outcome.assert_stderr_has(&format!("cannot back up a server of version {version}"));
    outcome.assert_stderr_has("--pg-dump");
    assert_eq!(names(&outcome), [""; 0]);
    // Of two, the one that fits is run.
    let path =
        format!("{}:{}:/usr/bin:/bin", directory.path().display(), site.database.server.bindir.display());
    site.backup_found().env("PATH", path).args(["-o", DIRECTORY]).run().expect_status(0);
}

#[test]
fn what_is_no_pg_dump_is_refused() {
    let site = Site::new("backup_other");
    for program in [Path::new("/bin/true"), Path::new("/nowhere/pg_dump"), Path::new("/bin")] {
        let outcome = site.backup_with(program).args(["-o", DIRECTORY]).run().expect_status(2);
        outcome.assert_stderr_has("is not a pg_dump that can be run");
        assert_eq!(names(&outcome), [""; 0]);
    }
}

/// CVE-2024-7348. PostgreSQL 17 never had it.
#[test]
fn one_that_runs_code_of_others_is_a_warning() {
    let site = Site::new("backup_unguarded");
    let version = site.database.server.major_version();
    let directory = tempfile::tempdir().unwrap();
    let body = format!(
        "[ \"$1\" = -V ] && {{ echo 'pg_dump (PostgreSQL) {version}.1'; exit; }}\nexec \"$PG_DUMP\" \"$@\""
    );
    let early = script(directory.path(), &site.database.server, &body);
    let outcome = site.backup_with(&early).args(["-o", DIRECTORY]).run().expect_status(0);
    let warning = format!("pg_dump {version}.1 lets an owner of a table in the database run code");
    assert_eq!(outcome.stdout.contains(&warning), version < 17, "{outcome}");
    let outcome = site.backup().args(["-o", DIRECTORY]).run().expect_status(0);
    assert!(!outcome.stdout.contains("CVE-"), "{outcome}");
}
