//! Where a backup goes, and how a file of it gets its name.

use super::cleaning::{remove_leftovers, temporary_file};
use super::error::DumpError;
use super::file_name::FileName;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tempfile::{NamedTempFile, PersistError};

/// Where a backup goes.
#[non_exhaustive]
pub enum Destination {
    /// A new file in this directory: `store.dump_YYYYMMDD-HHMMSS`, by the time at which the backup begins, in UTC.
    Directory(PathBuf),
    /// This file, which must not exist yet.
    File(PathBuf),
    /// Anywhere else: standard output, say. What was written cannot be taken back if the backup fails.
    Writer(Box<dyn Write + Send>),
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => f.debug_tuple("Directory").field(path).finish(),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Writer(_) => f.write_str("Writer"),
        }
    }
}

impl Destination {
    /// The directory at this path if there is one, else the file.
    pub fn at(path: &Path) -> Self {
        if path.is_dir() { Self::Directory(path.to_owned()) } else { Self::File(path.to_owned()) }
    }

    /// Opens it for a backup that begins at this time.
    pub(super) fn open(self, at: SystemTime) -> Result<Output, DumpError> {
        match self {
            Self::Directory(directory) => Output::file(directory.join(FileName::at(at).to_string())),
            Self::File(path) => Output::file(path),
            Self::Writer(writer) => Ok(Output::Writer(writer)),
        }
    }

    /// Checks that its directory exists.
    pub(super) fn check(&self) -> Result<(), DumpError> {
        match self.directory() {
            Some(directory) if !directory.is_dir() => {
                Err(DumpError::file("use the directory", directory)(no_directory()))
            }
            _ => Ok(()),
        }
    }

    /// The directory in which temporary files can be made.
    pub(super) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Directory(directory) => Some(directory),
            Self::File(path) => Some(directory_of(path)),
            Self::Writer(_) => None,
        }
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A backup that is being written.
pub(super) enum Output {
    /// A temporary file, which is removed with the value, and the name that it will get.
    File {
        temporary: NamedTempFile,
        path: PathBuf,
    },
    Writer(Box<dyn Write + Send>),
}

/// The reason where a directory ought to be.
fn no_directory() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "it does not exist; create it, or name another one")
}

impl Output {
    fn file(path: PathBuf) -> Result<Self, DumpError> {
        if path.as_os_str().as_bytes().ends_with(b"/") {
            return Err(DumpError::file("use the directory", path)(no_directory()));
        }
        // Before the dump, which may take hours.
        if path.symlink_metadata().is_ok() {
            return Err(DumpError::Exists(path));
        }
        let directory = directory_of(&path);
        remove_leftovers(directory);
        Ok(Self::File { temporary: temporary_file(directory)?, path })
    }

    /// Makes the backup durable, and gives it its name. Returns the file.
    pub(super) fn keep(self) -> Result<Option<PathBuf>, DumpError> {
        match self {
            Self::Writer(mut writer) => {
                writer.flush().map_err(DumpError::Output)?;
                Ok(None)
            }
            Self::File { temporary, path } => {
                temporary.as_file().sync_all().map_err(DumpError::file("write to disk", &path))?;
                rename(temporary, &path)?;
                sync_directory(directory_of(&path))?;
                Ok(Some(path))
            }
        }
    }

    /// The error of writing to it.
    pub(super) fn error(&self, error: io::Error) -> DumpError {
        match self {
            Self::File { path, .. } => DumpError::file("write the backup", path)(error),
            Self::Writer(_) => DumpError::Output(error),
        }
    }

    /// The temporary file; `None` if it goes elsewhere.
    pub(super) fn temporary(&self) -> Option<&Path> {
        match self {
            Self::File { temporary, .. } => Some(temporary.path()),
            Self::Writer(_) => None,
        }
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File { temporary, .. } => temporary.as_file_mut().write_all(bytes),
            Self::Writer(writer) => writer.write_all(bytes),
        }
    }
}

/// Renames the file, and never replaces another one.
fn rename(temporary: NamedTempFile, path: &Path) -> Result<(), DumpError> {
    let PersistError { error, file } = match temporary.persist_noclobber(path) {
        Ok(_) => return Ok(()),
        Err(refused) => refused,
    };
    if error.kind() == io::ErrorKind::AlreadyExists || path.symlink_metadata().is_ok() {
        return Err(DumpError::Exists(path.to_owned()));
    }
    // A file system that can only rename.
    file.persist(path).map(drop).map_err(|refused| DumpError::file("make", path)(refused.error))
}

fn sync_directory(directory: &Path) -> Result<(), DumpError> {
    match File::open(directory).and_then(|directory| directory.sync_all()) {
        // Not every file system can.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        done => done.map_err(DumpError::file("write to disk", directory)),
    }
}
