//! Restores every full archive of a corpus in place, as a role that owns its database and has no other right. The role
//! gets every object that it may own. pgmig lists all others before it drops anything.
//!
//! `PGMIG_CORPUS=DIR` takes the archives below DIR, otherwise those of `fixtures/` are taken.

use crate::archive::corpus::in_parallel;
use crate::support::application::{self, APPLICATION};
use crate::support::corpus::{self, Contents};
use crate::support::database::quoted;
use crate::support::restored::Restored;
use crate::support::untouched::Before;
use crate::support::{Database, Outcome, Pgmig, Server};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Objects of the archives' store that a superuser makes beforehand: those that no other role can own, and an event
/// trigger and a publication that depend on nothing that is dropped.
const PREPARED: &str = "CREATE FOREIGN DATA WRAPPER dummy_fdw; CREATE SCHEMA superusers;
    CREATE FUNCTION superusers.ignore() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
    CREATE EVENT TRIGGER evt_log ON ddl_command_end EXECUTE FUNCTION superusers.ignore();
    CREATE PUBLICATION pub_all FOR ALL TABLES; CREATE PUBLICATION pub_schema;";

/// Removes those objects, which are not compared.
const NOT_COMPARED: &str = "DROP EVENT TRIGGER IF EXISTS evt_log; DROP SCHEMA IF EXISTS superusers CASCADE;
    DROP PUBLICATION IF EXISTS pub_schema; DROP PUBLICATION IF EXISTS pub_all;
    DROP FOREIGN DATA WRAPPER IF EXISTS dummy_fdw CASCADE;";

/// PostgreSQL's messages about a missing right.
const DENIED: [&str; 4] = ["must be superuser", "ermission denied", "must be owner", "must be a member"];

/// pgmig's messages about a missing right.
const NEEDS_SUPERUSER: &str = "the archive has objects that only a superuser can create";

fn restore(target: &Database, archive: &Path, from_stdin: bool) -> Outcome {
    let pgmig = Pgmig::new().target(&application::target_file(target)).args(["--keep-ids", "--force"]);
    let pgmig = pgmig.args(["--schema", "archive", "--strategy", "in-place"]);
    match from_stdin {
        true => pgmig.args(["--source", "-"]).stdin(archive).run(),
        false => pgmig.source(archive).run(),
    }
}

