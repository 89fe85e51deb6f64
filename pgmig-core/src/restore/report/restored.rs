//! The report of a restore. Its JSON form (fields, names, units) is documented and does not change.

use crate::instance::{Instance, InstanceId};
use crate::profile::{Profile, SchemaVersion};
use crate::progress::Notice;
use crate::restore::options::Strategy;
use crate::restore::report::contents::TargetContents;
use crate::restore::report::difference::TableDifference;
use crate::retrain::Training;
use crate::serialized::{optional_path, seconds};
use crate::sql::QualifiedName;
use serde::{Deserialize, Serialize, Serializer};
use std::path::PathBuf;
use std::time::Duration;

/// IDs in one column: the number of occurrences that were replaced, or left unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Replacements {
    /// The column's name.
    pub column: String,
    /// The number of occurrences.
    pub count: u64,
}

/// The load of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TableReport {
    /// The schema and name as SQL, quoted where needed.
    pub table: String,
    /// Rows in the archive, all acknowledged by the server.
    pub rows: u64,
    /// Of these, rows that an interrupted run had loaded, and that this run did not load again.
    pub resumed_rows: u64,
    /// The bytes of COPY text.
    #[serde(rename = "data_bytes")]
    pub bytes: u64,
    /// Replacements by column; columns without any are omitted.
    pub replacements: Vec<Replacements>,
    /// IDs found in bytea and left unchanged, by column; columns without any are omitted.
    pub left_in_bytea: Vec<Replacements>,
}

/// IDs of mapped instances found in large objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LargeObjectIds {
    /// The number of large objects that hold any.
    pub objects: u64,
    /// The number of occurrences replaced.
    pub replaced: u64,
    /// The number of occurrences left unchanged.
    pub left: u64,
}

/// A source of the mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SourceReport {
    /// The ID in the backup.
    pub source: InstanceId,
    /// The ID that replaces it.
    pub target: InstanceId,
    /// How often the source was found in rows, definitions and large objects. Occurrences that a rule leaves unchanged
    /// are included.
    pub found: u64,
}

/// The comparison of rows with those that were sent (`--verify=full`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RowComparison {
    /// The number of tables whose rows were compared.
    pub tables: u64,
    /// The number of their rows.
    pub rows: u64,
    /// Tables and columns that were not compared.
    pub not_compared: Vec<NotCompared>,
}

/// A table, or some of its columns, whose values were not compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NotCompared {
    /// The schema and name as SQL, quoted where needed.
    pub table: String,
    /// The columns; empty for all of the table.
    pub columns: Vec<String>,
    /// The reason.
    pub reason: String,
}

/// An instance of the backup and its ID in the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MappedInstance {
    /// The instance as it is in the backup.
    pub source: Instance,
    /// Its ID in the target; equal to the source's ID if it was not mapped.
    pub target: InstanceId,
}

/// A migration that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MigrationReport {
    /// The migration's version.
    pub version: i64,
    /// The migration's description, from the name of its file.
    pub description: String,
    /// How long it took.
    #[serde(rename = "took_seconds", serialize_with = "seconds")]
    pub took: Duration,
}

/// The work of an interrupted run that a restore went on with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ResumedWork {
    /// The entries that were made.
    pub entries: usize,
    /// The rows that were loaded.
    pub rows: u64,
    /// The tables that had all their rows.
    pub tables: usize,
    /// The large objects that were loaded.
    pub large_objects: u64,
    /// The migrations that were applied.
    pub migrations: usize,
    /// Whether everything was done but the swap.
    pub is_built: bool,
}

/// The rows of a table that the store's manual counts after a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TableCount {
    /// The schema and name as SQL, quoted where needed.
    pub table: String,
    /// The number of its rows.
    pub rows: u64,
}

/// A finished restore.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RestoreReport {
    /// The target's database name.
    pub database: String,
    /// How the target was replaced.
    pub strategy: Strategy,
    /// Whether code of the backup, and of the target's owner, could act as `su_username` (`--trust-archive`).
    pub trusts_archive: bool,
    /// The name of the previous database, if it was kept.
    #[serde(rename = "previous_database")]
    pub previous: Option<String>,
    /// The backup of the target that was taken before it was replaced.
    #[serde(rename = "backup_file", serialize_with = "optional_path")]
    pub backup: Option<PathBuf>,
    /// What was there already, if this restore went on with an interrupted one.
    pub resumed: Option<ResumedWork>,
    /// The instances of the backup.
    pub instances: Vec<MappedInstance>,
    /// The mapping's sources, except those that are their own target, in the mapping's order.
    pub sources: Vec<SourceReport>,
    /// The tables, in the order in which they were loaded.
    pub tables: Vec<TableReport>,
    /// The tables that the profile counts (`counted_tables`).
    pub counts: Vec<TableCount>,
    /// The training that the restored workspaces need, if the profile names their table (`workspaces`).
    pub training: Option<Training>,
    /// The comparison of the rows with those that were sent, if it was asked for.
    pub row_comparison: Option<RowComparison>,
    /// The number of replacements in literals of DDL.
    pub ddl_replacements: u64,
    /// The number of large objects restored, and their bytes.
    #[serde(serialize_with = "large_objects")]
    pub large_objects: (u64, u64),
    /// IDs of mapped instances in large objects.
    pub large_object_ids: LargeObjectIds,
    /// The schema version of the backup, if known.
    pub source_version: Option<SchemaVersion>,
    /// The schema version that the target has now, if known.
    pub target_version: Option<SchemaVersion>,
    /// The migrations that were applied, in order.
    pub migrations: Vec<MigrationReport>,
    /// How the archive's tables differ from the target's own, and how the restore handled that (`--schema target`).
    pub differences: Vec<TableDifference>,
    /// The data that the target held before.
    pub erased: TargetContents,
    /// Notices and warnings, in the order in which they occurred.
    pub notices: Vec<Notice>,
    /// How long it took.
    #[serde(rename = "took_seconds", serialize_with = "seconds")]
    pub took: Duration,
}

impl RestoreReport {
    /// Fills in the figures that the profile asks for, from the tables.
    pub(crate) fn count_tables(&mut self, profile: &Profile) {
        let named = |table: &TableReport| QualifiedName::parse(&table.table).ok();
        let is_counted = |table: &&TableReport| {
            named(table).is_some_and(|name| profile.counted_tables().iter().any(|counted| counted.is(&name)))
        };
        let count = |table: &TableReport| TableCount { table: table.table.clone(), rows: table.rows };
        self.counts = self.tables.iter().filter(is_counted).map(count).collect();
        let Some(workspaces) = profile.workspaces() else { return };
        let is_theirs = |table: &&TableReport| named(table).is_some_and(|name| workspaces.is(&name));
        let rows: Vec<u64> = self.tables.iter().filter(is_theirs).map(|table| table.rows).collect();
        self.training = (!rows.is_empty()).then(|| Training::of(rows.iter().sum()));
    }
}

fn large_objects<S: Serializer>(counts: &(u64, u64), serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct LargeObjects {
        count: u64,
        data_bytes: u64,
    }
    let &(count, data_bytes) = counts;
    LargeObjects { count, data_bytes }.serialize(serializer)
}
