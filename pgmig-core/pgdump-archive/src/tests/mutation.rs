//! Applies every small damage to a small archive. The reader must not panic or loop, and must not lose data without
//! an error where the format makes the loss detectable.

use super::{
    Contents,
    builder::{Builder, Offsets},
    fixture, read_all_in_order, read_block,
};
use crate::{Archive, ArchiveError, Compression};
use proptest::prelude::*;
use std::{
    fs::{self, File},
    io::Cursor,
    os::unix::fs::FileExt,
    path::PathBuf,
};

/// Reads archives through one file that is overwritten for each. Creating a new file costs ten times as much as
/// reading it.
struct Scratch {
    _directory: tempfile::TempDir,
    path: PathBuf,
    file: File,
}

impl Scratch {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mutant.dump");
        let file = File::create(&path).unwrap();
        Self { _directory: directory, path, file }
    }

    fn read_file(&self, bytes: &[u8]) -> Result<Contents, ArchiveError> {
        self.file.write_all_at(bytes, 0).unwrap();
        self.file.set_len(u64::try_from(bytes.len()).unwrap()).unwrap();
        let archive = Archive::open(&self.path)?;
        let mut contents = Contents::new();
        for entry in archive.entries().iter().filter(|entry| entry.has_data()) {
            read_block(entry.dump_id, archive.block(entry.dump_id)?, &mut contents)?;
        }
        Ok(contents)
    }
}

fn read_stream(bytes: &[u8]) -> Result<Contents, ArchiveError> {
    read_all_in_order(Archive::from_stream(Cursor::new(bytes.to_vec()))?)
}

struct Subject {
    name: String,
    bytes: Vec<u8>,
    /// Place of the first block.
    data_at: usize,
}

fn subjects() -> Vec<Subject> {
    let mut subjects = Vec::new();
    for compression in [Compression::None, Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        for offsets in [Offsets::Set, Offsets::NotSet, Offsets::Mixed, Offsets::SecondToc] {
            let builder = Builder { offsets, ..Builder::new(compression) };
            let name = format!("{compression} {offsets:?}");
            subjects.push(Subject { name, bytes: builder.build(), data_at: builder.head().len() });
        }
    }
    for name in ["emptydb_15", "latin1_15", "scsoff_inserts_15"] {
        let bytes = fs::read(fixture(name)).unwrap();
        subjects.push(Subject { name: name.to_owned(), data_at: bytes.len(), bytes });
    }
    subjects
}

#[test]
fn an_archive_cut_anywhere_is_refused() {
    let scratch = Scratch::new();
    for Subject { name, bytes, .. } in subjects() {
        let whole = scratch.read_file(&bytes).unwrap();
        for length in 0..bytes.len() {
            let cut = &bytes[..length];
            for (way, result) in [("file", scratch.read_file(cut)), ("stream", read_stream(cut))] {
                // If only the second TOC is cut, all blocks are there.
                let complete = name.ends_with("SecondToc");
                match result {
                    Ok(contents) if complete => assert!(contents == whole, "{name} cut at {length}, {way}"),
                    Ok(_) => panic!("{name} cut at {length} is not refused as a {way}"),
                    Err(_) => {}
                }
            }
        }
    }
}

#[test]
fn a_bit_flipped_anywhere_does_no_harm() {
    let scratch = Scratch::new();
    let items = |contents: Contents| {
        let mut items: Vec<_> = contents.into_values().collect();
        items.sort();
        items
    };
    for Subject { name, bytes, data_at } in subjects() {
        let whole = items(scratch.read_file(&bytes).unwrap());
        for position in 0..bytes.len() {
            // zlib streams carry checksums; LZ4 and zstd frames of pg_dump do not, nor does the TOC.
            let checked = name.starts_with("gzip") && position >= data_at;
            for flip in [0x01, 0x10, 0x80] {
                let mut mutant = bytes.clone();
                mutant[position] ^= flip;
                for result in [scratch.read_file(&mutant), read_stream(&mutant)] {
                    if let Ok(contents) = result
                        && checked
                    {
                        assert!(items(contents) == whole, "{name}: {flip:#x} of byte {position}");
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes are replaced, inserted and removed, several at once.
    #[test]
    fn any_damage_is_an_error_or_an_archive(
        subject in 0_usize..19,
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..6, prop::collection::vec(any::<u8>(), 0..6)), 1..5),
    ) {
        let mut bytes = subjects().swap_remove(subject).bytes;
        for (place, removed, inserted) in edits {
            let at = place.index(bytes.len() + 1);
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, inserted);
        }
        let scratch = Scratch::new();
        let file = scratch.read_file(&bytes);
        let stream = read_stream(&bytes);
        if let (Ok(file), Ok(stream)) = (file, stream) {
            prop_assert!(file == stream);
        }
    }
}
