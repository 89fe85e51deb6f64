//! Databases in SQL_ASCII, whose strings are any bytes, into targets in SQL_ASCII, UTF8 and LATIN1.
//!
//! Relatives that were tried: bytes in rows (COPY and INSERT), defaults, CHECK constraints, comments, function bodies, labels of
//! enumerated types, partial indexes, names; custom archives and scripts, from a file and from standard input; rows that are
//! UTF-8 and rows that are not, into UTF8; the same archives to `pgmig verify`; EUC_JP into LATIN1; archives that
//! `pg_dump --encoding` has written in encodings of clients, whose characters can end in bytes of ASCII.

use super::{Source, WAYS, Way, report, restore, with_target};
use crate::support::application::{self, APPLICATION};
use crate::support::database::quoted;
use crate::support::restored::Restored;
use crate::support::untouched::Before;
use crate::support::{Database, Pgmig, Server};
use std::path::{Path, PathBuf};

/// An empty database in this encoding that the application owns.
fn database_in(encoding: &str) -> Database {
    let server = Server::of_this_run();
    application::create(&server);
    let owner = quoted(APPLICATION);
    let clauses = format!("TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C' OWNER {owner}");
    Database::create_with(&server, "encoding", &clauses)
}

/// What pg_dump says of it, as bytes.
fn dump(database: &Database) -> Vec<u8> {
    let dump = database.server.run_program("pg_dump", ["--no-owner", "--no-acl", "-d", &database.name]);
    let mut lines: Vec<&[u8]> = dump.split(|&byte| byte == b'\n').collect();
    lines.retain(|line| !line.starts_with(b"\\restrict") && !line.starts_with(b"\\unrestrict"));
    lines.join(&b'\n')
}

#[track_caller]
fn assert_same_bytes(archive: &Path, expected: &Database) {
    for way in WAYS {
        let target = database_in("SQL_ASCII");
        restore(archive, &target, way).run().expect_status(0);
        let (expected, found) = (dump(expected), dump(&target));
        let (expected, found) = (String::from_utf8_lossy(&expected), String::from_utf8_lossy(&found));
        assert_eq!(found, expected, "{} {way:?}", archive.display());
        if archive.extension().is_some_and(|extension| extension == "sql") {
            let target = database_in("SQL_ASCII");
            with_target(&target, way).args(["--source", "-"]).stdin(archive).run().expect_status(0);
            assert_eq!(String::from_utf8_lossy(&dump(&target)), expected, "{} {way:?}", archive.display());
        }
    }
}

fn by_pg_restore(archive: &Path) -> Database {
    let oracle = database_in("SQL_ASCII");
    oracle.restore_with_pg_restore(archive, &["--no-owner"]);
    oracle
}

#[test]
fn report_24_bytes_outside_the_encoding() {
    for input in ["ascii-comment.dump", "ascii-rows.dump", "ascii-rows-inserts.dump"] {
        let archive = report(&format!("24-bytes-outside-the-encoding/{input}"));
        assert_same_bytes(&archive, &by_pg_restore(&archive));
        Pgmig::new().args(["verify".as_ref(), archive.as_os_str()]).run().expect_status(0);
    }
    let script = report("24-bytes-outside-the-encoding/ascii-rows.sql");
    let rows = report("24-bytes-outside-the-encoding/ascii-rows.dump");
    assert_same_bytes(&script, &by_pg_restore(&rows));
    // Names cannot be written with escapes.
    for input in ["ascii.dump", "ascii-inserts.dump", "ascii.sql"] {
        let archive = report(&format!("24-bytes-outside-the-encoding/{input}"));
        for way in WAYS {
            let target = database_in("SQL_ASCII");
            let before = Before::of(&target);
            let outcome = restore(&archive, &target, way).run().expect_status(3);
            before.is_now(
                outcome.stderr_has("bytes that are not UTF-8").stderr_has("pg_dump --encoding=LATIN1"),
            );
        }
        let verify = Pgmig::new().args(["verify".as_ref(), archive.as_os_str()]).run();
        assert_eq!(verify.status.code(), Some(1), "{verify}");
        verify.stdout_has("bytes that are not UTF-8");
    }
}

