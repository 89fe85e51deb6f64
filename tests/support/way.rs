//! A database that is dumped, and the two ways in which its archive is restored.

use super::application::{self, APPLICATION};
use super::pgmig::TargetFile;
use super::{Database, Pgmig};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The role that restores, and the strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By a superuser, for the application's role.
    Swap,
    /// By the application's role itself.
    InPlace,
}

pub(crate) const WAYS: [Way; 2] = [Way::Swap, Way::InPlace];

/// A database that is dumped.
pub(crate) struct Source {
    pub(crate) database: Database,
    pub(crate) files: TempDir,
}

impl Source {
    #[track_caller]
    pub(crate) fn of(sql: &str) -> Self {
        let database = Database::create("source");
        database.psql(sql);
        Self { database, files: TempDir::new().unwrap() }
    }

    /// The file that pg_dump writes with these options.
    #[track_caller]
    pub(crate) fn dump(&self, name: &str, options: &[&str]) -> PathBuf {
        let path = self.files.path().join(name);
        let to = ["-f", path.to_str().unwrap(), "-d", &self.database.name];
        self.database.server.run_program("pg_dump", options.iter().chain(&to));
        path
    }

    /// A script of it, changed.
    #[track_caller]
    pub(crate) fn script(&self, name: &str, change: impl FnOnce(String) -> String) -> PathBuf {
        let path = self.dump(name, &["-Fp"]);
        std::fs::write(&path, change(std::fs::read_to_string(&path).unwrap())).unwrap();
        path
    }
}

/// The command line for an archive.
pub(crate) fn restore(archive: &Path, target: &Database, way: Way) -> Pgmig {
    with_target(target, way).source(archive)
}

pub(crate) fn with_target(target: &Database, way: Way) -> Pgmig {
    let (file, strategy) = match way {
        Way::Swap => (TargetFile { username: APPLICATION.to_owned(), ..TargetFile::of(target) }, "swap"),
        Way::InPlace => (application::target_file(target), "in-place"),
    };
    let pgmig = Pgmig::new().target(&file).args(["--schema", "archive", "--keep-ids", "--force"]);
    pgmig.args(["--strategy", strategy])
}
