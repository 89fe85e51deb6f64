//! The source of an archive.

use crate::archive::{Archive, ArchiveError};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The source of an archive.
#[non_exhaustive]
pub enum Source {
    /// A file, or the directory of a directory-format archive.
    File(PathBuf),
    /// Standard input, which is read once, in order, and never stored on disk.
    Stdin,
    /// Any other stream, read as standard input is.
    Reader(Box<dyn Read + Send>),
}

impl Source {
    /// Opens the archive. Blocks while its table of contents is read.
    ///
    /// # Errors
    ///
    /// As [`Archive::open`] and [`Archive::from_stream`].
    pub fn open(self) -> Result<Archive, ArchiveError> {
        match self {
            Self::File(path) => Archive::open(&path),
            Self::Stdin => Archive::from_stream(std::io::stdin()),
            Self::Reader(reader) => Archive::from_stream(reader),
        }
    }

    /// Opens the archive even if it is a directory that lacks files with data. Returns the errors about these files, too.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), except for missing files.
    pub fn open_incomplete(self) -> Result<(Archive, Vec<ArchiveError>), ArchiveError> {
        match self {
            Self::File(path) => Archive::open_incomplete(&path),
            source => Ok((source.open()?, Vec::new())),
        }
    }

    /// The file's path; `None` for a stream.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Stdin | Self::Reader(_) => None,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Stdin => f.write_str("Stdin"),
            Self::Reader(_) => f.write_str("Reader"),
        }
    }
}
