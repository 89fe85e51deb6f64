//! How a table of the archive differs from the target's own, and what becomes of that.

use serde::Serialize;
use std::fmt;

/// A difference between the tables of the archive and those of the target, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TableDifference {
    /// The table, as SQL: the archive's; the target's where only that has the table or column.
    pub table: String,
    /// The column, where the difference is one of a column.
    pub column: Option<String>,
    /// What differs.
    #[serde(flatten)]
    pub kind: DifferenceKind,
    /// What becomes of it.
    pub outcome: Outcome,
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "difference", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DifferenceKind {
    /// Only the archive has it.
    OnlyInArchive,
    /// Only the target has it.
    OnlyInTarget,
    /// The profile leaves it out.
    LeftOut,
    /// It may be NULL in the archive, and not in the target.
    Nullable,
    /// The target calls it otherwise.
    Renamed {
        /// The name in the target, as SQL.
        to: String,
    },
    /// Its rows are a partition's in the archive, and go into a table that is not divided in the same way.
    Partition {
        /// The table that takes them, as SQL.
        of: String,
    },
    /// The types differ.
    Type {
        /// In the archive.
        archive: String,
        /// In the target.
        target: String,
    },
    /// The types have the same name, and are not the same.
    Definition {
        /// The type's name, as SQL.
        of: String,
        /// How it differs.
        how: String,
    },
    /// The target computes it from other columns.
    Computed,
    /// The archive computes it from other columns, and so has no values for it.
    WasComputed,
    /// The archive's rows are INSERT statements, and nothing in it tells which columns they are for.
    Unnamed,
    /// It belongs to the installation (the profile's global tables, histories of migration tools, extensions).
    Global,
}

/// What becomes of a difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The restore deals with it, and how.
    Accepted(String),
    /// The restore is refused, and what to do about it.
    Refused(String),
}

impl TableDifference {
    /// Whether the restore is refused because of it.
    pub fn is_refused(&self) -> bool {
        matches!(self.outcome, Outcome::Refused(_))
    }

    /// What differs, in words.
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

    /// What becomes of it, in words.
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

/// An object that is not the same in two databases: a table, column, constraint, index, trigger, rule, policy, view,
/// sequence, type, function or aggregate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchemaDifference {
    /// What it is, and its name as SQL: `column store.tenant.region`.
    pub object: String,
    /// Its definition in the archive; `None` where the archive has no such object.
    pub archive: Option<String>,
    /// Its definition in the target; `None` where the target has no such object.
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
