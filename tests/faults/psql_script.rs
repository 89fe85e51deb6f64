//! `pgmig inspect --sql`: the script of a hostile archive makes psql run no program. Each attack is first shown to work
//! on an unprotected script: pg_restore's own without its `\restrict`.

use crate::support::damage::patch;
use crate::support::{Database, Outcome, Pgmig};
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;

/// The number of bytes that an attack may have.
const ROOM: usize = 400;

/// Texts that replace the comment's literal in the archive. `RUN` stands for psql's command.
const IN_A_DEFINITION: &[(&str, &str)] = &[
    ("a command outside of strings", "'a';\nRUN\n"),
    ("after a statement", "'a'; SELECT 1 RUN\n"),
    (
        "strings whose backslashes escape",
        "'a'; SELECT set_config('standard_conforming_strings', 'off', false);\nSELECT 'a\\' || ' RUN\n'",
    ),
    (
        "an encoding whose characters hold quotes",
        "'a'; SELECT set_config('client_encoding', 'SJIS', false);\nSELECT '\u{c1}' || ' RUN\n'",
    ),
    ("a string in two lines", "'a'; SELECT E'a'\n'b\\' RUN\n'"),
    ("a number that runs into a tag", "'a'; SELECT 1ab$x$ RUN\n$x$"),
    ("rows that are a definition", "'a'; COPY public.t FROM stdin;\nSELECT $$\n\\.\nRUN\n$$"),
    (
        "a message of the server as a variable",
        "'a'; DO $$ BEGIN RAISE EXCEPTION '%', chr(92) || '! touch ran'; END $$;\n:LAST_ERROR_MESSAGE\n",
    ),
];

/// Texts that replace a row in the archive.
const IN_ROWS: &[(&str, &str, &str)] = &[
    (
        "an end of data with a carriage return",
        "a\n\\.\r\nRUN\n",
        "no script can be made of the archive because of TABLE DATA public.t",
    ),
    ("a zero byte that hides a line's end", "a\0\n\\.\nRUN\n\\.\n", "data of table public.t cannot be read"),
];

fn room() -> String {
    "x".repeat(ROOM)
}

/// The attack, padded to the length of the text that it replaces.
fn filled(attack: &str, length: usize) -> String {
    assert!(attack.len() <= length, "{attack}");
    attack.to_owned() + &" ".repeat(length - attack.len())
}

/// An uncompressed archive with a comment and a row of [`ROOM`] bytes.
fn archive(directory: &TempDir, options: &[&str]) -> (Database, std::path::PathBuf) {
    let database = Database::create("script_source");
    let room = room();
    database.psql(&format!(
        "CREATE TABLE t (a text); COMMENT ON TABLE t IS '{room}'; INSERT INTO t VALUES ('{}')",
        room.replace('x', "y")
    ));
    let archive = directory.path().join("t.dump");
    let file = archive.to_str().unwrap();
    let arguments = ["-Fc", "-Z0", "-d", &database.name, "-f", file];
    database.server.run_program("pg_dump", arguments.iter().chain(options));
    (database, archive)
}

/// Whether psql runs a program when it reads this script.
fn runs(script: &[u8]) -> bool {
    let directory = TempDir::new().unwrap();
    let database = Database::create("script_target");
    std::fs::write(directory.path().join("script.sql"), script).unwrap();
    let status = database
        .server
        .program("psql")
        .args(["-X", "-q", "-d", &database.name, "-f", "script.sql"])
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.unwrap();
    directory.path().join("ran").exists()
}

/// Runs pgmig's script with and without its `\restrict`, which an older psql does not have.
fn assert_harmless(archive: &Path, what: &str) -> Outcome {
    let outcome = Pgmig::new().args(["inspect", "--sql"]).arg(archive).run();
    assert!(!runs(outcome.stdout.as_bytes()), "{what}: {outcome}");
    let bare: Vec<&str> = outcome.stdout.lines().filter(|line| !line.contains("restrict ")).collect();
    assert!(!runs(bare.join("\n").as_bytes()), "{what}: {outcome}");
    outcome
}

/// The script of pg_restore as it was before it wrote `\restrict`.
fn unprotected(database: &Database, archive: &Path) -> Vec<u8> {
    let script = database.server.run_program("pg_restore", ["-f", "-", archive.to_str().unwrap()]);
    let lines = script.split_inclusive(|byte| *byte == b'\n');
    lines.filter(|line| !line.starts_with(b"\\restrict")).flatten().copied().collect()
}

fn with_command(attack: &str) -> String {
    attack.replace("RUN", "\\! touch ran")
}

