//! Damaged archives are refused, each for the right reason. Intact archives are accepted.

use super::{damaged, read_all_blocks, read_all_in_order};
use crate::{Archive, ArchiveError, Foreign, Part, Tail};
use std::{fs, io::Write, path::PathBuf};

const EXPECTED: &str = include_str!("../../../../fixtures/malformed/EXPECTED.tsv");

/// Cases that pgmig as a whole must detect, not this reader, with the reason.
const ELSEWHERE: &[(&str, &str)] =
    &[("alg_0.dump", "raw zlib bytes are a COPY stream without its `\\.`: the COPY reader refuses them")];

struct Case {
    name: &'static str,
    verdict: &'static str,
    bytes: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let case = |line: &'static str| {
        let fields: Vec<_> = line.split('\t').collect();
        Case { name: fields[0], verdict: fields[1], bytes: damaged(fields[0], fields[2]) }
    };
    EXPECTED.lines().map(case).collect()
}

fn case(name: &str) -> Vec<u8> {
    cases().into_iter().find(|case| case.name == name).unwrap().bytes
}

fn in_file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("damaged.dump");
    fs::File::create(&path).unwrap().write_all(bytes).unwrap();
    (directory, path)
}

fn read_file(bytes: &[u8]) -> Result<(), ArchiveError> {
    let (_directory, path) = in_file(bytes);
    read_all_blocks(&path).map(drop)
}

fn read_stream(bytes: &[u8]) -> Result<(), ArchiveError> {
    read_all_in_order(Archive::from_stream(std::io::Cursor::new(bytes.to_vec()))?).map(drop)
}

fn refusal(name: &str) -> ArchiveError {
    read_file(&case(name)).expect_err(name)
}

#[test]
fn damaged_archives_are_refused_and_sound_ones_are_not() {
    let cases = cases();
    assert_eq!(cases.len(), 59);
    for Case { name, verdict, bytes } in cases {
        for (way, result) in [("file", read_file(&bytes)), ("stream", read_stream(&bytes))] {
            println!(
                "{name} {way} {verdict}: {}",
                result.as_ref().err().map_or("ok".into(), |e| e.to_string())
            );
            if ELSEWHERE.iter().any(|(elsewhere, _)| *elsewhere == name) {
                continue;
            }
            match (verdict, result) {
                ("refuse", Ok(())) => panic!("{name} as a {way} is not refused"),
                ("sound", Err(error)) => panic!("{name} as a {way} is refused: {error}"),
                _ => {}
            }
        }
    }
}

#[test]
fn what_went_wrong_on_the_way_is_said() {
    let found = |name: &str| match refusal(name) {
        ArchiveError::NotAnArchive { found, .. } => found,
        error => panic!("{name}: {error}"),
    };
    assert_eq!(found("empty.dump"), Foreign::Empty);
    assert_eq!(found("bad_magic.dump"), Foreign::Unknown);
    assert_eq!(found("format_3.dump"), Foreign::TocFile);
    assert_eq!(found("kubectl_tty_prefix.dump"), Foreign::TextBefore(42));
    let cut = refusal("plain_sql.dump");
    assert!(matches!(cut, ArchiveError::Truncated { .. } | ArchiveError::Script { .. }), "{cut}");
    let truncated = refusal("tar_trunc.tar");
    assert!(matches!(truncated, ArchiveError::MemberCutOff { missing: 1.., .. }), "{truncated}");
    assert_eq!(truncated.place().unwrap().offset, u64::try_from(case("tar_trunc.tar").len()).unwrap());
    assert_eq!(found("utf16_powershell.dump"), Foreign::Reencoded);
    assert!(matches!(refusal("crlf_mangled.dump"), ArchiveError::LineEndings { .. }));
    let version = refusal("version_2.0.dump").to_string();
    assert!(version.contains("newer than this pgmig"), "{version}");
}

#[test]
fn an_archive_that_was_cut_is_refused_before_any_data_is_read() {
    for name in [
        "trunc_00004.dump",
        "trunc_00011.dump",
        "trunc_between_blocks.dump",
        "trunc_block_header.dump",
        "trunc_in_lo.dump",
        "trunc_mid_chunk.dump",
        "trunc_mid_chunk_pipe.dump",
        "trunc_mid_chunk_zstd.dump",
        "trunc_toc_end.dump",
    ] {
        let (_directory, path) = in_file(&case(name));
        match Archive::open(&path).expect_err(name) {
            ArchiveError::Truncated { .. } | ArchiveError::BlocksMissing { .. } => {}
            error => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn errors_name_the_byte_and_the_entry() {
    let error = refusal("flip_chunk_gz.dump");
    let place = error.place().expect("has a place");
    let Part::Block(label) = &place.part else { panic!("{place}") };
    assert_eq!(label.to_string(), "TABLE DATA store.workspace (dump ID 4064)");
    assert_eq!(place.offset, 94_688);
    assert!(matches!(refusal("zlib_trailing.dump"), ArchiveError::StreamTrailing { .. }));
    assert!(matches!(refusal("zlib_unfinished.dump"), ArchiveError::StreamUnfinished { .. }));
    assert!(matches!(refusal("zlib_empty_item.dump"), ArchiveError::StreamUnfinished { .. }));
    assert!(matches!(refusal("flip_lz4_magic.dump"), ArchiveError::Decompress { .. }));
    let Some(Part::Toc { number: 188, count: 283 }) =
        refusal("nodata_but_dumper.dump").place().map(|p| p.part.clone())
    else {
        panic!("nodata_but_dumper")
    };
}

#[test]
fn what_was_appended_is_reported_and_not_read() {
    let bytes = case("garbage_tail.dump");
    let (_directory, path) = in_file(&bytes);
    assert_eq!(Archive::open(&path).unwrap().tail(), Some(Tail::Unknown));
    let mut stream = Archive::from_stream(std::io::Cursor::new(bytes)).unwrap();
    while stream.next_block().unwrap().is_some() {}
    assert_eq!(stream.tail(), Some(Tail::Unknown));
}

#[test]
fn a_stream_is_not_read_on_after_an_error() {
    let mut stream = Archive::from_stream(std::io::Cursor::new(case("trunc_mid_chunk_pipe.dump"))).unwrap();
    let error = loop {
        match stream.next_block() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("not refused"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ArchiveError::Truncated { .. }), "{error}");
    assert!(matches!(stream.next_block(), Err(ArchiveError::AfterError)));
}

#[test]
fn a_directory_and_a_missing_file_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let found = |error| match error {
        ArchiveError::NotAnArchive { found, .. } => found,
        error => panic!("{error}"),
    };
    assert_eq!(found(Archive::open(directory.path()).unwrap_err()), Foreign::Directory);
    fs::write(directory.path().join("toc.dat"), b"PGDMP").unwrap();
    let cut = Archive::open(directory.path()).unwrap_err();
    assert!(matches!(cut, ArchiveError::Truncated { .. }), "{cut}");
    let missing = Archive::open(&directory.path().join("none.dump")).unwrap_err();
    assert!(matches!(missing, ArchiveError::Open { .. }), "{missing}");
}
