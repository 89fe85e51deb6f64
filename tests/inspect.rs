//! `pgmig inspect`: what it says of a store's backup, with PostgreSQL and a stored document as the oracles.

use crate::support::damage::truncated;
use crate::support::fixture::{fixture, repository};
use crate::support::store::Backup;
use crate::support::{Outcome, Pgmig};
use serde_json::Value;
use std::path::Path;

fn inspect(archive: &Path) -> Outcome {
    Pgmig::new().args(["inspect", "--no-progress"]).arg(archive).run().expect_status(0)
}

fn document(archive: &Path) -> Value {
    let run = Pgmig::new().args(["inspect", "--no-progress", "--output", "json"]).arg(archive).run();
    serde_json::from_str(&run.expect_status(0).stdout).expect("it is JSON")
}

/// The document of an archive that never changes, byte for byte. After a change that is meant:
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
    let document = document(&backup.archive);
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
    for name in ["archives/15_pipe_gz.dump", "archives/15_inserts.dump", "releases/5.1.0.dump"] {
        let archive = fixture(name);
        let mut expected = document(&archive);
        let run = Pgmig::new().args(["inspect", "--output", "json", "-"]).stdin(&archive).run();
        let found: Value = serde_json::from_str(&run.expect_status(0).stdout).unwrap();
        expected["archive"]["bytes"] = Value::Null;
        for table in expected["tables"].as_array_mut().unwrap() {
            table["archive_bytes"] = Value::Null;
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
