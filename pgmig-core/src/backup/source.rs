//! The source of an archive.

use crate::archive::{Archive, ArchiveError};
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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

    /// Opens the archive, and says what is known of its stream while it is read.
    pub(super) fn open_watched(self) -> Result<(Archive, Option<Input>), ArchiveError> {
        let reader: Box<dyn Read + Send> = match self {
            Self::File(path) => return Ok((Archive::open(&path)?, None)),
            Self::Stdin => Box::new(std::io::stdin()),
            Self::Reader(reader) => reader,
        };
        let input = Input::default();
        let archive = Archive::from_stream(Watched { reader, input: input.clone() })?;
        Ok((archive, Some(input)))
    }

    /// The file's path; `None` for a stream.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Stdin | Self::Reader(_) => None,
        }
    }
}

/// What is known of a stream: since when its reader has been waiting for bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Input(Arc<Mutex<Option<Instant>>>);

impl Input {
    /// For how long a read has been waiting for bytes; `None` if nobody reads.
    pub(crate) fn waits_for(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|since| since.elapsed())
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

/// A stream that notes when it is read.
struct Watched {
    reader: Box<dyn Read + Send>,
    input: Input,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.set(Some(Instant::now()));
        let read = self.reader.read(buffer);
        self.input.set(None);
        read
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
