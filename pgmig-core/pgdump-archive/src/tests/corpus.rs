//! Reads a corpus of real archives: that of `fixtures/`, or `PGMIG_CORPUS=DIR cargo test -p pgdump-archive corpus`.

use super::{read_all_blocks, read_all_in_order, read_all_streamed};
use crate::{Archive, Block, EntryKind};
use memchr::memmem;
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

#[test]
fn every_sound_archive_reads_the_same_in_every_way() {
    let corpus = corpus();
    let mut archives = Vec::new();
    find_archives(&corpus, &mut archives);
    assert!(!archives.is_empty(), "no archives under {}", corpus.display());
    for path in &archives {
        let contents = read_all_blocks(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(read_all_in_order(Archive::open(path).unwrap()).unwrap(), contents, "{}", path.display());
        assert_eq!(read_all_streamed(path).unwrap(), contents, "{}", path.display());
    }
    println!("{} archives", archives.len());
}

/// The script that pg_restore made from the archive (`EXPECT.tsv` names it) holds each table's data unchanged.
#[test]
fn table_data_is_what_pg_restore_writes() {
    let corpus = corpus();
    let mut archives = Vec::new();
    find_archives(&corpus, &mut archives);
    let mut tables = 0;
    for path in archives {
        let Some(script) = rendering(&path) else { continue };
        let archive = Archive::open(&path).unwrap();
        for entry in archive.entries().iter().filter(|entry| entry.kind == EntryKind::TableData) {
            let Block::Data(mut data) = archive.block(entry.dump_id).unwrap() else {
                panic!("{}", entry.label())
            };
            let mut rows = Vec::new();
            data.read_to_end(&mut rows).unwrap();
            assert!(
                rows.len() > 1 && memmem::find(&script, &rows).is_some(),
                "{}: {}",
                path.display(),
                entry.label()
            );
            tables += 1;
        }
    }
    println!("{tables} tables");
    assert!(tables > 0);
}

fn corpus() -> PathBuf {
    let fixtures = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/archives");
    std::env::var_os("PGMIG_CORPUS").map_or_else(fixtures, PathBuf::from)
}

fn rendering(archive: &Path) -> Option<Vec<u8>> {
    let (directory, name) = (archive.parent()?, archive.file_name()?.to_str()?);
    let expected = std::fs::read_to_string(directory.join("EXPECT.tsv")).ok()?;
    let script =
        expected.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t')?.split('\t').next())?;
    let mut text = Vec::new();
    let packed = File::open(directory.join(script)).ok()?;
    flate2::read::GzDecoder::new(packed).read_to_end(&mut text).unwrap();
    Some(text)
}

fn find_archives(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in directory.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().unwrap() != "damaged" {
            find_archives(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "dump") {
            found.push(path);
        }
    }
}
