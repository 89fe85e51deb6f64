//! Damaged archives: what must be refused is refused, and for the right reason; nothing that is sound is.

use super::{damaged, read_all_blocks, read_all_in_order};
use crate::archive::{Archive, ArchiveError, Foreign, Part, Tail};
use std::{fs, io::Write, path::PathBuf};

const EXPECTED: &str = include_str!("../../../../fixtures/malformed/EXPECTED.tsv");

/// What is expected of pgmig as a whole and not of this reader, with the reason.
const ELSEWHERE: &[(&str, &str)] = &[
    ("alg_0.dump", "raw zlib bytes are a COPY stream without its `\\.`: the COPY reader refuses them"),
    ("gzip_of_plain.dump", "scripts are not read yet; refused with the advice to unpack it"),
];

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
            println!("{name} {way} {verdict}: {}", result.as_ref().err().map_or("ok".into(), |e| e.to_string()));
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
