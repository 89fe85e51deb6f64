//! What the plan says of entries that are left out.

use super::{Way, restore, whole};
use crate::support::Pgmig;
use crate::support::application;
use crate::support::pgmig::TargetFile;
use crate::support::store::Backup;
use crate::support::untouched::Before;
use serde_json::Value;
use tempfile::TempDir;

#[test]
fn the_plan_lists_what_is_left_out() {
    let source = whole();
    let archive = source.dump("all.dump", &["-Fc"]);
    let target = application::empty_database("selection");
    target
        .psql("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2); ALTER TABLE t OWNER TO \"store app\"");
    let before = Before::of(&target);
    let dry_run = |more: &[&str]| {
        let pgmig =
            restore(&archive, &target, Way::Swap).args(["--dry-run", "-T", "public.customer"]).args(more);
        before.is_now(pgmig.run().expect_status(0))
    };
    let outcome = dry_run(&[]);
    for line in [
        "Left out",
        "TABLE public.customer",
        "public.customer is excluded",
        "FK CONSTRAINT store.sale sale_customer_fkey",
        "it depends on TABLE public.customer",
        "INDEX public.customer_name",
        "it is a part of TABLE public.customer",
        "2 rows",
    ] {
        assert!(outcome.stdout.contains(line), "{line}\n{outcome}");
    }
    let document: Value = serde_json::from_str(&dry_run(&["--output", "json"]).stdout).unwrap();
    let left_out = |entry: &str| {
        let all = document["left_out"].as_array().unwrap();
        let found = all
            .iter()
            .find(|left_out| left_out["entry"] == entry)
            .unwrap_or_else(|| panic!("{entry}: {all:#?}"));
        (found["why"].as_str().unwrap().to_owned(), found["because_of"].clone())
    };
    let table = || Value::from("TABLE public.customer");
    assert_eq!(left_out("TABLE public.customer"), ("asked".to_owned(), Value::Null));
    assert_eq!(left_out("TABLE DATA public.customer").0, "asked");
    assert_eq!(left_out("INDEX public.customer_name"), ("part".to_owned(), table()));
    assert_eq!(left_out("SEQUENCE public.customer_id_seq"), ("part".to_owned(), table()));
    assert_eq!(left_out("FK CONSTRAINT store.sale sale_customer_fkey"), ("depends".to_owned(), table()));
    assert_eq!(document["erased"]["rows"], 2);
    let tables = document["tables"].as_array().unwrap();
    assert!(!tables.iter().any(|table| table["table"] == "public.customer"));
}

/// Without the table of instances the IDs of instances cannot be mapped.
#[test]
fn a_mapping_needs_the_table_of_instances() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("selection_store");
    let script = target.server.run_program("pg_dump", ["-Fp", "-d", &backup.source.name]);
    let file = target.server.run_program("pg_dump", ["-Fc", "-d", &backup.source.name]);
    let files = TempDir::new().unwrap();
    let before = Before::of(&target);
    for (name, bytes) in [("store.dump", file), ("store.sql", script)] {
        let archive = files.path().join(name);
        std::fs::write(&archive, bytes).unwrap();
        for (from_stdin, option) in
            [(false, "--exclude-table-data"), (true, "--exclude-table-data"), (false, "-T")]
        {
            let pgmig =
                Pgmig::new().target(&TargetFile::of(&target)).args(["--force", option, "store.tenant"]);
            let pgmig = match from_stdin {
                true => pgmig.args(["--source", "-"]).stdin(&archive),
                false => pgmig.source(&archive),
            };
            let outcome = before.is_now(backup.map(pgmig).run().expect_status(3));
            outcome
                .assert_stderr_has("the rows of table store.tenant are left out, which name the instances");
        }
    }
}
