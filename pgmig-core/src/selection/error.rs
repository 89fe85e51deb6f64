//! Why a selection cannot be used.

use crate::codes::Coded as _;
use crate::lines::AllLines;
use crate::outcome::ErrorKind;
use thiserror::Error;

/// Why a selection cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// A pattern has a form that pgmig does not read.
    #[error("{pattern:?} is not a pattern for names: {problem}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// The fault in it.
        problem: &'static str,
    },
    /// A line of a list names no entry.
    #[error("{file}, line {line}: expected the number of an entry, not {text:?}")]
    ListLine {
        /// The file.
        file: String,
        /// The line's number, from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// The list belongs to another backup.
    #[error(
        "{file}, line {line}: the list does not fit the backup: {problem}; make the list from this backup"
    )]
    OtherList {
        /// The file.
        file: String,
        /// The line's number, from 1.
        line: usize,
        /// How they differ.
        problem: String,
    },
    /// A list cannot be read.
    #[error("cannot read the list {file}")]
    ListFile {
        /// The file.
        file: String,
        /// The reason.
        source: std::io::Error,
    },
    /// A name that the backup does not have.
    #[error("the backup has no {what} {pattern}{}; correct the name, or leave the option out", fold(.in_other_case))]
    NoMatch {
        /// The kind of object.
        what: &'static str,
        /// The pattern.
        pattern: String,
        /// A name of the backup that differs in upper and lower case only, as a pattern.
        in_other_case: Option<String>,
    },
    /// Rows, indexes or constraints without the tables that they belong to.
    #[error(
        "the restore replaces the whole database, so section {0} cannot be restored without section pre-data; add it to \
         Selection::sections"
    )]
    NoDefinitions(&'static str),
    /// A restore of rows only, without section data.
    #[error(
        "with SchemaSource::Target only rows are restored, so Selection::sections must contain section data"
    )]
    NoData,
    /// Rows would be lost with the entries that their table depends on.
    #[error(
        "tables cannot be made without entries that are left out, and their rows would be lost:\n{}\nlet these entries be \
         restored, or leave out the tables, too, by Selection::exclude_tables",
        AllLines(.0)
    )]
    RowsLost(
        /// The tables, and the entries that they depend on.
        Vec<String>,
    ),
    /// The instances of the backup cannot be known.
    #[error(
        "the rows of table {0} are left out, which name the instances of the backup; without them the IDs of instances cannot \
         be mapped; restore the table, or use Instances::Keep"
    )]
    Instances(
        /// The table of instances.
        String,
    ),
}

impl SelectionError {
    /// The kind of the error, by which a caller decides what to do.
    pub fn kind(&self) -> ErrorKind {
        self.code().kind
    }
}

fn fold(in_other_case: &Option<String>) -> String {
    match in_other_case {
        Some(name) => format!(", but {name}: letters outside double quotes are folded to lower case"),
        None => String::new(),
    }
}
