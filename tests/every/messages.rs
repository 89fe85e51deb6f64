//! Messages that name the fault, and scripts that people have edited.
//!
//! Relatives that were tried: a locale, an ICU locale, a dictionary file, a parameter of an index, a literal of a default and
//! a text of RAISE before there are rows, all of which are shown; a value of a row in an index, which is not; a script with a
//! byte order mark, with COPY and with INSERT statements, from a file and from standard input, compressed; a script in UTF-16;
//! a script without its comments, with COPY and INSERT statements, of `--clean`, as `supabase db dump` writes it, with other
//! statements, and cut; one whose lines end in CR LF, with COPY and with INSERT statements.

use super::{Source, WAYS, Way, assert_restored, by_pg_restore, by_psql, fails, report, restore};
use crate::support::application;
use crate::support::restored::Restored;
use std::path::PathBuf;

/// A database whose script has most of the statements that pg_dump writes.
const EVERY_STATEMENT: &str = "
    CREATE SCHEMA s; COMMENT ON SCHEMA s IS 'x'; CREATE TYPE s.e AS ENUM ('a', 'b'); CREATE DOMAIN s.d AS int CHECK (VALUE > 0);
    COMMENT ON CONSTRAINT d_check ON DOMAIN s.d IS 'positive';
    CREATE TABLE s.t (id int GENERATED ALWAYS AS IDENTITY, v text DEFAULT 'x', e s.e, d s.d, PRIMARY KEY (id));
    CREATE TABLE s.serial (id serial PRIMARY KEY, t int REFERENCES s.t, v text UNIQUE, CONSTRAINT c CHECK (id > 0));
    ALTER TABLE s.serial ADD CONSTRAINT late CHECK (id > -1) NOT VALID; COMMENT ON CONSTRAINT late ON s.serial IS 'late';
    COMMENT ON COLUMN s.t.v IS 'column'; COMMENT ON TABLE s.t IS E'-- two\nlines';
    CREATE TABLE p (k int, v text) PARTITION BY LIST (k); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
    CREATE INDEX ON p (v); INSERT INTO p VALUES (1, 'one');
    INSERT INTO s.t (v, e, d) SELECT E'row\n' || i, 'a', i FROM generate_series(1, 50) AS i;
    INSERT INTO s.serial (t, v) SELECT i, 'v' || i FROM generate_series(1, 20) AS i;
    CREATE FUNCTION s.f(a int, b text DEFAULT 'x') RETURNS int LANGUAGE sql AS $$ SELECT 1; -- DELETE FROM t;\n$$;
    COMMENT ON FUNCTION s.f(int, text) IS 'function'; REVOKE ALL ON FUNCTION s.f(int, text) FROM PUBLIC;
    CREATE FUNCTION tr() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER tr BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION tr(); ALTER TABLE s.t DISABLE TRIGGER tr;
    COMMENT ON TRIGGER tr ON s.t IS 'trigger';
    CREATE VIEW w AS SELECT id, v FROM s.t; CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM s.t; CREATE INDEX ON m (n);
    CREATE RULE r AS ON INSERT TO w DO INSTEAD NOTHING;
    ALTER TABLE s.t ENABLE ROW LEVEL SECURITY; ALTER TABLE s.t FORCE ROW LEVEL SECURITY;
    CREATE POLICY po ON s.t FOR SELECT USING (id > 0); ALTER TABLE s.serial REPLICA IDENTITY FULL;
    CREATE INDEX i ON s.t ((v || 'x')); ALTER TABLE s.serial CLUSTER ON serial_pkey; CREATE STATISTICS s.st ON id, v FROM s.t;
    ALTER DOMAIN s.d ADD CONSTRAINT late CHECK (VALUE < 1000) NOT VALID; REVOKE SELECT ON s.serial FROM PUBLIC; GRANT INSERT, UPDATE ON s.serial TO PUBLIC;
    CREATE SEQUENCE s.q START 7; SELECT nextval('s.q'); GRANT SELECT (v), UPDATE ON s.t TO PUBLIC; GRANT USAGE ON SCHEMA s TO PUBLIC;
    ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO PUBLIC;
    CREATE AGGREGATE s.total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
    CREATE OPERATOR s.=== (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int);
    CREATE COLLATION s.c (provider = libc, locale = 'C'); CREATE TEXT SEARCH CONFIGURATION s.ts (COPY = simple);
    SELECT lo_from_bytea(0, 'object'); CREATE VIEW a AS SELECT 1 AS x; CREATE VIEW b AS SELECT x FROM a; CREATE OR REPLACE VIEW a AS SELECT x FROM (SELECT 1 AS x) AS y;
