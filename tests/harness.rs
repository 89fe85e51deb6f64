//! Tests of the harness itself, on which the other tests rely.

use crate::support::database::without_volatile_lines;
use crate::support::fixture::repository;
use crate::support::{Database, Pgmig, Server};
use std::process::Command;
use std::time::Duration;

#[test]
fn databases_have_names_of_their_own_and_go_away() {
    let server = Server::of_this_run();
    let (first, second) = (Database::create("it's \"odd\""), Database::create("it's \"odd\""));
    assert_ne!(first.name, second.name);
    assert_eq!(first.psql("SELECT current_database()").trim_end(), first.name);
    let name = first.name.clone();
    assert!(Database::exists(&server, &name));
    drop(first);
    assert!(!Database::exists(&server, &name));
}

#[test]
fn both_ways_in_work_and_a_wrong_password_does_not() {
    let server = Server::of_this_run();
    let by_tcp = |password: &str| {
        let mut psql = server.program("psql");
        psql.env("PGHOST", &server.host).env("PGPASSWORD", password).args(["-w", "-d", "postgres", "-c", ""]);
        psql.output().unwrap().status.success()
    };
    assert!(by_tcp(&server.password));
    assert!(!by_tcp("wrong"));
    assert_eq!(server.psql("postgres", "SELECT 1;"), "1\n"); // by the socket, without one
    assert!(server.major_version() >= 13);
}

#[test]
fn failing_sql_is_seen() {
    let database = Database::create("failing");
    assert!(!database.try_psql("SELECT 1; SELECT no_such_column; SELECT 2;").status.success());
}

#[test]
fn dump_and_pg_restore_make_equal_databases() {
    let (source, target) = (Database::create("source"), Database::create("target"));
    source.psql("CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, E'x\\ty'), (2, NULL);");
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("t.dump");
    source.dump_through_pipe(&[], &archive);
    target.restore_with_pg_restore(&archive, &["--no-owner", "--exit-on-error"]);
    let dump = source.dump(&[]);
    assert!(dump.contains("CREATE TABLE public.t"), "{dump}");
    assert_eq!(dump, target.dump(&[]));
    target.psql("UPDATE t SET b = 'z' WHERE a = 2");
    assert_ne!(dump, target.dump(&[]));
}

#[test]
fn volatile_lines_are_dropped_and_nothing_else() {
    let dump =
        "-- Dumped from database version 15.1\n\\restrict abc\n\nSELECT 1;\n-- Dumped\n\\unrestrict abc\n";
    assert_eq!(without_volatile_lines(dump), "\nSELECT 1;\n-- Dumped\n");
}

#[test]
fn corpus_roles_are_made_once() {
    let server = Server::of_this_run();
    server.create_corpus_roles();
    server.create_corpus_roles();
    let sql = r#"SELECT count(*) FROM pg_roles WHERE rolname IN ('store_owner', 'app_rw', 'app_ro', 'Weird Role; -- "x"')"#;
    assert_eq!(server.psql("postgres", sql), "4\n");
}

#[test]
fn private_server_has_its_settings_and_survives_a_crash() {
    let server = Server::start_private("work_mem = '7MB'\nfsync = on");
    assert_eq!(server.psql("postgres", "SHOW work_mem"), "7MB\n");
    let database = Database::create_on(&server, "crash");
    database.psql("CREATE TABLE t AS SELECT 1 AS a; CHECKPOINT;");
    server.crash();
    assert!(!database.try_psql("SELECT 1").status.success());
    server.start_again();
    assert_eq!(database.psql("SELECT a FROM t"), "1\n");
}

#[test]
fn private_server_is_gone_afterwards() {
    let server = Server::start_private("");
    let (socket, data) = (server.socket.clone(), server.data.clone());
    assert!(socket.exists() && data.exists());
    drop(server);
    assert!(!socket.exists() && !data.exists());
}

#[test]
fn with_postgres_returns_the_status_of_its_command() {
    let status = Command::new(repository().join("tests/with-postgres")).args(["sh", "-c", "exit 7"]).status();
    assert_eq!(status.unwrap().code(), Some(7));
}

#[test]
fn pgmig_runs_in_a_directory_of_its_own() {
    let outcome = Pgmig::new().file("empty.yaml", "").arg("--version").timeout(Duration::from_secs(20)).run();
    let outcome = outcome.expect_status(0).stdout_has("pgmig ");
    assert!(outcome.directory.path().join("empty.yaml").exists());
    assert_eq!(outcome.stderr, "");
}

/// If a registry does not answer, `tests/servers` must not use any other server instead.
#[test]
fn without_the_server_that_is_asked_for_nothing_runs() {
    let cache = tempfile::tempdir().unwrap();
    let run = |versions: &str| {
        Command::new(repository().join("tests/on-servers"))
            .args([versions, "echo", "it ran"])
            .env("PGMIG_SERVERS", cache.path())
            // Nothing listens on port 9.
            .env("PGMIG_DEBIAN_MIRROR", "http://127.0.0.1:9/debian")
            .output()
            .unwrap()
    };
    // No supported suite has PostgreSQL 13, so no machine has a package of it. `tests/servers` does not know PostgreSQL
    // 12.
    for versions in ["13", "12", "13,15"] {
        let output = run(versions);
        assert!(!output.status.success(), "{versions}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{versions}");
    }
    let empty = Command::new(repository().join("tests/with-postgres"))
        .args(["echo", "it ran"])
        .env("PGMIG_PG_BINDIR", "")
        .output()
        .unwrap();
    assert!(!empty.status.success());
    assert!(String::from_utf8_lossy(&empty.stderr).contains("holds no PostgreSQL server"));
}
