//! Why a restore was refused, or failed.

use super::refusal::Refusal;
use crate::archive::DumpId;
use crate::codes::Coded as _;
use crate::lines::{AllLines, Lines, count};
use crate::outcome::ErrorKind;
use crate::progress::Step;
use std::fmt;
use thiserror::Error;

/// Why a restore failed. The target is untouched, except where a variant says otherwise.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Refused before anything was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A row was not accepted.
    #[error("{0}")]
    Row(Box<RowError>),
    /// Writing the script failed.
    #[error("cannot write the script")]
    Output(#[source] std::io::Error),
    /// The archive cannot be written as a script.
    #[error("no script can be made of the archive because of {entry}: {reason}")]
    Script {
        /// The entry.
        entry: String,
        /// The obstacle.
        reason: String,
    },
    /// The archive's own statement failed.
    #[error(
        "could not {}: {message} (SQLSTATE {sqlstate}){}; it is the archive's entry with dump ID {dump_id}",
        Making(entry),
        AfterSemicolon(*advice)
    )]
    Entry {
        /// The object of the entry.
        entry: String,
        /// The entry's dump ID.
        dump_id: DumpId,
        /// The server's message.
        message: String,
        /// The server's code.
        sqlstate: String,
        /// What helps, where the message does not say it.
        advice: Option<&'static str>,
    },
    /// The restored database differs from the archive.
    #[error("the restored database does not agree with the archive:\n{}", Lines(.0))]
    Verification(Vec<String>),
    /// Constraints of the target's schema do not hold for the archive's rows.
    #[error("the archive's rows violate constraints of the target's schema:\n{}", Lines(.0))]
    Constraints(Vec<String>),
    /// The target's schema changed after it was copied.
    #[error(
        "the schema of the target changed during this restore, or pgmig could not set it back; run the restore again while \
         nobody changes the target:\n{}",
        Lines(.0)
    )]
    SchemaChanged(Vec<String>),
    /// The data of a table are damaged.
    #[error(
        "the data of table {table} cannot be read: {reason}; the archive is damaged, take the backup again"
    )]
    Data {
        /// The table.
        table: String,
        /// Why the data cannot be read.
        reason: String,
    },
    /// A row needs more memory than this process may use.
    #[error(
        "row {row} of table {table} is larger than {} MiB, and pgmig needs 2.5 times the size of the largest row; give the \
         container more memory",
        limit >> 20
    )]
    RowTooLarge {
        /// The table.
        table: String,
        /// The row's number in the archive, from 1.
        row: u64,
        /// The largest row that is possible, in bytes.
        limit: u64,
    },
    /// Stopped because there were warnings.
    #[error("stopped before the target was replaced because of {} (RestoreOptions::strict); the target is untouched", count(*.0, "warning"))]
    Strict(usize),
    /// The connection was lost during the commit of the swap.
    #[error(
        "the server did not answer the commit of the swap, and does not show its outcome yet; later this query shows it: \
         {query} -- {swapped_oid} means that the swap is complete, anything else that the target is untouched"
    )]
    SwapOutcomeUnknown {
        /// The query that shows the outcome.
        query: String,
        /// Its answer if the swap was committed.
        swapped_oid: u32,
    },
    /// The connection was lost during the commit of a restore in place.
    #[error(
        "the server did not answer the commit of the restore, and does not show its outcome yet; later this query shows it: \
         {query} -- \"committed\" means that the restore is complete, \"aborted\" that the target is untouched"
    )]
    InPlaceOutcomeUnknown {
        /// The query that shows the outcome, in any database of the server.
        query: String,
    },
    /// The commit took longer than [`RestoreOptions::commit_wait`](super::RestoreOptions::commit_wait), and was cancelled.
    #[error(
        "the server did not commit the restore within {seconds} s (RestoreOptions::commit_wait), and pgmig has cancelled it; \
         the target is untouched"
    )]
    CommitTimeout {
        /// The limit.
        seconds: u64,
    },
    /// This process may not open as many files and connections as the restore needs.
    #[error(
        "the restore can need {needed} open files and connections at a time, and this process may have {limit}; raise the \
         limit (ulimit -n {needed}), or use fewer connections (RestoreOptions::jobs)"
    )]
    OpenFiles {
        /// What is allowed.
        limit: u64,
        /// What may be needed.
        needed: u64,
    },
    /// The connection was lost in the commit, which took no effect.
    #[error("the connection was lost during the commit, which took no effect")]
    CommitLost,
    /// A stream brought nothing for longer than [`RestoreOptions::source_wait`](super::RestoreOptions::source_wait).
    #[error(
        "the backup's stream brought nothing for {seconds} s (RestoreOptions::source_wait); look why the program that writes it \
         has stopped"
    )]
    SourceStalled {
        /// The limit.
        seconds: u64,
    },
    /// A statement ended the transaction that holds the whole restore. Nothing was committed.
    #[error(
        "{0} ended the transaction that holds the whole restore; nothing was committed; a backup must not contain \
         transaction control"
    )]
    TransactionEnded(String),
    /// A statement committed the transaction that holds the whole restore before the restore was complete.
    #[error(
        "{culprit} committed the transaction that holds the whole restore before it was complete: {what}; restore a \
         backup of the target"
    )]
    CommittedEarly {
        /// The entry whose statement committed, as far as it is known.
        culprit: String,
        /// The known state of the target.
        what: String,
    },
    /// The state of the target database or of `username` changed during the restore.
    #[error(
        "{because}during the restore, code in the backup or another session changed the target database's own properties, or \
         those of its owner:\n{}\nset these back; the contents of the target have not changed",
        AllLines(changes)
    )]
    StateChanged {
        /// The error that ended the restore, followed by a separator; or empty.
        because: String,
        /// The changed properties, without their values.
        changes: Vec<String>,
    },
    /// The state of the target database or of `username` changed during the restore, and pgmig has put it back.
    #[error(
        "{because}during the restore, code in the backup or another session changed the target database's own properties, or \
         those of its owner:\n{}\npgmig has put them back",
        AllLines(changes)
    )]
    StatePutBack {
        /// The error that ended the restore, followed by a separator; or empty.
        because: String,
        /// The changed properties, without their values.
        changes: Vec<String>,
    },
    /// The commit would have changed the state of the target database or of a role.
    #[error(
        "code in the backup changes properties of the database or of a role, which no restore may do; nothing was \
         committed:\n{}",
        AllLines(.0)
    )]
    StateWouldChange(Vec<String>),
    /// A statement changed a property of its session that pgmig relies on.
    #[error("{culprit} changed {what} of the session that restores it; a backup must not contain such code")]
    SessionChanged {
        /// The entry or the table whose code changed it.
        culprit: String,
        /// The changed property.
        what: &'static str,
    },
    /// An extension's script would find objects that may come from the archive.
    #[error(
        "a superuser cannot create extension {extension} safely: schema {schema} already holds objects of other roles, and \
         the extension's script could use them instead of its own"
    )]
    ExtensionSchema {
        /// The extension.
        extension: String,
        /// Its schema.
        schema: String,
    },
    /// A previous database was not dropped.
    #[error("database {database} was not dropped: {reason}{}", Before(dropped))]
    NotDropped {
        /// The database.
        database: String,
        /// Why not.
        reason: String,
        /// The databases that were dropped before it.
        dropped: Vec<String>,
    },
    /// The restore failed, and its staging database was kept.
    #[error(
        "{because}; the staging database {staging} was kept: to go on with it, run the same restore again with \
         RestoreOptions::resume"
    )]
    Kept {
        /// Why it failed.
        because: Box<crate::Error>,
        /// The staging database.
        staging: String,
    },
    /// Interrupted.
    #[error("interrupted; the target is untouched")]
    Interrupted,
    /// The server sent messages during a load until both sides waited for each other.
    #[error(
        "the load of a table came to a halt because the server sends messages while it takes rows (RAISE INFO in a \
         function that a constraint or a generated column of the table calls?); remove these from the function in the source and \
         take the backup again"
    )]
    Stalled,
    /// A test build stopped here.
    #[error("stopped at the failpoint {0}")]
    Failpoint(Step),
    /// A task of the restore ended unexpectedly: a bug.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

