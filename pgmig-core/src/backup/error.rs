//! Why it failed to look into a backup.

use crate::instance::Instance;
use crate::lines::{Lines, count};
use crate::outcome::ErrorKind;
use thiserror::Error;

/// Why a backup could not be read, or cannot be restored with a mapping. Nothing was changed anywhere.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackupError {
    /// Live instances of the backup have no target.
    #[error(
        "the mapping does not cover {} of the backup:\n{}\nadd a line \"source: target\" for each to the mapping \
         file; or give --resourceController, to be asked (not with a backup from standard input); or use --keep-ids \
         to restore under the backup's own IDs",
        count(.0.len(), "instance"),
        Lines(&instance_lines(.0))
    )]
    Unmapped(Vec<Instance>),
    /// The data of a table are damaged.
    #[error(
        "the data of table {table} cannot be read: {reason}; the archive is damaged, take the backup again"
    )]
    Data {
        /// The table.
        table: String,
        /// What is wrong.
        reason: String,
    },
    /// The operating system gave no thread to read the archive on.
    #[error(
        "no thread can be started to read the archive: {0}; raise the limit of processes (ulimit -u) and try again"
    )]
    NoThread(#[source] std::io::Error),
    /// The thread that reads the archive ended without a result: a bug.
    #[error("internal error: the thread that reads the archive has died; please report it")]
    ThreadDied,
    /// Interrupted.
    #[error("interrupted")]
    Interrupted,
}

impl BackupError {
    /// What a caller should conclude.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unmapped(_) => ErrorKind::Refused,
            Self::Interrupted => ErrorKind::Interrupted,
            Self::Data { .. } | Self::NoThread(_) | Self::ThreadDied => ErrorKind::Failed,
        }
    }
}

/// A line for each instance: its ID, and its name where it has one.
fn instance_lines(instances: &[Instance]) -> Vec<String> {
    let line = |instance: &Instance| match &instance.name {
        Some(name) => format!("{} ({name:?})", instance.id),
        None => format!("{} (no name)", instance.id),
    };
    instances.iter().map(line).collect()
}
