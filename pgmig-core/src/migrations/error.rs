//! Errors of a schema upgrade.

use super::foreign::ForeignHistory;
use crate::codes::Coded as _;
use crate::outcome::ErrorKind;
use crate::profile::Release;
use crate::server::{ServerError, TargetError};
use std::path::PathBuf;
use thiserror::Error;

/// Why a schema cannot be upgraded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// A file or directory of migrations cannot be read.
    #[error("cannot read the migrations in {}: {reason}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The reason.
        reason: std::io::Error,
    },
    /// A file is not UTF-8 text.
    #[error("{}, line {line}: not UTF-8, which migrations are written in; convert the file", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// 1-based line of the first invalid byte.
        line: usize,
    },
    /// A file begins with a byte order mark, which the server would read as a part of the first statement.
    #[error("{}: begins with a byte order mark, which PostgreSQL does not understand; save the file as UTF-8 without one", path.display())]
    ByteOrderMark {
        /// The file.
        path: PathBuf,
    },
    /// A file looks like a migration, but its name does not have the form of a migration's name.
    #[error("{}: misnamed migration, expected NNNN_description.sql with a number from 1", path.display())]
    MisnamedFile {
        /// The file.
        path: PathBuf,
    },
    /// A file is one half of a reversible migration.
    #[error("{}: reversible migrations (.up.sql and .down.sql) are not supported, since a store is only ever upgraded; name the .up.sql file NNNN_description.sql and leave the other out", path.display())]
    Reversible {
        /// The file.
        path: PathBuf,
    },
    /// Two files have the same version.
    #[error("migration {version} exists twice: {first} and {second}; remove one of them")]
    DuplicateVersion {
        /// The version.
        version: i64,
        /// The name of one file.
        first: String,
        /// The name of the other file.
        second: String,
    },
    /// A number is missing between two files.
    #[error("there is no migration {version} in {origin}, but there are later ones; is a file missing?")]
    MissingVersion {
        /// The first missing version.
        version: i64,
        /// The directory or built-in set.
        origin: String,
    },
    /// The directory or set contains no migrations.
    #[error("there are no migrations (NNNN_description.sql) in {origin}")]
    NoMigrations {
        /// The directory or built-in set.
        origin: String,
    },
    /// The build does not include a set of this name.
    #[error("there are no built-in migrations for {name:?}; give a directory of migrations")]
    UnknownSet {
        /// The name that the caller gave.
        name: String,
    },
    /// `releases.yaml` names a migration that does not exist.
    #[error("releases.yaml gives release {release} the migration {version}, which is not in {origin}")]
    ReleaseWithoutMigration {
        /// The release.
        release: Release,
        /// The version of its last migration.
        version: i64,
        /// The directory or built-in set.
        origin: String,
    },
    /// `releases.yaml` does not contain this release.
    #[error("unknown release {release}; known are: {known}")]
    UnknownRelease {
        /// The release.
        release: Release,
        /// The releases that it contains.
        known: String,
    },
    /// A row of the migration history does not have sqlx's form.
    #[error("the migration history cannot be read: column {column} of {row} is not what sqlx writes")]
    HistoryRow {
        /// The column.
        column: &'static str,
        /// The row: `migration 3`, or `a row` while the version is not known.
        row: String,
    },
    /// A migration in the history was begun and not finished.
    #[error(
        "migration {version} ({description}) was left half way in this store; repair the store that was backed up, and back it up again"
    )]
    Dirty {
        /// The version.
        version: i64,
        /// The migration's description.
        description: String,
    },
    /// A migration was changed after it had been applied.
    #[error(
        "migration {version} ({description}) of the store is not the one in {origin}: its checksum differs; use the migrations that the store was made with"
    )]
    ChecksumChanged {
        /// The version.
        version: i64,
        /// The migration's description.
        description: String,
        /// The directory or built-in set.
        origin: String,
    },
    /// The history does not have an earlier migration, although it has a later one.
    #[error(
        "migration {version} ({description}) was never applied to the store, but migration {later} was; the history has a gap"
    )]
    HistoryGap {
        /// The missing version.
        version: i64,
        /// The migration's description.
        description: String,
        /// A later version that the history has.
        later: i64,
    },
    /// The history has a migration for which there is no file.
    #[error("the store has migration {version} ({description}), which is not in {origin}; {advice}")]
    UnknownVersion {
        /// The version.
        version: i64,
        /// Its description in the history.
        description: String,
        /// The directory or built-in set.
        origin: String,
        /// Advice for the operator.
        advice: &'static str,
    },
    /// The store is newer than the goal of the upgrade.
    #[error(
        "the backup has schema {backup}, newer than {target}; restore it to a target of that release or a later one"
    )]
    NewerThanTarget {
        /// The backup's version and releases.
        backup: String,
        /// The target's version and releases.
        target: String,
    },
    /// pgmig cannot upgrade stores with this kind of history.
    #[error(
        "the schema cannot be upgraded, since migrations continue sqlx's history only: the store's is {0}"
    )]
    UnknownHistory(ForeignHistory),
    /// Another program migrates the same database.
    #[error("another program is migrating this database: {holder}; wait for it or end it, then try again")]
    Locked {
        /// Process ID, application and role of the session.
        holder: String,
    },
    /// The text of a migration cannot be split into statements.
    #[error("{file}: cannot be split into statements: {reason}")]
    Split {
        /// The file's name.
        file: String,
        /// The reason.
        reason: String,
    },
    /// A migration that runs in pgmig's transaction begins or ends a transaction itself.
    #[error("{file}{}: {keyword} in a migration, which runs in a transaction already; remove it, or begin the file with `-- no-transaction`", OnLine(*line))]
    TransactionControl {
        /// The file's name.
        file: String,
        /// 1-based line of the statement.
        line: Option<usize>,
        /// The statement's first word.
        keyword: &'static str,
    },
    /// A migration copies rows from or to a client, as psql scripts can.
    #[error("{file}{}: a migration cannot have COPY FROM STDIN or TO STDOUT, since it is no script of psql; use INSERT", OnLine(*line))]
    CopyThroughClient {
        /// The file's name.
        file: String,
        /// 1-based line of the statement.
        line: Option<usize>,
    },
    /// A migration that runs in a transaction has a statement that the server does not run in one.
    #[error("{file}{}: {statement}: this cannot run in a transaction; begin the file with `-- no-transaction`, in its very first line, and leave in it only what needs that", OnLine(*line))]
    OutsideTransaction {
        /// The file's name.
        file: String,
        /// 1-based line of the statement.
        line: Option<usize>,
        /// The first words of the statement.
        statement: String,
    },
    /// A migration cannot be applied within the one transaction of a restore in place.
    #[error(
        "{file}{}: {statement} cannot be run in the one transaction of a restore in place: {why}",
        OnLine(*line)
    )]
    NeedsOwnTransaction {
        /// The file's name.
        file: String,
        /// 1-based line of the statement.
        line: Option<usize>,
        /// The statement, or its beginning.
        statement: String,
        /// The reason.
        why: &'static str,
    },
    /// A migration failed. It left no changes behind, unless it runs without a transaction.
    #[error("migration {version} ({description}) failed{}{}: {error}", OnLine(*line), InBrackets(statement.as_deref()))]
    Migration {
        /// The version.
        version: i64,
        /// The migration's description.
        description: String,
        /// 1-based line of the failing statement in the file, if the server or the splitter reports it.
        line: Option<usize>,
        /// The first words of the failing statement.
        statement: Option<String>,
        /// The server's error.
        error: Box<ServerError>,
    },
    /// The server refused another statement, or the connection was lost.
    #[error(transparent)]
    Target(#[from] TargetError),
}

impl SchemaError {
    /// Whether the server has answered, so that further statements are possible.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self, Self::Migration { error, .. } if error.sqlstate.is_some() && !error.connection_lost)
    }

    /// Whether a migration tried to alter a table with pending checks of its rows.
    pub(super) fn is_pending(&self) -> bool {
        const OBJECT_IN_USE: &str = "55006";
        matches!(self, Self::Migration { error, .. } if error.is(OBJECT_IN_USE))
    }

    /// The kind of the error, from which the caller can draw its conclusion.
    pub fn kind(&self) -> ErrorKind {
        self.code().kind
    }
}

struct OnLine(Option<usize>);

impl std::fmt::Display for OnLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(line) => write!(f, " in line {line}"),
            None => Ok(()),
        }
    }
}

struct InBrackets<'a>(Option<&'a str>);

impl std::fmt::Display for InBrackets<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(text) => write!(f, " ({text})"),
            None => Ok(()),
        }
    }
}
