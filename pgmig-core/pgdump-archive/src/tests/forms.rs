//! Archives in every form that the format allows, and damage that pg_dump's own archives do not show.

use super::{
    Contents, PIECE,
    builder::{Builder, Data, Offsets, pack},
    read_all_blocks, read_all_in_order,
};
use crate::{Archive, ArchiveError, ArchiveVersion, Block, Compression, DumpId, EntryKind, Section};
use std::{fs, io::Cursor};

const CODECS: [Compression; 4] = [Compression::None, Compression::Gzip, Compression::Lz4, Compression::Zstd];

/// Reads `bytes` as a file and as a stream. Both must have the same result.
fn read(bytes: &[u8]) -> Result<Contents, ArchiveError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("built.dump");
    fs::write(&path, bytes).unwrap();
    let file = read_all_blocks(&path);
    let stream = Archive::from_stream(Cursor::new(bytes.to_vec())).and_then(read_all_in_order);
    match (&file, &stream) {
        (Ok(file), Ok(stream)) => assert!(file == stream),
        (Err(_), Err(_)) => {}
        _ => panic!("file {:?}, stream {:?}", file.err(), stream.err()),
    }
    file
}

pub(super) fn expected(builder: &Builder) -> Contents {
    let mut contents = Contents::new();
    for (id, data) in &builder.entries {
        let id = DumpId::new(u32::try_from(*id).unwrap()).unwrap();
        match data {
            Data::None => {}
            Data::Rows(bytes) | Data::Raw(bytes) => drop(contents.insert((id, 0), bytes.clone())),
            Data::LargeObjects(objects) => {
                for (oid, bytes) in objects {
                    contents.insert((id, oid.rem_euclid(1 << 32).try_into().unwrap()), bytes.clone());
                }
            }
        }
    }
    contents
}

#[test]
fn every_version_codec_width_and_way_of_offsets_is_read() {
    let mut builder = Builder::new(Compression::None);
    for compression in CODECS {
        builder.compression = compression;
        for minor in 10..=16 {
            builder.version = ArchiveVersion::new(1, minor);
            if minor < 15 && matches!(compression, Compression::Lz4 | Compression::Zstd) {
                continue; // did not exist
            }
            for offsets in [Offsets::Set, Offsets::NotSet, Offsets::Mixed, Offsets::SecondToc] {
                builder.offsets = offsets;
                for width in 1..=8 {
                    builder.int_size = width;
                    // One byte cannot hold an offset of these archives.
                    builder.off_size = width.max(2);
                    let contents =
                        read(&builder.build()).unwrap_or_else(|error| panic!("{builder:?}: {error}"));
                    assert!(contents == expected(&builder), "{builder:?}");
                }
            }
        }
    }
    builder.off_size = 1;
    builder.offsets = Offsets::NotSet;
    assert!(read(&builder.build()).unwrap() == expected(&builder));
}

#[test]
fn old_archives_have_their_sections_derived() {
    let mut builder = Builder::new(Compression::Gzip);
    builder.version = ArchiveVersion::V1_10;
    let archive = Archive::from_stream(Cursor::new(builder.build())).unwrap();
    for entry in archive.entries() {
        let expected = if entry.kind == EntryKind::Encoding { Section::PreData } else { Section::Data };
        assert_eq!(entry.section, expected, "{}", entry.label());
    }
}

#[test]
fn chunk_borders_mean_nothing() {
    for compression in CODECS {
        let mut builder = Builder::new(compression);
        // Repetitive data, so that streams have matches across chunks, and more of it than any buffer holds.
        let long: Vec<u8> = (0..400_000_u32).flat_map(|n| (n / 7 % 1000).to_le_bytes()).collect();
        builder.entries =
            vec![(1, Data::None), (2, Data::Rows(long.clone())), (3, Data::LargeObjects(vec![(5, long)]))];
        for chunk in [1, 4096, 40_000, usize::MAX] {
            builder.chunk = chunk;
            for offsets in [Offsets::Set, Offsets::NotSet] {
                builder.offsets = offsets;
                assert!(read(&builder.build()).unwrap() == expected(&builder), "{compression} {chunk}");
            }
        }
    }
}

#[test]
fn a_stream_and_its_item_must_end_together() {
    for compression in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        let mut builder = Builder::new(compression);
        let sound = pack(b"1\tone\n\\.\n\n\n", compression);
        let mut item = |bytes: Vec<u8>| {
            builder.entries = vec![(1, Data::None), (2, Data::Raw(bytes))];
            read(&builder.build())
        };
        item(sound.clone()).unwrap();
        let twice = item([sound.clone(), sound.clone()].concat()).unwrap_err();
        assert!(matches!(twice, ArchiveError::StreamTrailing { .. }), "{compression}: {twice}");
        let trailing = item([&sound[..], b"x"].concat()).unwrap_err();
        assert!(matches!(trailing, ArchiveError::StreamTrailing { .. }), "{compression}: {trailing}");
        for length in 0..sound.len() {
            let cut = item(sound[..length].to_vec()).unwrap_err();
            assert!(matches!(cut, ArchiveError::StreamUnfinished { .. }), "{compression} {length}: {cut}");
        }
    }
}

