//! The report about a backup.

use super::program::PgDump;
use crate::profile::SchemaVersion;
use crate::progress::Notice;
use crate::serialized::{optional_path, seconds};
use crate::verify::Verified;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// A finished backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DumpReport {
    /// Host and port, or the socket's path.
    pub server: String,
    /// The database's name.
    pub database: String,
    /// The version that the server reports.
    pub server_version: String,
    /// The pg_dump that made it.
    pub pg_dump: PgDump,
    /// The file; `None` if the backup went to a writer.
    #[serde(serialize_with = "optional_path")]
    pub file: Option<PathBuf>,
    /// The size of the backup in bytes.
    #[serde(rename = "archive_bytes")]
    pub bytes: u64,
    /// The store's schema version; `None` if the database holds no store that is known, or the backup went to a writer.
    pub store_version: Option<SchemaVersion>,
    /// The contents.
    #[serde(flatten)]
    pub verified: Verified,
    /// What the operator should know.
    pub notices: Vec<Notice>,
    /// How long it took.
    #[serde(rename = "took_seconds", serialize_with = "seconds")]
    pub took: Duration,
}
