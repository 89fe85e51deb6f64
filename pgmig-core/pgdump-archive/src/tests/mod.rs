//! Tests of the whole reader, on archives made by pg_dump and on damaged ones.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests")]

pub(super) mod builder;
mod corpus;
mod forms;
mod malformed;
mod members;
mod mutation;
mod scripts;
mod sound;

use super::{Archive, ArchiveError, Block, DumpId};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

/// All data of an archive: table data under OID 0, large objects under their own.
type Contents = BTreeMap<(DumpId, u32), Vec<u8>>;

/// An odd size, so that pieces end at arbitrary places.
const PIECE: usize = 7919;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn fixture(name: &str) -> PathBuf {
    fixtures().join("archives").join(format!("{name}.dump"))
}

/// All sound archives.
fn archives() -> Vec<PathBuf> {
    let files = fixtures().join("archives").read_dir().unwrap().map(|file| file.unwrap().path());
    let archives: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "dump")).collect();
    assert!(archives.len() > 30, "{} archives", archives.len());
    archives
}

/// The bytes of a damaged archive, stored as its difference from an intact one (`-` for none).
fn damaged(name: &str, base: &str) -> Vec<u8> {
    let packed = File::open(fixtures().join("malformed").join(format!("{name}.zst"))).unwrap();
    let base = if base == "-" { Vec::new() } else { fs::read(fixture(base)).unwrap() };
    let packed = std::io::BufReader::new(packed);
    let mut decoder = zstd::stream::read::Decoder::with_ref_prefix(packed, &base).unwrap();
    let mut bytes = Vec::new();
    decoder.read_to_end(&mut bytes).unwrap();
    bytes
}

fn read_block(id: DumpId, block: Block<'_>, contents: &mut Contents) -> Result<(), ArchiveError> {
    match block {
        Block::Data(mut data) => {
            let bytes = contents.entry((id, 0)).or_default();
            while data.read_into(bytes, PIECE)? > 0 {}
            assert_eq!(data.read_into(bytes, PIECE)?, 0, "the end stays the end");
        }
        Block::LargeObjects(mut objects) => {
            while let Some(oid) = objects.next_object()? {
                let bytes = contents.entry((id, oid.0)).or_default();
                while objects.read_into(bytes, PIECE)? > 0 {}
            }
        }
    }
    Ok(())
}

/// Reads each block by its entry, in the TOC's order.
fn read_all_blocks(path: &Path) -> Result<Contents, ArchiveError> {
    let archive = Archive::open(path)?;
    let mut contents = Contents::new();
    for entry in archive.entries().iter().filter(|entry| entry.has_data()) {
        read_block(entry.dump_id, archive.block(entry.dump_id)?, &mut contents)?;
    }
    assert_eq!(Some(archive.bytes_read().get()), archive.size(), "a whole restore reads all of the file");
    Ok(contents)
}

/// Reads each block in the archive's order.
fn read_all_in_order(mut archive: Archive) -> Result<Contents, ArchiveError> {
    let mut contents = Contents::new();
    let mut blocks = 0;
    while let Some((id, block)) = archive.next_block()? {
        read_block(id, block, &mut contents)?;
        blocks += 1;
    }
    assert!(archive.next_block()?.is_none(), "the end stays the end");
    assert_eq!(blocks, archive.entries().iter().filter(|entry| entry.has_data()).count());
    Ok(contents)
}

fn read_all_streamed(path: &Path) -> Result<Contents, ArchiveError> {
    let archive = Archive::from_stream(File::open(path).unwrap())?;
    assert!(archive.is_stream());
    let read = archive.bytes_read();
    let contents = read_all_in_order(archive)?;
    assert_eq!(read.get(), path.metadata().unwrap().len(), "all of the stream was read");
    Ok(contents)
}

/// The README's example is the one that is built.
#[test]
fn the_readme_shows_the_example() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = fs::read_to_string(package.join("examples/list.rs")).unwrap();
    let (_, code) = example.split_once("\n\n").unwrap();
    assert!(code.lines().count() < 20, "an example in under 20 lines");
    assert!(
        fs::read_to_string(package.join("README.md")).unwrap().contains(code),
        "the README's example differs"
    );
}
