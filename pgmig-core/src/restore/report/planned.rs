//! What a restore would do: what a dry run shows. Its form as JSON (fields, names, units) is documented, and stays.

use crate::archive::{ArchiveVersion, Compression, Created, Format};
use crate::instance::{Instance, InstanceId};
use crate::profile::{Release, SchemaVersion};
use crate::progress::{Notice, Severity};
use crate::restore::options::Strategy;
use crate::restore::report::contents::{TargetContents, seconds};
use crate::restore::report::difference::TableDifference;
use crate::server::OtherSession;
use serde::{Serialize, Serializer};
use std::fmt::Display;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// What a restore would do, as far as that is known before it begins. Made by
/// [`Restore::plan`](crate::restore::Restore::plan).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RestorePlan {
    /// What is restored.
    pub archive: PlannedArchive,
    /// Where to.
    pub target: PlannedTarget,
    /// How the target is replaced.
    pub strategy: Strategy,
    /// Why this strategy is taken, in one line.
    pub strategy_reason: String,
    /// The most connections that rows are loaded over at a time.
    pub jobs: NonZeroUsize,
    /// Whether the previous database is kept after the swap.
    pub keep_previous: bool,
    /// Whether code of the backup, and of the target's owner, may act as `su_username` (`--trust-archive`).
    pub trusts_archive: bool,
    /// The profile of the archive's store; `None` if it is none that is known, and so has no instances.
    pub profile: Option<String>,
    /// The instances of the backup and what becomes of each; `None` for a stream, whose rows tell them.
    pub instances: Option<Vec<PlannedInstance>>,
    /// What the target holds, and would lose.
    pub erased: TargetContents,
    /// Whether a restore would be refused unless somebody allows it to erase that.
    pub needs_confirmation: bool,
    /// What becomes of the schema.
    pub schema: PlannedSchema,
    /// The tables whose rows are loaded, in the archive's order.
    pub tables: Vec<PlannedTable>,
    /// The large objects.
    pub large_objects: PlannedLargeObjects,
    /// The other objects that are made, counted by pass and kind, in the order of passes.
    pub objects: Vec<PlannedObjects>,
    /// What the target has beside tables, and the archive lacks.
    pub only_in_target: OnlyInTarget,
    /// Other sessions on the target.
    pub sessions: Vec<OtherSession>,
    /// Databases that earlier runs left behind, and that are removed.
    pub leftovers: Vec<String>,
    /// Notices and warnings: what is skipped, changed or lost.
    pub notices: Vec<Notice>,
    /// What cannot be known before the restore, a sentence each.
    pub unknown: Vec<String>,
    /// How long it took to find all this out.
    #[serde(rename = "took_seconds", serialize_with = "seconds")]
    pub took: Duration,
}

impl RestorePlan {
    /// How many of the notices are warnings; a strict restore stops if there are any.
    pub fn warnings(&self) -> usize {
        self.notices.iter().filter(|notice| notice.severity == Severity::Warning).count()
    }
}

/// The archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedArchive {
    /// The file; `None` for standard input.
    #[serde(serialize_with = "path")]
    pub file: Option<PathBuf>,
    /// Whether it can be read only once: standard input, or a file that is a pipe.
    pub is_stream: bool,
    /// What pg_dump calls its format.
    pub format: Format,
    /// Version of the container.
    #[serde(serialize_with = "shown")]
    pub container_version: Option<ArchiveVersion>,
    /// How its data is compressed.
    #[serde(serialize_with = "shown")]
    pub compression: Option<Compression>,
    /// How the whole file is compressed, on top of that.
    #[serde(serialize_with = "shown")]
    pub file_compression: Option<Compression>,
    /// When it was made: local time of the machine that pg_dump ran on.
    #[serde(serialize_with = "shown")]
    pub created: Option<Created>,
    /// Name of the source database.
    pub database: Option<String>,
    /// Version of the source server.
    pub server_version: Option<String>,
    /// Version of the pg_dump that made it.
    pub pg_dump_version: Option<String>,
    /// The encoding of its texts and rows, by PostgreSQL's name for it.
    pub encoding: Option<String>,
    /// Number of entries in its table of contents.
    pub entries: usize,
    /// Size of the file in bytes; `None` for a stream.
    #[serde(rename = "archive_bytes")]
    pub bytes: Option<u64>,
}

