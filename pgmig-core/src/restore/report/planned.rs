//! The plan of a restore, which a dry run shows. Its JSON form (fields, names, units) is documented and does not
//! change.

use crate::archive::{ArchiveVersion, Compression, Created, Format};
use crate::instance::{Instance, InstanceId};
use crate::profile::{Release, SchemaVersion};
use crate::progress::{Notice, Severity};
use crate::restore::options::Strategy;
use crate::restore::report::contents::TargetContents;
use crate::restore::report::difference::TableDifference;
use crate::restore::report::restored::ResumedWork;
use crate::selection::LeftOut;
use crate::serialized::{optional_path, optional_text, path, seconds};
use crate::server::OtherSession;
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// The plan of a restore, as far as it is known before the restore begins. Made by
/// [`Restore::plan`](crate::restore::Restore::plan).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RestorePlan {
    /// The archive to restore.
    pub archive: PlannedArchive,
    /// The server and the database to replace.
    pub target: PlannedTarget,
    /// How the target is replaced.
    pub strategy: Strategy,
    /// Why this strategy is used, in one line.
    pub strategy_reason: String,
    /// The most connections that load rows at the same time.
    pub jobs: NonZeroUsize,
    /// Whether the previous database is kept after the swap.
    pub keep_previous: bool,
    /// How the operator gets back to the data that the target holds now.
    pub way_back: WayBack,
    /// Whether code of the backup, and of the target's owner, may act as `su_username` (`--trust-archive`).
    pub trusts_archive: bool,
    /// The profile of the archive's store; `None` if no profile matches, and so there are no instances.
    pub profile: Option<String>,
    /// The instances of the backup and the fate of each; `None` for a stream, whose rows are not read yet.
    pub instances: Option<Vec<PlannedInstance>>,
    /// The data that the target holds, and would lose.
    pub erased: TargetContents,
    /// Whether the restore is refused unless the user allows pgmig to erase that data.
    pub needs_confirmation: bool,
    /// How the schema is restored.
    pub schema: PlannedSchema,
    /// The tables whose rows are loaded, in the archive's order.
    pub tables: Vec<PlannedTable>,
    /// The large objects.
    pub large_objects: PlannedLargeObjects,
    /// The other objects that are created, counted by pass and kind, in the order of passes.
    pub objects: Vec<PlannedObjects>,
    /// The entries that are not restored, because the options leave them out, or because of such an entry.
    pub left_out: Vec<LeftOut>,
    /// Objects of the target, other than tables, that the archive does not have.
    pub only_in_target: OnlyInTarget,
    /// Other sessions on the target.
    pub sessions: Vec<OtherSession>,
    /// The interrupted restore that this one goes on with; `None` unless the options ask for that.
    pub resume: Option<PlannedResume>,
    /// Databases that earlier runs left behind, and that will be removed.
    pub leftovers: Vec<String>,
    /// Notices and warnings about objects and data that are skipped, changed or lost.
    pub notices: Vec<Notice>,
    /// Facts that cannot be known before the restore, one sentence each.
    pub unknown: Vec<String>,
    /// How long it took to make the plan.
    #[serde(rename = "took_seconds", serialize_with = "seconds")]
    pub took: Duration,
}

/// What a restore that is to go on with an interrupted one finds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedResume {
    /// What is there already; `None` if there is nothing to go on with, so that the restore begins anew, or if it is refused.
    pub work: Option<ResumedWork>,
    /// Why the restore is refused: how it differs from the interrupted one.
    pub differences: Vec<String>,
}

impl RestorePlan {
    /// The number of warnings among the notices; a strict restore stops if there are any.
    pub fn warnings(&self) -> usize {
        self.notices.iter().filter(|notice| notice.severity == Severity::Warning).count()
    }
}

/// How the operator gets back to the data that the target holds before a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WayBack {
    /// The previous database is kept, and a rollback puts it back.
    PreviousDatabase,
    /// A backup of the target is taken first, and can be restored.
    Backup {
        /// The directory of the backup.
        #[serde(serialize_with = "path")]
        directory: PathBuf,
    },
    /// The target holds no data.
    NotNeeded,
    /// There is none.
    None,
}

