//! Writes `enteredMapping.yaml` completely or not at all.

use super::{InstanceId, Mapping, MappingError};
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// So many mapping files are kept beside each other.
const MOST_FILES: u32 = 1000;

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

    /// Writes the mapping to disk, and returns its file. An existing file is never changed: if it has the same content, it is
    /// the file; otherwise the mapping gets the first free name of `enteredMapping.2.yaml`, `enteredMapping.3.yaml` and so on.
    ///
    /// # Errors
    ///
    /// [`MappingError::Write`].
    pub fn finish(self, mapping: &Mapping) -> Result<PathBuf, MappingError> {
        self.finish_with(mapping, |_, _| None)
    }

    /// The same, with a comment before each pair for which `comment` returns one.
    ///
    /// # Errors
    ///
    /// [`MappingError::Write`].
    pub fn finish_with(
        self,
        mapping: &Mapping,
        comment: impl Fn(InstanceId, InstanceId) -> Option<String>,
    ) -> Result<PathBuf, MappingError> {
        self.finish_text(&mapping.to_yaml_with(comment))
    }

    /// The same with the text of a mapping file that the caller has made.
    ///
    /// # Errors
    ///
    /// [`MappingError::Write`].
    pub fn finish_text(self, yaml: &str) -> Result<PathBuf, MappingError> {
        let Self { path, directory, mut temporary } = self;
        let failed = |source| MappingError::Write { file: path.display().to_string(), source };
        temporary.write_all(yaml.as_bytes()).map_err(failed)?;
        temporary.as_file().sync_all().map_err(failed)?;
        for number in 1..=MOST_FILES {
            let name = numbered(&path, number);
            if has_content(&name, yaml.as_bytes()) {
                return Ok(name);
            }
            match temporary.persist_noclobber(&name) {
                Ok(_) => {
                    // The new name is on disk only when the directory is.
                    File::open(&directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
                    return Ok(name);
                }
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => temporary = error.file,
                Err(error) => return Err(failed(error.error)),
            }
        }
        Err(failed(io::ErrorKind::AlreadyExists.into()))
    }
}

/// The name with a number before its extension; the name itself for 1.
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 1 {
        return path.to_owned();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!(".{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// Whether a regular file holds these bytes and no more.
fn has_content(path: &Path, content: &[u8]) -> bool {
    let Ok(metadata) = path.metadata() else { return false };
    metadata.is_file()
        && usize::try_from(metadata.len()) == Ok(content.len())
        && std::fs::read(path).is_ok_and(|found| found == content)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn mapping(number: u128) -> Mapping {
        let id = |number| InstanceId::from_number(number).unwrap();
        Mapping::new([(id(number), id(number + 1))]).unwrap()
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn an_existing_file_is_never_changed_and_nothing_else_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("m.yaml");
        let write = |number| MappingWriter::create(&path).unwrap().finish(&mapping(number)).unwrap();
        for (number, name) in
            [(1, "m.yaml"), (1, "m.yaml"), (5, "m.2.yaml"), (9, "m.3.yaml"), (5, "m.2.yaml")]
        {
            let written = write(number);
            assert_eq!(written, directory.path().join(name));
            assert_eq!(Mapping::read(&written).unwrap(), mapping(number));
        }
        assert_eq!(Mapping::read(&path).unwrap(), mapping(1));
        drop(MappingWriter::create(&path).unwrap());
        let mut names = names(directory.path());
        names.sort();
        assert_eq!(names, ["m.2.yaml", "m.3.yaml", "m.yaml"]);
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
