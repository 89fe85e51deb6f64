//! Differences between the archive's tables and the target's own, and how the restore handles them.

use serde::Serialize;
use std::fmt;

/// A difference between the archive and the target in a table or column, and how the restore handles it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct TableDifference {
    /// The archive's table, as SQL; the target's table if only the target has it, or the column.
    pub table: String,
    /// The column, if the difference is in a column.
    pub column: Option<String>,
    /// The kind of difference.
    #[serde(flatten)]
    pub kind: DifferenceKind,
    /// How the restore handles it.
    pub outcome: Outcome,
}

/// The kind of a difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "difference", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DifferenceKind {
    /// Only the archive has the table or column.
    OnlyInArchive,
    /// Only the target has the table or column.
    OnlyInTarget,
    /// The profile drops it.
    LeftOut,
    /// The column may be NULL in the archive, but not in the target.
    Nullable,
    /// It has another name in the target.
    Renamed {
        /// The name in the target, as SQL.
        to: String,
    },
    /// The rows belong to a partition in the archive, and go to a table that is not partitioned in the same way.
    Partition {
        /// The table that gets the rows, as SQL.
        of: String,
    },
    /// The types differ.
    Type {
        /// The type in the archive.
        archive: String,
        /// The type in the target.
        target: String,
    },
    /// The types have the same name, but not the same definition.
    Definition {
        /// The type's name, as SQL.
        of: String,
        /// How the definition differs.
        how: String,
    },
    /// The target computes the column from other columns.
    Computed,
    /// The archive computes the column from other columns, and so has no values for it.
    WasComputed,
    /// The archive's rows are INSERT statements, and the archive does not show their columns.
    Unnamed,
    /// The table belongs to the installation: a global table of the profile, a table of a migration tool or of an
    /// extension.
    Global,
}

/// How the restore handles a difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The restore handles it in this way.
    Accepted(String),
    /// The restore is refused; the text is advice.
    Refused(String),
}

impl TableDifference {
    /// Whether the restore is refused because of this difference.
    pub fn is_refused(&self) -> bool {
        matches!(self.outcome, Outcome::Refused(_))
    }

    /// The difference, in words.
    pub fn what(&self) -> String {
        let noun = if self.column.is_some() { "column" } else { "table" };
        match &self.kind {
            DifferenceKind::OnlyInArchive => format!("the target has no such {noun}"),
            DifferenceKind::OnlyInTarget => format!("the archive has no such {noun}"),
            DifferenceKind::LeftOut => "the profile leaves it out".to_owned(),
            DifferenceKind::Nullable => "it may be NULL in the archive, and not in the target".to_owned(),
            DifferenceKind::Definition { of, how } => format!("type {of}: {how}"),
            DifferenceKind::Renamed { to } => format!("it is {to} in the target"),
            DifferenceKind::Partition { of } => format!("its rows are in {of} in the target"),
            DifferenceKind::Type { archive, target } => {
                format!("{archive} in the archive, {target} in the target")
            }
            DifferenceKind::Computed => "the target computes it".to_owned(),
            DifferenceKind::WasComputed => {
                "it was computed in the archive, and is not in the target".to_owned()
            }
            DifferenceKind::Unnamed => "its INSERT statements do not name their columns".to_owned(),
            DifferenceKind::Global => "it belongs to the installation".to_owned(),
        }
    }

    /// How the restore handles it, in words.
    pub fn then(&self) -> &str {
        match &self.outcome {
            Outcome::Accepted(text) | Outcome::Refused(text) => text,
        }
    }
}

impl fmt::Display for TableDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(f, "column {}.{column}", self.table)?,
            None => write!(f, "table {}", self.table)?,
        }
        write!(f, ": {}; {}", self.what(), self.then())
    }
}

/// An object that differs between two databases: a table, column, constraint, index, trigger, rule, policy, view,
/// sequence, type, function or aggregate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct SchemaDifference {
    /// The object's kind and its name as SQL: `column store.tenant.region`.
    pub object: String,
    /// Its definition in the archive; `None` if the archive does not have the object.
    pub archive: Option<String>,
    /// Its definition in the target; `None` if the target does not have the object.
    pub target: Option<String>,
}

impl fmt::Display for SchemaDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, archive, target } = self;
        match (archive, target) {
            (Some(archive), Some(target)) => {
                write!(f, "{object}: {archive} in the archive, {target} in the target")
            }
            (Some(definition), None) => {
                f.write_str(format!("only in the archive: {object} {definition}").trim_end())
            }
            (None, Some(definition)) => {
                f.write_str(format!("only in the target: {object} {definition}").trim_end())
            }
            (None, None) => f.write_str(object),
        }
    }
}