";

const MARK: &[u8] = b"\xef\xbb\xbf";

fn with_mark(bytes: &[u8]) -> Vec<u8> {
    [MARK, bytes].concat()
}

fn written(source: &Source, name: &str, bytes: &[u8]) -> PathBuf {
    let path = source.files.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// What `supabase db dump` and `grep -v ^--` leave of a script.
fn without_comments(script: &str) -> Vec<u8> {
    let is_kept = |line: &&str| !line.starts_with("--") && !line.contains("restrict ");
    script.lines().filter(is_kept).map(|line| format!("{line}\n")).collect::<String>().into_bytes()
}

#[test]
fn report_18_edited_plain_script() {
    let whole = report("18-edited-plain-script/whole.sql");
    let text = std::fs::read(&whole).unwrap();
    let source = Source::of("");
    assert_restored(&written(&source, "utf8-bom.sql", &with_mark(&text)), &by_psql(&whole));
    let without = written(&source, "no-comments.sql", &without_comments(std::str::from_utf8(&text).unwrap()));
    assert_restored(&without, &by_psql(&without));
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

/// Such a script is loaded in its own order. A warning says that nothing shows whether it is complete.
#[test]
fn a_script_without_comments_is_restored() {
    let source = Source::of(EVERY_STATEMENT);
    let as_supabase = |script: String| {
        ["SCHEMA", "TABLE", "SEQUENCE"].iter().fold(script, |script, kind| {
            script.replace(&format!("\nCREATE {kind} "), &format!("\nCREATE {kind} IF NOT EXISTS "))
        })
    };
    let expected = by_pg_restore(&source.dump("t.dump", &["-Fc"]));
    for (name, options) in [
        ("copy.sql", &["-Fp"][..]),
        ("inserts.sql", &["-Fp", "--inserts"]),
        ("clean.sql", &["-Fp", "--clean", "--if-exists"]),
        ("quoted.sql", &["-Fp", "--quote-all-identifiers", "--rows-per-insert=7"]),
    ] {
        let script = std::fs::read_to_string(source.dump(name, options)).unwrap();
        let script = if name == "quoted.sql" { as_supabase(script) + "RESET ALL;\n" } else { script };
        let script = written(&source, "without.sql", &without_comments(&script));
        assert_restored(&script, &expected);
        for way in WAYS {
            let target = application::empty_database("every");
            let outcome = super::with_target(&target, way).args(["--source", "-"]).stdin(&script).run();
            outcome.expect_status(0).assert_stderr_has("none of pg_dump's comments");
            let found = Restored::of(&target).in_any_order();
            assert_eq!(expected.in_any_order().difference(&found), None, "{name} {way:?}");
        }
    }
}

/// What pg_dump never writes could be anything.
#[test]
fn another_statement_in_a_script_without_comments_is_refused() {
    let source = Source::of("CREATE TABLE t (id int); INSERT INTO t VALUES (1);");
    let script = without_comments(&std::fs::read_to_string(source.dump("t.sql", &["-Fp"])).unwrap());
    for statement in ["DELETE FROM public.t;", "DO $$ BEGIN END $$;", "GRANT pg_monitor TO app;", "\\! true"]
    {
        let with = [script.as_slice(), statement.as_bytes(), b"\n"].concat();
        fails(&written(&source, "with.sql", &with), 1, |outcome, _| outcome.assert_stderr_has("byte "));
    }
    let (cut, _) = std::str::from_utf8(&script).unwrap().split_once("\\.\n").unwrap();
    fails(&written(&source, "cut.sql", cut.as_bytes()), 1, |outcome, _| outcome.assert_stderr_has("ends"));
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
