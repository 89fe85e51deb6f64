//! pg_restore gathers no statistics, so ANALYZE may neither end a restore nor reach another server.
//!
//! Relatives that were tried: the function of an index that fails when ANALYZE calls it; foreign tables below a partitioned
//! table, below a partition of a partition, and below a table with children.

use super::{Source, WAYS, by_pg_restore, restore};
use crate::support::application;
use crate::support::restored::Restored;

/// The function works while the index is built, and fails for who asks for statistics.
const FAILS_LATER: &str = "
CREATE TABLE item (id integer, note text);
INSERT INTO item SELECT i, 'note ' || i FROM generate_series(1, 100) AS i;
CREATE TABLE other (id integer);
INSERT INTO other SELECT generate_series(1, 10);
CREATE FUNCTION short(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    -- The lock of ANALYZE.
    IF EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'public.item'::regclass
        AND mode = 'ShareUpdateExclusiveLock') THEN
        RAISE EXCEPTION 'no statistics';
    END IF;
    RETURN left($1, 5);
END $$;
CREATE INDEX ON item (short(note));
";

#[test]
fn a_table_whose_analyze_fails_is_restored_all_the_same() {
    let archive = Source::of(FAILS_LATER);
    let archive = archive.dump("fails.dump", &["-Fc"]);
    let expected = by_pg_restore(&archive).in_any_order();
    for way in WAYS {
        let target = application::empty_database("every");
        let outcome = restore(&archive, &target, way).arg("--strict").run().expect_status(0);
        outcome.assert_stderr_has("notice: table public.item has no statistics");
        outcome.assert_stderr_has("mend the cause, and run ANALYZE public.item");
        assert_eq!(expected.difference(&Restored::of(&target).in_any_order()), None, "{way:?}");
        // The other table is not left out for its sake.
        let other = "SELECT reltuples FROM pg_class WHERE relname = 'other'";
        assert_eq!(target.psql(other), "10\n", "{way:?}");
    }
}

/// No server listens where these foreign tables are.
const FOREIGN: &str = "
CREATE TABLE parted (id integer) PARTITION BY RANGE (id);
CREATE TABLE parted_near PARTITION OF parted FOR VALUES FROM (1) TO (100);
INSERT INTO parted_near SELECT generate_series(1, 10);
CREATE TABLE parted_deep PARTITION OF parted FOR VALUES FROM (100) TO (300) PARTITION BY RANGE (id);
CREATE TABLE parted_deep_near PARTITION OF parted_deep FOR VALUES FROM (100) TO (200);
INSERT INTO parted_deep_near SELECT generate_series(101, 120);
CREATE TABLE plain_parent (id integer);
CREATE FOREIGN TABLE parted_far PARTITION OF parted FOR VALUES FROM (300) TO (400) SERVER nowhere;
CREATE FOREIGN TABLE parted_deep_far PARTITION OF parted_deep FOR VALUES FROM (200) TO (300) SERVER nowhere;
CREATE FOREIGN TABLE plain_child () INHERITS (plain_parent) SERVER nowhere;
";

#[test]
fn foreign_tables_below_a_table_are_not_read() {
    let source = Source::of(&format!(
        "CREATE EXTENSION postgres_fdw;
         CREATE SERVER nowhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1'); {FOREIGN}"
    ));
    let archive = source.dump("foreign.dump", &["-Fc"]);
    let expected = by_pg_restore(&archive).in_any_order();
    let target = application::empty_database("every");
    let swap = restore(&archive, &target, super::Way::Swap).args(["--trust-archive", "--strict"]);
    let outcome = swap.run().expect_status(0);
    for table in ["public.parted", "public.parted_deep", "public.plain_parent"] {
        outcome.assert_stderr_has(&format!("notice: table {table} has no statistics"));
    }
    assert_eq!(expected.difference(&Restored::of(&target).in_any_order()), None);
    let near = "SELECT relname, reltuples FROM pg_class WHERE relname LIKE '%near' ORDER BY 1";
    assert_eq!(target.psql(near), "parted_deep_near|20\nparted_near|10\n");
}
