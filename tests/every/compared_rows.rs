//! `--verify=full`: the rows that the tables have are those that were sent, or the restore fails and names the column.
//!
//! Relatives of "a row is not what was sent": a trigger of the target's schema, code of the archive that changes rows of another
//! table, another session. Relatives of "a value has another text": each type whose text depends on a setting, on the version of
//! the server that wrote it, on IDs that were replaced, on the encoding; and values that only look alike (NULL, an empty text,
//! a composite value of NULLs, padded characters).

use super::{WAYS, Way, restore, with_target};
use crate::support::loading::is_loading;
use crate::support::session::wait_until;
use crate::support::two_schemas::TwoSchemas;
use crate::support::untouched::{Before, databases_beside};
use crate::support::way::Source;
use crate::support::{Database, Outcome, Server, application};
use std::path::Path;

/// One table with a column of each type, by names that need quotes, and tables that are odd.
const TYPES: &str = r#"
CREATE TYPE pair AS (a integer, b text);
CREATE TYPE mood AS ENUM ('sad', 'it''s "fine"');
CREATE DOMAIN zip AS varchar(5) CHECK (VALUE ~ '^\d');
CREATE TABLE "every ""type""" (
    id integer GENERATED ALWAYS AS IDENTITY, b boolean, i2 smallint, i8 bigint, n numeric, n2 numeric(10,2), f4 real,
    f8 double precision, t text, v varchar(9), c char(7), ch "char", na name, by bytea, d date, ti time, tz timetz,
    ts timestamp, tsz timestamptz, iv interval, u uuid, j json, jb jsonb, ip inet, net cidr, mac macaddr, bits bit(5),
    vb bit varying, p point, bx box, path path, poly polygon, ci circle, tv tsvector, tq tsquery, lsn pg_lsn, oi oid,
    arr text[], nested int[][], farr double precision[], rng int4range, prs pair, prr pair[], e mood, z zip, "a b" text,
    twice integer GENERATED ALWAYS AS (id * 2) STORED
);
INSERT INTO "every ""type""" (b, i2, i8, n, n2, f4, f8, t, v, c, ch, na, by, d, ti, tz, ts, tsz, iv, u, j, jb, ip, net, mac,
    bits, vb, p, bx, path, poly, ci, tv, tq, lsn, oi, arr, nested, farr, rng, prs, prr, e, z, "a b")
SELECT n % 2 = 0, n, n * 1000000007::bigint, n / 7.0, n / 7.0, n / 7.0, n / 7.0, E'a\tb\\c\nd\r' || chr(8) || n, 'v' || n, 'c' || n,
    'x', 'name' || n, decode(md5(n::text), 'hex'), '2024-02-28'::date + n, '12:34:56.789', '12:34:56+05:45',
    '2024-03-31 01:30'::timestamp + n * interval '1 hour', '2024-03-31 00:30+00'::timestamptz + n * interval '1 hour 1 us',
    n * interval '1 month -3 days 04:05:06.5', md5(n::text)::uuid, '{"b": 1,  "a": [1, 1.0]}', '{"b": 1,  "a": [1, 1.0]}',
    '10.1.2.3', '10.1.0.0/16', '08:00:2b:01:02:03', B'10101', B'101', point(n / 7.0, 1e-300), '(1,2),(3,4.5)',
    '[(0,0),(1,1.1)]', '((0,0),(1,1),(2,0))', '<(1,2),3.3>', 'a fat cat:3 sat'::tsvector, 'fat & (rat | !cat)', '16/B374D848',
    n, ARRAY['x', NULL, 'NULL', '', 'a,"b"'], '{{1,2},{3,4}}', ARRAY[(n / 7.0)::double precision, 'NaN', '-Infinity'], int4range(n, n + 5),
    ROW(n, 'b "c"'::text)::pair, ARRAY[ROW(1, NULL::text)::pair, NULL], 'it''s "fine"', '12345', 'blank'
FROM generate_series(1, 40) n;
INSERT INTO "every ""type""" (t, tsz, f8, prs, jb) VALUES (NULL, 'infinity', 'NaN', NULL, NULL),
    ('', '0044-03-15 12:00 BC', '-0', (NULL, NULL), 'null'), ('\N', '1890-01-01 00:00:00.000001', 'Infinity', (1, ''), '""'),
    (E'\\.', '294276-12-31 23:59:59.999999+00', 5e-324, NULL, '{}'), ('x', '-infinity', 1.7976931348623157e308, NULL, '[]');
