//! Intact archives: every container version, codec and way of writing. See fixtures/README.md.

use super::{archives, fixture, read_all_blocks, read_all_in_order, read_all_streamed, read_block};
use crate::{Archive, ArchiveVersion, Block, Compression, DataState, EntryKind, Format, Section, Tail};
use std::{collections::BTreeMap, fs, io::Read, thread};

/// Archives without a listing, because only `pg_restore` 16 and later can read them.
const WITHOUT_LISTING: &[&str] = &["longline_zstd_18"];

#[test]
fn every_archive_reads_the_same_in_every_way() {
    for path in archives() {
        let contents = read_all_blocks(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(read_all_in_order(Archive::open(&path).unwrap()).unwrap(), contents, "{}", path.display());
        assert_eq!(read_all_streamed(&path).unwrap(), contents, "{}", path.display());
    }
}

#[test]
fn every_listing_is_that_of_pg_restore() {
    for path in archives() {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let Ok(expected) = fs::read(path.with_extension("list")) else {
            assert!(WITHOUT_LISTING.contains(&name.as_str()), "{name} has no listing");
            continue;
        };
        // pg_restore prints the time zone of the machine it runs on; the archive has none. It prints texts that are
        // not UTF-8 unchanged.
        let expected = String::from_utf8_lossy(&expected).replace(" UTC\n", "\n");
        assert_eq!(Archive::open(&path).unwrap().listing().to_string(), expected, "{name}");
    }
}

/// The archives of one database by one pg_dump hold the same rows, however they are packed.
#[test]
fn compression_and_way_of_writing_do_not_change_contents() {
    let groups: [&[&str]; 3] = [
        &[
            "15_redirect_gz",
            "15_pipe_gz",
            "15_file_z0",
            "from15_v1.10",
            "from15_v1.11",
            "from15_v1.12",
            "from15_v1.13",
            "from15_pipe_v1.12",
            "from15_int8_v1.14",
        ],
        &["16_file_lz4", "16_pipe_zstd", "16_redirect_gz"],
        &["18_file_gz", "18_file_lz4", "18_file_zstd", "18_file_zstd_long", "18_pipe_z0", "18_redirect_gz"],
    ];
    for group in groups {
        let first = rows_by_table(group[0]);
        assert!(first.len() > 20, "{}: {} tables", group[0], first.len());
        for name in &group[1..] {
            assert!(rows_by_table(name) == first, "{name} differs from {}", group[0]);
        }
    }
}

fn rows_by_table(name: &str) -> BTreeMap<String, Vec<u8>> {
    let archive = Archive::open(&fixture(name)).unwrap();
    let mut tables = BTreeMap::new();
    for entry in archive.entries().iter().filter(|entry| entry.kind == EntryKind::TableData) {
        let Block::Data(mut data) = archive.block(entry.dump_id).unwrap() else {
            panic!("{}", entry.label())
        };
        let mut rows = Vec::new();
        data.read_to_end(&mut rows).unwrap();
        assert!(rows.ends_with(b"\\.\n\n\n"), "{name}: {}", entry.label());
        tables.insert(format!("{:?} {}", entry.namespace, entry.tag), rows);
    }
    tables
}

#[test]
fn header_says_what_pg_dump_wrote() {
    let header = |name| Archive::open(&fixture(name)).unwrap().header().clone();
    let pg15 = header("15_redirect_gz");
    let container = pg15.container.unwrap();
    assert_eq!((container.version, container.int_size, container.off_size), (ArchiveVersion::V1_14, 4, 8));
    assert_eq!((pg15.format, pg15.wrapper), (Format::Custom, Compression::None));
    assert_eq!((pg15.compression, pg15.compression_level), (Compression::Gzip, Some(-1)));
    assert_eq!(pg15.database.unwrap(), "chatstore");
    assert!(pg15.server_version.unwrap().to_str().unwrap().starts_with("15."));
    assert!(pg15.dump_version.unwrap().to_str().unwrap().starts_with("15."));
    assert_eq!(header("15_file_z0").compression, Compression::None);
    assert_eq!(header("16_file_lz4").compression, Compression::Lz4);
    assert_eq!(header("18_file_zstd").compression, Compression::Zstd);
    assert_eq!(header("18_file_zstd").compression_level, None);
    assert_eq!(header("from15_int8_v1.14").container.unwrap().int_size, 8);
    for (name, version) in [
        ("from95_v1.10", ArchiveVersion::V1_10),
        ("from15_v1.11", ArchiveVersion::V1_11),
        ("9.5_file_gz", ArchiveVersion::V1_12),
        ("10_pipe_gz", ArchiveVersion::V1_13),
        ("16_pipe_zstd", ArchiveVersion::V1_15),
        ("18_pipe_z0", ArchiveVersion::V1_16),
    ] {
        assert_eq!(header(name).container.unwrap().version, version, "{name}");
    }
}

/// Kinds that are younger than the rule (policies, attached indexes) are recognised by their place behind the data.
#[test]
fn derived_sections_keep_the_order_of_the_contents() {
    for (derived, stated) in [("from15_v1.10", "15_pipe_gz"), ("from95_v1.10", "9.5_file_gz")] {
        let derived = Archive::open(&fixture(derived)).unwrap();
        let stated = Archive::open(&fixture(stated)).unwrap();
        let last_data =
            derived.entries().iter().rposition(|entry| entry.kind == EntryKind::TableData).unwrap();
        let mut compared = 0;
        for entry in &derived.entries()[last_data..] {
            let same = stated.entry(entry.dump_id).unwrap();
            assert_eq!(same.tag, entry.tag);
            if !matches!(same.section, Section::None | Section::Data) {
                assert_eq!(entry.section, same.section, "{}", entry.label());
                compared += usize::from(entry.kind == EntryKind::Policy);
            }
        }
        assert_eq!(compared, 2, "policies");
    }
}

#[test]
fn entries_have_the_fields_of_their_version() {
    let pg18 = Archive::open(&fixture("18_file_gz")).unwrap();
    let table = |archive: &Archive| {
        let is_tenant = |entry: &&crate::Entry| entry.kind == EntryKind::Table && entry.tag == "tenant";
        archive.entries().iter().find(is_tenant).cloned().unwrap()
    };
    let tenant = table(&pg18);
    assert_eq!((tenant.relation_kind, tenant.section), (Some('r'), Section::PreData));
    assert_eq!(tenant.table_access_method.unwrap(), "heap");
    assert!(tenant.definition.unwrap().to_str().unwrap().starts_with("CREATE TABLE store.tenant ("));
    let old = table(&Archive::open(&fixture("9.5_file_gz")).unwrap());
    assert_eq!((old.relation_kind, old.table_access_method), (None, None));
    // Rows depend on their table, and have a block.
    let data = pg18.entries().iter().find(|e| e.kind == EntryKind::TableData && e.tag == "tenant").unwrap();
    assert_eq!((data.dependencies.as_slice(), data.section), ([tenant.dump_id].as_slice(), Section::Data));
    assert!(matches!(data.data, DataState::Offset(_)) && data.had_dumper && pg18.has_data(data.dump_id));
    assert!(!pg18.has_data(tenant.dump_id));
    let with_oids = Archive::open(&fixture("withoids_9.5")).unwrap();
    assert!(with_oids.entries().iter().any(|entry| entry.with_oids));
}

#[test]
fn empty_and_absent_statements_differ() {
    let acl = |name| {
        let archive = Archive::open(&fixture(name)).unwrap();
        archive.entries().iter().find(|entry| entry.kind == EntryKind::TableData).cloned().unwrap()
    };
    assert_eq!(acl("9.5_file_gz").definition, Some("".into()));
    assert_eq!(acl("18_file_gz").definition, None);
    assert!(acl("9.5_file_gz").sql().is_none());
}

#[test]
fn session_settings_come_from_their_entries() {
    let utf8 = Archive::open(&fixture("15_redirect_gz")).unwrap();
    assert_eq!(utf8.encoding(), Some("UTF8"));
    assert!(utf8.standard_conforming_strings());
    let search_path = utf8.search_path_statement().unwrap();
    assert_eq!(*search_path, "SELECT pg_catalog.set_config('search_path', '', false);\n");
    assert!(!Archive::open(&fixture("scsoff_15")).unwrap().standard_conforming_strings());
    assert_eq!(Archive::open(&fixture("9.5_file_gz")).unwrap().search_path_statement(), None);
}

#[test]
fn transcoding_makes_every_text_utf8() {
    let mut archive = Archive::open(&fixture("latin1_15")).unwrap();
    assert_eq!(archive.encoding(), Some("LATIN1"));
    let not_utf8 =
        |archive: &Archive| archive.entries().iter().filter(|entry| entry.tag.to_str().is_err()).count();
    assert!(not_utf8(&archive) > 0);
    archive.transcode(&mut |latin1| Ok(latin1.iter().map(|&byte| char::from(byte)).collect())).unwrap();
    assert_eq!(not_utf8(&archive), 0);
    assert!(archive.entries().iter().any(|entry| entry.tag == "tête" && entry.kind == EntryKind::TableData));
    let mut refused = Archive::open(&fixture("latin1_15")).unwrap();
    let error = refused.transcode(&mut |_| Err("no such character".to_owned())).unwrap_err();
    assert!(error.to_string().contains("no such character"), "{error}");
}

#[test]
fn tail_of_a_redirected_archive_is_a_second_toc() {
    for name in ["16_redirect_gz", "18_redirect_gz"] {
        let mut file = Archive::open(&fixture(name)).unwrap();
        assert_eq!(file.tail(), Some(Tail::SecondToc), "{name}");
        assert!(file.entries().iter().all(|entry| !matches!(entry.data, DataState::Offset(_))), "{name}");
        let mut stream = Archive::from_stream(fs::File::open(fixture(name)).unwrap()).unwrap();
        assert_eq!(stream.tail(), None);
        while stream.next_block().unwrap().is_some() {}
        assert_eq!(stream.tail(), Some(Tail::SecondToc), "{name}");
        file = Archive::open(&fixture("18_pipe_z0")).unwrap();
        assert_eq!(file.tail(), Some(Tail::Nothing));
    }
}

#[test]
fn large_object_oids_above_two_to_the_31_are_unsigned() {
    let contents = read_all_blocks(&fixture("15_redirect_gz")).unwrap();
    assert!(contents.keys().any(|(_, oid)| *oid == 4_294_967_290));
    // store.sql has an empty large object.
    assert!(contents.iter().any(|((_, oid), bytes)| *oid != 0 && bytes.is_empty()));
    let many = read_all_blocks(&fixture("manylo_15")).unwrap();
    assert_eq!(many.keys().filter(|(_, oid)| *oid != 0).count(), 1103, "as pg_restore lists them");
}

#[test]
fn blocks_left_unread_are_passed_over() {
    let path = fixture("18_redirect_gz");
    let all = read_all_blocks(&path).unwrap();
    for mut archive in
        [Archive::open(&path).unwrap(), Archive::from_stream(fs::File::open(&path).unwrap()).unwrap()]
    {
        let mut read = super::Contents::new();
        let mut number = 0;
        while let Some((id, mut block)) = archive.next_block().unwrap() {
            number += 1;
            match number % 3 {
                0 => read_block(id, block, &mut read).unwrap(),
                1 => {}
                _ => match &mut block {
                    Block::Data(data) => assert!(data.read_into(&mut Vec::new(), 10).unwrap() > 0),
                    Block::LargeObjects(objects) => assert!(objects.next_object().unwrap().is_some()),
                },
            }
        }
        assert!(number > 20 && !read.is_empty());
        assert!(read.iter().all(|(key, bytes)| all[key] == *bytes));
    }
}

#[test]
fn blocks_can_be_read_by_several_threads_at_once() {
    let path = fixture("16_file_lz4");
    let expected = read_all_blocks(&path).unwrap();
    let archive = Archive::open(&path).unwrap();
    thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut contents = super::Contents::new();
                    for entry in archive.entries().iter().filter(|entry| entry.has_data()) {
                        read_block(entry.dump_id, archive.block(entry.dump_id).unwrap(), &mut contents)
                            .unwrap();
                    }
                    contents
                })
            })
            .collect();
        for reader in readers {
            assert!(reader.join().unwrap() == expected);
        }
    });
    assert_eq!(Some(archive.bytes_read().get()), archive.size(), "reading again does not count again");
}

#[test]
fn a_fifo_is_read_as_a_stream() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("store.dump");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let source = fixture("18_file_gz");
    thread::scope(|scope| {
        scope.spawn(|| fs::write(&fifo, fs::read(&source).unwrap()).unwrap());
        let archive = Archive::open(&fifo).unwrap();
        assert!(archive.is_stream() && archive.size().is_none());
        assert!(read_all_in_order(archive).unwrap() == read_all_blocks(&source).unwrap());
    });
}