/// A script whose bytes are in every place of a definition except names.
fn odd_database() -> Database {
    let source = database_in("SQL_ASCII");
    let sql = b"SET client_encoding = 'SQL_ASCII';
CREATE TYPE e AS ENUM ('caf\xe9', 'na\xc3\xafve');
CREATE TABLE t (id int PRIMARY KEY, a text DEFAULT 'it''s \\ \xe9', b e, CHECK (a <> '\x80\xff'));
INSERT INTO t VALUES (1, 'caf\xe9 \xc3\xa9 \x80 \\ ''', 'caf\xe9'), (2, DEFAULT, 'na\xc3\xafve');
COMMENT ON COLUMN t.a IS 'about \xe9''s \\';
CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT 'it''s \\ \xe9'::text -- \xe9
$$;
CREATE INDEX i ON t (a) WHERE a <> '\xe9';
CREATE VIEW v AS SELECT a || '\xe9' AS x FROM t;
";
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("odd.sql");
    std::fs::write(&file, sql).unwrap();
    source.server.run_program(
        "psql",
        ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &source.name, "-f", file.to_str().unwrap()],
    );
    source
}

#[test]
fn bytes_in_all_definitions_are_restored_as_they_are() {
    let source = odd_database();
    let directory = tempfile::TempDir::new().unwrap();
    for (name, options) in [
        ("odd.dump", &["-Fc"][..]),
        ("inserts.dump", &["-Fc", "--inserts"]),
        ("odd.sql", &["-Fp"]),
        ("inserts.sql", &["-Fp", "--inserts"]),
    ] {
        let archive: PathBuf = directory.path().join(name);
        let to = ["-f", archive.to_str().unwrap(), "-d", &source.name];
        source.server.run_program("pg_dump", options.iter().chain(&to));
        assert_same_bytes(&archive, &source);
    }
}

#[test]
fn bytes_that_are_not_of_the_targets_encoding_are_refused() {
    for input in ["ascii-rows.dump", "ascii-rows-inserts.dump", "ascii-rows.sql", "ascii-comment.dump"] {
        let archive = report(&format!("24-bytes-outside-the-encoding/{input}"));
        for way in WAYS {
            let target = application::empty_database("encoding");
            let before = Before::of(&target);
            let outcome = restore(&archive, &target, way).run().expect_status(1);
            before.is_now(outcome.stderr_has("the backup is of a database in SQL_ASCII"));
        }
    }
    // Rows that are UTF-8 are what they seem.
    let source = database_in("SQL_ASCII");
    source.psql(
        "SET client_encoding = 'UTF8'; CREATE TABLE t (a text DEFAULT 'é'); INSERT INTO t VALUES ('naïve')",
    );
    let directory = tempfile::TempDir::new().unwrap();
    let archive = directory.path().join("utf8.dump");
    source.server.run_program("pg_dump", ["-Fc", "-f", archive.to_str().unwrap(), "-d", &source.name]);
    let target = application::empty_database("encoding");
    restore(&archive, &target, Way::Swap).run().expect_status(0);
    assert_eq!(target.psql("SELECT a, length(a) FROM t"), "naïve|5\n");
    // In LATIN1, bytes stay the same bytes.
    let rows = report("24-bytes-outside-the-encoding/ascii-rows.dump");
    let target = database_in("LATIN1");
    restore(&rows, &target, Way::Swap).run().expect_status(0);
    assert_eq!(target.psql("SELECT encode(convert_to(c, 'LATIN1'), 'hex') FROM t"), "636166e920c3a92080\n");
}

#[test]
fn the_encoding_that_lacks_a_character_is_named() {
    let archive = report("24-bytes-outside-the-encoding/eucjp.dump");
    let target = database_in("LATIN1");
    let outcome = restore(&archive, &target, Way::Swap).run().expect_status(1);
    outcome.stderr_has("\"LATIN1\"");
}

/// In these encodings the second byte of a character can be a backslash, a letter or a sign.
#[test]
fn archives_in_encodings_of_clients() {
    let source = Source::of(
        "CREATE TABLE \"表\" (\"能\" text DEFAULT '表十'); INSERT INTO \"表\" VALUES ('表\\能'), ('a''表'), (NULL);
         COMMENT ON TABLE \"表\" IS '表'; CREATE TYPE \"能e\" AS ENUM ('表', '十'); CREATE INDEX \"十\" ON \"表\" (\"能\")",
    );
    let expected = Restored::of(&source.database).in_any_order();
    for encoding in ["SJIS", "GBK", "BIG5", "GB18030"] {
        for rows in [&[][..], &["--inserts"], &["--column-inserts", "--rows-per-insert=2"]] {
            let mut options = vec!["-Fc", "-E", encoding];
            options.extend(rows);
            let archive = source.dump("client.dump", &options);
            let target = application::empty_database("encoding");
            restore(&archive, &target, Way::Swap).arg("--strict").run().expect_status(0);
            let found = Restored::of(&target).in_any_order();
            assert_eq!(expected.difference(&found), None, "{encoding} {rows:?}");
        }
    }
}