CREATE TABLE no_columns (); INSERT INTO no_columns SELECT FROM generate_series(1, 3);
CREATE TABLE no_rows (a integer);
CREATE TABLE parent (a integer, b text); CREATE TABLE child (c integer) INHERITS (parent);
INSERT INTO parent VALUES (1, 'parent'); INSERT INTO child VALUES (2, 'child', 3);
CREATE TABLE parts (a integer, b text) PARTITION BY RANGE (a);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 (b text, a integer); ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (10) TO (20);
INSERT INTO parts SELECT n, 'part ' || n FROM generate_series(0, 19) n;
CREATE TABLE hidden (a integer); INSERT INTO hidden VALUES (1), (2);
ALTER TABLE hidden ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY none ON hidden USING (false);
"#;

/// The rows of all tables of [`TYPES`].
const ROWS: &str = "72 rows of 8 tables were compared with the rows that were sent, and are equal";

/// Restores with `--verify=full`.
fn compared(archive: &Path, target: &Database, way: Way) -> Outcome {
    restore(archive, target, way).arg("--verify=full").run()
}

#[track_caller]
fn says_nothing_else(outcome: Outcome) {
    assert!(!outcome.stderr.contains("not compared"), "{outcome}");
}

#[test]
fn values_of_every_type_are_equal() {
    let source = Source::of(TYPES);
    let custom = source.dump("types.dump", &["-Fc"]);
    let plain = source.dump("types.sql", &["-Fp"]);
    let by_root = source.dump("root.dump", &["-Fc", "--load-via-partition-root"]);
    for way in WAYS {
        for archive in [&custom, &by_root] {
            let target = application::empty_database("compared");
            let rows =
                if archive == &custom { ROWS.to_owned() } else { ROWS.replace("8 tables", "7 tables") };
            says_nothing_else(compared(archive, &target, way).expect_status(0).stderr_has(&rows));
        }
        for archive in [&custom, &plain] {
            let target = application::empty_database("compared_stream");
            let pgmig = with_target(&target, way).args(["--verify=full", "--source", "-"]).stdin(archive);
            says_nothing_else(pgmig.run().expect_status(0).stderr_has(ROWS));
        }
    }
    let target = application::empty_database("compared_json");
    let outcome = restore(&custom, &target, Way::Swap).args(["--verify=full", "--output", "json"]).run();
    let report: serde_json::Value = serde_json::from_str(&outcome.expect_status(0).stdout).unwrap();
    assert_eq!(report["row_comparison"]["rows"], 72);
    assert_eq!(report["row_comparison"]["not_compared"], serde_json::json!([]));
    let outcome = restore(&custom, &target, Way::Swap).args(["--output", "json"]).run();
    let report: serde_json::Value = serde_json::from_str(&outcome.expect_status(0).stdout).unwrap();
    assert!(report["row_comparison"].is_null());
}

/// The server's hash takes twelve bytes at a time.
#[test]
fn texts_of_every_length() {
    let source = Source::of(
        "CREATE TABLE t (a text, b text); INSERT INTO t SELECT repeat('é', n), left(repeat(E'\\x\t', 400), n) || n
         FROM generate_series(0, 700) n; INSERT INTO t VALUES (repeat('long', 1000000), NULL)",
    );
    let target = application::empty_database("compared_lengths");
    let outcome = compared(&source.dump("lengths.dump", &["-Fc"]), &target, Way::Swap).expect_status(0);
    says_nothing_else(outcome.stderr_has("702 rows of 1 tables were compared"));
}

#[test]
fn as_many_columns_as_a_table_can_have() {
    let columns: Vec<String> = (0..1600).map(|number| format!("c{number} smallint")).collect();
    let values: Vec<String> = (0..1600).map(|number| number.to_string()).collect();
    let source = Source::of(&format!(
        "CREATE TABLE wide ({}); INSERT INTO wide VALUES ({})",
        columns.join(", "),
        values.join(", ")
    ));
    let target = application::empty_database("compared_wide");
    let outcome = compared(&source.dump("wide.dump", &["-Fc"]), &target, Way::InPlace).expect_status(0);
    says_nothing_else(outcome.stderr_has("1 rows of 1 tables were compared"));
}

