//! Expressions that read other tables than their own: the archive's order is kept for the rows, and indexes come last.
//!
//! Relatives that were tried: a function in a CHECK constraint (of a table, of a partition, inherited), in a CHECK of a domain
//! (of a column, of an array, in a composite type, of a domain over a domain), behind an operator of the database, in a
//! generated column, in a partition key; SQL, PL/pgSQL and nested functions; rows as COPY and as INSERT statements; custom,
//! directory and plain archives, from a file and from standard input; one connection and several; an index, a partial index and
//! an exclusion constraint whose function reads a table that is loaded later; the same by an operator and by a domain.

use super::{Source, WAYS, assert_restored, assert_restored_as, by_pg_restore, report};
use crate::support::Database;
use crate::support::restored::Restored;

/// A small table, which comes first in an archive, and a function that reads it.
const LOOKED_UP: &str = "
CREATE TABLE a_tariff (code text PRIMARY KEY, open boolean NOT NULL);
INSERT INTO a_tariff SELECT 't' || i, i % 2 = 0 FROM generate_series(1, 20) AS i;
CREATE FUNCTION is_open(text) RETURNS boolean LANGUAGE sql IMMUTABLE
    AS 'SELECT EXISTS (SELECT FROM public.a_tariff AS t WHERE t.code = $1 AND t.open)';
CREATE FUNCTION checked(text) RETURNS text LANGUAGE plpgsql IMMUTABLE
    AS $$ BEGIN IF NOT public.is_open($1) THEN RAISE 'tariff is not open'; END IF; RETURN $1; END $$;
";

/// Big tables, which pgmig would load first if their rows did not depend on `a_tariff`.
const DEPENDENT: [&str; 9] = [
    "CREATE TABLE contract (id int, tariff text, memo text, CONSTRAINT o CHECK (is_open(tariff)))",
    "CREATE TABLE contract (id int, tariff text, memo text, copy text GENERATED ALWAYS AS (checked(tariff)) STORED)",
    "CREATE DOMAIN open_tariff AS text CHECK (is_open(VALUE));
     CREATE TABLE contract (id int, tariff open_tariff, memo text)",
    "CREATE DOMAIN open_tariff AS text CHECK (is_open(VALUE)); CREATE DOMAIN over AS open_tariff;
     CREATE TABLE contract (id int, tariff over, memo text)",
    "CREATE DOMAIN open_tariff AS text CHECK (is_open(VALUE));
     CREATE TABLE contract (id int, tariff text, memo text, list open_tariff[] DEFAULT ARRAY['t2']::open_tariff[])",
    "CREATE DOMAIN open_tariff AS text CHECK (is_open(VALUE)); CREATE TYPE part AS (n int, tariff open_tariff);
     CREATE TABLE contract (id int, tariff text, memo text, whole part DEFAULT ROW(1, 't4')::part)",
    "CREATE FUNCTION op(text, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT public.is_open($1)';
     CREATE OPERATOR ==> (LEFTARG = text, RIGHTARG = int, FUNCTION = op);
     CREATE TABLE contract (id int, tariff text, memo text, CONSTRAINT o CHECK (tariff ==> 1))",
    "CREATE TABLE parent (id int, tariff text, memo text, CONSTRAINT o CHECK (is_open(tariff)));
     CREATE TABLE contract () INHERITS (parent)",
    "CREATE TABLE contract (id int, tariff text, memo text) PARTITION BY LIST (checked(tariff));
     CREATE TABLE contract_all PARTITION OF contract DEFAULT;
     ALTER TABLE contract_all ADD CONSTRAINT o CHECK (is_open(tariff))",
];

const ROWS: &str = "INSERT INTO contract (id, tariff, memo)
    SELECT i, 't' || (2 * (i % 10) + 2), repeat(md5(i::text), 8) FROM generate_series(1, 1500) AS i";

#[test]
fn report_01_check_looks_up_other_table() {
    let archive = report("01-check-looks-up-other-table/input.dump");
    assert_restored(&archive, &by_pg_restore(&archive));
}

#[test]
fn rows_that_are_checked_against_other_tables_keep_the_archives_order() {
    for dependent in DEPENDENT {
        let source = Source::of(&format!("{LOOKED_UP} {dependent}; {ROWS}"));
        let archive = source.dump("order.dump", &["-Fc"]);
        let expected = by_pg_restore(&archive);
        assert_restored(&archive, &expected);
        assert_restored_as(&archive, &expected, WAYS[0], |pgmig| pgmig.args(["--jobs", "4"]));
    }
}

#[test]
fn the_archives_order_is_kept_in_every_format() {
    let source = Source::of(&format!("{LOOKED_UP} {}; {ROWS}", DEPENDENT[0]));
    let expected = by_pg_restore(&source.dump("order.dump", &["-Fc"]));
    for (name, options) in [
        ("inserts.dump", &["-Fc", "--inserts"][..]),
        ("directory", &["-Fd"]),
        ("order.sql", &["-Fp"]),
        ("inserts.sql", &["-Fp", "--inserts"]),
    ] {
        let archive = source.dump(name, options);
        assert_restored(&archive, &expected);
        if !archive.is_dir() {
            for way in WAYS {
                let target = crate::support::application::empty_database("order");
                let pgmig = super::with_target(&target, way).args(["--source", "-"]).stdin(&archive);
                pgmig.run().expect_status(0);
                assert_eq!(target.psql("SELECT count(*) FROM contract").trim(), "1500", "{name} {way:?}");
            }
        }
    }
}

