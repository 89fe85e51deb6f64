//! Messages that name the fault, and scripts that people have edited.
//!
//! Relatives that were tried: a locale, an ICU locale, a dictionary file, a parameter of an index, a literal of a default and
//! a text of RAISE before there are rows, all of which are shown; a value of a row in an index, which is not; a script with a
//! byte order mark, with COPY and with INSERT statements, from a file and from standard input, compressed; a script in UTF-16;
//! a script without its comments; one whose lines end in CR LF, with COPY and with INSERT statements.

use super::{Source, WAYS, Way, assert_restored, by_pg_restore, by_psql, fails, report, restore};
use crate::support::application;
use crate::support::restored::Restored;
use std::path::PathBuf;

const MARK: &[u8] = b"\xef\xbb\xbf";

fn with_mark(bytes: &[u8]) -> Vec<u8> {
    [MARK, bytes].concat()
}

fn written(source: &Source, name: &str, bytes: &[u8]) -> PathBuf {
    let path = source.files.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn report_18_edited_plain_script() {
    let whole = report("18-edited-plain-script/whole.sql");
    let text = std::fs::read(&whole).unwrap();
    let source = Source::of("");
    assert_restored(&written(&source, "utf8-bom.sql", &with_mark(&text)), &by_psql(&whole));
    let lines = String::from_utf8(text.clone()).unwrap();
    let kept: Vec<&str> =
        lines.lines().filter(|line| !line.starts_with("--") && !line.contains("restrict ")).collect();
    let without = written(&source, "no-comments.sql", kept.join("\n").as_bytes());
    fails(&without, 1, |outcome, _| {
        outcome.assert_stderr_has("a script of pg_dump whose comments were deleted");
        outcome.assert_stderr_has("supabase db dump");
    });
    let utf16: Vec<u8> = [0xff_u8, 0xfe].into_iter().chain(text.iter().flat_map(|byte| [*byte, 0])).collect();
    fails(&written(&source, "utf16.sql", &utf16), 1, |outcome, _| outcome.assert_stderr_has("iconv"));
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let source = Source::of(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'ä' || i FROM generate_series(1, 99) AS i;
         SELECT lo_from_bytea(0, 'object');",
    );
    let expected = by_pg_restore(&source.dump("t.dump", &["-Fc"]));
    for (name, options) in [("copy.sql", &["-Fp"][..]), ("inserts.sql", &["-Fp", "--inserts"])] {
        let marked = with_mark(&std::fs::read(source.dump(name, options)).unwrap());
        let script = written(&source, "marked.sql", &marked);
        assert_restored(&script, &expected);
        for way in WAYS {
            let target = application::empty_database("every");
            super::with_target(&target, way).args(["--source", "-"]).stdin(&script).run().expect_status(0);
            let found = Restored::of(&target).in_any_order();
            assert_eq!(expected.in_any_order().difference(&found), None, "{way:?}");
        }
        let packed = zstd::encode_all(marked.as_slice(), 3).unwrap();
        assert_restored(&written(&source, "marked.sql.zst", &packed), &expected);
    }
    // A byte order mark before an archive means that a program has changed the archive.
    let custom = with_mark(&std::fs::read(source.dump("t2.dump", &["-Fc"])).unwrap());
    fails(&written(&source, "marked.dump", &custom), 1, |outcome, _| {
        outcome.assert_stderr_has("was re-encoded as text");
    });
}

/// Values of several lines keep what stands in the script, as with psql: they now have CR LF.
#[test]
fn lines_of_a_script_can_end_in_cr_lf() {
    let source = Source::of(
        "CREATE TABLE t (id int PRIMARY KEY, v text, w text); INSERT INTO t SELECT i, E'ä\r\n' || i, '\\' FROM generate_series(1, 99) AS i;
         CREATE TABLE one (v text); INSERT INTO one VALUES (''), (NULL); CREATE TABLE empty (v text);
         CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$\nSELECT 'a\nb' -- c\n$$; COMMENT ON TABLE t IS E'two\nlines';
         SELECT lo_from_bytea(0, 'object'); CREATE VIEW r AS SELECT id, v FROM t WHERE id > 3; GRANT SELECT ON t TO PUBLIC;",
    );
    for (name, options) in [("copy.sql", &["-Fp"][..]), ("inserts.sql", &["-Fp", "--inserts"])] {
        let script = std::fs::read_to_string(source.dump(name, options)).unwrap();
        let script = written(&source, "crlf.sql", script.replace('\n', "\r\n").as_bytes());
        let expected = by_psql(&script);
        assert_restored(&script, &expected);
        for way in WAYS {
            let target = application::empty_database("every");
            super::with_target(&target, way).args(["--source", "-"]).stdin(&script).run().expect_status(0);
            let found = Restored::of(&target).in_any_order();
            assert_eq!(expected.in_any_order().difference(&found), None, "{name} {way:?}");
        }
    }
}

#[test]
fn report_25_collation_the_server_lacks() {
    fails(&report("25-collation-the-server-lacks/input.dump"), 1, |outcome, _| {
        outcome.assert_stderr_has("could not create locale \"de_NZ9\"");
        outcome.assert_stderr_has("locale-gen");
    });
}

#[test]
fn definitions_are_shown() {
    let source = Source::of(
        "CREATE TABLE t (id int DEFAULT 1, v text); INSERT INTO t VALUES (1, 'secret-row');
         CREATE INDEX i ON t (id) WITH (fillfactor = 50);
         CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = ispell, DictFile = ispell_sample, AffFile = ispell_sample);",
    );
    let script = std::fs::read_to_string(source.dump("t.sql", &["-Fp", "--no-owner"])).unwrap();
    for (from, to, shown) in [
        ("DEFAULT 1", "DEFAULT 'one'::integer", "invalid input syntax for type integer: \"one\""),
        ("ispell_sample", "none_here", "none_here.dict"),
        (
            "CREATE TABLE",
            "CREATE COLLATION public.c (provider = icu, locale = 'xx-u-co-'); CREATE TABLE",
            "xx-u-co-",
        ),
        (
            "CREATE TABLE",
            "DO $$ BEGIN RAISE 'install the library first'; END $$; CREATE TABLE",
            "install the library first",
        ),
    ] {
        let changed = script.replace(from, to);
        assert_ne!(changed, script, "{from}");
        for way in WAYS {
            let target = application::empty_database("every");
            let path = written(&source, "changed.sql", changed.as_bytes());
            let outcome = restore(&path, &target, way).run();
            if outcome.status.code() == Some(0) && to.contains("icu") {
                continue; // This ICU takes anything.
            }
            outcome.expect_status(1).assert_stderr_has(shown);
        }
    }
}

#[test]
fn values_of_rows_are_not_shown() {
    let source = Source::of(
        "CREATE TABLE t (id int, v text); INSERT INTO t VALUES (1, 'secret-row');
         CREATE FUNCTION n(text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
             $$ BEGIN IF current_setting('every.enabled', true) = 'on' THEN RETURN 0; END IF; RETURN $1::int; END $$;
         CREATE FUNCTION r(text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
             $$ BEGIN IF current_setting('every.enabled', true) = 'on' THEN RETURN 0; END IF; RAISE 'not %', $1; END $$;
         SET every.enabled = on; CREATE INDEX i ON t (n(v)); CREATE INDEX j ON t (r(v));",
    );
    let archive = source.dump("t.dump", &["-Fc"]);
    let target = application::empty_database("every");
    let outcome = restore(&archive, &target, Way::Swap).run().expect_status(1).keeps_secret("secret-row");
    outcome.assert_stderr_has("INDEX");
}