/// The server and the database that is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedTarget {
    /// Host and port, or the socket's path.
    pub server: String,
    /// The server's version as it tells it.
    pub server_version: String,
    /// TLS version and cipher; `None` without TLS.
    pub tls: Option<String>,
    /// The database.
    pub database: String,
    /// Its owner, and that of the restored one.
    pub database_owner: String,
    /// The role that the restored objects belong to.
    pub username: String,
    /// The role that connects.
    pub su_username: String,
    /// Whether that is a superuser.
    pub su_is_superuser: bool,
    /// The database that is built beside the target, until the swap; `None` in place.
    pub staging_database: Option<String>,
}

/// An instance of the backup and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedInstance {
    /// As it is in the backup.
    pub source: Instance,
    /// Its ID in the target; equal to the source's where it is not mapped.
    pub target: InstanceId,
    /// Why it gets that ID.
    pub because: Fate,
}

/// Why an instance gets its ID in the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fate {
    /// The mapping says so.
    Mapped,
    /// All instances keep their IDs, as was asked for.
    KeepIds,
    /// It is marked as deleted and not mapped, so it is restored as it is.
    Deleted,
    /// It belongs to the system (by its region) and is not mapped, so it is restored as it is.
    System,
}

/// What becomes of the schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "how", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PlannedSchema {
    /// It is upgraded by migrations; by none where it is at the target's version already.
    Migrate {
        /// The backup's version; `None` for a store without any.
        from: Option<SchemaVersion>,
        /// The version afterwards.
        to: SchemaVersion,
        /// In the order in which they are applied.
        migrations: Vec<PlannedMigration>,
    },
    /// It is restored as it is.
    AsItIs {
        /// Why.
        reason: String,
    },
    /// It is the target's own, into which rows are loaded by the names of tables and columns.
    Target {
        /// Where the archive's tables are not the target's, and what becomes of that.
        differences: Vec<TableDifference>,
    },
    /// It is upgraded, by migrations that are known only when the stream has been read.
    Later {
        /// The version afterwards, where the profile tells it.
        to: Option<SchemaVersion>,
    },
}

/// A migration that would be applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedMigration {
    /// Its version.
    pub version: i64,
    /// Its description, from the file's name.
    pub description: String,
    /// The first release that has it; `None` if it is newer than the newest.
    pub release: Option<Release>,
}

/// A table whose rows are loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedTable {
    /// Schema and name as SQL, quoted where needed.
    pub table: String,
    /// Bytes that its rows take in the archive, compressed as they are; `None` for a stream.
    pub archive_bytes: Option<u64>,
}

/// The large objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedLargeObjects {
    /// How many; `None` where only their data tell it (archives older than PostgreSQL 9.0's).
    pub count: Option<u64>,
    /// Bytes that they take in the archive, compressed as they are; `None` for a stream.
    pub archive_bytes: Option<u64>,
}

/// How many objects of a kind are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedObjects {
    /// When.
    pub pass: Pass,
    /// As the archive calls them: `INDEX`, `FK CONSTRAINT`.
    pub kind: String,
    /// How many.
    pub count: u64,
}

/// The passes of a restore, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pass {
    /// Definitions that data needs.
    PreData,
    /// What goes with rows: sequence values.
    Data,
    /// Indexes, constraints, triggers, rules.
    PostData,
    /// Grants and default privileges.
    Privileges,
    /// Materialized views are filled, event triggers made.
    Last,
}

/// What the target has beside tables, and the archive lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OnlyInTarget {
    /// Extensions, which are created again as far as rights allow.
    pub extensions: Vec<String>,
    /// Publications, which are lost.
    pub publications: Vec<String>,
    /// Relations of other owners than `username`, which are replaced, too: `owner: relation`. Whether the archive
    /// has relations of these names is not looked at.
    pub of_others: Vec<String>,
}

/// A path as it is displayed: one that is not UTF-8 is no reason to fail.
fn path<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    shown(&path.as_ref().map(|path| path.display()), serializer)
}

/// What can be displayed, as a string.
fn shown<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}