/// pg_dump writes times in the time zone of its session.
#[test]
fn times_of_another_time_zone() {
    let source = Source::of(
        "CREATE TABLE t (at timestamptz, during tstzrange, many timestamptz[], note text);
         INSERT INTO t SELECT x, tstzrange(x, NULL), ARRAY[x], 'n' FROM (SELECT now() - n * interval '17 days' FROM
             generate_series(1, 40) n) AS t (x)",
    );
    let path = source.files.path().join("zone.dump");
    let mut dump = source.database.server.program("pg_dump");
    dump.env("PGTZ", "Asia/Kathmandu").args(["-Fc", "-d", &source.database.name, "-f"]).arg(&path);
    assert!(dump.status().unwrap().success());
    for way in WAYS {
        let target = application::empty_database("compared_zone");
        let outcome = compared(&path, &target, way).expect_status(0).stderr_has("40 rows of 1 tables");
        outcome.assert_stderr_has(
            "not compared, because its text depends on the time zone: during, many of table public.t",
        );
    }
}

/// The source's own setting decides about the text of bytea. pg_dump leaves it as it is.
#[test]
fn bytea_in_the_old_form() {
    let source = Source::of(
        "CREATE TABLE t (id integer, one bytea, many bytea[], note text);
         INSERT INTO t SELECT n, decode(md5(n::text), 'hex'), ARRAY['\\x00ff'::bytea], 'n' FROM generate_series(1, 40) n",
    );
    let name = &source.database.name;
    source.database.psql(&format!("ALTER DATABASE {name} SET bytea_output = 'escape'"));
    let archive = source.dump("escape.dump", &["-Fc"]);
    for way in WAYS {
        let target = application::empty_database("compared_bytea");
        let outcome = compared(&archive, &target, way).expect_status(0).stderr_has("40 rows of 1 tables");
        outcome.assert_stderr_has("pgmig cannot read one of its values: one of table public.t");
        outcome.assert_stderr_has("depends on bytea_output: many of table public.t");
        outcome.assert_stderr_has("whole rows can be compared only where every column can: table public.t");
    }
}

/// PostgreSQL 11 wrote more digits. An archive that claims to be of PostgreSQL 15 must not have them.
#[test]
fn numbers_of_an_older_server() {
    let source = Source::of(
        "CREATE TABLE t (a double precision, b real, c double precision[], d point);
         INSERT INTO t VALUES (0.1, 0.1, '{0.1}', '(0.1,0.1)')",
    );
    let older = |version: &str| {
        source.script(&format!("{version}.sql"), |text| {
            let row = "0.1\t0.1\t{0.1}\t(0.1,0.1)";
            let digits = "0.10000000000000001\t0.100000001\t{0.10000000000000001}\t(0.10000000000000001,0.10000000000000001)";
            assert!(text.contains(row), "{text}");
            let from = text.lines().find(|line| line.starts_with("-- Dumped from")).unwrap().to_owned();
            text.replace(row, digits).replace(&from, &format!("-- Dumped from database version {version}"))
        })
    };
    for way in WAYS {
        let target = application::empty_database("compared_digits");
        let outcome = compared(&older("11.22"), &target, way).expect_status(0);
        outcome.assert_stderr_has(
            "PostgreSQL earlier than 12 wrote its numbers with other digits: c, d of table public.t",
        );
        let before = Before::of(&target);
        let outcome = compared(&older("15.4"), &target, way).expect_status(1);
        let outcome = outcome.stderr_has("table public.t: values of column c are not those that were sent");
        before.is_now(outcome.stderr_has("the target is untouched"));
    }
}

#[test]
fn values_that_depend_on_the_database_are_named() {
    let server = Server::of_this_run();
    let source = Source::of(
        "CREATE TABLE t (m money, x xml, r regclass, note text); CREATE EXTENSION IF NOT EXISTS hstore;
         ALTER TABLE t ADD h hstore;
         INSERT INTO t VALUES ('12.50', '<a>b</a>', 't', 'n', 'a=>1')",
    );
    let archive =
        source.script("money.sql", |text| text.replace("$12.50", "12.5").replace("\"a\"=>\"1\"", "a=>1"));
    let target = application::empty_database_on(&server, "compared_money");
    let outcome = compared(&archive, &target, Way::Swap).expect_status(0).stderr_has("1 rows of 1 tables");
    outcome.assert_stderr_has("its text depends on lc_monetary: m of table public.t");
    outcome.assert_stderr_has("its type is an extension's or a user's: h of table public.t");
}

