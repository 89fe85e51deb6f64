//! What a restore found and did. Its form as JSON (fields, names, units) is documented, and stays.

use crate::instance::{Instance, InstanceId};
use crate::profile::SchemaVersion;
use crate::progress::Notice;
use crate::restore::options::Strategy;
use crate::restore::report::contents::{TargetContents, seconds};
use crate::restore::report::difference::TableDifference;
use serde::{Serialize, Serializer};
use std::time::Duration;

/// IDs in one column: how many were replaced, or left as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replacements {
    /// The column's name.
    pub column: String,
    /// Number of occurrences.
    pub count: u64,
}

/// One table's load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// Schema and name as SQL, quoted where needed.
    pub table: String,
    /// Rows in the archive, all acknowledged by the server.
    pub rows: u64,
    /// Bytes of COPY text.
    #[serde(rename = "data_bytes")]
    pub bytes: u64,
    /// Replacements by column; columns without any are left out.
    pub replacements: Vec<Replacements>,
    /// IDs found in bytea and left as they are, by column; columns without any are left out.
    pub left_in_bytea: Vec<Replacements>,
}

/// IDs of mapped instances found in large objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LargeObjectIds {
    /// Number of large objects that hold any.
    pub objects: u64,
    /// Number of occurrences replaced.
    pub replaced: u64,
    /// Number of occurrences left as they are.
    pub left: u64,
}

/// An instance of the backup and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MappedInstance {
    /// As it is in the backup.
    pub source: Instance,
    /// Its ID in the target; equal to the source's where it was not mapped.
    pub target: InstanceId,
}

/// A migration that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MigrationReport {
    /// Its version.
    pub version: i64,
    /// Its description, from the file's name.
    pub description: String,
    /// How long it took.
    #[serde(rename = "took_seconds", serialize_with = "seconds")]
    pub took: Duration,
}

/// A finished restore.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// The target's database name.
    pub database: String,
    /// How the target was replaced.
    pub strategy: Strategy,
    /// Whether code of the backup, and of the target's owner, could act as `su_username` (`--trust-archive`).
    pub trusts_archive: bool,
    /// The name under which the previous database was kept, if it was.
    #[serde(rename = "previous_database")]
    pub previous: Option<String>,
    /// Instances of the backup.
    pub instances: Vec<MappedInstance>,
    /// Tables, in the order in which they were loaded.
    pub tables: Vec<TableReport>,
    /// Replacements in literals of DDL.
    pub ddl_replacements: u64,
    /// Large objects restored, and their bytes.
    #[serde(serialize_with = "large_objects")]
    pub large_objects: (u64, u64),
    /// IDs of mapped instances in large objects.
    pub large_object_ids: LargeObjectIds,
    /// The schema version of the backup, where it is known.
    pub source_version: Option<SchemaVersion>,
    /// The schema version that the target has now, where it is known.
    pub target_version: Option<SchemaVersion>,
    /// Migrations applied, in order.
    pub migrations: Vec<MigrationReport>,
    /// Where the archive's tables are not the target's own, and what became of that (`--schema target`).
    pub differences: Vec<TableDifference>,
    /// What the target held before.
    pub erased: TargetContents,
    /// Notices and warnings, in the order in which they came up.
    pub notices: Vec<Notice>,
    /// How long it took.
    #[serde(rename = "took_seconds", serialize_with = "seconds")]
    pub took: Duration,
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
