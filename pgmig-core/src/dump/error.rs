//! Errors of backups.

use super::program::Version;
use crate::codes::Coded as _;
use crate::outcome::ErrorKind;
use crate::verify::Fault;
use std::fmt;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why there is no backup, or why old ones were not removed. Nothing was changed in the database.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DumpError {
    /// No pg_dump was found.
    #[error(
        "no pg_dump was found in {looked}; run pgmig where PostgreSQL {server} is installed (inside the Postgres pod), install \
         its client programs, or name a pg_dump (DumpOptions::programs)"
    )]
    NoPgDump {
        /// The server's version.
        server: Version,
        /// Where pgmig has looked.
        looked: String,
    },
    /// pg_dump refuses servers of a later major version.
    #[error(
        "pg_dump {version} ({}) cannot back up a server of version {server}; use a pg_dump of version {server} or later: run \
         pgmig inside the Postgres pod, install the client programs of PostgreSQL {server}, or name another pg_dump \
         (DumpOptions::programs)",
        path.display()
    )]
    TooOld {
        /// The program.
        path: PathBuf,
        /// Its version.
        version: String,
        /// The server's version.
        server: Version,
    },
    /// The program is not pg_dump, or does not start.
    #[error("{} is not a pg_dump that can be run: {reason}", path.display())]
    NotPgDump {
        /// The program.
        path: PathBuf,
        /// What it did.
        reason: String,
    },
    /// A demand on connections that this pg_dump would pass over.
    #[error(
        "{variable} cannot be honoured: pg_dump {version} ({}) does not know it; use a pg_dump of version {since} or later, or \
         unset it",
        path.display()
    )]
    NotHonoured {
        /// The environment variable.
        variable: &'static str,
        /// The program.
        path: PathBuf,
        /// Its version.
        version: String,
        /// The version that knows the variable.
        since: Version,
    },
    /// The file exists.
    #[error("{} exists already, and backups overwrite nothing; remove it, or name another file or a directory", .0.display())]
    Exists(PathBuf),
    /// The file or its directory cannot be used.
    #[error("cannot {doing} {}: {reason}", path.display())]
    File {
        /// Completes "cannot ...".
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        reason: io::Error,
    },
    /// The caller's writer fails: standard output, say.
    #[error("cannot write the backup: {0}")]
    Output(#[source] io::Error),
    /// The password cannot be handed to pg_dump.
    #[error("cannot hand the password to pg_dump: {0}; pgmig needs a directory in which it can make a file")]
    Password(#[source] io::Error),
    /// pg_dump failed.
    #[error("pg_dump failed ({status}){}", Said(said))]
    Failed {
        /// How it ended.
        status: String,
        /// The last lines of its standard error.
        said: Vec<String>,
    },
    /// The archive that pg_dump wrote cannot be restored.
    #[error("the archive that pg_dump wrote cannot be restored")]
    Unsound(#[source] Fault),
    /// pg_dump, or a program in its place, wrote more than an archive.
    #[error("pg_dump wrote something after the end of its archive; is it PostgreSQL's own pg_dump?")]
    Trailing,
    /// The user or the caller interrupted the backup.
    #[error("interrupted; there is no backup")]
    Interrupted,
}

impl DumpError {
    /// The kind of the error, from which the caller can draw its conclusion.
    pub fn kind(&self) -> ErrorKind {
        self.code().kind
    }

    /// An error of the operating system with this file.
    pub(super) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |reason| Self::File { doing, path: path.into(), reason }
    }
}

/// Lines of a program's standard error, each on a line of its own.
struct Said<'a>(&'a [String]);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        f.write_str(":")?;
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}