#[test]
fn a_zstd_window_above_128_mib_is_refused() {
    // A frame with a window descriptor, and one raw block that holds "x".
    let frame = |window_log: u8| {
        [&[0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3, 0x09, 0, 0][..], b"x"].concat()
    };
    let mut builder = Builder::new(Compression::Zstd);
    builder.entries = vec![(1, Data::None), (2, Data::Raw(frame(27)))];
    assert_eq!(read(&builder.build()).unwrap().into_values().next().unwrap(), b"x");
    builder.entries[1].1 = Data::Raw(frame(28));
    let error = read(&builder.build()).unwrap_err();
    assert!(matches!(error, ArchiveError::Decompress { .. }), "{error}");
}

#[test]
fn a_block_must_end_where_the_next_begins() {
    let mut builder = Builder::new(Compression::None);
    builder.offsets = Offsets::Set;
    let mut bytes = builder.build();
    // Turn the length of the second chunk of the first block into the 0 that ends an item. In an uncompressed archive
    // that loses rows without a trace in the item itself.
    let first_chunk = builder.head().len() + 1 + 5;
    let second_chunk = first_chunk + 5 + builder.chunk;
    assert_eq!(bytes[second_chunk], 0);
    bytes[second_chunk + 1] = 0;
    let error = read(&bytes).unwrap_err();
    assert!(error.to_string().contains("the end of a block"), "{error}");
}

#[test]
fn lengths_beyond_the_input_allocate_nothing() {
    let builder = Builder::new(Compression::None);
    // A database name of almost 64 KiB, a tag of almost 1 GiB, a chunk of 2 GiB.
    for (at, length) in [(11 + 1 + 7 * 5, 0xfff0_u32), (entry_tag_at(&builder), 0x3fff_fff0)] {
        let mut bytes = builder.build();
        bytes[at + 1..at + 5].copy_from_slice(&length.to_le_bytes());
        let error = read(&bytes).unwrap_err();
        assert!(matches!(error, ArchiveError::Truncated { .. }), "{error}");
    }
    let mut bytes = builder.build();
    let chunk_at = builder.head().len() + 1 + 5;
    bytes[chunk_at + 1..chunk_at + 5].copy_from_slice(&0x7fff_fff0_u32.to_le_bytes());
    let error = read(&bytes).unwrap_err();
    assert!(matches!(error, ArchiveError::Truncated { .. }), "{error}");
}

/// Place of the first entry's tag: after the count, the dump ID, the data flag and two OIDs.
fn entry_tag_at(builder: &Builder) -> usize {
    let empty = Builder { entries: Vec::new(), ..builder.clone() };
    empty.head().len() + 5 + 5 + 6 + 6
}

#[test]
fn entries_that_contradict_themselves_or_each_other_are_refused() {
    let malformed = |entries: Vec<(i64, Data)>| {
        let mut builder = Builder::new(Compression::None);
        builder.entries = entries;
        match read(&builder.build()).unwrap_err() {
            ArchiveError::Malformed { what, .. } => what,
            error => panic!("{error}"),
        }
    };
    let rows = || Data::Rows(b"\\.\n\n\n".to_vec());
    assert_eq!(malformed(vec![]), "the number of entries");
    assert_eq!(malformed(vec![(2, rows()), (2, rows())]), "the dump ID");
    assert_eq!(malformed(vec![(0, rows())]), "the dump ID");
    let objects = Data::LargeObjects(vec![(1 << 31, Vec::new())]);
    let mut builder = Builder::new(Compression::None);
    builder.entries = vec![(1, objects)];
    assert_eq!(read(&builder.build()).unwrap().into_keys().next().unwrap().1, 1 << 31);
    builder.int_size = 8;
    builder.entries = vec![(1, Data::LargeObjects(vec![(1 << 32, Vec::new())]))];
    assert!(read(&builder.build()).is_err());
}

#[test]
fn after_the_toc_of_an_archive_without_data_nothing_may_come_but_a_second_one() {
    let mut builder = Builder::new(Compression::None);
    builder.entries = vec![(1, Data::None), (2, Data::None)];
    assert!(read(&builder.build()).unwrap().is_empty());
    builder.offsets = Offsets::SecondToc;
    assert!(read(&builder.build()).unwrap().is_empty());
    let mut longer = builder.head();
    longer.extend(b"an entry that the count leaves out");
    assert!(matches!(read(&longer), Err(ArchiveError::Malformed { .. })));
}

#[test]
fn reading_on_after_an_error_is_an_error() {
    let mut builder = Builder::new(Compression::Gzip);
    builder.entries = vec![(1, Data::None), (2, Data::Raw(b"not a zlib stream".to_vec()))];
    let mut archive = Archive::from_stream(Cursor::new(builder.build())).unwrap();
    let Some((_, Block::Data(mut data))) = archive.next_block().unwrap() else { panic!("a block") };
    assert!(matches!(data.read_into(&mut Vec::new(), PIECE), Err(ArchiveError::Decompress { .. })));
    assert!(matches!(data.read_into(&mut Vec::new(), PIECE), Err(ArchiveError::AfterError)));
    // The framing is sound: the next block can be reached.
    assert!(archive.next_block().unwrap().is_none());
}
