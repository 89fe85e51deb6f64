//! What the tests of one run share: made once, by whichever test process comes first.

use super::server::Server;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The directory `name`, with what `make` has put there. Other processes wait until it is done; what a process that
/// failed has left is made anew.
#[track_caller]
pub(crate) fn once(server: &Server, name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let directory = server.shared.join(name);
    let done = server.shared.join(format!("{name}.done"));
    let lock = File::create(server.shared.join(format!("{name}.lock"))).expect("a lock file can be made");
    // Released when the file is closed, so also by a process that dies.
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
