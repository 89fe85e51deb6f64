//! A mapping with a source that is no instance of the backup. Without a table of instances, as in the databases of
//! Speech, nothing else shows that a digit is wrong.
//!
//! Relatives, each tried: the source is in a row, only in a definition, only in a large object, only in bytea, only in an
//! INSERT statement of a script, only in upper case, only where a rule leaves it unchanged; the archive is a file or
//! standard input; the target is swapped or restored in place; the store has a table of instances; the source and the
//! target are the same.

use crate::support::pgmig::TargetFile;
use crate::support::store::{Backup, SPARE};
use crate::support::{Database, Pgmig};
use serde_json::Value;
use std::path::PathBuf;
use tempfile::TempDir;

const KNOWN: &str = "1b8f1c2e-0a51-4a63-9f0f-6f0d4c8e2a01";
/// One digit differs.
const MISTYPED: &str = "1b8f1c2e-0a51-4a63-9f0f-6f0d4c8e2a02";
const NEW: &str = "00000000-0000-0000-0000-001570194490";
const OTHER_NEW: &str = "00000000-0000-0000-0000-001570194491";

/// A database without a table of instances.
struct Speech {
    source: Database,
    files: TempDir,
}

impl Speech {
    fn with(sql: &str) -> Self {
        let source = Database::create("speech");
        source.psql(sql);
        Self { source, files: TempDir::new().expect("a temporary directory can be made") }
    }

    fn dump(&self, args: &[&str]) -> PathBuf {
        let path = self.files.path().join("speech.dump");
        let file = path.to_str().expect("the harness's paths are UTF-8");
        let to = ["-f", file, "-d", &self.source.name];
        self.source.server.run_program("pg_dump", args.iter().chain(&to));
        path
    }

    fn target(&self) -> Database {
        let target = Database::create_on(&self.source.server, "speech_target");
        target.psql("CREATE TABLE kept (id integer); INSERT INTO kept VALUES (1)");
        target
    }
}

fn restore(target: &Database, archive: &std::path::Path, mapping: &[(&str, &str)]) -> Pgmig {
    Pgmig::new()
        .target(&TargetFile::of(target))
        .source(archive)
        .mapping(mapping)
        .args(["--force", "--schema", "archive"])
}

const ROWS: &str = "CREATE TABLE customizations (owner text); \
    INSERT INTO customizations VALUES ('1b8f1c2e-0a51-4a63-9f0f-6f0d4c8e2a01'), ('x')";

#[test]
fn a_mistyped_source_is_refused_and_the_target_stays() {
    let speech = Speech::with(ROWS);
    let archive = speech.dump(&["-Fc"]);
    for strategy in ["swap", "in-place"] {
        let target = speech.target();
        let before = target.dump(&[]);
        let restore = || restore(&target, &archive, &[(MISTYPED, NEW)]).args(["--strategy", strategy]);
        restore()
            .run()
            .expect_status(3)
            .stderr_has(MISTYPED)
            .stderr_has("occur nowhere")
            .stderr_has("--allow-unused");
        assert_eq!(target.dump(&[]), before, "{strategy}");
        restore().arg("--allow-unused").run().expect_status(0).stderr_has("occur nowhere");
        assert!(target.dump(&[]).contains(KNOWN), "{strategy}");
    }
    let target = speech.target();
    let pgmig = restore(&target, &archive, &[(MISTYPED, NEW)]).args(["--allow-unused", "--strict"]);
    pgmig.run().expect_status(4);
    let stdin = Pgmig::new()
        .target(&TargetFile::of(&target))
        .mapping(&[(MISTYPED, NEW)])
        .args(["--force", "--schema", "archive"]);
    stdin.args(["--source", "-"]).stdin(&archive).run().expect_status(3).stderr_has("occur nowhere");
}

#[test]
fn one_of_several_is_enough_and_strict_passes_without() {
    let speech = Speech::with(ROWS);
    let archive = speech.dump(&["-Fc"]);
    let target = speech.target();
    restore(&target, &archive, &[(KNOWN, NEW), (MISTYPED, OTHER_NEW)])
        .run()
        .expect_status(3)
        .stderr_has(MISTYPED);
    let outcome = restore(&target, &archive, &[(KNOWN, NEW)]).args(["--strict", "--output", "json"]).run();
    let outcome =
        outcome.expect_status(0).stderr_has("is not an instance of this backup; 1 occurrence was replaced");
    let report: Value = serde_json::from_str(&outcome.stdout).expect("the report is JSON");
    assert_eq!(report["sources"], serde_json::json!([{"source": KNOWN, "target": NEW, "found": 1}]));
    // A source that is its own target replaces nothing.
    restore(&target, &archive, &[(KNOWN, NEW), (MISTYPED, MISTYPED)]).run().expect_status(0);
}

#[test]
fn a_source_is_found_wherever_it_is() {
    let hex: String = KNOWN.bytes().map(|byte| format!("{byte:02x}")).collect();
    for (sql, args) in [
        (format!("CREATE TABLE t (owner text DEFAULT '{KNOWN}')"), &["-Fc"][..]),
        (format!("CREATE VIEW v AS SELECT '{KNOWN}'::text AS owner"), &["-Fc"]),
        (format!("SELECT lo_from_bytea(0, '{KNOWN}')"), &["-Fc"]),
        (format!("CREATE TABLE t (owner bytea); INSERT INTO t VALUES ('\\x{hex}')"), &["-Fc"]),
        (format!("CREATE TABLE t (owner text[]); INSERT INTO t VALUES (ARRAY['{KNOWN}'])"), &["-Fc"]),
        (format!("CREATE TABLE t (owner jsonb); INSERT INTO t VALUES ('{{\"a\": \"{KNOWN}\"}}')"), &["-Fc"]),
        (format!("CREATE TABLE t (owner text); INSERT INTO t VALUES ('{}')", KNOWN.to_uppercase()), &["-Fp"]),
        (format!("CREATE TABLE t (owner text); INSERT INTO t VALUES ('{KNOWN}')"), &["-Fp", "--inserts"]),
    ] {
        let speech = Speech::with(&sql);
        let archive = speech.dump(args);
        let outcome = restore(&speech.target(), &archive, &[(KNOWN, NEW)]).run();
        assert_eq!(outcome.status.code(), Some(0), "{sql}: {outcome}");
    }
}

#[test]
fn a_store_names_a_source_that_is_no_instance() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("unused");
    let before = target.dump(&[]);
    let mapping = backup.mapping.iter().map(|(from, to)| (from.as_str(), to.as_str()));
    let mapping: Vec<_> = mapping.chain([(MISTYPED, SPARE)]).collect();
    let outcome = restore(&target, &backup.archive, &mapping).run();
    outcome
        .expect_status(3)
        .stderr_has("warning: these sources of the mapping are not instances")
        .stderr_has(MISTYPED);
    assert_eq!(target.dump(&[]), before);
}
