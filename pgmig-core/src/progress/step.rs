//! The named steps of a restore, in order. Test builds can stop or die at each of them.

use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A named step of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Step {
    /// The archive, the mapping and the target are looked at; nothing has been changed anywhere.
    Preflight,
    /// The lock on the target's name is taken.
    Lock,
    /// Leftovers of an earlier run are removed.
    CleanLeftovers,
    /// The staging database is made; it exists, its marker does not yet.
    CreateStaging,
    /// In place: all that the target holds has been dropped, in the open transaction.
    Clear,
    /// Schemas, types, functions, tables.
    PreData,
    /// Rows: in the middle of the first table that has any.
    Data,
    /// Large objects: in the middle of the first one.
    LargeObjects,
    /// Indexes, constraints, triggers, policies.
    PostData,
    /// Grants and default privileges, materialized views, event triggers.
    Privileges,
    /// Rows, objects and instances are compared with the archive.
    Verify,
    /// Schema migrations: between two of them, or after the only one.
    Upgrade,
    /// Statistics for the planner.
    Analyze,
    /// In place: all is done and verified, the transaction is not committed.
    Commit,
    /// The target's own settings and privileges are put on the staging database.
    CarryOver,
    /// Both databases have been renamed, the transaction is not committed.
    Swap,
    /// The swap is committed; the previous database still exists.
    Swapped,
    /// The previous database is dropped.
    DropPrevious,
}

impl Step {
    /// Every step, in the order in which restores come by them: none comes by all.
    pub const ALL: [Step; 18] = [
        Step::Preflight,
        Step::Lock,
        Step::CleanLeftovers,
        Step::CreateStaging,
        Step::Clear,
        Step::PreData,
        Step::Data,
        Step::LargeObjects,
        Step::PostData,
        Step::Privileges,
        Step::Verify,
        Step::Upgrade,
        Step::Analyze,
        Step::Commit,
        Step::CarryOver,
        Step::Swap,
        Step::Swapped,
        Step::DropPrevious,
    ];

    /// The step's name, as it is written in logs and in `PGMIG_FAILPOINT`.
    pub fn name(self) -> &'static str {
        match self {
            Step::Preflight => "preflight",
            Step::Lock => "lock",
            Step::CleanLeftovers => "clean-leftovers",
            Step::CreateStaging => "create-staging",
            Step::Clear => "clear",
            Step::PreData => "pre-data",
            Step::Data => "data",
            Step::LargeObjects => "large-objects",
            Step::PostData => "post-data",
            Step::Privileges => "privileges",
            Step::Verify => "verify",
            Step::Upgrade => "upgrade",
            Step::Analyze => "analyze",
            Step::Commit => "commit",
            Step::CarryOver => "carry-over",
            Step::Swap => "swap",
            Step::Swapped => "swapped",
            Step::DropPrevious => "drop-previous",
        }
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where and how a test build ends a restore: `STEP` stops with an error, `STEP:kill` kills the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failpoint {
    /// The step at which it happens.
    pub step: Step,
    /// Whether the process is killed (SIGKILL) instead of returning an error.
    pub kill: bool,
}

impl FromStr for Failpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, kill) = match text.split_once(':') {
            None => (text, false),
            Some((name, "kill")) => (name, true),
            Some((_, mode)) => return Err(format!("unknown failpoint mode {mode:?}, expected \"kill\"")),
        };
        let step = Step::ALL.into_iter().find(|step| step.name() == name);
        let step = step.ok_or_else(|| format!("unknown failpoint {name:?}, expected one of the steps"))?;
        Ok(Self { step, kill })
    }
}