/// The rows are hashed after their IDs are replaced. The server orders parts of some values anew.
#[test]
fn rows_whose_ids_were_replaced() {
    let source = Source::of(
        "CREATE TABLE tenant (tenant_id uuid PRIMARY KEY, name text, region text, deleted boolean);
         INSERT INTO tenant SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, 'n', 'eu', false FROM generate_series(1, 2) n;
         CREATE TABLE e (tenant_id uuid, note text, js json, jb jsonb, ids uuid[]) PARTITION BY LIST (tenant_id);
         CREATE TABLE e1 PARTITION OF e FOR VALUES IN ('00000000-0000-0000-0000-000000000001');
         CREATE TABLE e2 PARTITION OF e DEFAULT;
         INSERT INTO e SELECT tenant_id, 'of ' || tenant_id, to_json(tenant_id), jsonb_build_object(
             '00000000-0000-0000-0000-000000000001', 1, '00000000-0000-0000-0000-000000000002', 2), ARRAY[tenant_id]
             FROM tenant, generate_series(1, 10)",
    );
    let archive = source.dump("mapped.dump", &["-Fc"]);
    for (way, strategy) in [(Way::Swap, "swap"), (Way::InPlace, "in-place")] {
        let target = application::empty_database("compared_mapped");
        let pgmig = crate::support::Pgmig::new().target(&application::file_for(&target, strategy));
        let pgmig = pgmig.args(["--schema", "archive", "--force", "--verify=full", "--strategy", strategy]);
        // The keys of jsonb change places.
        let pgmig = pgmig.source(&archive).mapping(&[
            ("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000009"),
            ("00000000-0000-0000-0000-000000000002", "00000000-0000-0000-0000-000000000008"),
        ]);
        let outcome = pgmig.run().expect_status(0).stderr_has("22 rows of 2 tables were compared");
        outcome.assert_stderr_has(
            "because IDs in it were replaced, and the server orders its parts anew: jb of table public.e",
        );
        // The column, and with it whole rows.
        assert_eq!(outcome.stderr.matches("not compared").count(), 2, "{way:?} {outcome}");
    }
}

#[test]
fn rows_in_another_encoding() {
    let server = Server::of_this_run();
    let clauses = "TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'";
    let source = Database::create_with(&server, "compared_latin1", clauses);
    source.psql("SET client_encoding = 'UTF8'; CREATE TABLE t (a text, b char(4), c varchar); INSERT INTO t VALUES ('é', 'ü', NULL), ('x', '', 'ß')");
    let directory = tempfile::TempDir::new().unwrap();
    let archive = directory.path().join("latin1.dump");
    source.dump_through_pipe(&[], &archive);
    for way in WAYS {
        let target = application::empty_database("compared_utf8");
        says_nothing_else(compared(&archive, &target, way).expect_status(0).stderr_has("2 rows of 1 tables"));
    }
}

