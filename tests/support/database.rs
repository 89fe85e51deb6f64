//! A database for one test, which drops it at its end. PostgreSQL's own tools are the oracle.

use super::server::Server;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A database, usually of one test.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) server: Server,
    pub(crate) name: String,
    /// Whether dropping the value drops the database.
    of_one_test: bool,
}

/// Distinguishes the databases of one process. The process ID is in the name, too.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A script for psql. The server copies the template's files where it can be told to (15 and newer): a third of the time of
/// its default there, which writes each page to the WAL.
fn create_database(name_sql: &str, clauses: &str) -> String {
    format!(
        "SELECT CASE WHEN current_setting('server_version_num')::int >= 150000 THEN 'STRATEGY file_copy' ELSE '' END
            AS strategy \\gset
        CREATE DATABASE {name_sql} {clauses} :strategy;"
    )
}

impl Database {
    /// A new, empty database on the server of this run. `purpose` goes into its name.
    pub(crate) fn create(purpose: &str) -> Self {
        Self::create_on(&Server::of_this_run(), purpose)
    }

    /// A new, empty database on this server.
    pub(crate) fn create_on(server: &Server, purpose: &str) -> Self {
        Self::create_with(server, purpose, "TEMPLATE template0")
    }

    /// A new database with these clauses of CREATE DATABASE (owner, encoding, template).
    pub(crate) fn create_with(server: &Server, purpose: &str, clauses: &str) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self::create_named(server, &format!("t{}_{number}_{purpose}", std::process::id()), clauses)
    }

    /// A new database of exactly this name, which no other test may use.
    pub(crate) fn create_named(server: &Server, name: &str, clauses: &str) -> Self {
        server.psql("postgres", &create_database(&quoted(name), clauses));
        Self { server: server.clone(), name: name.to_owned(), of_one_test: true }
    }

    /// A database that a test has made itself. It is dropped with the value.
    pub(crate) fn adopted(server: &Server, name: &str) -> Self {
        Self { server: server.clone(), name: name.to_owned(), of_one_test: true }
    }

    /// A new database that exists until the server stops. It replaces an existing one of this name.
    pub(crate) fn create_shared(server: &Server, name: &str) -> Self {
        let name_sql = quoted(name);
        server.psql(
            "postgres",
            &format!(
                "DROP DATABASE IF EXISTS {name_sql} WITH (FORCE);\n{}",
                create_database(&name_sql, "TEMPLATE template0")
            ),
        );
        Self::shared(server, name)
    }

    /// An existing database that is kept until the server stops.
    pub(crate) fn shared(server: &Server, name: &str) -> Self {
        Self { server: server.clone(), name: name.to_owned(), of_one_test: false }
    }

    /// Runs SQL as superuser; returns rows as lines, columns separated by `|`.
    #[track_caller]
    pub(crate) fn psql(&self, sql: &str) -> String {
        self.server.psql(&self.name, sql)
    }

    /// Like [`Database::psql`], for SQL that may fail.
    pub(crate) fn try_psql(&self, sql: &str) -> Output {
        self.server.try_psql(&self.name, sql)
    }

    /// The plain text of `pg_dump`, without the lines that differ from run to run.
    #[track_caller]
    pub(crate) fn dump(&self, args: &[&str]) -> String {
        let dump = self.server.run_program("pg_dump", args.iter().chain(&["-d", &self.name]));
        // A database may hold text that is not UTF-8. Different bytes still give different texts.
        without_volatile_lines(&String::from_utf8_lossy(&dump))
    }

    /// Writes an archive as operators do: `pg_dump -Fc ... > archive`. It is written through a pipe, so it has no data
    /// offsets.
    #[track_caller]
    pub(crate) fn dump_through_pipe(&self, args: &[&str], archive: &Path) {
        let bytes = self.server.run_program("pg_dump", ["-Fc", "-d", &self.name].iter().chain(args));
        std::fs::write(archive, bytes).expect("the archive can be written");
    }

    /// Restores an archive by pg_restore as superuser, with these arguments.
    #[track_caller]
    pub(crate) fn restore_with_pg_restore(&self, archive: &Path, args: &[&str]) {
        let archive = archive.to_str().expect("the harness's paths are UTF-8");
        self.server.run_program("pg_restore", args.iter().chain(&["-d", &self.name, archive]));
    }

    /// Whether the server has a database of this name.
    pub(crate) fn exists(server: &Server, name: &str) -> bool {
        let literal = name.replace('\'', "''");
        !server.psql("postgres", &format!("SELECT 1 FROM pg_database WHERE datname = '{literal}'")).is_empty()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !self.of_one_test {
            return;
        }
        // A panic here would hide the panic of the test. The whole cluster is removed anyway.
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(&self.name));
        let _ = self
            .server
            .program("psql")
            .args(["-X", "-q", "-d", "postgres", "-c", &sql])
            .stderr(Stdio::null())
            .status();
    }
}

/// Quotes a name for SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Removes the comments with versions and times, and the random token of `\restrict`.
pub(crate) fn without_volatile_lines(dump: &str) -> String {
    const VOLATILE: [&str; 6] = [
        "-- Dumped from",
        "-- Dumped by",
        "-- Started on",
        "-- Completed on",
        "\\restrict ",
        "\\unrestrict ",
    ];
    let kept =
        dump.split_inclusive('\n').filter(|line| !VOLATILE.iter().any(|prefix| line.starts_with(prefix)));
    kept.collect()
}
