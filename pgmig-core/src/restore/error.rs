//! Why a restore was refused, or failed.

use super::refusal::Refusal;
use crate::archive::DumpId;
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
    /// What was to be written could not be.
    #[error("cannot write the script")]
    Output(#[source] std::io::Error),
    /// A script cannot be made of the archive.
    #[error("no script can be made of the archive because of {entry}: {reason}")]
    Script {
        /// The entry.
        entry: String,
        /// What is in the way.
        reason: String,
    },
    /// The archive's own statement failed.
    #[error(
        "could not create {entry}: {message} (SQLSTATE {sqlstate}){}; it is the archive's entry with dump ID {dump_id}",
        AfterSemicolon(*advice)
    )]
    Entry {
        /// What the entry makes.
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
    /// What was restored is not what the archive holds.
    #[error("the restored database does not agree with the archive:\n{}", Lines(.0))]
    Verification(Vec<String>),
    /// Constraints of the target's schema do not hold for the archive's rows.
    #[error("the archive's rows violate constraints of the target's schema:\n{}", Lines(.0))]
    Constraints(Vec<String>),
    /// The target's schema is not what its copy was made of.
    #[error(
        "the schema of the target was changed while this restore was under way, or could not be set back as it was; \
         run it again while nobody changes the target:\n{}",
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
        /// What is wrong.
        reason: String,
    },
    /// Stopped because there were warnings.
    #[error("stopped before the target was replaced because of {} (RestoreOptions::strict); the target is untouched", count(*.0, "warning"))]
    Strict(usize),
    /// The connection was lost while committing the swap.
    #[error(
        "the connection was lost while the swap was being committed, and the server cannot be reached; when it \
         can, this tells the outcome: {query} -- {swapped_oid} means that the restore is complete, anything else \
         that the target is untouched"
    )]
    OutcomeUnknown {
        /// The query that tells.
        query: String,
        /// Its answer if the swap was committed.
        swapped_oid: u32,
    },
    /// The connection was lost while committing a restore in place.
    #[error(
        "the connection was lost while the restore was being committed, and the server cannot tell yet how that ended; when \
         it can, this does: {query} -- \"committed\" means that the restore is complete, \"aborted\" that the target is \
         untouched"
    )]
    CommitUnknown {
        /// The query that tells, in any database of the server.
        query: String,
    },
    /// A statement ended the transaction that everything is restored in. Nothing of it was committed.
    #[error(
        "{0} ended the transaction in which everything is restored; nothing was committed; transaction control does not \
         belong into a backup"
    )]
    TransactionEnded(String),
    /// A statement committed the transaction that everything is restored in, before everything was.
    #[error(
        "{culprit} committed the transaction in which everything is restored, before all of it was: {what}; restore a backup \
         of the target"
    )]
    CommittedEarly {
        /// The entry whose statement did it, as far as that is known.
        culprit: String,
        /// What is known of the target now.
        what: String,
    },
    /// What belongs to the target database itself, or to `username`, is not as it was.
    #[error(
        "{because}while the restore was under way, code in the backup, or somebody else, changed what belongs to the target \
         database or to its owner:\n{}\nset that back; what the target holds is as it was",
        AllLines(changes)
    )]
    StateChanged {
        /// The error that ended the restore before, with what follows it; or nothing.
        because: String,
        /// What was changed, in words without values.
        changes: Vec<String>,
    },
    /// What belongs to the target database itself, or to a role, would have been changed by the commit.
    #[error(
        "code in the backup changes what is not the backup's, and with it nothing of the restore was committed:\n{}",
        AllLines(.0)
    )]
    StateWouldChange(Vec<String>),
    /// A statement changed something of its session that pgmig relies on.
    #[error("{culprit} changed {what} of the session that restores it, which does not belong into a backup")]
    SessionChanged {
        /// The entry or the table whose code did it.
        culprit: String,
        /// What it changed.
        what: &'static str,
    },
    /// Objects that may be the archive's are where an extension's script would find them.
    #[error(
        "extension {extension} cannot be made by a superuser: schema {schema} holds objects of other roles already, which its \
         script could take for its own"
    )]
    ExtensionSchema {
        /// The extension.
        extension: String,
        /// Its schema.
        schema: String,
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
    /// The row's number in the archive, from 1; `None` where the server did not say.
    pub row: Option<u64>,
    /// The column, where the server said it.
    pub column: Option<String>,
    /// The server's code.
    pub sqlstate: String,
    /// What the code means, in words.
    pub condition: String,
    /// The violated constraint, where there is one.
    pub constraint: Option<String>,
    /// The partitions of the table and their bounds, where the row fits none.
    pub bounds: Vec<String>,
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
    /// What a caller should conclude.
    pub fn kind(&self) -> ErrorKind {
        match self {
            RestoreError::Refused(_) => ErrorKind::Refused,
            RestoreError::Strict(_) => ErrorKind::Strict,
            RestoreError::OutcomeUnknown { .. }
            | RestoreError::CommitUnknown { .. }
            | RestoreError::CommittedEarly { .. } => ErrorKind::OutcomeUnknown,
            RestoreError::Interrupted => ErrorKind::Interrupted,
            RestoreError::StateChanged { .. } => ErrorKind::Touched,
            _ => ErrorKind::Failed,
        }
    }
}