/// Its rows are loaded before those of `b`, whose constraint calls code that changes them.
const CHANGED_BY_CODE: &str = "
    CREATE TABLE a (id integer, note text, other text); INSERT INTO a SELECT n, 'note ' || n, 'x' FROM generate_series(1, 9) n;
    CREATE FUNCTION change(integer) RETURNS boolean LANGUAGE sql AS 'SELECT true';
    CREATE TABLE b (id integer CHECK (change(id))); INSERT INTO b VALUES (1);
    CREATE OR REPLACE FUNCTION change(integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN {}; RETURN true; END $$;";

#[test]
fn a_row_that_code_of_the_archive_changes() {
    for (code, fault) in [
        (
            "UPDATE public.a SET note = 'changed' WHERE id = 7",
            "values of column note are not those that were sent",
        ),
        (
            "UPDATE public.a SET other = NULL WHERE id = 7",
            "values of column other are not those that were sent",
        ),
        ("DELETE FROM public.a WHERE id = 7", "has 8 rows, and 9 were sent"),
        // The sums of the columns stay the same.
        (
            "UPDATE public.a SET note = 'note ' || 17 - id WHERE id > 7",
            "values of some rows are in other rows",
        ),
    ] {
        let source = Source::of(&CHANGED_BY_CODE.replace("{}", code));
        let archive = source.dump("changed.dump", &["-Fc"]);
        for way in WAYS {
            let target = application::empty_database("compared_code");
            let before = Before::of(&target);
            let outcome = compared(&archive, &target, way).expect_status(1).stderr_has("table public.a");
            before.is_now(outcome.stderr_has(fault));
            // By their number alone, the rows are as many as they were when they were loaded.
            restore(&archive, &target, way).run().expect_status(0);
        }
    }
}

#[test]
fn a_row_that_another_session_changes() {
    let source = Source::of(&CHANGED_BY_CODE.replace("{}", "PERFORM pg_catalog.pg_sleep(4)"));
    let archive = source.dump("session.dump", &["-Fc"]);
    let target = application::empty_database("compared_session");
    let before = Before::of(&target);
    let running = restore(&archive, &target, Way::Swap).arg("--verify=full").spawn();
    wait_until(|| is_loading(&target));
    let staging = databases_beside(&target).trim().to_owned();
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    wait_until(|| target.server.psql("postgres", sleeping) != "0\n");
    target.server.psql(&staging, "UPDATE public.a SET note = 'changed' WHERE id = 7");
    let outcome = running.wait().expect_status(1);
    before.is_now(outcome.stderr_has("table public.a: values of column note are not those that were sent"));
}

#[test]
fn a_row_that_a_trigger_of_the_target_changes() {
    let code = "CREATE FUNCTION upper_note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := upper(NEW.note); RETURN NEW; END';";
    let stores = TwoSchemas::new(
        "CREATE TABLE a (id integer, note text); INSERT INTO a VALUES (1, 'one'), (2, 'TWO'); CREATE TABLE log (id integer)",
        &format!(
            "CREATE TABLE a (id bigint, note text, more text DEFAULT 'more'); CREATE TABLE log (id integer); {code}
             CREATE TRIGGER upper_note BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION upper_note();
             CREATE RULE also AS ON INSERT TO a DO ALSO INSERT INTO log VALUES (NEW.id)"
        ),
    );
    let before = Before::of(&stores.target);
    let outcome = stores.restore("").arg("--verify=full").run().expect_status(1);
    let outcome = outcome.stderr_has("table public.a: values of column note are not those that were sent");
    before.is_now(outcome.stderr_has("does a trigger"));
    stores.restore("").run().expect_status(0);
    assert_eq!(stores.target.psql("SELECT note, more FROM a ORDER BY id"), "ONE|more\nTWO|more\n");
    // Without the trigger the rule alone changes nothing of what was sent.
    let rules = "target_schema: {trigger_off: [{table: a, trigger: upper_note}]}\n";
    let outcome = stores.restore(rules).arg("--verify=full").run().expect_status(0);
    says_nothing_else(outcome.stderr_has("2 rows of 2 tables were compared"));
}

/// Nothing is left out silently.
#[test]
fn rows_that_cannot_be_compared() {
    let source =
        Source::of("CREATE TABLE a (id integer); INSERT INTO a VALUES (1); CREATE TABLE b (id integer)");
    for way in WAYS {
        let target = application::empty_database("compared_inserts");
        let archive = source.dump("inserts.dump", &["-Fc", "--inserts"]);
        let outcome = compared(&archive, &target, way).expect_status(0).stderr_has("0 rows of 0 tables");
        outcome.assert_stderr_has("its rows are INSERT statements: table public.a");
    }
    let stores = TwoSchemas::new(
        "CREATE TABLE a (id text); INSERT INTO a VALUES ('1'); CREATE TABLE n (v integer); INSERT INTO n VALUES (2)",
        "CREATE TABLE a (id integer); CREATE TABLE n (v numeric(10,3))",
    );
    let rules = "target_schema: {cast: [{table: a, column: id, using: \"id::integer\"}]}\n";
    let outcome = stores.restore(rules).arg("--verify=full").run().expect_status(0);
    outcome.assert_stderr_has("its rows are converted for the target's columns: table public.a");
    // 2 becomes 2.000.
    outcome.assert_stderr_has(
        "the target's column may have another type than the backup's: v of table public.n",
    );
}
