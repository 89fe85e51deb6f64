//! Directory-format and tar-format archives, as pg_dump made them and as people pack them.

use super::{
    Contents, builder::Builder, fixtures, forms::expected, read_all_blocks, read_all_in_order, read_block,
};
use crate::{
    Archive, ArchiveError, ArchiveVersion, Block, Compression, Entry, EntryKind, Format, MemberProblem, Tail,
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Cursor, Read, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

fn packed(name: &str) -> PathBuf {
    fixtures().join("archives").join(format!("{name}.tar.gz"))
}

/// The paths and contents in a tar.gz.
fn members(name: &str) -> Vec<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(File::open(packed(name)).unwrap()).read_to_end(&mut bytes).unwrap();
    let mut members = Vec::new();
    let mut at = 0;
    while bytes[at] != 0 {
        let name = bytes[at..at + 100].split(|&byte| byte == 0).next().unwrap();
        let size = std::str::from_utf8(&bytes[at + 124..at + 135]).unwrap();
        let size = usize::from_str_radix(size.trim(), 8).unwrap();
        members.push((String::from_utf8(name.to_vec()).unwrap(), bytes[at + 512..at + 512 + size].to_vec()));
        at += 512 + size.div_ceil(512) * 512;
    }
    members
}

/// A directory with the files of a packed one.
fn unpacked(name: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, bytes) in members(name) {
        if !path.ends_with('/') {
            fs::write(directory.path().join(path.rsplit('/').next().unwrap()), bytes).unwrap();
        }
    }
    directory
}

fn header(path: &str, kind: u8, size: usize) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..path.len()].copy_from_slice(path.as_bytes());
    header[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    header[156] = kind;
    header[257..263].copy_from_slice(b"ustar\0");
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}

