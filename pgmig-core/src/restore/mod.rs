//! The whole job: plan (pure), staging database, load, upgrade, verify, swap.

mod backup;
mod binary;
mod build;
mod carry_over;
mod compare;
mod discover;
mod error;
mod execute;
mod expected;
mod extras;
mod facts;
mod failpoint;
mod journal;
mod late;
mod load;
mod marker;
mod names;
mod options;
mod partial;
mod pieces;
mod plan;
mod planner;
mod preflight;
mod probe;
mod report;
mod resolution;
mod roles;
mod row_reader;
mod run;
mod staging;
mod step;
mod stream;
mod superuser;
mod survey;
mod swap;
mod tables;
mod tenants;
mod transcode;
mod upgrade;
mod upgrade_path;
mod verify;
mod watch;

pub use backup::Backup;
pub use error::{Refusal, RestoreError, RowError};
pub use options::{Erase, Instances, RestoreOptions, Source};
pub use probe::{Probe, probe};
pub use report::{
    LargeObjectIds, MappedInstance, MigrationReport, Replacements, RestoreReport, TableReport, TargetContents,
};
pub use run::Restore;
pub use step::{Failpoint, Step};
pub use survey::{Holdings, TableHolding};
