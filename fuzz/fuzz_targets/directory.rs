//! The directory format: the contents of its files.
#![no_main]

use pgmig_core::archive::Archive;

std::thread_local! {
    static AT: tempfile::TempDir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory");
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| AT.with(|at| {
    pgmig_fuzz::directory(data, at.path()).expect("files can be written");
    let Ok(mut archive) = Archive::open(at.path()) else { return };
    let verified = pgmig_fuzz::verify(&mut archive);
    let read = Archive::open(at.path()).and_then(pgmig_fuzz::sizes);
    assert!(read.is_ok() || verified.is_err());
}));
