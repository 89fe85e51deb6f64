//! Temporary files of backups: how they are named, and how those of killed runs are removed.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::Duration;
use tempfile::NamedTempFile;

use super::error::DumpError;

/// A hidden name that is not one of a backup.
const PREFIX: &str = ".pgmig-backup-";
const SUFFIX: &str = ".partial";

/// A file that is younger than this may not be locked yet.
const YOUNG: Duration = Duration::from_secs(60);

/// A new temporary file in the directory, which only the owner can read. It is locked until it is closed.
pub(super) fn temporary_file(directory: &Path) -> Result<NamedTempFile, DumpError> {
    let made = tempfile::Builder::new().prefix(PREFIX).suffix(SUFFIX).tempfile_in(directory);
    let file = made.map_err(DumpError::file("make a file in", directory))?;
    // A file system without locks keeps the files of killed runs.
    let _ = file.as_file().try_lock();
    Ok(file)
}

/// Removes temporary files that no run writes to any more: their runs were killed.
pub(super) fn remove_leftovers(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    for entry in entries {
        let name = entry.file_name();
        let is_temporary =
            name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        if is_temporary && is_abandoned(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_abandoned(path: &Path) -> bool {
    let Ok(metadata) = fs::symlink_metadata(path) else { return false };
    let is_old = metadata.modified().is_ok_and(|time| time.elapsed().is_ok_and(|age| age > YOUNG));
    if !metadata.is_file() || !is_old {
        return false;
    }
    let Ok(file) = File::open(path) else { return false };
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock | TryLockError::Error(_)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn only_files_of_runs_that_are_gone_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let old = SystemTime::now() - 2 * YOUNG;
        let alive = temporary_file(directory.path()).unwrap();
        alive.as_file().set_modified(old).unwrap();
        for name in [".pgmig-backup-dead.partial", "store.dump_20261130-230005", ".pgmig-backup-x"] {
            File::create(at(name)).unwrap().set_modified(old).unwrap();
        }
        File::create(at(".pgmig-backup-young.partial")).unwrap();
        remove_leftovers(directory.path());
        assert!(!at(".pgmig-backup-dead.partial").exists());
        let kept = ["store.dump_20261130-230005", ".pgmig-backup-x", ".pgmig-backup-young.partial"];
        assert!(alive.path().exists() && kept.iter().all(|name| at(name).exists()));
    }
}
