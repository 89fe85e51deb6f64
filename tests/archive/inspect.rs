//! `pgmig inspect` of a store's backup, with PostgreSQL and a stored document as the oracles.

use crate::support::damage::{patch, truncated};
use crate::support::document::document;
use crate::support::fixture::{fixture, repository};
use crate::support::pgmig::TargetFile;
use crate::support::store::Backup;
use crate::support::{Database, Outcome, Pgmig, Server};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

fn inspect(archive: &Path) -> Outcome {
    Pgmig::new().args(["inspect", "--no-progress"]).arg(archive).run().expect_status(0)
}

fn inspected(archive: &Path) -> Value {
    let run = Pgmig::new().args(["inspect", "--no-progress", "--output", "json"]).arg(archive).run();
    document(&run.expect_status(0), "inspect")
}

/// The document of an archive that never changes, byte for byte. After an intended change, run:
/// `target/debug/pgmig inspect --output json fixtures/releases/1.4.2.dump > tests/golden/inspect.json`.
#[test]
fn the_document_is_the_stored_one() {
    let archive = fixture("releases/1.4.2.dump");
    let run = Pgmig::new().args(["inspect", "--output", "json"]).arg(&archive).run().expect_status(0);
    let golden = repository().join("tests/golden/inspect.json");
    assert_eq!(run.stdout, std::fs::read_to_string(golden).unwrap());
    assert_eq!(run.stderr, "");
}

#[test]
fn the_header_the_release_and_the_instances_are_shown() {
    let archive = fixture("releases/4.8.0.dump");
    let shown = inspect(&archive);
    for text in [
        "format       custom 1.14, compression gzip, ",
        "made         2026-",
        "by pg_dump   15.",
        "from server  15.",
        "encoding     UTF8",
        "store        profile assistant, version 9 (releases 4.8.0 to ",
        "  00000000-0000-0000-0000-001570184978  us-south ",
        "Closed Ltd (deleted)",
        "  CONSTRAINT",
        "4 large objects",
    ] {
        assert!(shown.stdout.contains(text), "{text:?} is not in\n{}", shown.stdout);
    }
}

#[test]
fn rows_are_those_that_postgres_counts() {
    let backup = Backup::of_oldest_release();
    let document = inspected(&backup.archive);
    let tables = document["tables"].as_array().unwrap();
    assert!(tables.len() > 5);
    let mut rows = 0;
    for table in tables {
        let name = table["table"].as_str().unwrap();
        let counted: u64 =
            backup.source.psql(&format!("SELECT count(*) FROM {name}")).trim().parse().unwrap();
        assert_eq!(table["rows"].as_u64(), Some(counted), "{name}");
        assert!(table["data_bytes"].as_u64() >= Some(counted));
        rows += counted;
    }
    assert!(rows > 100);
    let sizes: Vec<_> = tables.iter().map(|table| table["data_bytes"].as_u64().unwrap()).collect();
    assert!(sizes.is_sorted_by(|a, b| a >= b), "largest first");
    let objects = backup.source.psql("SELECT count(*) FROM pg_largeobject_metadata");
    assert_eq!(document["large_objects"]["count"].as_u64(), objects.trim().parse().ok());
}