/// A row that the server did not accept. Holds no values.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowError {
    /// The table, as SQL.
    pub table: String,
    /// The row's number in the archive, from 1; `None` if the server did not name it.
    pub row: Option<u64>,
    /// The column, if the server named it.
    pub column: Option<String>,
    /// The server's code.
    pub sqlstate: String,
    /// The meaning of the code, in words.
    pub condition: String,
    /// The violated constraint, if any.
    pub constraint: Option<String>,
    /// The partitions of the table and their bounds, if the row fits none.
    pub bounds: Vec<String>,
}

/// What is done to the object of an entry, as a verb phrase.
struct Making<'a>(&'a str);

impl fmt::Display for Making<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The beginning of an entry's name, and what takes its place.
        const PHRASES: [(&str, &str); 14] = [
            ("ACL ", "set the privileges of "),
            ("BLOB METADATA ", "create large objects of "),
            ("BLOBS ", "load "),
            ("COMMENT ", "set COMMENT "),
            ("DATABASE PROPERTIES ", "set the properties of "),
            ("DEFAULT ACL ", "set the default privileges "),
            ("INDEX ATTACH ", "attach INDEX "),
            ("MATERIALIZED VIEW DATA ", "fill MATERIALIZED VIEW "),
            ("PUBLICATION TABLE ", "add to PUBLICATION TABLE "),
            ("ROW SECURITY ", "turn on ROW SECURITY of "),
            ("SECURITY LABEL ", "set SECURITY LABEL "),
            ("SEQUENCE SET ", "set the value of SEQUENCE "),
            ("STATISTICS DATA ", "set STATISTICS DATA "),
            ("TABLE ATTACH ", "attach TABLE "),
        ];
        let Self(entry) = self;
        let known = PHRASES.iter().find_map(|(start, phrase)| Some((entry.strip_prefix(start)?, phrase)));
        match known {
            Some((rest, phrase)) => write!(f, "{phrase}{rest}"),
            None => write!(f, "create {entry}"),
        }
    }
}

/// The databases that were dropped before one that was not.
struct Before<'a>(&'a [String]);

impl fmt::Display for Before<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "; dropped before it:\n{}", AllLines(self.0)) }
    }
}

/// A text after a semicolon, if there is one.
struct AfterSemicolon(Option<&'static str>);

impl fmt::Display for AfterSemicolon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(text) => write!(f, "; {text}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row {
            Some(row) => write!(f, "row {row} of table {} was refused", self.table)?,
            None => write!(f, "a row of table {} was refused", self.table)?,
        }
        if let Some(column) = &self.column {
            write!(f, " for its column {column}")?;
        }
        write!(f, ": {} (SQLSTATE {})", self.condition, self.sqlstate)?;
        if let Some(constraint) = &self.constraint {
            write!(f, ", constraint {constraint}")?;
        }
        if !self.bounds.is_empty() {
            write!(f, "; it fits none of the partitions:\n{}", Lines(&self.bounds))?;
        }
        Ok(())
    }
}

impl RestoreError {
    /// The kind of the error, by which a caller decides what to do.
    pub fn kind(&self) -> ErrorKind {
        self.code().kind
    }
}
