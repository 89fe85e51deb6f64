//! `verify` of the directory format.
#![no_main]

use pgmig_core::archive::Archive;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let at = pgdump_archive_fuzz::directory(data);
    let Ok(mut archive) = Archive::open(&at) else { return };
    let verified = pgmig_fuzz::verify(&mut archive);
    let read = Archive::open(&at).and_then(pgdump_archive_fuzz::sizes);
    assert!(read.is_ok() || verified.is_err(), "an archive that cannot be read is not sound");
});
