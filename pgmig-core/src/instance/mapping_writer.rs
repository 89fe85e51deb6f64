//! Writes `enteredMapping.yaml` completely or not at all.

use super::{Mapping, MappingError};
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A mapping file that will be written.
///
/// Creating this tests the place, so that no operator answers questions whose answers cannot be saved. Without
/// [`finish`](Self::finish) no file is left behind, and an existing file stays unchanged.
#[derive(Debug)]
#[must_use]
pub struct MappingWriter {
    path: PathBuf,
    directory: PathBuf,
    temporary: NamedTempFile,
}

impl MappingWriter {
    /// Creates a temporary file beside `path`.
    ///
    /// # Errors
    ///
    /// [`MappingError::Write`], if `path` is a directory, or its directory does not exist or is not writable.
    pub fn create(path: &Path) -> Result<Self, MappingError> {
        let failed = |source| MappingError::Write { file: path.display().to_string(), source };
        if path.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = parent.unwrap_or(Path::new(".")).to_owned();
        let temporary = tempfile::Builder::new()
            .prefix(".pgmig-mapping-")
            // The file is not secret: it gets the usual permissions of a new file, and the process's umask applies.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(&directory)
            .map_err(failed)?;
        Ok(Self { path: path.to_owned(), directory, temporary })
    }

    /// The path of the mapping.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the mapping to disk. It replaces an existing file.
    ///
    /// # Errors
    ///
    /// [`MappingError::Write`]; an existing file is then unchanged.
    pub fn finish(self, mapping: &Mapping) -> Result<(), MappingError> {
        let Self { path, directory, mut temporary } = self;
        let failed = |source| MappingError::Write { file: path.display().to_string(), source };
        temporary.write_all(mapping.to_yaml().as_bytes()).map_err(failed)?;
        temporary.as_file().sync_all().map_err(failed)?;
        temporary.persist(&path).map_err(|error| failed(error.error))?;
        // The new name is on disk only when the directory is.
        File::open(&directory).and_then(|directory| directory.sync_all()).map_err(failed)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::instance::InstanceId;

    fn mapping(number: u128) -> Mapping {
        let id = |number| InstanceId::from_number(number).unwrap();
        Mapping::new([(id(number), id(number + 1))]).unwrap()
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn replaces_the_file_and_leaves_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("m.yaml");
        for number in [1, 5] {
            MappingWriter::create(&path).unwrap().finish(&mapping(number)).unwrap();
            assert_eq!(Mapping::read(&path).unwrap(), mapping(number));
        }
        let dropped = MappingWriter::create(&path).unwrap();
        assert_eq!(names(directory.path()).len(), 2);
        drop(dropped);
        assert_eq!(names(directory.path()), ["m.yaml"]);
        assert_eq!(Mapping::read(&path).unwrap(), mapping(5));
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_found_out_first() {
        let directory = tempfile::tempdir().unwrap();
        for path in [directory.path().to_owned(), directory.path().join("none/m.yaml")] {
            let error = MappingWriter::create(&path).unwrap_err();
            assert!(matches!(error, MappingError::Write { .. }), "{error}");
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
        assert!(names(directory.path()).is_empty());
    }
}