/// Whether the role does not have a right that this archive requires, as PostgreSQL judges.
fn is_denied(archive: &Path) -> bool {
    let database = application::empty_database("denied");
    let mut pg_restore = database.server.program("pg_restore");
    pg_restore.env("PGUSER", APPLICATION).args(["--no-owner", "--no-acl", "-d", &database.name]);
    let output = pg_restore.arg(archive).stdin(Stdio::null()).output().expect("pg_restore runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    // A comment on an extension, such as plpgsql's, is left out, and so is a comment on schema public.
    let lines =
        stderr.lines().filter(|line| !line.contains("of extension") && !line.contains("of schema public"));
    lines.into_iter().any(|line| DENIED.iter().any(|denied| line.contains(denied)))
}

/// Restores the archive by pg_restore as superuser, without the objects that only a superuser can own.
fn expected(server: &Server, archive: &Path) -> Option<Restored> {
    let oracle = Database::create_on(server, "oracle");
    let mut pg_restore = server.program("pg_restore");
    let output =
        pg_restore.args(["--no-owner", "-d", &oracle.name]).arg(archive).stdin(Stdio::null()).output();
    let stderr = String::from_utf8(output.expect("pg_restore runs").stderr).unwrap();
    let is_real =
        |line: &&str| line.contains("error:") && !line.ends_with("schema \"public\" already exists");
    if stderr.lines().any(|line| is_real(&line)) {
        return None;
    }
    oracle.psql(NOT_COMPARED);
    Some(Restored::of(&oracle).in_any_order())
}

/// The faults of the restores of one database's archives; empty if there are none. `None` if there is nothing to
/// compare with.
fn faults(server: &Server, custom: &Path, archives: &[&PathBuf]) -> Option<Vec<String>> {
    let expected = expected(server, custom)?;
    let is_denied = is_denied(custom);
    let faults = archives.iter().filter_map(|archive| {
        let fault = fault(archive, is_denied, &expected)?;
        Some(format!("{}: {fault}\n", archive.display()))
    });
    Some(faults.collect())
}

fn fault(archive: &Path, is_denied: bool, expected: &Restored) -> Option<String> {
    let bare = application::empty_database("bare");
    bare.psql(&format!("SET ROLE {}; CREATE TABLE kept AS SELECT 1 AS id", quoted(APPLICATION)));
    let before = Before::of(&bare);
    let outcome = restore(&bare, archive, false);
    match (is_denied, outcome.status.code()) {
        (true, Some(3)) if outcome.stderr.contains(NEEDS_SUPERUSER) => before.is_unchanged(),
        (false, Some(0)) => {}
        _ => return Some(format!("pg_restore as the owner is denied something: {is_denied}; {outcome}")),
    }
    let target = application::empty_database("owned");
    target.psql(&format!(
        "{PREPARED} GRANT USAGE ON FOREIGN DATA WRAPPER dummy_fdw TO {}",
        quoted(APPLICATION)
    ));
    // Of a script from standard input, pgmig knows less beforehand. The second run clears the first run's result.
    let is_script = archive.to_string_lossy().ends_with(".sql.gz");
    for from_stdin in if is_script { vec![false, true] } else { vec![corpus::can_be_a_stream(archive)] } {
        let outcome = restore(&target, archive, from_stdin);
        if outcome.status.code() != Some(0) {
            return Some(format!("from standard input: {from_stdin}; {outcome}"));
        }
    }
    target.psql(NOT_COMPARED);
    expected.difference(&Restored::of(&target).in_any_order())
}

/// The form of an archive. Each form has a test of its own, because all together take minutes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Custom,
    Directory,
    Tar,
    Script,
}

impl Form {
    fn of(archive: &Path) -> Self {
        let name = archive.to_string_lossy();
        match () {
            () if name.ends_with(".dump") => Self::Custom,
            () if name.ends_with(".sql.gz") => Self::Script,
            () if corpus::can_be_a_stream(archive) => Self::Tar,
            () => Self::Directory,
        }
    }
}

/// Restores every full archive of this form as the owner.
#[track_caller]
fn an_owner_restores(form: Form) {
    let server = Server::of_this_run();
    server.create_corpus_roles();
    let directory = corpus::directory();
    let archives = corpus::archives(&directory);
    let mut of_database: BTreeMap<PathBuf, Vec<&PathBuf>> = BTreeMap::new();
    for archive in archives.iter().filter(|archive| Form::of(archive) == form) {
        let is_full = matches!(Contents::of(archive, server.major_version()), Contents::Full);
        if let Some(custom) = corpus::custom_of_the_same(archive).filter(|_| is_full) {
            of_database.entry(custom).or_default().push(archive);
        }
    }
    let customs: Vec<PathBuf> = of_database.keys().cloned().collect();
    let faults = in_parallel(&customs, |custom| faults(&server, custom, &of_database[custom]));
    let compared = faults.iter().flatten().count();
    let faults: Vec<String> = faults.into_iter().flatten().flatten().collect();
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.concat());
    // A corpus need not have every form. If it has a form, at least one of its archives can be restored here.
    assert!(compared > 0 || of_database.is_empty(), "no archive below {} was restored", directory.display());
    assert!(
        compared > 0 || form != Form::Custom,
        "{} has no custom archive for this server",
        directory.display()
    );
}

#[test]
fn an_owner_restores_what_an_owner_can_have_of_every_custom_archive() {
    an_owner_restores(Form::Custom);
}

#[test]
fn an_owner_restores_what_an_owner_can_have_of_every_directory() {
    an_owner_restores(Form::Directory);
}

#[test]
fn an_owner_restores_what_an_owner_can_have_of_every_tar() {
    an_owner_restores(Form::Tar);
}

#[test]
fn an_owner_restores_what_an_owner_can_have_of_every_script() {
    an_owner_restores(Form::Script);
}
