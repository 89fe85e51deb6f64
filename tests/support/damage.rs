//! Damaged archives: those of `fixtures/malformed`, and sound ones that a test changes.

use super::fixture::fixture;
use std::io::{BufReader, Read};
use std::path::Path;

/// The bytes of an archive of `fixtures/malformed`. Most are stored as the difference from a sound archive.
#[track_caller]
pub(crate) fn malformed(name: &str) -> Vec<u8> {
    let list = std::fs::read_to_string(fixture("malformed/EXPECTED.tsv")).expect("the list is UTF-8");
    let line = list.lines().find(|line| line.starts_with(&format!("{name}\t")));
    let base = line.and_then(|line| line.split('\t').nth(2)).expect("the archive is in the list");
    let base = match base {
        "-" => Vec::new(),
        base => read(&fixture(&format!("archives/{base}.dump"))),
    };
    let packed = std::fs::File::open(fixture(&format!("malformed/{name}.zst"))).expect("it can be opened");
    let decoder = zstd::stream::read::Decoder::with_ref_prefix(BufReader::new(packed), &base);
    let mut bytes = Vec::new();
    decoder.expect("zstd starts").read_to_end(&mut bytes).expect("zstd reads it");
    bytes
}

/// Replaces bytes of an uncompressed archive (`pg_dump -Z0`). Both texts have the same length. The first one occurs
/// exactly once.
#[track_caller]
pub(crate) fn patch(archive: &Path, from: &str, to: &str) {
    assert_eq!(from.len(), to.len(), "the archive's lengths stay");
    let mut bytes = read(archive);
    let places: Vec<_> =
        bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from.as_bytes()).collect();
    let [(place, _)] = places[..] else { panic!("{from:?} is {} times in the archive", places.len()) };
    bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
    std::fs::write(archive, bytes).expect("the archive can be written");
}

/// Cuts an archive to this percentage of its length.
#[track_caller]
pub(crate) fn truncated(archive: &Path, percent: usize) -> Vec<u8> {
    let mut bytes = read(archive);
    bytes.truncate(bytes.len() * percent / 100);
    bytes
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("the archive can be read")
}
