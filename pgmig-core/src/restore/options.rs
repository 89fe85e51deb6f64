//! What to restore, and how.

use crate::instance::Mapping;
use crate::migrations::MigrationSet;
use crate::profile::Release;
use crate::progress::Failpoint;
use serde::Serialize;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

/// Whether data in the target may be erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erase {
    /// A target that holds any row or large object is refused.
    Refuse,
    /// What the target holds may be replaced.
    Allow,
}

/// How the instances of the backup get their IDs in the target.
#[derive(Debug, Clone)]
pub enum Instances {
    /// Under the backup's own IDs.
    Keep,
    /// By this mapping.
    Map(Mapping),
}

/// Whose schema the restored database gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaMode {
    /// The archive's, upgraded where its migration history is known; else as it is, where the target is empty or
    /// looks the same.
    #[default]
    Auto,
    /// The archive's, upgraded; refused where there is no way to.
    Migrate,
    /// The archive's as it is, whatever the target's release.
    Archive,
    /// The target's own; the archive's rows are loaded into it by the names of tables and columns.
    Target,
}

/// How the target is replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StrategyMode {
    /// By a swap where that is possible, else in place.
    #[default]
    Auto,
    /// A new database is built beside the target, and both are renamed in one transaction.
    Swap,
    /// In the target itself, in one transaction on one connection.
    InPlace,
}

/// How large values of rows are compressed by the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ToastCompression {
    /// With lz4 where the server has it (from PostgreSQL 14 on) and the column does not say otherwise: twice as fast
    /// as the server's default, and no larger.
    #[default]
    Lz4,
    /// As the server's own setting says.
    Keep,
}

/// Options of a restore.
#[derive(Debug, Clone)]
pub struct RestoreOptions {
    /// The instances' IDs.
    pub instances: Instances,
    /// Whether data in the target may be erased.
    pub erase: Erase,
    /// Migrations to use instead of those built in for the profile.
    pub migrations: Option<MigrationSet>,
    /// Whose schema the restored database gets.
    pub schema: SchemaMode,
    /// The release that the store is to have; `None` is the target's own, or the newest for an empty target.
    pub to_release: Option<Release>,
    /// How the target is replaced.
    pub strategy: StrategyMode,
    /// Stop before the target is replaced if there were warnings.
    pub strict: bool,
    /// Keep the target's previous database after the swap; in place there is none.
    pub keep_previous: bool,
    /// How long to wait, at the swap or before a restore in place, for other sessions on the target to end.
    pub swap_wait: Duration,
    /// End other sessions on the target instead.
    pub terminate_sessions: bool,
    /// How many connections load rows and build indexes at the same time, as far as the server admits them; in place
    /// it is always one.
    pub jobs: NonZeroUsize,
    /// How large values are compressed.
    pub toast_compression: ToastCompression,
    /// Run code of the archive in sessions of `su_username`, as PostgreSQL's own tools do, and let it make what only a
    /// superuser can make.
    pub trust_archive: bool,
    /// Extensions that pgmig creates as a superuser, besides those that are harmless in an untrusted archive.
    pub allow_extensions: BTreeSet<String>,
    /// Test builds only: where to stop or die. Ignored without the feature `failpoints`.
    pub failpoint: Option<Failpoint>,
}

impl RestoreOptions {
    /// The defaults of the command line: refuse to erase, drop the previous database, wait 60 s at the swap, as
    /// many connections as there are processors, but at most 8.
    pub fn new(instances: Instances) -> Self {
        Self {
            instances,
            erase: Erase::Refuse,
            migrations: None,
            schema: SchemaMode::Auto,
            to_release: None,
            strategy: StrategyMode::Auto,
            strict: false,
            keep_previous: false,
            swap_wait: Duration::from_secs(60),
            terminate_sessions: false,
            jobs: default_jobs(),
            toast_compression: ToastCompression::default(),
            trust_archive: false,
            allow_extensions: BTreeSet::new(),
            failpoint: None,
        }
    }
}

fn default_jobs() -> NonZeroUsize {
    const MAX: NonZeroUsize = NonZeroUsize::new(8).expect("8 is not 0");
    std::thread::available_parallelism().map_or(NonZeroUsize::MIN, |processors| processors.min(MAX))
}

/// How the target is replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Strategy {
    /// A new database is built beside the target, and both are renamed in one transaction.
    #[default]
    Swap,
    /// The target itself is emptied and filled anew, in one transaction on one connection.
    InPlace,
}
