//! Copies of the store's migrations, for tests to change.

use super::fixture::repository;
use std::path::Path;
use tempfile::TempDir;

/// A directory with the migrations of the reference store, for `--migrations` and `--profile`.
#[derive(Debug)]
pub(crate) struct MigrationCopy {
    directory: TempDir,
}

impl MigrationCopy {
    /// A copy of all its files.
    #[track_caller]
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let original = repository().join("schema-migrations/assistant");
        for file in original.read_dir().expect("the migrations are there") {
            let file = file.expect("a directory can be read");
            std::fs::copy(file.path(), directory.path().join(file.file_name()))
                .expect("a file can be copied");
        }
        Self { directory }
    }

    /// Appends text to the file whose name has this prefix.
    #[track_caller]
    pub(crate) fn append(self, prefix: &str, text: &str) -> Self {
        self.change(prefix, |content| content.to_owned() + text)
    }

    /// Replaces the only occurrence of a text in the file whose name has this prefix.
    #[track_caller]
    pub(crate) fn replace(self, prefix: &str, from: &str, to: &str) -> Self {
        self.change(prefix, |content| {
            assert_eq!(content.matches(from).count(), 1, "{from:?} in the file {prefix}");
            content.replace(from, to)
        })
    }

    #[track_caller]
    fn change(self, prefix: &str, change: impl Fn(&str) -> String) -> Self {
        let files = self.directory.path().read_dir().expect("the directory is there");
        let mut files = files.map(|file| file.expect("a directory can be read").path());
        let starts =
            |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
        let path = files.find(|path| starts(path)).expect("there is such a file");
        let content = std::fs::read_to_string(&path).expect("migrations are UTF-8");
        std::fs::write(path, change(&content)).expect("a file can be written");
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}
