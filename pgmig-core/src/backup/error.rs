//! Errors of reading a backup.

use crate::codes::Coded as _;
use crate::instance::Instance;
use crate::lines::{Lines, count};
use crate::outcome::ErrorKind;
use thiserror::Error;

/// A backup could not be read, or cannot be restored with a mapping. Nothing was changed anywhere.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The mapping has no target for live instances of the backup.
    #[error(
        "the mapping does not cover {} of the backup:\n{}\nadd a line \"source: target\" for each to the mapping \
         file",
        count(.0.len(), "instance"),
        Lines(&instance_lines(.0))
    )]
    Unmapped(Vec<Instance>),
    /// The data of a table is damaged.
    #[error(
        "the data of table {table} cannot be read: {reason}; the archive is damaged, take the backup again"
    )]
    Data {
        /// The table.
        table: String,
        /// The fault.
        reason: String,
    },
    /// The operating system cannot create the thread that reads the archive.
    #[error(
        "no thread can be started to read the archive: {0}; raise the limit of processes and threads (ulimit -u, or the pod's \
         limit of PIDs), or use fewer of them (RestoreOptions::jobs)"
    )]
    NoThread(#[source] std::io::Error),
    /// The thread that reads the archive ended without a result, which is a bug.
    #[error("internal error: the thread that reads the archive has died; please report it")]
    ThreadDied,
    /// The user or the caller interrupted the operation.
    #[error("interrupted")]
    Interrupted,
}

impl BackupError {
    /// The kind of the error, from which the caller can draw its conclusion.
    pub fn kind(&self) -> ErrorKind {
        self.code().kind
    }
}

/// A line for each instance: its ID, and its name if it has one.
fn instance_lines(instances: &[Instance]) -> Vec<String> {
    let line = |instance: &Instance| match &instance.name {
        Some(name) => format!("{} ({name:?})", instance.id),
        None => format!("{} (no name)", instance.id),
    };
    instances.iter().map(line).collect()
}
