//! The source of an archive.

use std::path::PathBuf;

/// The source of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// Standard input, which is read once, in order, and never stored on disk.
    Stdin,
}
