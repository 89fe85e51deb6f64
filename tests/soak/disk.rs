//! A server whose disk can be full.

use crate::support::fixture::repository;
use crate::support::server::PrivateServer;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The switch.
#[derive(Debug)]
pub(super) struct Disk {
    full: PathBuf,
}

impl Disk {
    /// Starts the server anew, with a library that keeps its files from growing while the disk is full.
    pub(super) fn of(server: &mut PrivateServer) -> Self {
        let library = server.shared.join("full_disk.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library);
        let status = compiler.arg(repository().join("tests/soak/full_disk.c")).arg("-ldl").status();
        assert!(status.expect("a C compiler is there").success(), "tests/soak/full_disk.c does not compile");
        let disk = Self { full: server.shared.join("disk_is_full") };
        server.crash();
        server.preload(&library, ("PGMIG_TEST_FULL", disk.full.as_path()));
        server.start_again();
        disk
    }

    /// From now on nothing fits.
    pub(super) fn fill(&self) {
        fs::write(&self.full, "").expect("the test's own disk is not full");
    }

    /// There is space again.
    pub(super) fn clear(&self) {
        fs::remove_file(&self.full).expect("it was full");
    }
}
