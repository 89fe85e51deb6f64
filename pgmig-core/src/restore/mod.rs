//! The whole job: plan (pure), staging database, load, upgrade, verify, swap.

mod error;
mod options;
mod report;
mod step;

pub use error::{Refusal, RestoreError};
pub use options::{Erase, RestoreOptions, Source};
pub use report::{Replacements, RestoreReport, TableReport, TargetContents};
pub use step::{Failpoint, Step};
