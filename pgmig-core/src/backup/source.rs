//! Where an archive comes from.

use std::path::PathBuf;

/// Where the archive comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// Standard input: read once, in order, never spooled to disk.
    Stdin,
}