#[test]
fn a_stream_tells_all_but_the_rows_of_each_instance() {
    for name in [
        "archives/15_pipe_gz.dump",
        "archives/15_inserts.dump",
        "archives/15_tarfmt.tar.gz",
        "archives/15_plain.sql.gz",
        "archives/15_plain_inserts.sql.gz",
        "releases/5.1.0.dump",
    ] {
        let archive = fixture(name);
        let mut expected = inspected(&archive);
        let run = Pgmig::new().args(["inspect", "--output", "json", "-"]).stdin(&archive).run();
        let mut found = document(&run.expect_status(0), "inspect");
        expected["archive"]["bytes"] = Value::Null;
        for table in expected["tables"].as_array_mut().unwrap() {
            table["archive_bytes"] = Value::Null;
        }
        // In a stream only, the line end after a script's last INSERT statement is a part of the data.
        if name.contains("plain_inserts") {
            for table in [&mut expected, &mut found]
                .map(|one| one["tables"].as_array_mut().unwrap())
                .into_iter()
                .flatten()
            {
                table["data_bytes"] = Value::Null;
            }
        }
        if let Some(instances) = expected["store"]["instances"].as_array_mut() {
            assert!(instances.iter().any(|instance| !instance["tables"].as_array().unwrap().is_empty()));
            instances.iter_mut().for_each(|instance| instance["tables"] = Value::Null);
        }
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn what_is_no_store_is_shown_without_one() {
    let shown = inspect(&fixture("archives/manylo_15.dump")).stdout_has("store        none that is known");
    assert!(!shown.stdout.contains("Instances"), "{shown}");
    let run =
        Pgmig::new().args(["inspect", "--profile", "assistant"]).arg(fixture("releases/4.8.0.dump")).run();
    run.expect_status(0).stdout_has("profile assistant");
    let run =
        Pgmig::new().args(["inspect", "--profile", "nothing"]).arg(fixture("releases/4.8.0.dump")).run();
    run.expect_status(2).stderr_has("nothing");
}

#[test]
fn a_damaged_archive_is_refused_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let cut = directory.path().join("cut.dump");
    std::fs::write(&cut, truncated(&fixture("releases/4.8.0.dump"), 90)).unwrap();
    for option in ["--no-progress", "--list"] {
        let run = Pgmig::new().args(["inspect", option]).arg(&cut).run().expect_status(1);
        assert_eq!(run.stdout, "");
        run.stderr_has("byte ");
    }
    let list = Pgmig::new().args(["inspect", "--list", "--output", "json"]).arg(&cut).run();
    list.expect_status(2).stderr_has("--output json cannot be used with inspect --list");
}

/// The script without the two lines that contain a random key.
fn without_key(script: &str) -> Vec<&str> {
    script
        .lines()
        .filter(|line| !line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict "))
        .collect()
}

/// psql with the script makes the same database as pg_restore with the archive.
#[test]
fn the_script_restores_the_archive() {
    let server = Server::of_this_run();
    server.create_corpus_roles();
    let directory = tempfile::tempdir().unwrap();
    for name in [
        "archives/15_file_z0.dump",
        "archives/15_column_inserts.dump",
        "archives/13_part_root.dump",
        "archives/9.5_file_gz.dump",
        "archives/scsoff_inserts_15.dump",
        "releases/5.1.0.dump",
    ] {
        let archive = fixture(name);
        let script = directory.path().join("script.sql");
        let run = Pgmig::new().args(["inspect", "--sql"]).arg(&archive).run().expect_status(0);
        std::fs::write(&script, &run.stdout).unwrap();
        let streamed = Pgmig::new().args(["inspect", "--sql", "-"]).stdin(&archive).run().expect_status(0);
        assert_eq!(without_key(&streamed.stdout), without_key(&run.stdout), "{name}");
        let (theirs, ours) = (Database::create("theirs"), Database::create("ours"));
        // The errors of pg_restore about schema public do not matter.
        let restored =
            server.program("pg_restore").args(["--no-owner", "-d", &theirs.name]).arg(&archive).output();
        assert!(restored.is_ok());
        let psql = ["-X", "-q", "-d", &ours.name, "-o", "/dev/null", "-f", script.to_str().unwrap()];
        server.run_program("psql", psql);
        assert_eq!(ours.dump(&["--no-owner"]), theirs.dump(&["--no-owner"]), "{name}");
        let objects = "SELECT count(*), md5(string_agg(md5(lo_get(oid)), '' ORDER BY oid)) FROM pg_largeobject_metadata";
        assert_eq!(ours.psql(objects), theirs.psql(objects), "{name}");
    }
}

#[test]
fn no_script_is_made_of_a_part_or_of_what_psql_would_run() {
    let partial = Pgmig::new().args(["inspect", "--sql"]).arg(fixture("archives/withoids_9.5.dump")).run();
    partial.expect_status(0).stdout_has("WITH OIDS");
    let database = Database::create("inspect_script");
    database
        .psql("CREATE TABLE t (a integer); COMMENT ON TABLE t IS 'a comment that holds room for a command'");
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("t.dump");
    database
        .server
        .run_program("pg_dump", ["-Fc", "-Z0", "-d", &database.name, "-f", archive.to_str().unwrap()]);
    patch(
        &archive,
        "'a comment that holds room for a command'",
        "'a';\n\\! touch ran\n                     ;;",
    );
    let refused = Pgmig::new().args(["inspect", "--sql"]).arg(&archive).run().expect_status(1);
    assert!(!refused.stdout.contains("touch ran"), "{refused}");
    refused.stderr_has("command of psql");
    database
        .server
        .run_program("pg_dump", ["-Fc", "-a", "-d", &database.name, "-f", archive.to_str().unwrap()]);
    let run = Pgmig::new().args(["inspect", "--sql"]).arg(&archive).run().expect_status(3);
    assert_eq!(run.stdout, "");
}

/// As pg_restore --list does. A restore refuses such a directory.
#[test]
fn a_directory_that_lacks_a_file_is_shown_with_a_warning() {
    let source = Database::create("inspect");
    source.psql("CREATE TABLE a AS SELECT 1 AS x; CREATE TABLE b AS SELECT generate_series(1, 7) AS y");
    let files = TempDir::new().unwrap();
    let directory = files.path().join("dump");
    source.server.run_program("pg_dump", ["-Fd", "-f", directory.to_str().unwrap(), source.name.as_str()]);
    let data = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().ends_with(".dat.gz");
    let mut data: Vec<_> = std::fs::read_dir(&directory).unwrap().map(Result::unwrap).filter(data).collect();
    data.sort_by_key(std::fs::DirEntry::file_name);
    std::fs::remove_file(data.first().unwrap().path()).unwrap();
    let inspect = |options: &[&str]| Pgmig::new().arg("inspect").args(options).arg(&directory).run();
    for options in [&[][..], &["--list"], &["--output", "json"]] {
        let outcome = inspect(options).expect_status(0).stderr_has("warning: ").stderr_has("public.a");
        outcome.stdout_has("b");
    }
    let shown: serde_json::Value = serde_json::from_str(&inspect(&["--output", "json"]).stdout).unwrap();
    assert_eq!(shown["tables"][0]["rows"], 7, "{shown:#}");
    let target = Database::create("inspect_target");
    let restore = Pgmig::new().target(&TargetFile::of(&target)).source(&directory).arg("--keep-ids").run();
    restore.expect_status(1).assert_stderr_has("public.a");
}
