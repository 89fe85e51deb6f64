//! Options that pg_restore has, too: each must make the same database.
//!
//! Relatives that were tried: every kind that an option can leave out, both schema options with wildcards, each set of
//! sections that makes a database, and those that make none; every format, from files and from standard input.

use super::{Source, WAYS, Way, assert_is, assert_restored, by_pg_restore, restore, whole, with_target};
use crate::support::application;
use crate::support::untouched::Before;

#[test]
fn kinds_and_schemas_are_left_out_as_by_pg_restore() {
    same_as_pg_restore(&[
        &["--no-comments"],
        &["--no-publications"],
        &["--no-subscriptions", "--no-security-labels", "--no-tablespaces"],
        &["-N", "audit"],
        &["--exclude-schema=store", "--no-comments"],
    ]);
}

#[test]
fn sections_are_restored_as_by_pg_restore() {
    same_as_pg_restore(&[
        &["--section=pre-data"],
        &["--section=pre-data", "--section=data"],
        &["--section=pre-data", "--section=post-data"],
        &["--section=pre-data", "--section=data", "--section=post-data", "--no-comments"],
    ]);
}

/// pg_restore does not make the schema itself.
#[test]
fn schemas_are_selected_as_by_pg_restore() {
    let source = whole();
    let archive = source.dump("all.dump", &["-Fc"]);
    let twin = by_pg_restore(&archive, &["-n", "store"], "CREATE SCHEMA store");
    assert_restored(&archive, &["-n", "store"], &twin);
    assert_restored(&archive, &["--only-schema=st?r*"], &twin);
    let before = "CREATE SCHEMA audit; COMMENT ON SCHEMA audit IS 'log of changes'";
    assert_restored(&archive, &["-n", "AUDIT"], &by_pg_restore(&archive, &["-n", "audit"], before));
}

#[track_caller]
fn same_as_pg_restore(all: &[&[&str]]) {
    let source = whole();
    let archive = source.dump("all.dump", &["-Fc"]);
    for options in all {
        assert_restored(&archive, options, &by_pg_restore(&archive, options, ""));
    }
}

#[test]
fn policies_are_left_out() {
    let source = whole();
    let archive = source.dump("all.dump", &["-Fc"]);
    let expected = super::after(
        &archive,
        "DROP POLICY everybody ON store.sale; ALTER TABLE store.sale DISABLE ROW LEVEL SECURITY",
    );
    assert_restored(&archive, &["--no-policies", "--strict"], &expected);
}

#[test]
fn every_format_is_selected_from() {
    let source = whole();
    let custom = source.dump("all.dump", &["-Fc"]);
    let twin = by_pg_restore(&custom, &["-N", "audit", "--no-comments"], "");
    let options = ["-N", "audit", "--no-comments"];
    for (name, format) in [
        ("directory", &["-Fd"][..]),
        ("all.tar", &["-Ft"]),
        ("all.sql", &["-Fp"]),
        ("inserts.sql", &["-Fp", "--inserts"]),
    ] {
        let archive = source.dump(name, format);
        assert_restored(&archive, &options, &twin);
        if name == "directory" {
            continue;
        }
        for way in WAYS {
            let target = application::empty_database("selection");
            let pgmig = with_target(&target, way).args(["--source", "-"]).args(options).stdin(&archive);
            let outcome = pgmig.run().expect_status(0);
            assert_is(&target, &twin, &format!("{name} {way:?}\n{outcome}"));
        }
    }
}

#[test]
fn sections_that_make_no_database_are_refused() {
    let source = Source::of("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
    let archive = source.dump("t.dump", &["-Fc"]);
    let target = application::empty_database("selection");
    target.psql("CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)");
    for options in
        [&["--section=data"][..], &["--section=post-data"], &["--section=data", "--section=post-data"]]
    {
        let before = Before::of(&target);
        let outcome =
            before.is_now(restore(&archive, &target, Way::Swap).args(options).run().expect_status(3));
        outcome.assert_stderr_has("cannot be restored without section pre-data; add it to --section");
    }
}
