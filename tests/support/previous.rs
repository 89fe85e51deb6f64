//! A target whose previous databases are kept: its old contents and the backup's can be told apart.

use super::database::{Database, quoted};
use super::pgmig::{Outcome, Pgmig, TargetFile, binary};
use super::server::Server;
use super::store::ROW_VALUE;
use super::way::Source;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A target, and an archive of other contents.
pub(crate) struct Site {
    pub(crate) target: Database,
    pub(crate) file: TargetFile,
    archive: PathBuf,
    _source: Source,
}

impl Site {
    #[track_caller]
    pub(crate) fn new(purpose: &str) -> Self {
        Self::of(Database::create(purpose))
    }

    /// A target on this server.
    #[track_caller]
    pub(crate) fn on(server: &Server, purpose: &str) -> Self {
        Self::of(Database::create_on(server, purpose))
    }

    /// A target of this name.
    #[track_caller]
    pub(crate) fn named(name: &str) -> Self {
        Self::of(Database::create_named(&Server::of_this_run(), name, "TEMPLATE template0"))
    }

    /// This target, which is empty.
    #[track_caller]
    pub(crate) fn of(target: Database) -> Self {
        target.psql(&format!(
            "CREATE TABLE old (note text); INSERT INTO old VALUES ('{ROW_VALUE}'); SELECT lo_from_bytea(7, 'old')"
        ));
        let source = Source::of(&format!(
            "CREATE SCHEMA fresh; CREATE TABLE fresh.rows (n int PRIMARY KEY, note text);
             INSERT INTO fresh.rows SELECT n, '{ROW_VALUE}' || n FROM generate_series(1, 100) n"
        ));
        let archive = source.dump("fresh.dump", &["-Fc", "--no-owner"]);
        Self { file: TargetFile::of(&target), target, archive, _source: source }
    }

    /// A restore by a swap.
    pub(crate) fn restore(&self) -> Pgmig {
        let pgmig = Pgmig::new().target(&self.file).source(&self.archive);
        pgmig.args(["--force", "--keep-ids", "--schema", "archive", "--strategy", "swap"])
    }

    /// Restores, keeps the previous database, and returns its name.
    #[track_caller]
    pub(crate) fn keep(&self) -> String {
        let outcome = self.restore().arg("--keep-previous").run().expect_status(0);
        kept_as(&outcome)
    }

    /// `pgmig previous ... --target postgres.yaml`.
    pub(crate) fn previous<const N: usize>(&self, args: [&str; N]) -> Pgmig {
        Pgmig::new().arg("previous").args(args).target(&self.file)
    }

    /// `pgmig previous rollback --force`.
    pub(crate) fn rollback(&self) -> Pgmig {
        self.previous(["rollback", "--force"])
    }

    /// The archive that [`Site::restore`] restores.
    pub(crate) fn archive(&self) -> &Path {
        &self.archive
    }

    /// Another database of the same server.
    pub(crate) fn database(&self, name: &str) -> Database {
        Database::shared(&self.target.server, name)
    }

    /// Runs SQL in the maintenance database.
    #[track_caller]
    pub(crate) fn admin(&self, sql: &str) -> String {
        self.target.server.psql("postgres", sql)
    }

    /// The contents and the OID of each database that has a marker, and of the target.
    #[track_caller]
    pub(crate) fn all(&self) -> Vec<(String, String, String)> {
        let of = |name: &str| {
            let database = self.database(name);
            let facts = database.psql(
                "SELECT oid, datacl, datconnlimit, shobj_description(oid, 'pg_database') FROM pg_database
                 WHERE datname = current_database()",
            );
            (name.to_owned(), facts, database.dump(&[]))
        };
        let mut names = self.beside();
        names.push(self.target.name.clone());
        names.iter().map(|name| of(name)).collect()
    }

    /// The names of the databases with a marker of this target.
    #[track_caller]
    pub(crate) fn beside(&self) -> Vec<String> {
        let sql = format!("SELECT quote_ident(datname) {}", self.marked());
        let lines = self.admin(&sql);
        // No name in the tests has a line end and stands here.
        lines.lines().map(|line| line.trim_matches('"').replace("\"\"", "\"")).collect()
    }

    /// SQL: the databases with a marker of this target, in the order of their names.
    fn marked(&self) -> String {
        let name = self.target.name.replace('\'', "''");
        format!(
            "FROM pg_database d, shobj_description(d.oid, 'pg_database') c
             WHERE CASE WHEN c LIKE 'pgmig-marker-1 {{%' THEN substr(c, 16)::jsonb ->> 'target' = '{name}' END
             AND d.datname <> '{name}' ORDER BY datname"
        )
    }

    /// Changes a value of a previous database's marker.
    #[track_caller]
    pub(crate) fn mark(&self, previous: &str, key: &str, json: &str) {
        let literal = previous.replace('\'', "''");
        self.admin(&format!(
            "SELECT format('COMMENT ON DATABASE %I IS %L', datname, 'pgmig-marker-1 '
                 || (substr(c, 16)::jsonb || '{{\"{key}\": {json}}}')::text)
             FROM pg_database d, shobj_description(d.oid, 'pg_database') c WHERE datname = '{literal}' \\gexec"
        ));
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let sql = format!(
            "SELECT format('ALTER DATABASE %I IS_TEMPLATE false', datname) {0} \\gexec
             SELECT format('DROP DATABASE %I WITH (FORCE)', datname) {0} \\gexec",
            self.marked()
        );
        let _ = self.target.server.try_psql("postgres", &sql);
    }
}

/// The name under which a run has kept a database.
#[track_caller]
pub(crate) fn kept_as(outcome: &Outcome) -> String {
    let line = outcome.stdout.lines().find_map(|line| line.strip_prefix("The previous database is kept as "));
    line.unwrap_or_else(|| panic!("no name is printed\n{outcome}")).to_owned()
}

/// Runs the printed command that goes back, with more arguments, as an operator copies it.
pub(crate) fn run_printed(outcome: &Outcome, arguments: &str) -> Output {
    let line = outcome.stdout.lines().find_map(|line| line.strip_prefix("To go back: "));
    let command = line.unwrap_or_else(|| panic!("no command is printed\n{outcome}"));
    let command =
        command.replacen("pgmig previous rollback", &format!("pgmig previous rollback {arguments}"), 1);
    let directory = binary().parent().expect("it is in a directory").to_owned();
    let path = std::env::var("PATH").unwrap_or_default();
    Command::new("bash")
        .args(["-c", &command])
        .env("PATH", format!("{}:{path}", directory.display()))
        .current_dir(outcome.directory.path())
        .output()
        .expect("bash runs")
}

/// Whether a database has this comment, and so no marker.
#[track_caller]
pub(crate) fn comment_of(database: &Database) -> String {
    let sql =
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()";
    database.psql(sql).trim_end_matches('\n').to_owned()
}

/// The OID of a database.
#[track_caller]
pub(crate) fn oid_of(database: &Database) -> String {
    database.psql("SELECT oid FROM pg_database WHERE datname = current_database()")
}

/// A role for one test, which can log in with this password.
pub(crate) const PASSWORD: &str = "l0gin-s3cret";

/// Creates a role of this name, or changes it if it exists.
pub(crate) fn role(server: &Server, name: &str, options: &str) -> String {
    let name = format!("{name} \"{}\"", std::process::id());
    server.psql("postgres", &format!("CREATE ROLE {} LOGIN PASSWORD '{PASSWORD}' {options}", quoted(&name)));
    name
}
