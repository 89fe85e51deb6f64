//! A database to back up, and programs in the place of pg_dump.

use super::database::Database;
use super::pgmig::{Outcome, Pgmig, TargetFile};
use super::server::Server;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The directory for backups, below the one in which pgmig runs.
pub(crate) const DIRECTORY: &str = "backups";

/// A database, and the settings with which pgmig backs it up.
pub(crate) struct Site {
    pub(crate) database: Database,
    pub(crate) file: TargetFile,
}

impl Site {
    /// A database with rows, an index and a large object.
    #[track_caller]
    pub(crate) fn new(purpose: &str) -> Self {
        Self::of(Database::create(purpose))
    }

    /// The same on another server.
    #[track_caller]
    pub(crate) fn on(server: &Server, purpose: &str) -> Self {
        Self::of(Database::create_on(server, purpose))
    }

    /// The same in this database, which is empty.
    #[track_caller]
    pub(crate) fn of(database: Database) -> Self {
        database.psql(
            "CREATE TABLE note (n int PRIMARY KEY, text text);
             INSERT INTO note SELECT n, repeat(md5(n::text), 20) FROM generate_series(1, 20000) n;
             SELECT lo_from_bytea(7, 'seven')",
        );
        Self { file: TargetFile::of(&database), database }
    }

    /// `pgmig backup --target postgres.yaml` with the server's own pg_dump.
    pub(crate) fn backup(&self) -> Pgmig {
        self.backup_with(&self.database.server.bindir.join("pg_dump"))
    }

    /// The same with another program.
    pub(crate) fn backup_with(&self, program: &Path) -> Pgmig {
        self.backup_found().arg("--pg-dump").arg(program)
    }

    /// The same, and pgmig looks for pg_dump.
    pub(crate) fn backup_found(&self) -> Pgmig {
        let pgmig = Pgmig::new();
        fs::create_dir(pgmig.directory().join(DIRECTORY)).unwrap();
        pgmig.arg("backup").target(&self.file)
    }

    /// Checks that pg_restore makes the database of this backup.
    #[track_caller]
    pub(crate) fn assert_is_backup(&self, archive: &Path) {
        let restored = Database::create_on(&self.database.server, "from_backup");
        restored.restore_with_pg_restore(archive, &[]);
        assert!(self.database.dump(&[]) == restored.dump(&[]), "{} is another database", archive.display());
    }
}

/// The names in the directory for backups, hidden ones too.
pub(crate) fn names(outcome: &Outcome) -> Vec<String> {
    names_in(&outcome.directory.path().join(DIRECTORY))
}

/// The names in a directory.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

/// A shell script in the place of pg_dump. In it, `$PG_DUMP` is the real one.
pub(crate) fn script(directory: &Path, server: &Server, body: &str) -> PathBuf {
    let path = directory.join("pg_dump");
    let real = server.bindir.join("pg_dump");
    fs::write(&path, format!("#!/bin/bash\nPG_DUMP={}\n{body}\n", real.display())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}