#[test]
fn tables_on_both_sides_of_an_ordered_one_are_loaded_too() {
    let source = Source::of(&format!(
        "{LOOKED_UP} {}; {ROWS};
         CREATE TABLE a_first AS SELECT i, repeat('x', 100) AS t FROM generate_series(1, 5000) AS i;
         CREATE TABLE z_last AS SELECT * FROM a_first; CREATE INDEX z_i ON z_last (i);
         CREATE TABLE d_second (id int CHECK (id > 0 AND is_open('t2'))); INSERT INTO d_second VALUES (1);
         SELECT lo_from_bytea(0, 'object');",
        DEPENDENT[0]
    ));
    let archive = source.dump("sides.dump", &["-Fc"]);
    let expected = by_pg_restore(&archive);
    assert_restored(&archive, &expected);
    assert_restored_as(&archive, &expected, WAYS[0], |pgmig| pgmig.args(["--jobs", "4"]));
}

/// A function that reads the table whose row it computes sees no row of the same COPY. It would see those of another one.
#[test]
fn rows_of_a_table_that_reads_itself_are_loaded_by_one_copy() {
    let source = Source::of(
        "CREATE TABLE reading (i int, memo text);
         CREATE FUNCTION rows_before(int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT count(*) FROM public.reading';
         ALTER TABLE reading ADD before bigint GENERATED ALWAYS AS (rows_before(i)) STORED;
         INSERT INTO reading SELECT i, repeat(md5(i::text), 300) FROM generate_series(1, 4000) AS i",
    );
    for options in [&["-Fc"][..], &["-Fp"]] {
        let archive = source.dump("own.dump", options);
        let expected = by_pg_restore(&source.dump("expected.dump", &["-Fc"]));
        assert_restored_as(&archive, &expected, WAYS[0], |pgmig| pgmig.args(["--jobs", "4"]));
        for way in WAYS {
            let target = crate::support::application::empty_database("order");
            let pgmig = super::with_target(&target, way).args(["--source", "-", "--jobs", "4"]);
            pgmig.stdin(&archive).run().expect_status(0);
            let found = Restored::of(&target).in_any_order();
            assert_eq!(expected.in_any_order().difference(&found), None, "{options:?} {way:?}");
        }
    }
}

/// Indexes over a function that reads a table which is loaded later. Each has a query that uses the index.
const INDEXES: [(&str, &str); 4] = [
    ("CREATE INDEX i ON a_big (label(id))", "SELECT count(*) FROM a_big WHERE label(id) = 'l7'"),
    ("CREATE INDEX i ON a_big (id) WHERE label(id) = 'l7'", "SELECT count(*) FROM a_big WHERE label(id) = 'l7' AND id > 0"),
    (
        "CREATE FUNCTION op(int, int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT public.label($1)';
         CREATE OPERATOR @> (LEFTARG = int, RIGHTARG = int, FUNCTION = op); CREATE INDEX i ON a_big ((id @> 1))",
        "SELECT count(*) FROM a_big WHERE (id @> 1) = 'l7'",
    ),
    (
        "CREATE EXTENSION btree_gist;
         ALTER TABLE a_big ADD CONSTRAINT i EXCLUDE USING gist (label(id) WITH =, id WITH =)",
        "SELECT count(*) FROM a_big WHERE label(id) = 'l7'",
    ),
];

#[test]
fn an_index_over_a_function_that_reads_another_table_is_right() {
    for (index, query) in INDEXES {
        let source = Source::of(&format!(
            "CREATE TABLE z_label (id int, label text);
             INSERT INTO z_label SELECT i, 'l' || i % 100 FROM generate_series(1, 3000) AS i;
             CREATE FUNCTION label(int) RETURNS text LANGUAGE sql IMMUTABLE
                 AS 'SELECT COALESCE((SELECT l.label FROM public.z_label AS l WHERE l.id = $1 LIMIT 1), ''none'')';
             CREATE TABLE a_big (id int, memo text);
             INSERT INTO a_big SELECT i, repeat(md5(i::text), 40) FROM generate_series(1, 300) AS i;
             {index};"
        ));
        let archive = source.dump("index.dump", &["-Fc"]);
        let expected = by_pg_restore(&archive);
        for way in WAYS {
            for jobs in ["1", "4"] {
                if way == super::Way::InPlace && (jobs == "4" || index.contains("EXTENSION")) {
                    continue;
                }
                let restored =
                    assert_restored_as(&archive, &expected, way, |pgmig| pgmig.args(["--jobs", jobs]));
                assert_eq!(by_index(&restored, query), "3\n", "{index} {way:?}");
            }
        }
    }
}

/// The answer of a query that must use an index.
#[track_caller]
fn by_index(database: &Database, query: &str) -> String {
    let set = "SET enable_seqscan = off; SET enable_bitmapscan = on;";
    let plan = database.psql(&format!("{set} EXPLAIN {query}"));
    assert!(plan.contains("Scan on i") || plan.contains("Scan using i "), "the index is not used: {plan}");
    database.psql(&format!("{set} {query}"))
}
