//! Restores that end at any moment, and are gone on with by `--resume`: the result is that of an undisturbed restore, nothing is
//! loaded twice or left out, and nothing of the record or of a role is left.
//!
//! Relatives: the end (killed, stopped, signalled, its server process ended), the moment (each step, the middle of a split table, of large
//! objects, of indexes, of migrations, before the swap), the login (superuser, temporary role), the number of connections (the same or
//! another one), and several ends of the same restore.

mod moments;
mod refused;
mod rows;

use crate::support::application::{self, APPLICATION};
use crate::support::pgmig::TargetFile;
use crate::support::store::Backup;
use crate::support::untouched::databases_beside;
use crate::support::{Database, Outcome, Pgmig, Server};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The staging database of a target; "" if there is none.
fn staging(target: &Database) -> String {
    let beside = databases_beside(target);
    beside.lines().find(|name| name.ends_with("_staging")).unwrap_or_default().to_owned()
}

/// The staging database, as a database to look into.
#[track_caller]
fn left_staging(target: &Database) -> Database {
    let name = staging(target);
    assert_ne!(name, "", "no staging database was left");
    Database::shared(&target.server, &name)
}

/// What pg_dump shows, in an order that does not depend on where rows lie in their tables; without the times in the history of
/// migrations.
#[track_caller]
fn contents(database: &Database) -> Vec<String> {
    let dump = database.dump(&["--exclude-table-data=*._sqlx_migrations"]);
    let mut lines: Vec<String> = dump.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// Checks that nothing is left of a restore but its result.
#[track_caller]
fn nothing_left(target: &Database) {
    assert_eq!(databases_beside(target), "");
    let literal = target.name.replace('\'', "''");
    let roles = format!(
        "SELECT rolname FROM pg_roles r, shobj_description(r.oid, 'pg_authid') c
         WHERE c LIKE 'pgmig-role-1 %' AND substr(c, 14)::json ->> 'target' = '{literal}'"
    );
    assert_eq!(target.server.psql("postgres", &roles), "");
    assert_eq!(target.psql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'pgmig%'"), "");
    let comment = "SELECT count(*) FROM pg_shdescription WHERE objoid = (SELECT oid FROM pg_database \
                   WHERE datname = current_database()) AND classoid = 'pg_database'::regclass";
    assert_eq!(target.psql(comment), "0\n", "the marker is left");
}

/// How many entries are noted in a staging database.
fn noted(staging: &Database) -> String {
    staging.psql("SELECT count(*) FROM pgmig_resume.done WHERE unit LIKE 'task %'")
}

/// The reference store, restored by a superuser for the role of an application: a temporary role runs code of the backup.
struct Store {
    backup: Backup,
    target: Database,
}

impl Store {
    #[track_caller]
    fn new(purpose: &str) -> Self {
        Self { backup: Backup::of_oldest_release(), target: application::target(purpose) }
    }

    fn pgmig(&self) -> Pgmig {
        let file = TargetFile { username: APPLICATION.to_owned(), ..TargetFile::of(&self.target) };
        self.backup.restore(Pgmig::new().target(&file).args(["--force", "--strategy", "swap"]))
    }

    /// Checks the target after a restore that was gone on with.
    #[track_caller]
    fn is_restored(&self) {
        self.backup.assert_restored(&self.target);
        nothing_left(&self.target);
    }

    /// An undisturbed restore into another target.
    #[track_caller]
    fn undisturbed(&self) -> Vec<String> {
        let other = Self::new("undisturbed");
        other.pgmig().run().expect_status(0);
        contents(&other.target)
    }
}

/// An archive of tables, indexes and constraints, and an empty target.
struct Case {
    source: Database,
    target: Database,
    archive: PathBuf,
    _directory: TempDir,
}

impl Case {
    #[track_caller]
    fn of(sql: &str) -> Self {
        Self::on(&Server::of_this_run(), sql)
    }

    #[track_caller]
    fn on(server: &Server, sql: &str) -> Self {
        let source = Database::create_on(server, "resume_source");
        source.psql(sql);
        let directory = TempDir::new().unwrap();
        let archive = directory.path().join("resume.dump");
        source.dump_through_pipe(&["--compress=0"], &archive);
        let target = application::empty_database_on(server, "resume");
        Self { source, target, archive, _directory: directory }
    }

    fn pgmig(&self) -> Pgmig {
        self.of_archive(&self.archive)
    }

    fn of_archive(&self, archive: &Path) -> Pgmig {
        let file = TargetFile { username: APPLICATION.to_owned(), ..TargetFile::of(&self.target) };
        Pgmig::new().target(&file).source(archive).args(["--force", "--keep-ids", "--strategy", "swap"])
    }

    /// Checks that the target is what pg_restore makes.
    #[track_caller]
    fn is_restored(&self) {
        let other = application::empty_database_on(&self.target.server, "by_pg_restore");
        other.restore_with_pg_restore(&self.archive, &["--no-owner", &format!("--role={APPLICATION}")]);
        assert_eq!(contents(&self.target), contents(&other));
        nothing_left(&self.target);
    }
}

/// The JSON document of a restore.
#[track_caller]
fn report(outcome: &Outcome) -> serde_json::Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{outcome}"))
}