#[test]
fn definitions_make_psql_run_nothing() {
    let directory = TempDir::new().unwrap();
    for (what, attack) in IN_A_DEFINITION {
        let attack = with_command(attack);
        let (database, archive) = archive(&directory, &[]);
        let literal = format!("'{}'", room());
        patch(&archive, &literal, &filled(&attack, literal.len()));
        assert!(runs(&unprotected(&database, &archive)), "{what}: the attack does not work");
        assert_harmless(&archive, what);
    }
}

#[test]
fn rows_make_psql_run_nothing() {
    let directory = TempDir::new().unwrap();
    for (what, attack, refusal) in IN_ROWS {
        let (database, archive) = archive(&directory, &[]);
        let row = room().replace('x', "y");
        patch(&archive, &row, &filled(&with_command(attack), ROOM));
        let works = runs(&unprotected(&database, &archive));
        assert!(works || attack.contains('\0'), "{what}: the attack does not work");
        assert_harmless(&archive, what).expect_status(1).stderr_has(refusal);
    }
}

#[test]
fn insert_statements_make_psql_run_nothing() {
    let directory = TempDir::new().unwrap();
    for attack in [
        "a'); RUN\n--",
        "a\\' || ' RUN\n",
        "a' RUN\n, '",
        "a'::text); SELECT set_config('standard_conforming_strings', 'off', false);\nSELECT ('a\\' || ' RUN\n",
    ] {
        let (database, archive) = archive(&directory, &["--inserts"]);
        let row = room().replace('x', "y");
        patch(&archive, &row, &filled(&with_command(attack), ROOM));
        drop(database);
        assert_harmless(&archive, attack);
    }
}

/// Sound archives with texts that look like attacks.
#[test]
fn names_and_values_stay_what_they_are() {
    let directory = TempDir::new().unwrap();
    for options in [&[][..], &["--inserts"], &["--column-inserts"]] {
        let source = Database::create("script_names");
        source.psql(
            "SET standard_conforming_strings = on;
             CREATE TABLE \"t\n\\! touch ran\n\" (\"b\\c\" text, n integer[]);
             COMMENT ON TABLE \"t\n\\! touch ran\n\" IS 'it''s \\ a\n\\! touch ran\n';
             INSERT INTO \"t\n\\! touch ran\n\" VALUES (E'\\n\\\\.\\n\\\\! touch ran\\n', '{1}'), ('\u{c1}\\', NULL);
             CREATE VIEW v AS SELECT n[1:2] AS \":x\", 'a\\' AS b, \"b\\c\"::text FROM \"t\n\\! touch ran\n\";
             CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT ''\\'' -- \u{c1}';
             CREATE FUNCTION g(integer) RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT '\u{c1}\\'::text; SELECT $1::text; END",
        );
        let archive = directory.path().join("names.dump");
        let file = archive.to_str().unwrap();
        let arguments = ["-Fc", "-Z0", "-d", &source.name, "-f", file];
        source.server.run_program("pg_dump", arguments.iter().chain(options));
        let outcome = assert_harmless(&archive, "names").expect_status(0);
        let target = Database::create("script_copy");
        let script = directory.path().join("script.sql");
        std::fs::write(&script, &outcome.stdout).unwrap();
        let psql = ["-X", "-q", "-d", &target.name, "-o", "/dev/null", "-f", script.to_str().unwrap()];
        source.server.run_program("psql", psql);
        assert_eq!(target.dump(&["--no-owner"]), source.dump(&["--no-owner"]), "{options:?}");
    }
}

#[test]
fn a_psql_that_does_not_know_the_restriction_stops_before_the_archive() {
    let directory = TempDir::new().unwrap();
    let (_source, archive) = archive(&directory, &[]);
    let outcome = Pgmig::new().args(["inspect", "--sql"]).arg(&archive).run().expect_status(0);
    let key = outcome.stdout.lines().find_map(|line| line.strip_prefix("\\restrict ")).unwrap();
    assert!(key.len() == 64 && key.chars().all(|c| c.is_ascii_alphanumeric()), "{key}");
    assert!(outcome.stdout.ends_with(&format!("\n\\unrestrict {key}\n")), "{outcome}");
    let again = Pgmig::new().args(["inspect", "--sql"]).arg(&archive).run().expect_status(0);
    assert!(!again.stdout.contains(key), "the key is another one each time");
    // The script as psql reads it if it does not know `\restrict`.
    let target = Database::create("script_old_psql");
    let script = directory.path().join("old.sql");
    std::fs::write(&script, outcome.stdout.replace("\\restrict", "\\no_such_command")).unwrap();
    let psql = ["-X", "-q", "-d", &target.name, "-f", script.to_str().unwrap()];
    let psql = target.server.program("psql").args(psql).output().unwrap();
    let stderr = String::from_utf8_lossy(&psql.stderr);
    assert!(psql.status.code() == Some(3) && stderr.contains("no_such_command"), "{stderr}");
    assert_eq!(target.psql("SELECT to_regclass('public.t')").trim(), "");
}