/// The archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedArchive {
    /// The file; `None` for standard input.
    #[serde(serialize_with = "optional_path")]
    pub file: Option<PathBuf>,
    /// Whether it can be read only once: standard input, or a file that is a pipe.
    pub is_stream: bool,
    /// The format, by pg_dump's name for it.
    pub format: Format,
    /// The version of the archive format.
    #[serde(serialize_with = "optional_text")]
    pub container_version: Option<ArchiveVersion>,
    /// How the archive's data is compressed.
    #[serde(serialize_with = "optional_text")]
    pub compression: Option<Compression>,
    /// How the file as a whole is compressed in addition.
    #[serde(serialize_with = "optional_text")]
    pub file_compression: Option<Compression>,
    /// When it was made, in the local time of the machine that ran pg_dump.
    #[serde(serialize_with = "optional_text")]
    pub created: Option<Created>,
    /// The name of the source database.
    pub database: Option<String>,
    /// The version of the source server.
    pub server_version: Option<String>,
    /// The version of the pg_dump that made it.
    pub pg_dump_version: Option<String>,
    /// The encoding of its texts and rows, by PostgreSQL's name.
    pub encoding: Option<String>,
    /// The number of entries in its table of contents.
    pub entries: usize,
    /// The size of the file in bytes; `None` for a stream.
    #[serde(rename = "archive_bytes")]
    pub bytes: Option<u64>,
}

/// The server and the database that is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedTarget {
    /// Host and port, or the socket's path.
    pub server: String,
    /// The version that the server reports.
    pub server_version: String,
    /// TLS version and cipher; `None` without TLS.
    pub tls: Option<String>,
    /// The database's name.
    pub database: String,
    /// The owner of the present database, and of the restored one.
    pub database_owner: String,
    /// The role that owns the restored objects.
    pub username: String,
    /// The role that connects.
    pub su_username: String,
    /// Whether `su_username` is a superuser.
    pub su_is_superuser: bool,
    /// The database that is built beside the target, until the swap; `None` in place.
    pub staging_database: Option<String>,
}

/// An instance of the backup and its fate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedInstance {
    /// The instance as it is in the backup.
    pub source: Instance,
    /// Its ID in the target; equal to the source's ID if it is not mapped.
    pub target: InstanceId,
    /// Why it gets that ID.
    pub because: WhyThatId,
}

/// Why an instance gets its ID in the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhyThatId {
    /// The mapping says so.
    Mapped,
    /// The user has asked to keep the IDs of all instances.
    KeepIds,
    /// It is marked as deleted and is not mapped, so it is restored unchanged.
    Deleted,
    /// It belongs to the system (by its region) and is not mapped, so it is restored unchanged.
    System,
}

/// How the schema is restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "how", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PlannedSchema {
    /// Migrations upgrade the archive's schema. There are none if it already has the target's version.
    Migrate {
        /// The backup's version; `None` if no migration has been applied to its store.
        from: Option<SchemaVersion>,
        /// The version afterwards.
        to: SchemaVersion,
        /// The migrations, in the order in which they are applied.
        migrations: Vec<PlannedMigration>,
    },
    /// The archive's schema is restored unchanged.
    AsItIs {
        /// The reason.
        reason: String,
    },
    /// The target's own schema is kept, and rows are loaded into it by the names of tables and columns.
    Target {
        /// How the archive's tables differ from the target's, and how the restore handles that.
        differences: Vec<TableDifference>,
    },
    /// Migrations upgrade the archive's schema; they are not known before the stream has been read.
    Later {
        /// The version afterwards, if the profile contains it.
        to: Option<SchemaVersion>,
    },
}

/// A migration that would be applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedMigration {
    /// The migration's version.
    pub version: i64,
    /// The migration's description, from the name of its file.
    pub description: String,
    /// The first release that includes it; `None` if it is newer than the newest release.
    pub release: Option<Release>,
}

/// A table whose rows are loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedTable {
    /// The schema and name as SQL, quoted where needed.
    pub table: String,
    /// The bytes of its rows in the archive, in compressed form; `None` for a stream.
    pub archive_bytes: Option<u64>,
}

/// The large objects to restore.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedLargeObjects {
    /// Their number; `None` if it is not known before their data is read (archives of PostgreSQL before 9.0).
    pub count: Option<u64>,
    /// The bytes of their data in the archive, in compressed form; `None` for a stream.
    pub archive_bytes: Option<u64>,
}

/// The number of objects of one kind that are created in one pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedObjects {
    /// When.
    pub pass: RestorePass,
    /// As the archive calls them: `INDEX`, `FK CONSTRAINT`.
    pub kind: String,
    /// The number of objects.
    pub count: u64,
}

/// The passes of a restore, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RestorePass {
    /// Definitions that data needs.
    PreData,
    /// Sequence values, which belong to the rows.
    Data,
    /// Indexes, constraints, triggers, rules.
    PostData,
    /// Grants and default privileges.
    Privileges,
    /// Materialized views are filled, and event triggers created.
    Last,
}

/// Objects of the target, other than tables, that the archive does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OnlyInTarget {
    /// Extensions, which are created again as far as rights allow.
    pub extensions: Vec<String>,
    /// Publications, which are lost.
    pub publications: Vec<String>,
    /// Relations of owners other than `username`, which are replaced, too: `owner: relation`. pgmig does not check
    /// whether the archive has relations of these names.
    pub of_others: Vec<String>,
}
