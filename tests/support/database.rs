//! A database of one test, dropped at its end, with PostgreSQL's own tools as the oracle.

use super::server::Server;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A database, of one test as a rule.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) server: Server,
    pub(crate) name: String,
    /// Whether it goes with the value.
    of_one_test: bool,
}

/// Tells the databases of one process apart; its ID is in the name too.
static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Database {
    /// A new, empty database on the server of this run. `purpose` goes into its name.
    pub(crate) fn create(purpose: &str) -> Self {
        Self::create_on(&Server::of_this_run(), purpose)
    }

    /// A new, empty database on this server.
    pub(crate) fn create_on(server: &Server, purpose: &str) -> Self {
        Self::create_with(server, purpose, "TEMPLATE template0")
    }

    /// A new database with the clauses of CREATE DATABASE that it needs (owner, encoding, template).
    pub(crate) fn create_with(server: &Server, purpose: &str, clauses: &str) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self::create_named(server, &format!("t{}_{number}_{purpose}", std::process::id()), clauses)
    }

    /// A new database of exactly this name, which no other test may use.
    pub(crate) fn create_named(server: &Server, name: &str, clauses: &str) -> Self {
        server.psql("postgres", &format!("CREATE DATABASE {} {clauses}", quoted(name)));
        Self { server: server.clone(), name: name.to_owned(), of_one_test: true }
    }

    /// A database that a test has made itself, and that goes with the value.
    pub(crate) fn adopted(server: &Server, name: &str) -> Self {
        Self { server: server.clone(), name: name.to_owned(), of_one_test: true }
    }

    /// A new database that stays until the server goes; one that is there already is replaced.
    pub(crate) fn create_shared(server: &Server, name: &str) -> Self {
        let name_sql = quoted(name);
        server.psql(
            "postgres",
            &format!("DROP DATABASE IF EXISTS {name_sql} WITH (FORCE);\nCREATE DATABASE {name_sql} TEMPLATE template0"),
        );
        Self::shared(server, name)
    }

    /// A database that stays until the server goes.
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

    /// `pg_dump`'s plain text of it, without the lines that differ from run to run.
    #[track_caller]
    pub(crate) fn dump(&self, args: &[&str]) -> String {
        let dump = self.server.run_program("pg_dump", args.iter().chain(&["-d", &self.name]));
        // Databases may hold text in another encoding than UTF-8; what differs still differs.
        without_volatile_lines(&String::from_utf8_lossy(&dump))
    }

    /// Writes an archive of it as operators do: `pg_dump -Fc ... > archive`, through a pipe, so that it has no
    /// data offsets.
    #[track_caller]
    pub(crate) fn dump_through_pipe(&self, args: &[&str], archive: &Path) {
        let bytes = self.server.run_program("pg_dump", ["-Fc", "-d", &self.name].iter().chain(args));
        std::fs::write(archive, bytes).expect("the archive can be written");
    }

    /// Restores an archive into it as pg_restore does as superuser, with these arguments.
    #[track_caller]
    pub(crate) fn restore_with_pg_restore(&self, archive: &Path, args: &[&str]) {
        let archive = archive.to_str().expect("the harness's paths are UTF-8");
        self.server.run_program("pg_restore", args.iter().chain(&["-d", &self.name, archive]));
    }

    /// Whether there is a database of this name on the server.
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
        // A panic here while a test panics would hide the test's own; and the whole cluster goes anyway.
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(&self.name));
        let _ = self
            .server
            .program("psql")
            .args(["-X", "-q", "-d", "postgres", "-c", &sql])
            .stderr(Stdio::null())
            .status();
    }
}

/// A name as SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Drops the comments with versions and times, and the random token of `\restrict`.
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
