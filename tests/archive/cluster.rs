//! Directories of pg_dumpall (PostgreSQL 19), made by hand from archives of pg_dump: no server of the tests writes them yet.
//!
//! Relatives that were tried: databases in custom, directory and tar format, a name with a blank, a line that is commented
//! out, a map without its archive, a directory without toc.glo, an unknown database, `--source-database` for another backup.

use crate::support::application::{self, APPLICATION};
use crate::support::document::document;
use crate::support::pgmig::TargetFile;
use crate::support::restored::Restored;
use crate::support::{Database, Outcome, Pgmig, Server};
use std::path::Path;
use tempfile::TempDir;

/// The text of a role's password in the archive of the global objects.
const VERIFIER: &str = "SCRAM-SHA-256$4096:c2FsdA==";

/// A directory with three databases, and the first of them.
fn cluster() -> (TempDir, Database) {
    let server = Server::of_this_run();
    let directory = TempDir::new().unwrap();
    let databases = directory.path().join("databases");
    std::fs::create_dir(&databases).unwrap();
    let source = Database::create("cluster_source");
    source.psql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 10)");
    let dump = |database: &Database, format: &str, name: &str| {
        let path = databases.join(name);
        server.run_program("pg_dump", [format, "-f", path.to_str().unwrap(), "-d", &database.name]);
    };
    dump(&source, "-Fc", "16384.dmp");
    dump(&source, "-Fd", "16385");
    dump(&source, "-Ft", "16386.tar");
    let globals = Database::create("cluster_globals");
    globals.psql(&format!("CREATE TYPE owner_role AS ENUM ('{VERIFIER}')"));
    let mut toc = server.run_program("pg_dump", ["-Fc", "-d", &globals.name]);
    let (text, role) = (b"\0\x04\0\0\0TYPE", b"\0\x04\0\0\0ROLE");
    let at = toc.windows(text.len()).position(|window| window == text).expect("the archive has a type");
    toc[at..at + text.len()].copy_from_slice(role);
    std::fs::write(directory.path().join("toc.glo"), toc).unwrap();
    let map = "# map.dat\n#\n16384 first\n#16390 left out\n16385 My store\n\n16386 third\n";
    std::fs::write(directory.path().join("map.dat"), map).unwrap();
    (directory, source)
}

fn inspect(directory: &Path, options: &[&str]) -> Outcome {
    Pgmig::new().arg("inspect").arg(directory).args(options).arg("--no-progress").run()
}

#[test]
fn the_databases_and_the_global_objects_are_listed() {
    let (directory, _source) = cluster();
    let shown = inspect(directory.path(), &[]).expect_status(0).keeps_secret(VERIFIER);
    for text in ["first", "My store", "third", "16385", "never restored", "--source-database NAME"] {
        assert!(shown.stdout.contains(text), "{text}\n{shown}");
    }
    assert!(!shown.stdout.contains("left out"), "{shown}");
    let is_role = |line: &str| line.split_whitespace().eq(["ROLE", "owner_role"]);
    assert!(shown.stdout.lines().any(is_role), "{shown}");
    let outcome = inspect(directory.path(), &["--output", "json"]).expect_status(0).keeps_secret(VERIFIER);
    let document = document(&outcome, "cluster");
    let names: Vec<&str> = document["databases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|database| database["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["first", "My store", "third"]);
    let role = serde_json::json!({"kind": "ROLE", "name": "owner_role"});
    assert!(document["globals"].as_array().unwrap().contains(&role), "{outcome}");
    // One database is like any other backup.
    let one = inspect(directory.path(), &["--source-database", "My store"]).expect_status(0);
    one.stdout_has("public.t");
    let list = inspect(directory.path(), &["--source-database", "first", "--list"]).expect_status(0);
    list.stdout_has(" TABLE DATA public t ");
}

#[test]
fn one_database_is_restored() {
    let (directory, source) = cluster();
    let expected = Restored::of(&source).in_any_order();
    for name in ["first", "My store", "third"] {
        let target = application::empty_database("cluster_target");
        let file = TargetFile { username: APPLICATION.to_owned(), ..TargetFile::of(&target) };
        let pgmig = || Pgmig::new().target(&file).args(["--keep-ids", "--source"]).arg(directory.path());
        pgmig().args(["--source-database", name]).run().expect_status(0);
        assert_eq!(expected.difference(&Restored::of(&target).in_any_order()), None, "{name}");
        let many = pgmig().run().expect_status(2);
        many.assert_stderr_has("a directory of pg_dumpall with the databases first, My store, third");
        many.assert_stderr_has("name it with --source-database");
        let unknown = pgmig().args(["--source-database", "fourth"]).run().expect_status(2);
        unknown.assert_stderr_has("has no database \"fourth\"; its databases are first, My store, third");
    }
    // The role of the global objects was not made.
    assert_eq!(source.psql("SELECT count(*) FROM pg_roles WHERE rolname = 'owner_role'").trim(), "0");
    let other = directory.path().join("databases/16385");
    let outcome = inspect(&other, &["--source-database", "first"]).expect_status(2);
    outcome.assert_stderr_has("--source-database chooses from a directory of pg_dumpall");
}

#[test]
fn every_archive_is_verified() {
    let (directory, _source) = cluster();
    let verify = || Pgmig::new().arg("verify").arg(directory.path()).arg("--no-progress").run();
    let sound = verify().expect_status(0).keeps_secret(VERIFIER);
    for file in ["toc.glo: sound", "16384.dmp: sound", "16385: sound", "16386.tar: sound"] {
        assert!(sound.stdout.contains(file), "{file}\n{sound}");
    }
    let damaged = directory.path().join("databases/16384.dmp");
    let bytes = std::fs::read(&damaged).unwrap();
    std::fs::write(&damaged, &bytes[..bytes.len() - 200]).unwrap();
    let faulty = verify().expect_status(1);
    faulty.assert_stderr_has("1 of 4 archives cannot be restored");
    std::fs::remove_file(&damaged).unwrap();
    verify().expect_status(1).assert_stderr_has("databases/16384 is missing");
    std::fs::remove_file(directory.path().join("toc.glo")).unwrap();
    std::fs::write(directory.path().join("map.dat"), "16385 My store\n").unwrap();
    let rest = verify().expect_status(0);
    assert_eq!(rest.stdout.lines().count(), 1, "{rest}");
}
