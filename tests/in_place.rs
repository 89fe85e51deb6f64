//! Restores in place: one transaction on one connection, by a role that owns its database and may do nothing else.

use crate::support::application::{self, PASSWORD};
use crate::support::store::Backup;
use crate::support::untouched::Before;

#[test]
fn an_owner_restores_into_an_empty_database() {
    let backup = Backup::of_oldest_release();
    let target = application::empty_database("empty");
    let outcome = application::restore_into(&backup, &target).run().expect_status(0).keeps_secret(PASSWORD);
    outcome.stderr_has("a swap is not possible");
    backup.assert_restored(&target);
}

#[test]
fn an_owner_replaces_its_store() {
    let backup = Backup::of_oldest_release();
    let target = application::target("replaces");
    application::restore_into(&backup, &target).run().expect_status(0).keeps_secret(PASSWORD);
    backup.assert_restored(&target);
}

#[test]
fn a_dry_run_changes_nothing() {
    let backup = Backup::of_oldest_release();
    let target = application::target("dry");
    let before = Before::of(&target);
    let outcome = application::restore_into(&backup, &target).arg("--dry-run").run().expect_status(0);
    before.is_now(outcome.stdout_has("in-place").stdout_has("may not create databases"));
}
