//! Errors of an instance ID, a mapping, or the table of instances.

use super::InstanceId;
use crate::codes::Coded as _;
use crate::config_file::ConfigFileError;
use crate::outcome::ErrorKind;
use std::{fmt, io};
use thiserror::Error;

/// The text is not an instance ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a UUID; expected 8-4-4-4-12 hexadecimal digits, such as 00000000-0000-0000-0000-001570184978")]
pub struct IdError;

/// An error in a mapping. `file` is the file's name as the user gave it; lines are 1-based.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MappingError {
    /// The file cannot be read, or is another one.
    #[error(transparent)]
    File(#[from] ConfigFileError),
    /// The file cannot be written.
    #[error("cannot write the mapping file {file}")]
    Write {
        /// The file.
        file: String,
        /// The reason.
        source: io::Error,
    },
    /// The file is not YAML, or does not have the form of a mapping file.
    #[error("{file}, line {line}: {problem}")]
    Malformed {
        /// The file.
        file: String,
        /// The line; 0 if the problem has no line.
        line: u64,
        /// The problem and the expected form.
        problem: String,
    },
    /// A key occurs twice, perhaps in another spelling.
    #[error("{file}, line {line}: duplicate key {key}")]
    DuplicateKey {
        /// The file.
        file: String,
        /// The line of the second key.
        line: u64,
        /// The key in the spelling of the second one, as it may be shown.
        key: String,
    },
    /// A source or a target is not a UUID.
    #[error("{file}, line {line}: the {what} {text} is {source}")]
    BadId {
        /// The file.
        file: String,
        /// The line.
        line: u64,
        /// "key" or "value".
        what: &'static str,
        /// The text, as it may be shown.
        text: String,
        /// The expected form.
        source: IdError,
    },
    /// Two sources have the same target.
    #[error(
        "{file}, line {line}: {key} is mapped to {target}, and so is {other} (line {other_line}); \
         two instances cannot become one"
    )]
    DuplicateTarget {
        /// The file.
        file: String,
        /// The line of the second one.
        line: u64,
        /// The second source.
        key: InstanceId,
        /// The target of both.
        target: InstanceId,
        /// The first source.
        other: InstanceId,
        /// Its line.
        other_line: u64,
    },
    /// Two pairs from a program have the same source or the same target.
    #[error("{id} is the {side} of two pairs of the mapping")]
    DuplicatePair {
        /// The ID.
        id: InstanceId,
        /// "source" or "target".
        side: &'static str,
    },
    /// A target is the ID of an instance of the backup that keeps its ID.
    #[error(
        "{key} is mapped to {target}, which is another instance of the backup ({name}) that is not mapped itself; \
         map that one too, or choose another target"
    )]
    TargetIsSource {
        /// The source.
        key: InstanceId,
        /// Its target.
        target: InstanceId,
        /// The other instance, by its name and ID.
        name: String,
    },
    /// Every target is an instance of the backup, and no source is.
    #[error(
        "sources and targets of the mapping look reversed: the backup has its targets, and none of its sources; write \
         each pair as \"source: target\""
    )]
    Reversed,
    /// A target is not a provisioned instance.
    #[error(
        "{key} is mapped to {target}, which is not provisioned on the target; choose one of those that are"
    )]
    NotProvisioned {
        /// The source.
        key: InstanceId,
        /// Its target.
        target: InstanceId,
    },
    /// The backup has more instances to map than there are provisioned ones.
    #[error(
        "the backup has {instances} instances that need one on the target, but only {provisioned} are provisioned \
         there{}; provision as many as the backup has, or list the access tokens of all their owners",
        Remaining { open: *open, free: *free }
    )]
    TooFewProvisioned {
        /// The live instances of the backup, and the deleted ones that are mapped.
        instances: usize,
        /// The instances that are provisioned on the target.
        provisioned: usize,
        /// The instances of the backup that are not mapped yet.
        open: usize,
        /// The instances of the target that can still be chosen.
        free: usize,
    },
    /// Two keys of the mapping name the same instance.
    #[error("{id} and {alias} are the same instance of the backup, but the mapping has both; leave one out")]
    TwoKeys {
        /// The instance's ID.
        id: InstanceId,
        /// Its alias.
        alias: InstanceId,
    },
    /// One key of the mapping names two instances.
    #[error("{key} is an alias of two instances of the backup, {first} and {second}; map them by their IDs")]
    AmbiguousKey {
        /// The key.
        key: InstanceId,
        /// One instance.
        first: InstanceId,
        /// Another instance.
        second: InstanceId,
    },
    /// Two mapped instances have the same alias.
    #[error(
        "{first} and {second} have the same alias {alias} in the backup and different targets, \
         so that it cannot follow both"
    )]
    SharedAlias {
        /// The alias.
        alias: String,
        /// One instance.
        first: InstanceId,
        /// The other one.
        second: InstanceId,
    },
    /// A numeric alias cannot be replaced, since the target's ID is not a number in UUID form.
    #[error(
        "{id} is also known by the number {number}, but its target {target} is not a number in UUID form; \
         choose a target such as 00000000-0000-0000-0000-001570184978"
    )]
    NoNumber {
        /// The source.
        id: InstanceId,
        /// Its number.
        number: String,
        /// The target.
        target: InstanceId,
    },
    /// An alias of a mapped instance is neither a UUID nor a number.
    #[error("an alias of {id} is neither a UUID nor a number, so that it cannot follow the mapping")]
    AliasForm {
        /// The source.
        id: InstanceId,
    },
}

/// The numbers of instances left on both sides of an unfinished mapping, unless that is all of them.
struct Remaining {
    open: usize,
    free: usize,
}

impl fmt::Display for Remaining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " ({} of them free for the {} not mapped yet)", self.free, self.open)
    }
}

impl MappingError {
    /// The kind of the error, from which the caller can draw its conclusion.
    pub fn kind(&self) -> ErrorKind {
        self.code().kind
    }
}

/// An error in the rows of the table of instances. Row numbers are 1-based; values are not shown.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DiscoverError {
    /// The table's data does not have a column that the profile names.
    #[error("the table of instances has no column {column:?} in this archive")]
    NoColumn {
        /// The column.
        column: String,
    },
    /// The number of fields in a row differs from the number of columns.
    #[error("row {row} of the table of instances has {fields} fields, expected {columns}")]
    FieldCount {
        /// The row.
        row: u64,
        /// The number of its fields.
        fields: usize,
        /// The number of columns in the statement.
        columns: usize,
    },
    /// An ID is NULL, or is not a UUID.
    #[error("row {row} of the table of instances: column {column:?} is {source}")]
    BadId {
        /// The row.
        row: u64,
        /// The column.
        column: String,
        /// The expected form.
        source: IdError,
    },
    /// Two rows have the same ID.
    #[error("row {row} of the table of instances repeats the ID {id} of row {first_row}")]
    DuplicateId {
        /// The second row.
        row: u64,
        /// The ID.
        id: InstanceId,
        /// The first row.
        first_row: u64,
    },
    /// A value of the column that marks deleted instances is neither true nor false nor NULL.
    #[error("row {row} of the table of instances: column {column:?} is not a boolean")]
    BadBoolean {
        /// The row.
        row: u64,
        /// The column.
        column: String,
    },
}
