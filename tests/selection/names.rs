//! Tables, extensions and rows that are left out by name: the result is what DROP ... CASCADE leaves of the whole.
//!
//! Relatives that were tried: a serial and an identity column, a sequence of its own that only the table uses, a foreign key
//! from and to the table, a view and a materialized view on it, a trigger's function, a partition and a partition root, an
//! inheritance parent, a type of a column, names that need quotes, patterns in upper case, an excluded extension.

use super::{SOURCE, Source, Way, after, assert_restored, restore, whole};
use crate::support::application;
use crate::support::restored::Restored;
use crate::support::untouched::Before;
use crate::support::{Database, Outcome};
use std::path::Path;

#[test]
fn excluded_tables_go_with_their_parts_and_with_what_depends_on_them() {
    excluded_tables("-Fc");
}

#[test]
fn excluded_tables_of_a_script_go_with_what_depends_on_them() {
    excluded_tables("-Fp");
}

#[track_caller]
fn excluded_tables(format: &str) {
    let source = whole();
    let (archive, custom) = (source.dump("all", &[format]), source.dump("oracle.dump", &["-Fc"]));
    for (pattern, sql) in [
        ("public.customer", "DROP TABLE public.customer CASCADE"),
        ("Sale", "DROP TABLE store.sale CASCADE"),
        ("store.item", "DROP TABLE store.item CASCADE"),
        ("*.reading_*4", "DROP TABLE store.reading_2024 CASCADE"),
        ("public.\"Odd t*\"", "DROP TABLE public.\"Odd t*\" CASCADE"),
        ("per_item", "DROP VIEW store.per_item CASCADE"),
        ("store.(item|sal[d-f])", "DROP TABLE store.item, store.sale CASCADE"),
    ] {
        assert_restored(&archive, &["-T", pattern], &after(&custom, sql));
    }
}

/// A partition is a table of its own: without its root it is restored alone, as pg_dump would write it.
#[test]
fn partitions_stay_without_their_root() {
    let source = whole();
    let archive = source.dump("all.dump", &["-Fc"]);
    let detach = |name: &str| format!("ALTER TABLE store.reading DETACH PARTITION store.{name};");
    let sql = format!("{}{}DROP TABLE store.reading", detach("reading_2023"), detach("reading_2024"));
    assert_restored(&archive, &["-T", "store.reading"], &after(&archive, &sql));
    let target = application::empty_database("selection");
    let strict = restore(&archive, &target, Way::InPlace).args(["-T", "store.reading", "--strict"]).run();
    strict.expect_status(4).assert_stderr_has("TABLE ATTACH store.reading_2023 is left out");
}

#[test]
fn dependents_are_warnings_and_parts_are_not() {
    let source = whole();
    let archive = source.dump("all.dump", &["-Fc"]);
    let run = |options: &[&str], status| {
        let target = application::empty_database("selection");
        restore(&archive, &target, Way::Swap).args(options).arg("--strict").run().expect_status(status)
    };
    let outcome = run(&["-T", "public.customer"], 4);
    outcome.assert_stderr_has(
        "FK CONSTRAINT store.sale sale_customer_fkey is left out: it depends on TABLE public.customer, which is left out",
    );
    assert!(!outcome.stderr.contains("customer_name"), "{outcome}");
    run(&["-T", "public.\"Odd t*\""], 0);
    let outcome = run(&["-N", "audit"], 4);
    outcome
        .assert_stderr_has("TRIGGER public.customer noted is left out: it depends on FUNCTION audit.note()");
}

#[test]
fn rows_are_left_out_alone() {
    let source = whole();
    let archive = source.dump("all.dump", &["-Fc"]);
    let expected = after(&archive, "TRUNCATE store.sale, audit.change; REFRESH MATERIALIZED VIEW store.best");
    let options = ["--exclude-table-data=store.sale", "--exclude-table-data=ch*e", "--strict"];
    assert_restored(&archive, &options, &expected);
    let script = source.dump("all.sql", &["-Fp"]);
    assert_restored(&script, &options, &expected);
}

#[test]
fn an_excluded_extension_goes_with_what_needs_it() {
    let source = Source::of(
        "CREATE EXTENSION hstore; CREATE TABLE t (id int); INSERT INTO t VALUES (1);
         CREATE VIEW v AS SELECT 'a=>1'::hstore AS tags FROM t",
    );
    let archive = source.dump("t.dump", &["-Fc"]);
    assert_restored(
        &archive,
        &["--exclude-extension", "h*"],
        &after(&archive, "DROP EXTENSION hstore CASCADE"),
    );
}