fn tar(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (path, bytes) in members {
        out.extend(header(path, b'0', bytes.len()));
        out.extend(bytes);
        out.resize(out.len().div_ceil(512) * 512, 0);
    }
    out.extend([0; 1024]);
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Rows and large objects by their names, which do not depend on the dump.
fn by_name(mut archive: Archive) -> BTreeMap<String, Vec<u8>> {
    let mut contents = Contents::new();
    while let Some((id, block)) = archive.next_block().unwrap() {
        read_block(id, block, &mut contents).unwrap();
    }
    let name = |entry: &Entry, oid: u32| match entry.kind {
        EntryKind::Blobs => format!("large object {oid}"),
        _ => format!("{:?} {}", entry.namespace, entry.tag),
    };
    contents.into_iter().map(|((id, oid), bytes)| (name(archive.entry(id).unwrap(), oid), bytes)).collect()
}

fn without_zone(list: &Path) -> String {
    String::from_utf8_lossy(&fs::read(list).unwrap()).replace(" UTC\n", "\n")
}

#[test]
fn a_directory_of_every_codec_holds_what_the_custom_archive_does() {
    for (name, custom, compression) in [
        ("9.5_dir_gz", "9.5_file_gz", Compression::Gzip),
        ("15_dir_gz", "15_pipe_gz", Compression::Gzip),
        ("15_dir_z0", "15_pipe_gz", Compression::None),
        ("16_dir_lz4", "16_file_lz4", Compression::Lz4),
        ("16_dir_zstd", "16_file_lz4", Compression::Zstd),
        ("18_dir_gz", "18_file_gz", Compression::Gzip),
        ("18_dir_lz4", "18_file_gz", Compression::Lz4),
        ("18_dir_zstd", "18_file_gz", Compression::Zstd),
    ] {
        let expected = by_name(Archive::open(&super::fixture(custom)).unwrap());
        let directory = unpacked(name);
        let archive = Archive::open(directory.path()).unwrap();
        assert_eq!((archive.header().format, archive.header().compression), (Format::Directory, compression));
        assert!(!archive.is_stream() && !archive.is_sequential());
        let listing = without_zone(&fixtures().join("archives").join(format!("{name}.list")));
        assert_eq!(archive.listing().to_string(), listing, "{name}");
        assert!(by_name(archive) == expected, "{name}");
        let contents = read_all_blocks(directory.path()).unwrap();
        // In a packed directory, toc.dat is the last member.
        let tarred = Archive::open(&packed(name)).unwrap();
        assert!(tarred.is_sequential() && tarred.header().wrapper == Compression::Gzip);
        assert_eq!(tarred.listing().to_string(), listing, "{name}, packed");
        assert!(read_all_in_order(tarred).unwrap() == contents, "{name}, packed");
        assert!(read_all_blocks(&packed(name)).unwrap() == contents, "{name}, packed, by entry");
    }
}

#[test]
fn a_tar_holds_what_the_custom_archive_does_from_a_file_and_from_a_stream() {
    for (name, custom) in
        [("9.5_tarfmt", "9.5_file_gz"), ("15_tarfmt", "15_pipe_gz"), ("18_tarfmt", "18_file_gz")]
    {
        let expected = by_name(Archive::open(&super::fixture(custom)).unwrap());
        let listing = without_zone(&fixtures().join("archives").join(format!("{name}.list")));
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(File::open(packed(name)).unwrap()).read_to_end(&mut bytes).unwrap();
        for (way, archive) in [
            ("file", Archive::from_bytes(bytes.clone()).unwrap()),
            ("compressed file", Archive::open(&packed(name)).unwrap()),
            ("stream", Archive::from_stream(Cursor::new(bytes)).unwrap()),
            ("compressed stream", Archive::from_stream(File::open(packed(name)).unwrap()).unwrap()),
        ] {
            assert_eq!(archive.header().format, Format::Tar);
            assert_eq!(archive.is_stream(), way.ends_with("stream"));
            assert_eq!(archive.is_sequential(), way != "file");
            assert_eq!(archive.listing().to_string(), listing, "{name}, {way}");
            assert!(by_name(archive) == expected, "{name}, {way}");
        }
        assert!(read_all_blocks(&packed(name)).is_ok());
    }
}

#[test]
fn every_container_version_is_read_from_a_directory_and_from_a_tar() {
    for minor in 10..=16 {
        for (compression, suffix) in SUFFIXES {
            if minor < 15 && matches!(compression, Compression::Lz4 | Compression::Zstd) {
                continue; // did not exist
            }
            let mut builder = Builder::new(compression);
            builder.version = ArchiveVersion::new(1, minor);
            let members = builder.members(suffix);
            let directory = tempfile::tempdir().unwrap();
            for (name, bytes) in &members {
                fs::write(directory.path().join(name), bytes).unwrap();
            }
            let expected = expected(&builder);
            assert!(read_all_blocks(directory.path()).unwrap() == expected, "1.{minor} {compression}");
            if compression == Compression::None {
                let bytes = tar(&members);
                let file = Archive::from_bytes(bytes.clone()).and_then(read_all_in_order);
                assert!(file.unwrap() == expected, "1.{minor}, tar");
                let stream = Archive::from_stream(Cursor::new(bytes)).and_then(read_all_in_order);
                assert!(stream.unwrap() == expected, "1.{minor}, tar stream");
            }
        }
    }
}

const SUFFIXES: [(Compression, &str); 4] = [
    (Compression::None, ""),
    (Compression::Gzip, ".gz"),
    (Compression::Lz4, ".lz4"),
    (Compression::Zstd, ".zst"),
];

#[test]
fn blocks_of_a_tar_stream_can_be_left_unread() {
    let all = by_name(Archive::open(&packed("18_tarfmt")).unwrap());
    let mut stream = Archive::from_stream(File::open(packed("18_tarfmt")).unwrap()).unwrap();
    let mut blocks = 0;
    while let Some((_, mut block)) = stream.next_block().unwrap() {
        blocks += 1;
        match &mut block {
            Block::Data(data) if blocks % 2 == 0 => drop(data.read_into(&mut Vec::new(), 7).unwrap()),
            Block::LargeObjects(objects) if blocks % 2 == 0 => {
                assert!(objects.next_object().unwrap().is_some())
            }
            _ => {}
        }
    }
    assert_eq!(blocks, stream.entries().iter().filter(|entry| entry.has_data()).count());
    assert!(all.len() > blocks && stream.tail() == Some(Tail::Nothing));
}

#[test]
fn a_packed_directory_is_not_read_from_a_stream() {
    let error = Archive::from_stream(File::open(packed("15_dir_gz")).unwrap()).unwrap_err();
    assert!(matches!(error, ArchiveError::TocNotFirst { .. }), "{error}");
}

#[test]
fn a_file_that_is_missing_is_named_with_its_entry() {
    for (missing, entry) in [
        ("4064.dat.gz", "TABLE DATA store.workspace"),
        ("blob_700003.dat.gz", "BLOBS"),
        ("blobs.toc", "BLOBS"),
    ] {
        let directory = unpacked("15_dir_gz");
        fs::remove_file(directory.path().join(missing)).unwrap();
        let error = Archive::open(directory.path()).unwrap_err();
        assert!(matches!(error, ArchiveError::MemberMissing { .. }), "{missing}: {error}");
        assert!(error.to_string().contains(entry), "{missing}: {error}");
        assert!(error.to_string().contains(missing.trim_end_matches(".gz")), "{missing}: {error}");
        let members = members("15_tarfmt");
        let missing = missing.trim_end_matches(".gz");
        let without: Vec<_> = members.into_iter().filter(|(name, _)| name != missing).collect();
        let error = Archive::from_bytes(tar(&without)).unwrap_err();
        assert!(matches!(error, ArchiveError::MemberMissing { .. }), "{missing}: {error}");
        let stream = Archive::from_stream(Cursor::new(tar(&without))).and_then(read_all_in_order);
        assert!(stream.is_err(), "{missing}");
    }
}

#[test]
fn links_in_a_directory_are_refused() {
    for name in ["4064.dat.gz", "blob_700003.dat.gz", "blobs.toc", "toc.dat"] {
        let directory = unpacked("15_dir_gz");
        let moved = directory.path().join("elsewhere");
        fs::rename(directory.path().join(name), &moved).unwrap();
        symlink(&moved, directory.path().join(name)).unwrap();
        let error = Archive::open(directory.path()).unwrap_err();
        assert!(
            matches!(error, ArchiveError::Member { problem: MemberProblem::NoFile, .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn two_files_for_one_entry_are_refused() {
    let directory = unpacked("15_dir_gz");
    fs::write(directory.path().join("4064.dat"), b"\\.\n\n\n").unwrap();
    let error = Archive::open(directory.path()).unwrap_err();
    assert!(matches!(error, ArchiveError::Member { problem: MemberProblem::Twice, .. }), "{error}");
}

#[test]
fn a_file_name_in_the_toc_that_leads_elsewhere_is_refused() {
    for name in ["../x.dat", "/etc/a", "a/../bc", "..\\.dat", "12\n4.dat"] {
        let directory = unpacked("15_dir_z0");
        let toc = directory.path().join("toc.dat");
        let bytes = fs::read(&toc).unwrap();
        let at = memchr::memmem::find(&bytes, b"4064.dat").unwrap();
        let mut changed = bytes[..at - 5].to_vec();
        changed.extend([0, u8::try_from(name.len()).unwrap(), 0, 0, 0]);
        changed.extend(name.as_bytes());
        changed.extend(&bytes[at + 8..]);
        fs::write(&toc, changed).unwrap();
        let error = Archive::open(directory.path()).unwrap_err();
        assert!(
            matches!(error, ArchiveError::Member { problem: MemberProblem::Path, .. }),
            "{name:?}: {error}"
        );
    }
}

#[test]
fn a_list_of_large_objects_that_leads_elsewhere_or_is_none_is_refused() {
    for (list, refused) in [
        ("700001 ../blob_700001.dat\n", true),
        ("700001 /etc/passwd\n", true),
        ("0 blob_700001.dat\n", true),
        ("4294967296 blob_700001.dat\n", true),
        ("+1 blob_700001.dat\n", true),
        ("700001\n", true),
        ("700001 blob_700001.dat", true),
        ("700001 blob_700001.dat\n700002 blob_700001.dat\n", true),
        ("700001 blob_700001.dat\n", false),
        ("", false),
    ] {
        let directory = unpacked("15_dir_z0");
        fs::write(directory.path().join("blobs.toc"), list).unwrap();
        assert_eq!(Archive::open(directory.path()).is_err(), refused, "{list:?}");
    }
    let directory = unpacked("15_dir_z0");
    fs::write(directory.path().join("blobs.toc"), vec![b'1'; 100_000]).unwrap();
    assert!(matches!(Archive::open(directory.path()), Err(ArchiveError::Malformed { .. })));
}

#[test]
fn members_that_are_no_plain_files_are_refused() {
    let members = members("15_tarfmt");
    let sound = tar(&members);
    assert!(Archive::from_bytes(sound.clone()).is_ok());
    for (path, kind, problem) in [
        ("link", b'2', MemberProblem::NoFile),
        ("hard link", b'1', MemberProblem::NoFile),
        ("device", b'3', MemberProblem::NoFile),
        ("fifo", b'6', MemberProblem::NoFile),
        ("sparse", b'S', MemberProblem::NoFile),
        ("pax", b'x', MemberProblem::NoFile),
        ("long name", b'L', MemberProblem::NoFile),
        ("../4064.dat", b'0', MemberProblem::Path),
        ("/4064.dat", b'0', MemberProblem::Path),
        ("4064.dat", b'0', MemberProblem::Twice),
    ] {
        let last = sound.len() - 1024;
        let bytes = [&sound[..last], &header(path, kind, 0), &[0; 1024]].concat();
        let found = |error| match error {
            ArchiveError::Member { problem, .. } => problem,
            error => panic!("{path}: {error}"),
        };
        assert_eq!(found(Archive::from_bytes(bytes.clone()).unwrap_err()), problem, "{path}");
        let stream = Archive::from_stream(Cursor::new(bytes)).and_then(read_all_in_order);
        assert_eq!(found(stream.unwrap_err()), problem, "{path}");
    }
}

/// A header that extends the next one, with its contents.
fn extension(kind: u8, contents: &[u8]) -> Vec<u8> {
    let mut out = header("././@PaxHeader", kind, contents.len());
    out.extend(contents);
    out.resize(out.len().div_ceil(512) * 512, 0);
    out
}

/// A record of a pax header.
fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let length =
        (1..).find(|digits| (rest.len() + digits).to_string().len() == *digits).unwrap() + rest.len();
    format!("{length}{rest}").into_bytes()
}

/// A tar file in which each of these headers comes before every member.
fn extended(
    members: &[(String, Vec<u8>)],
    before: impl Fn(&str, usize) -> Vec<u8>,
    size: Option<usize>,
) -> Vec<u8> {
    let mut out = extension(b'g', &record("comment", "all files"));
    for (path, bytes) in members {
        out.extend(before(path, bytes.len()));
        out.extend(header(path.get(..3).unwrap_or(path), b'0', size.unwrap_or(bytes.len())));
        out.extend(bytes);
        out.resize(out.len().div_ceil(512) * 512, 0);
    }
    out.extend([0; 1024]);
    out
}

#[test]
fn headers_that_extend_others_give_path_and_size() {
    let members = members("15_tarfmt");
    let plain = by_name(Archive::from_bytes(tar(&members)).unwrap());
    // macOS's tar writes attributes; Python's tarfile writes times; GNU tar writes long names.
    let pax = |path: &str, size: usize| {
        let records = [
            record("path", path),
            record("size", &size.to_string()),
            record("mtime", "1700000000.25"),
            record("LIBARCHIVE.xattr.com.apple.provenance", "AQ=="),
        ];
        extension(b'x', &records.concat())
    };
    let gnu = |path: &str, _| {
        [extension(b'K', b"target\0"), extension(b'L', format!("{path}\0").as_bytes())].concat()
    };
    for bytes in [extended(&members, pax, Some(0)), extended(&members, gnu, None)] {
        assert_eq!(by_name(Archive::from_bytes(bytes.clone()).unwrap()), plain);
        assert!(Archive::from_stream(Cursor::new(bytes)).and_then(read_all_in_order).is_ok());
    }
}

#[test]
fn headers_that_no_file_of_an_archive_has_are_refused() {
    let members = members("15_tarfmt");
    for contents in [
        record("GNU.sparse.major", "1"),
        b"99 path=toc.dat\n".to_vec(),
        b"path=toc.dat\n".to_vec(),
        record("size", "-1"),
        vec![b'x'; 1024 * 1024 + 1],
    ] {
        let bytes = extended(&members, |_, _| extension(b'x', &contents), None);
        let error = Archive::from_bytes(bytes).unwrap_err();
        assert!(matches!(error, ArchiveError::Member { problem: MemberProblem::Extension, .. }), "{error}");
    }
    let path = |path: &str| {
        let contents = record("path", path);
        Archive::from_bytes(extended(&members, |_, _| extension(b'x', &contents), None)).unwrap_err()
    };
    assert!(matches!(path("../toc.dat"), ArchiveError::Member { problem: MemberProblem::Path, .. }));
    let many = extended(&members, |_, _| extension(b'x', b"").repeat(17), None);
    assert!(Archive::from_bytes(many).is_err());
}

#[test]
fn a_tar_that_was_cut_is_refused_wherever_it_was_cut() {
    let members = members("15_tarfmt");
    // Without restore.sql, which is not needed and takes most of the file.
    let members: Vec<_> = members.into_iter().filter(|(name, _)| name != "restore.sql").collect();
    let bytes = tar(&members);
    assert!(Archive::from_stream(Cursor::new(bytes.clone())).and_then(read_all_in_order).is_ok());
    for length in (0..bytes.len() - 1024).step_by(509) {
        let cut = bytes[..length].to_vec();
        assert!(Archive::from_bytes(cut.clone()).is_err(), "cut at {length}");
        assert!(
            Archive::from_stream(Cursor::new(cut)).and_then(read_all_in_order).is_err(),
            "cut at {length}"
        );
    }
}

#[test]
fn a_tar_of_two_archives_and_one_of_none_are_refused() {
    let entries = members("15_tarfmt");
    let second = ("other/toc.dat".to_owned(), entries[0].1.clone());
    let error = Archive::from_bytes(tar(&[entries.clone(), vec![second]].concat())).unwrap_err();
    assert!(matches!(error, ArchiveError::Member { problem: MemberProblem::SeveralArchives, .. }), "{error}");
    let error = Archive::from_bytes(tar(&entries[1..])).unwrap_err();
    assert!(matches!(error, ArchiveError::NotAnArchive { .. }), "{error}");
}

#[test]
fn a_toc_with_more_than_its_count_says_is_refused() {
    let mut entries = members("15_tarfmt");
    entries[0].1.extend(b"an entry that the count leaves out");
    let bytes = tar(&entries);
    assert!(matches!(Archive::from_bytes(bytes.clone()), Err(ArchiveError::Malformed { .. })));
    assert!(matches!(Archive::from_stream(Cursor::new(bytes)), Err(ArchiveError::Malformed { .. })));
}

#[test]
fn a_list_of_other_objects_than_those_that_came_is_refused_in_a_stream() {
    let mut entries = members("15_tarfmt");
    let list = entries.iter_mut().find(|(name, _)| name == "blobs.toc").unwrap();
    list.1 = list.1[..list.1.len() / 2].to_vec();
    let end = list.1.iter().rposition(|&byte| byte == b'\n').unwrap();
    list.1.truncate(end + 1);
    let stream = Archive::from_stream(Cursor::new(tar(&entries))).and_then(read_all_in_order);
    let error = stream.unwrap_err();
    assert!(
        matches!(error, ArchiveError::Member { problem: MemberProblem::OtherObjects { .. }, .. }),
        "{error}"
    );
}

#[test]
fn damage_in_a_file_of_a_directory_names_the_file() {
    let directory = unpacked("15_dir_gz");
    let path = directory.path().join("4064.dat.gz");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    fs::write(&path, &bytes).unwrap();
    let error = read_all_blocks(directory.path()).unwrap_err();
    assert!(
        matches!(error, ArchiveError::Decompress { .. }) && error.to_string().contains("of 4064.dat.gz"),
        "{error}"
    );
    // The checksum of a gzip file is checked, and so is its end.
    let sound = unpacked("15_dir_gz");
    let sound = fs::read(sound.path().join("4064.dat.gz")).unwrap();
    let mut checksum = sound.clone();
    let at = checksum.len() - 6;
    checksum[at] ^= 1;
    for damaged in [checksum, sound[..sound.len() - 1].to_vec(), [&sound[..], b"x"].concat()] {
        fs::write(&path, damaged).unwrap();
        assert!(read_all_blocks(directory.path()).is_err());
    }
}

#[test]
fn an_empty_file_of_any_codec_is_an_empty_large_object() {
    for name in ["15_dir_gz", "16_dir_lz4", "16_dir_zstd"] {
        let directory = unpacked(name);
        let suffix = name.rsplit('_').next().unwrap().replace("zstd", "zst");
        fs::write(directory.path().join(format!("blob_700003.dat.{suffix}")), b"").unwrap();
        let contents = read_all_blocks(directory.path()).unwrap();
        let empty = contents.iter().find(|((_, oid), _)| *oid == 700_003).unwrap();
        assert!(empty.1.is_empty(), "{name}");
    }
}

#[test]
fn a_directory_whose_files_were_all_compressed_is_read() {
    let plain = unpacked("15_dir_z0");
    let expected = by_name(Archive::open(plain.path()).unwrap());
    for file in plain.path().read_dir().unwrap() {
        let path = file.unwrap().path();
        let name = format!("{}.gz", path.display());
        fs::write(name, gzip(&fs::read(&path).unwrap())).unwrap();
        fs::remove_file(path).unwrap();
    }
    assert!(by_name(Archive::open(plain.path()).unwrap()) == expected);
}
