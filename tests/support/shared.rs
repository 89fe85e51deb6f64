//! Files that the tests of one run share. The test process that comes first makes them.

use super::server::Server;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The directory `name`, which `make` fills. Other processes wait until it is complete. If the process that fills it
/// fails, the next one makes it anew.
#[track_caller]
pub(crate) fn once(server: &Server, name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let directory = server.shared.join(name);
    let done = server.shared.join(format!("{name}.done"));
    let lock = File::create(server.shared.join(format!("{name}.lock"))).expect("a lock file can be made");
    // The lock is released when the file is closed, even if the process dies.
    lock.lock().expect("a file can be locked");
    if !done.exists() {
        if directory.exists() {
            fs::remove_dir_all(&directory).expect("a directory can be removed");
        }
        fs::create_dir(&directory).expect("a directory can be made");
        make(&directory);
        File::create(&done).expect("a file can be made");
    }
    directory
}
