//! `pgmig verify` finds faults that pg_restore does not find, and names their places.

use crate::support::damage::patch;
use crate::support::document::document;
use crate::support::fixture::fixture;
use crate::support::pgmig::binary;
use crate::support::{Database, Pgmig};
use pgmig_core::archive::Archive;
use pgmig_core::progress::NoProgress;
use pgmig_core::verify::{Fault, InsertFault, RowFault, verify_archive};
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A database with one table of three rows, dumped with these options.
fn dumped(options: &[&str]) -> (Database, TempDir, PathBuf) {
    let database = Database::create("verify");
    database.psql(
        "CREATE TABLE fruit (name text, colour text, weight integer); \
         INSERT INTO fruit VALUES ('apple', 'red', 150), ('pear', 'grün', 170), ('plum', NULL, 60); \
         CREATE TABLE bowl (size integer); INSERT INTO bowl VALUES (4)",
    );
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("fruit.dump");
    let file = ["-Fc", "-d", &database.name, "-f", archive.to_str().unwrap()];
    database.server.run_program("pg_dump", file.iter().chain(options));
    (database, directory, archive)
}

fn verify(archive: &Path) -> Result<u64, Fault> {
    let mut archive = Archive::open(archive)?;
    let jobs = NonZeroUsize::new(2).unwrap();
    Ok(verify_archive(&mut archive, jobs, &NoProgress, &Default::default())?.rows())
}

/// The output of pg_restore for an archive. pg_restore reads every block.
fn pg_restore_is_content(database: &Database, archive: &Path) -> bool {
    let output = database.server.program("pg_restore").args(["-f", "/dev/null"]).arg(archive).output();
    output.expect("pg_restore runs").status.success()
}

#[test]
fn a_changed_byte_that_breaks_a_row_is_found() {
    for (from, to, fault, row) in [
        ("apple\tred", "apple red", RowFault::FieldCount { fields: 2, expected: 3 }, 1),
        ("plum\t\\N", "plu\t\t\\N", RowFault::FieldCount { fields: 4, expected: 3 }, 3),
        ("gr\u{fc}n\t170", "gr\u{fc}n\t17\r", RowFault::CarriageReturn, 2),
        ("plum\t\\N\t60", "plum\t\\N\t6\0", RowFault::NulByte, 3),
        ("red\t150", "red\t15\\", RowFault::EscapedLineEnd, 1),
        ("red\t150", "re\\\t150", RowFault::EscapedTab, 1),
        ("plum\t\\N", "\\.um\t\\N", RowFault::StrayEndMarker, 3),
    ] {
        let (database, _directory, archive) = dumped(&["-Z0"]);
        assert_eq!(verify(&archive).unwrap(), 4);
        patch(&archive, from, to);
        assert!(pg_restore_is_content(&database, &archive), "{fault}");
        match verify(&archive).unwrap_err() {
            Fault::Row { fault: found, entry, row: at, .. } => {
                assert_eq!((found, at), (fault, row));
                assert_eq!(entry.tag, "fruit");
            }
            other => panic!("{fault}: {other}"),
        }
    }
}

#[test]
fn the_byte_of_the_file_is_told() {
    let (database, _directory, archive) = dumped(&["-Z0"]);
    let mut bytes = std::fs::read(&archive).unwrap();
    let place = bytes.windows(4).position(|window| window == &"grün".as_bytes()[..4]).unwrap() + 2;
    assert_eq!(bytes[place], 0xc3);
    bytes[place] = 0xff;
    std::fs::write(&archive, bytes).unwrap();
    assert!(pg_restore_is_content(&database, &archive));
    let Err(Fault::Row { fault: RowFault::NotInEncoding, row: 2, file_offset, .. }) = verify(&archive) else {
        panic!("not found")
    };
    assert_eq!(file_offset, Some(place as u64));
    let outcome = Pgmig::new().arg("verify").arg(&archive).run().expect_status(1);
    assert!(outcome.stdout.contains(&format!("byte {place} of the file")), "{outcome}");
    outcome.stderr_has("the archive cannot be restored").keeps_secret("apple");
}

#[test]
fn broken_insert_statements_are_found() {
    for (from, to, fault) in [
        ("INSERT INTO public.bowl", "INSERT INTO public.bows", Some(InsertFault::OtherTable)),
        ("'plum'", "1,2,34", Some(InsertFault::ValueCount { values: 5, expected: 3 })),
        ("'plum'", "'plum ", None),
        ("'plum'", "plum()", None),
    ] {
        let (database, _directory, archive) = dumped(&["-Z0", "--inserts"]);
        assert_eq!(verify(&archive).unwrap(), 4);
        patch(&archive, from, to);
        assert!(pg_restore_is_content(&database, &archive), "{to}");
        let Err(Fault::Insert { fault: found, .. }) = verify(&archive) else { panic!("{to} is not found") };
        match fault {
            Some(fault) => assert_eq!(found, fault),
            None => assert!(matches!(found, InsertFault::Sql(_)), "{to}: {found}"),
        }
    }
}