/// An index, a constraint and rows are the table's own; the other tables go, and foreign keys to them.
#[test]
fn only_these_tables_are_restored() {
    let source = whole();
    let archive = source.dump("all.dump", &["-Fc"]);
    let expected = after(
        &archive,
        "DROP PUBLICATION changes; DROP SCHEMA audit CASCADE; DROP TABLE public.\"Odd t*\", store.item, store.reading CASCADE;
         DROP TABLE public.customer CASCADE; DROP TYPE public.mood; DROP EXTENSION hstore; DROP VIEW store.per_item CASCADE;
         ALTER DEFAULT PRIVILEGES IN SCHEMA store REVOKE SELECT ON TABLES FROM PUBLIC;
         SELECT lo_unlink(oid) FROM pg_largeobject_metadata",
    );
    assert_restored(&archive, &["--only-table", "store.sale"], &expected);
    let expected = after(
        &archive,
        "DROP PUBLICATION changes; DROP TABLE audit.change; DROP SEQUENCE audit.numbers; DROP SCHEMA store CASCADE;
         DROP TABLE public.\"Odd t*\"; DROP EXTENSION hstore; SELECT lo_unlink(oid) FROM pg_largeobject_metadata",
    );
    // The type of a column comes along, and the function of a trigger.
    assert_restored(&archive, &["--only-table", "customer"], &expected);
}

#[test]
fn rows_that_would_be_lost_are_refused() {
    let source = Source::of(
        "CREATE SCHEMA other; CREATE TYPE other.mood AS ENUM ('sad'); CREATE TABLE t (mood other.mood);
         INSERT INTO t VALUES ('sad'); CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent);
         INSERT INTO child VALUES (1)",
    );
    let archive = source.dump("t.dump", &["-Fc"]);
    let script = source.dump("t.sql", &["-Fp"]);
    for archive in [&archive, &script] {
        let outcome = refused(archive, &["-N", "other"]);
        outcome.assert_stderr_has("TABLE public.t needs TYPE other.mood");
        outcome.assert_stderr_has("leave out the tables, too, by --exclude-table");
        refused(archive, &["-T", "parent"]).assert_stderr_has("TABLE public.child needs TABLE public.parent");
    }
    assert_restored(
        &archive,
        &["-N", "other", "-T", "t"],
        &after(&archive, "DROP TABLE t; DROP TYPE other.mood"),
    );
    let expected = after(&archive, "DROP TABLE parent CASCADE");
    assert_restored(&archive, &["-T", "parent", "-T", "child"], &expected);
}

#[test]
fn names_that_match_nothing_are_refused_and_patterns_warn() {
    let source = Source::of("CREATE TABLE t (id int)");
    let archive = source.dump("t.dump", &["-Fc"]);
    for (option, what) in [
        ("--exclude-table=public.missing", "no table, view or sequence public.missing"),
        ("--exclude-table=\"T\"", "no table, view or sequence \"T\""),
        ("--only-table=missing", "no table, view or sequence missing"),
        ("--exclude-table-data=other.t", "no table, view or sequence other.t"),
        ("--only-schema=missing", "no schema missing"),
        ("--exclude-schema=missing", "no schema missing"),
        ("--exclude-extension=missing", "no extension missing"),
    ] {
        refused(&archive, &[option]).assert_stderr_has(what);
    }
    let target = application::empty_database("selection");
    let outcome = restore(&archive, &target, Way::Swap).arg("-T=miss*").run().expect_status(0);
    outcome.assert_stderr_has("no table, view or sequence of the backup matches miss*");
    restore(&archive, &target, Way::Swap).arg("-Tmiss*").arg("--strict").run().expect_status(4);
    let outcome = restore(&archive, &target, Way::Swap).arg("-Tt{2}").run().expect_status(2);
    outcome.assert_stderr_has("of regular expressions only * ? + | ( ) and [...] are read");
}

/// pg_dump reads these patterns, too. A name in upper case needs quotes.
#[test]
fn a_name_in_the_wrong_case_is_named_as_it_must_be_written() {
    let source = Source::of(
        "CREATE SCHEMA \"Store\"; CREATE TABLE \"Store\".\"Item\" (id int); CREATE TABLE t1 (a int)",
    );
    let archive = source.dump("case.dump", &["-Fc"]);
    for (option, name) in [
        ("--only-schema=Store", "\"Store\""),
        ("-T=Item", "\"Item\""),
        ("-T=store.item", "\"Store\".\"Item\""),
    ] {
        refused(&archive, &[option]).assert_stderr_has(&format!("but {name}: letters outside double quotes"));
    }
    let by_pg_dump = source.dump("patterns.dump", &["-Fc", "-T", "(x|t)[0-9]+"]);
    let oracle = after(&by_pg_dump, "");
    assert_restored(&archive, &["-T", "(x|t)[0-9]+"], &oracle);
}

/// All or nothing holds for the rest: the target is replaced as a whole.
#[test]
fn a_target_with_data_is_replaced_as_a_whole() {
    let source = whole();
    let archive = source.dump("all.dump", &["-Fc"]);
    let target = Database::create("selection_full");
    target.psql(SOURCE);
    target.psql("CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)");
    restore(&archive, &target, Way::Swap).args(["-T", "store.reading*"]).run().expect_status(0);
    let expected = after(&archive, "DROP TABLE store.reading");
    assert_eq!(expected.in_any_order().difference(&Restored::of(&target).in_any_order()), None);
}

#[track_caller]
fn refused(archive: &Path, options: &[&str]) -> Outcome {
    let target = application::empty_database("selection");
    let before = Before::of(&target);
    before.is_now(restore(archive, &target, Way::InPlace).args(options).run().expect_status(3))
}
