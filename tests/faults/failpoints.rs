//! Stops or kills pgmig at each named step of either strategy. The target is unchanged or completely restored. Nothing
//! else is left; after a kill, the next run removes the leftovers.

use crate::support::application;
use crate::support::store::Backup;
use crate::support::untouched::{Before, databases_beside};
use crate::support::{Database, Outcome};
use pgmig_core::progress::Step;
use std::collections::BTreeSet;

/// A module with two tests for each step, so that they run in parallel, and with the list of those steps.
macro_rules! steps {
    ($($name:ident: $step:ident,)*) => {
        const TESTED: &[Step] = &[$(Step::$step),*];

        $(mod $name {
            use super::Step;

            #[test]
            fn stopped() {
                super::stopped_at(Step::$step);
            }

            #[test]
            fn killed() {
                super::killed_at(Step::$step);
            }
        })*
    };
}

steps! {
    preflight: Preflight,
    lock: Lock,
    clean_leftovers: CleanLeftovers,
    create_staging: CreateStaging,
    pre_data: PreData,
    data: Data,
    large_objects: LargeObjects,
    post_data: PostData,
    privileges: Privileges,
    verify: Verify,
    upgrade: Upgrade,
    analyze: Analyze,
    carry_over: CarryOver,
    swap: Swap,
    swapped: Swapped,
    drop_previous: DropPrevious,
}

/// A module with a test for each step of a restore in place, and with the list of those steps.
macro_rules! steps_in_place {
    ($($name:ident: $step:ident,)*) => {
        const TESTED_IN_PLACE: &[Step] = &[$(Step::$step),*];

        mod in_place {
            $(#[test]
            fn $name() {
                super::ended_in_place_at(super::Step::$step);
            })*
        }
    };
}

steps_in_place! {
    preflight: Preflight,
    lock: Lock,
    clean_leftovers: CleanLeftovers,
    clear: Clear,
    pre_data: PreData,
    data: Data,
    large_objects: LargeObjects,
    post_data: PostData,
    privileges: Privileges,
    verify: Verify,
    upgrade: Upgrade,
    analyze: Analyze,
    commit: Commit,
}

#[test]
fn every_step_is_tested() {
    let tested: BTreeSet<Step> = TESTED.iter().chain(TESTED_IN_PLACE).copied().collect();
    assert_eq!(tested, Step::ALL.into());
}

/// Restores as a role that owns the database and has no other right.
fn ended_in_place_at(step: Step) {
    let backup = Backup::of_oldest_release();
    let target = application::target("ended");
    let before = Before::of(&target);
    let restore = || application::restore_into(&backup, &target);
    let stopped = restore().failpoint(step.name()).run().expect_status(1);
    before.is_now(stopped.stderr_has(&format!("stopped at the failpoint {step}")));
    restore().failpoint(&format!("{step}:kill")).run().expect_killed();
    before.is_unchanged();
    // The next run succeeds.
    restore().run().expect_status(0);
    backup.assert_restored(&target);
}

fn stopped_at(step: Step) {
    let backup = Backup::of_oldest_release();
    let target = backup.target("stopped");
    let before = Before::of(&target);
    let outcome = backup.restore_into(&target).failpoint(step.name()).run();
    let outcome = outcome.expect_status(1).stderr_has(&format!("stopped at the failpoint {step}"));
    if step < Step::Swapped {
        // The database is as if pgmig had never run.
        before.is_now(outcome);
    } else {
        backup.assert_restored(&target);
        run_again(&backup, &target);
    }
}

fn killed_at(step: Step) {
    let backup = Backup::of_oldest_release();
    let target = backup.target("killed");
    let before = Before::of(&target);
    backup.restore_into(&target).failpoint(&format!("{step}:kill")).run().expect_killed();
    if step < Step::Swapped {
        before.is_unchanged();
    } else {
        backup.assert_restored(&target);
    }
    let left = databases_beside(&target);
    let expected = match step {
        Step::Preflight | Step::Lock | Step::CleanLeftovers | Step::DropPrevious => 0,
        _ => 1,
    };
    assert_eq!(left.lines().count(), expected, "left behind: {left:?}");
    let outcome = run_again(&backup, &target);
    for name in left.lines() {
        outcome.assert_stderr_has(&format!("removed database {name}"));
    }
}

/// The next run succeeds, wherever the first one ended.
fn run_again(backup: &Backup, target: &Database) -> Outcome {
    let outcome = backup.restore_into(target).run().expect_status(0);
    backup.assert_restored(target);
    assert_eq!(databases_beside(target), "");
    outcome
}
