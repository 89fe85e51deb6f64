//! The directory format: the contents of its files. What is read once is read again as the same.
#![no_main]

use pgdump_archive::Archive;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let at = pgdump_archive_fuzz::directory(data);
    let Ok(archive) = Archive::open(&at) else { return };
    let _ = archive.listing().to_string();
    let Ok(sizes) = pgdump_archive_fuzz::sizes(archive) else { return };
    let again = Archive::open(&at).and_then(pgdump_archive_fuzz::sizes);
    assert_eq!(again.ok(), Some(sizes));
});