#[test]
fn a_large_object_that_is_missing_is_found() {
    let database = Database::create("verify_objects");
    database.psql("SELECT lo_from_bytea(1001, 'a'), lo_from_bytea(1002, 'b'), lo_from_bytea(1003, 'c')");
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("objects.dump");
    let file = ["-Fc", "-Z0", "-d", &database.name, "-f", archive.to_str().unwrap()];
    database.server.run_program("pg_dump", file);
    assert_eq!(verify(&archive).unwrap(), 0);
    // In the block of the large objects, an OID is a four-byte integer. The object's data is a chunk of one byte.
    let sound = std::fs::read(&archive).unwrap();
    let object = |oid: u32, data: u8| {
        let mut bytes = vec![0];
        bytes.extend_from_slice(&oid.to_le_bytes());
        bytes.extend_from_slice(&[0, 1, 0, 0, 0, data]);
        bytes
    };
    for (oid, fault) in [
        (1001, Fault::LargeObjectAgain { oid: 1001, entry: label(&archive) }),
        (1009, Fault::LargeObjectUnknown { oid: 1009, entry: label(&archive) }),
    ] {
        let mut bytes = sound.clone();
        let at = find(&bytes, &object(1002, b'b'));
        let changed = object(oid, b'b');
        bytes[at..at + changed.len()].copy_from_slice(&changed);
        std::fs::write(&archive, &bytes).unwrap();
        assert_eq!(verify(&archive).unwrap_err().to_string(), fault.to_string());
        std::fs::write(&archive, &sound).unwrap();
    }
    let mut bytes = sound.clone();
    let at = find(&bytes, &object(1003, b'c'));
    let gone = object(1003, b'c').len() + 5;
    bytes.drain(at..at + gone);
    std::fs::write(&archive, &bytes).unwrap();
    assert!(matches!(verify(&archive), Err(Fault::LargeObjectMissing { oid: 1003, others: 0 })));
}

fn label(archive: &Path) -> Box<pgmig_core::archive::EntryLabel> {
    let archive = Archive::open(archive).unwrap();
    let blobs = archive.entries().iter().find(|entry| entry.has_data() && entry.desc == "BLOBS").unwrap();
    Box::new(blobs.label())
}

#[track_caller]
fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|window| window == wanted).expect("it is in the archive")
}

#[test]
fn the_first_fault_of_the_file_is_the_one_that_is_told() {
    let database = Database::create("verify_first");
    for table in 1..=8 {
        database.psql(&format!(
            "CREATE TABLE t{table} (a text, b text); INSERT INTO t{table} SELECT 'row{table}', repeat('x', 100) \
             FROM generate_series(1, 2000)"
        ));
    }
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("many.dump");
    let file = ["-Fc", "-Z0", "-d", &database.name, "-f", archive.to_str().unwrap()];
    database.server.run_program("pg_dump", file);
    let mut bytes = std::fs::read(&archive).unwrap();
    for table in [3, 4, 7] {
        let last = format!("row{table}\t");
        let places: Vec<usize> = memchr_all(&bytes, last.as_bytes());
        bytes[places[1500] + 4] = b' ';
    }
    std::fs::write(&archive, bytes).unwrap();
    for _ in 0..20 {
        let Err(Fault::Row { entry, row: 1501, .. }) = verify(&archive) else { panic!("not found") };
        assert_eq!(entry.tag, "t3");
    }
}

fn memchr_all(bytes: &[u8], wanted: &[u8]) -> Vec<usize> {
    bytes
        .windows(wanted.len())
        .enumerate()
        .filter(|(_, window)| *window == wanted)
        .map(|(at, _)| at)
        .collect()
}

#[test]
fn several_files_and_standard_input() {
    let sound = fixture("archives/latin1_15.dump");
    let outcome = Pgmig::new().args(["verify", "--no-progress"]).arg(&sound).arg("none.dump").run();
    let outcome = outcome.expect_status(1).stdout_has("latin1_15.dump: sound: ");
    let outcome = outcome.stdout_has("none.dump: cannot be restored: cannot open none.dump");
    outcome.stderr_has("1 of 2 archives cannot be restored");
    for archive in ["archives/15_pipe_gz.dump", "archives/18_file_zstd.dump", "archives/18_redirect_gz.dump"]
    {
        let run = Pgmig::new().args(["verify", "--no-progress", "-"]).stdin(&fixture(archive)).run();
        run.expect_status(0).stdout_has("standard input: sound: 2");
    }
    Pgmig::new().arg("verify").run().expect_status(2);
    Pgmig::new().args(["verify", "--jobs", "0"]).arg(&sound).run().expect_status(2);
}

#[test]
fn a_document_says_the_same() {
    let outcome = Pgmig::new()
        .args(["verify", "--output", "json", "--no-progress"])
        .args([fixture("archives/manylo_15.dump"), fixture("archives/latin1_15.dump")])
        .arg("none.dump")
        .run()
        .expect_status(1);
    let document = document(&outcome, "verify");
    let archives = document["archives"].as_array().unwrap();
    assert_eq!(archives.len(), 3);
    assert_eq!(archives[0]["large_objects"]["count"], 1103);
    assert_eq!(archives[0]["fault"], serde_json::Value::Null);
    assert_eq!(
        (&archives[1]["sound"], &archives[1]["tables"][0]["rows"]),
        (&true.into(), &archives[1]["rows"])
    );
    assert_eq!(archives[2]["sound"], false);
    assert!(archives[2]["fault"]["message"].as_str().unwrap().contains("none.dump"));
}

/// As in `pgmig inspect --list FILE | head`.
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let archive = fixture("archives/manylo_15.dump");
    for command in [&["inspect", "--list"][..], &["inspect"], &["verify"]] {
        let mut child = Command::new(binary())
            .args(command)
            .arg(&archive)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(tempfile::NamedTempFile::new().unwrap().path()).unwrap())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{command:?}");
    }
}
