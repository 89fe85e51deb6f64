//! Names of the steps for people.

use pgmig_core::progress::Step;

/// The step in a few words. A step that this program does not know yet has its name instead.
pub(crate) fn label(step: Step) -> &'static str {
    match step {
        Step::Preflight => "looking at the backup and the target",
        Step::Lock => "locking the target against other runs",
        Step::CleanLeftovers => "removing what an earlier run left behind",
        Step::CreateStaging => "creating the staging database",
        Step::Clear => "dropping what the target holds",
        Step::PreData => "creating schemas, types, functions and tables",
        Step::Data => "loading rows",
        Step::LargeObjects => "loading large objects",
        Step::PostData => "creating indexes, constraints and triggers",
        Step::Privileges => "granting privileges",
        Step::Verify => "verifying",
        Step::Upgrade => "upgrading the schema",
        Step::Analyze => "analyzing",
        Step::Commit => "committing",
        Step::CarryOver => "carrying over the target's settings",
        Step::Swap => "swapping the databases",
        Step::Swapped => "swapped",
        Step::DropPrevious => "dropping the previous database",
        other => other.name(),
    }
}
