//! Shared by the fuzz targets of `verify`: what it says of an archive, and what it is checked against.

use pgdump_archive_fuzz::sizes;
use pgmig_core::archive::Archive;
use pgmig_core::progress::NoProgress;
use pgmig_core::verify::{Fault, Verified, verify_archive};
use std::num::NonZeroUsize;

/// Verifies an archive on one thread.
pub fn verify(archive: &mut Archive) -> Result<Verified, Fault> {
    verify_archive(archive, NonZeroUsize::MIN, &NoProgress, &Default::default())
}

/// The tables with their rows, in any order.
fn rows(verified: &Verified) -> Vec<(&str, u64)> {
    let mut rows: Vec<_> = verified.tables.iter().map(|table| (table.table.as_str(), table.rows)).collect();
    rows.sort();
    rows
}

/// A sound archive can be read, and a stream of it has the rows that a file of it has.
pub fn check(bytes: &[u8]) {
    let Ok(mut archive) = Archive::from_bytes(bytes.to_vec()) else { return };
    let verified = verify(&mut archive);
    let streamed = Archive::from_stream(std::io::Cursor::new(bytes.to_vec()));
    if let (Ok(file), Ok(Ok(stream))) = (&verified, streamed.map(|mut stream| verify(&mut stream))) {
        assert_eq!(rows(&stream), rows(file));
    }
    let read = Archive::from_bytes(bytes.to_vec()).and_then(sizes);
    assert!(read.is_ok() || verified.is_err(), "an archive that cannot be read is not sound");
}
