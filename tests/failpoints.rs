//! Stopped, or killed, at each named step: the target is as it was or completely restored, and the next run leaves
//! nothing behind.

use crate::support::pgmig::TargetFile;
use crate::support::store::{Backup, databases_beside};
use crate::support::{Database, Pgmig};
use pgmig_core::restore::Step;

/// A module with two tests for each step, so that they run in parallel, and the list of those steps.
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

#[test]
fn every_step_is_tested() {
    assert_eq!(TESTED, Step::ALL);
}

fn stopped_at(step: Step) {
    let (backup, target, before) = setup();
    let outcome = restore(&backup, &target).failpoint(step.name()).run();
    if step < Step::Swapped {
        let outcome = outcome.expect_status(1).stderr_has(step.name());
        assert_eq!(before, target.dump(&[]), "the target has changed\n{outcome}");
        assert_eq!(databases_beside(&target), "", "{outcome}");
    } else {
        backup.assert_restored(&target);
    }
    run_again(&backup, &target);
}

fn killed_at(step: Step) {
    let (backup, target, before) = setup();
    restore(&backup, &target).failpoint(&format!("{step}:kill")).run().expect_killed();
    if step < Step::Swapped {
        assert_eq!(before, target.dump(&[]), "the target has changed");
    } else {
        backup.assert_restored(&target);
    }
    run_again(&backup, &target);
}

fn setup() -> (Backup, Database, String) {
    let backup = Backup::of_oldest_release();
    let target = backup.target("failpoint");
    let before = target.dump(&[]);
    (backup, target, before)
}

fn restore(backup: &Backup, target: &Database) -> Pgmig {
    backup.restore(Pgmig::new().target(&TargetFile::of(target)).arg("--force"))
}

fn run_again(backup: &Backup, target: &Database) {
    restore(backup, target).run().expect_status(0);
    backup.assert_restored(target);
    assert_eq!(databases_beside(target), "");
}
