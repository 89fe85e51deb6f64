//! Privileges that the platform has granted in the target. The backup does not contain them.

use super::{Way, dumped, follow, warnings, with_roles};
use crate::support::application::{self, APPLICATION};
use crate::support::fixture::fixture;
use crate::support::untouched::Before;
use crate::support::{Database, Outcome};
use tempfile::TempDir;

/// Prepares a database for readers and writers, as an operator does.
fn provision(target: &Database) {
    with_roles(&["case15_reader", "case15_writer"]);
    target.psql(&format!(
        "GRANT USAGE ON SCHEMA public TO case15_reader, case15_writer;
         ALTER DEFAULT PRIVILEGES FOR ROLE \"{APPLICATION}\" IN SCHEMA public GRANT SELECT ON TABLES TO case15_reader;
         ALTER DEFAULT PRIVILEGES FOR ROLE \"{APPLICATION}\" IN SCHEMA public
             GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO case15_writer;
         ALTER DEFAULT PRIVILEGES FOR ROLE \"{APPLICATION}\" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"
    ));
}

fn names_what_is_lost(outcome: &Outcome, text: &str) {
    for statement in [
        "GRANT USAGE ON SCHEMA public TO case15_reader".to_owned(),
        format!(
            "ALTER DEFAULT PRIVILEGES FOR ROLE \"{APPLICATION}\" IN SCHEMA public GRANT SELECT ON TABLES TO case15_reader"
        ),
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO case15_reader".to_owned(),
        format!(
            "ALTER DEFAULT PRIVILEGES FOR ROLE \"{APPLICATION}\" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"
        ),
    ] {
        assert!(text.contains(&statement), "{statement} is not in {}{}", outcome.stdout, outcome.stderr);
    }
}

#[test]
fn report_15_default_privileges_of_the_target() {
    let archive = fixture("reports/15-default-privileges-of-the-target/input.dump");
    for way in Way::ALL {
        let target = application::empty_database("case15");
        provision(&target);
        let provisioned = dumped(&target);
        let before = Before::of(&target);
        let planned = before.is_now(way.restore(&target, &archive, &["--dry-run"]));
        names_what_is_lost(&planned, &format!("{}{}", planned.stdout, planned.stderr));
        before.is_now(way.restore(&target, &archive, &["--strict"]).expect_status(4));
        let outcome = way.restore(&target, &archive, &[]).expect_status(0);
        names_what_is_lost(&outcome, &outcome.stderr);
        assert_eq!(warnings(&outcome).len(), 3, "{way:?}: {}", outcome.stderr);
        follow(&outcome, &target);
        assert_eq!(target.psql("SELECT has_table_privilege('case15_reader', 'product', 'SELECT')"), "t\n");
        let restored = dumped(&target);
        assert!(provisioned.iter().all(|line| restored.contains(line)), "{way:?}: {restored:?}");
    }
}

#[test]
fn privileges_of_the_target_that_the_backup_has_too_are_no_difference() {
    let source = application::empty_database("case15_source");
    provision(&source);
    source.psql(&format!("SET ROLE \"{APPLICATION}\"; CREATE TABLE public.product (id int)"));
    let directory = TempDir::new().unwrap();
    let (archive, script) = (directory.path().join("same.dump"), directory.path().join("same.sql"));
    source.dump_through_pipe(&[], &archive);
    std::fs::write(&script, source.server.run_program("pg_dump", ["-d", source.name.as_str()].iter()))
        .unwrap();
    for way in Way::ALL {
        let target = application::empty_database("case15_same");
        provision(&target);
        way.restore(&target, &archive, &["--strict"]).expect_status(0);
        assert_eq!(dumped(&target), dumped(&source), "{way:?}");
        // Of a script from a stream, pgmig knows the grants only at the end.
        let stream = way.command(&target, &["--strict", "--source", "-"]).stdin(&script).run();
        stream.expect_status(0);
        assert_eq!(dumped(&target), dumped(&source), "{way:?}");
    }
}

#[test]
fn a_schema_public_that_the_target_has_closed_is_not_opened_in_silence() {
    let archive = fixture("reports/15-default-privileges-of-the-target/input.dump");
    for way in Way::ALL {
        let target = application::empty_database("case15_closed");
        target.psql("REVOKE ALL ON SCHEMA public FROM PUBLIC");
        let closed = dumped(&target);
        let before = Before::of(&target);
        before.is_now(way.restore(&target, &archive, &["--strict"]).expect_status(4));
        let outcome = way.restore(&target, &archive, &[]).expect_status(0);
        outcome.assert_stderr_has("REVOKE USAGE ON SCHEMA public FROM PUBLIC");
        follow(&outcome, &target);
        assert_eq!(dumped(&target), closed, "{way:?}");
    }
}

#[test]
fn default_privileges_of_another_role_go_with_a_swap_only() {
    with_roles(&["case15_reader", "case15_platform"]);
    let archive = fixture("reports/15-default-privileges-of-the-target/input.dump");
    for way in Way::ALL {
        let target = application::empty_database("case15_platform");
        target.psql(
            "ALTER DEFAULT PRIVILEGES FOR ROLE case15_platform GRANT SELECT ON TABLES TO case15_reader",
        );
        let provisioned = dumped(&target);
        let outcome = way.restore(&target, &archive, &[]).expect_status(0);
        assert_eq!(warnings(&outcome).len(), usize::from(way != Way::InPlace), "{way:?}: {}", outcome.stderr);
        follow(&outcome, &target);
        assert_eq!(dumped(&target), provisioned, "{way:?}");
    }
}
