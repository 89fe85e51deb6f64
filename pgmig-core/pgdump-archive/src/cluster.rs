//! A directory of pg_dumpall (PostgreSQL 19): one archive for each database, and one for what all databases share.
//!
//! `toc.glo` is an archive in custom format with the global objects. `map.dat` has a line for each database: its OID, a
//! blank, its name; `#` begins a comment. `databases/` has the archives, named by OID: a directory, or a file whose extension
//! depends on the format.

use super::Archive;
use super::entry::Oid;
use super::error::ArchiveError;
use std::fs;
use std::path::{Path, PathBuf};

/// The archive of the global objects.
const GLOBALS: &str = "toc.glo";
/// The names of the databases.
const MAP: &str = "map.dat";
/// The directory of the archives.
const DATABASES: &str = "databases";
/// A cluster with more databases than fit is none that pg_dumpall was ever used on.
const MAX_MAP_BYTES: u64 = 16 << 20;

/// What pg_dumpall has written in another format than plain.
#[derive(Debug, Clone)]
pub struct ClusterDump {
    directory: PathBuf,
    databases: Vec<DumpedDatabase>,
}

/// A database in a [`ClusterDump`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DumpedDatabase {
    /// The OID that it had in the source.
    pub oid: Oid,
    /// Its name.
    pub name: String,
    /// Its archive: a file, or a directory.
    pub path: PathBuf,
}

impl ClusterDump {
    /// Whether a directory looks like one of pg_dumpall.
    pub fn is_at(path: &Path) -> bool {
        path.join(MAP).is_file() && !path.join("toc.dat").exists()
    }

    /// Opens a directory. Reads the names of the databases, and finds their archives.
    ///
    /// # Errors
    /// [`ArchiveError::Cluster`] if the directory is not complete.
    pub fn open(directory: &Path) -> Result<Self, ArchiveError> {
        let map = directory.join(MAP);
        let failed = |source| ArchiveError::Open { path: map.clone(), source };
        if fs::metadata(&map).map_err(failed)?.len() > MAX_MAP_BYTES {
            return Err(damaged(directory, format!("{MAP} is larger than {MAX_MAP_BYTES} bytes")));
        }
        let bytes = fs::read(&map).map_err(failed)?;
        let text = String::from_utf8(bytes);
        let text = text.map_err(|_| damaged(directory, format!("{MAP} is not UTF-8")))?;
        let mut databases: Vec<DumpedDatabase> = Vec::new();
        let mut archives = None;
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let refuse = |problem: &str| damaged(directory, format!("line {} of {MAP} {problem}", index + 1));
            let Some((oid, name)) = line.split_once(' ') else {
                return Err(refuse("is not an OID and the name of a database"));
            };
            let oid = oid.parse().ok().filter(|oid| *oid > 0).map(Oid);
            let oid = oid.ok_or_else(|| refuse("does not begin with an OID"))?;
            if name.is_empty() || databases.iter().any(|known| known.oid == oid || known.name == name) {
                return Err(refuse("has no name of its own, or no OID of its own"));
            }
            let archives = match &archives {
                Some(archives) => archives,
                None => archives.insert(archives_in(directory)?),
            };
            let path = archive_of(directory, archives, oid)?;
            databases.push(DumpedDatabase { oid, name: name.to_owned(), path });
        }
        Ok(Self { directory: directory.to_owned(), databases })
    }

    /// The databases, in the order of the map.
    pub fn databases(&self) -> &[DumpedDatabase] {
        &self.databases
    }

    /// The path of the archive with the global objects; `None` if pg_dumpall wrote none.
    pub fn globals_path(&self) -> Option<PathBuf> {
        Some(self.directory.join(GLOBALS)).filter(|path| path.is_file())
    }

    /// The archive of the database of this name.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchDatabase`].
    pub fn database(&self, name: &str) -> Result<&DumpedDatabase, ArchiveError> {
        let found = self.databases.iter().find(|database| database.name == name);
        found.ok_or_else(|| ArchiveError::NoSuchDatabase {
            directory: self.directory.clone(),
            name: name.to_owned(),
            databases: self.names(),
        })
    }

    /// The names of the databases.
    pub fn names(&self) -> Vec<String> {
        self.databases.iter().map(|database| database.name.clone()).collect()
    }

    /// Opens the archive with the global objects; `None` if pg_dumpall wrote none. Its statements can hold verifiers of
    /// passwords.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub fn globals(&self) -> Result<Option<Archive>, ArchiveError> {
        self.globals_path().map(|path| Archive::open(&path)).transpose()
    }
}

/// The files and directories with the archives.
fn archives_in(directory: &Path) -> Result<Vec<PathBuf>, ArchiveError> {
    let databases = directory.join(DATABASES);
    let failed = |source| ArchiveError::Open { path: databases.clone(), source };
    fs::read_dir(&databases).map_err(failed)?.map(|entry| Ok(entry.map_err(failed)?.path())).collect()
}

/// The file or directory of a database: its name is the OID, with or without an extension.
fn archive_of(directory: &Path, archives: &[PathBuf], oid: Oid) -> Result<PathBuf, ArchiveError> {
    let wanted = oid.to_string();
    let is_wanted = |path: &&PathBuf| path.file_stem().is_some_and(|stem| stem.to_str() == Some(&wanted));
    let mut found = archives.iter().filter(is_wanted);
    match (found.next(), found.next()) {
        (Some(path), None) => Ok(path.clone()),
        (None, _) => Err(damaged(directory, format!("{DATABASES}/{oid} is missing"))),
        (Some(_), Some(_)) => Err(damaged(directory, format!("{DATABASES} has more than one archive {oid}"))),
    }
}

fn damaged(directory: &Path, problem: String) -> ArchiveError {
    ArchiveError::Cluster { directory: directory.to_owned(), problem }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn directory(map: &str, databases: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::TempDir::new().unwrap();
        fs::write(directory.path().join(MAP), map).unwrap();
        fs::create_dir(directory.path().join(DATABASES)).unwrap();
        for name in databases {
            fs::write(directory.path().join(DATABASES).join(name), "x").unwrap();
        }
        directory
    }

    #[test]
    fn the_map_names_the_databases() {
        let at = directory("# map.dat\n\n5 postgres\n16384 My store\n", &["5.dmp", "16384", "1638.dmp"]);
        assert!(ClusterDump::is_at(at.path()));
        let cluster = ClusterDump::open(at.path()).unwrap();
        assert_eq!(cluster.names(), ["postgres", "My store"]);
        assert!(cluster.database("My store").unwrap().path.ends_with("databases/16384"));
        assert!(cluster.database("postgres").unwrap().path.ends_with("databases/5.dmp"));
        let error = cluster.database("store").unwrap_err().to_string();
        assert!(error.contains("My store"), "{error}");
    }

    #[test]
    fn damaged_maps_are_refused() {
        for (map, databases) in [
            ("x postgres\n", &["5.dmp"][..]),
            ("0 postgres\n", &["0.dmp"]),
            ("5\n", &["5.dmp"]),
            ("5 \n", &["5.dmp"]),
            ("5 a\n5 b\n", &["5.dmp"]),
            ("5 a\n", &["6.dmp"]),
            ("5 a\n", &["5.dmp", "5.tar"]),
            ("../../etc/passwd a\n", &[]),
        ] {
            let error = ClusterDump::open(directory(map, databases).path()).unwrap_err();
            assert!(matches!(error, ArchiveError::Cluster { .. }), "{map}: {error}");
        }
    }
}
