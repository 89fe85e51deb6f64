//! The whole job: plan (pure), staging database, load, upgrade, verify, swap.

mod backup;
mod build;
mod carry_over;
mod compare;
mod discover;
mod dry_run;
mod error;
mod execute;
mod expected;
mod extras;
mod facts;
mod failpoint;
mod inspect;
mod inspection;
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
mod prepared;
mod probe;
mod report;
mod resolution;
mod restore_plan;
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
pub(crate) use backup::on_thread;
pub use error::{Refusal, RestoreError, RowError};
pub use inspection::{
    ArchiveFacts, InspectedInstance, InspectedMigration, InspectedStore, InspectedTable, Inspection,
    KindCount,
};
pub use options::{Erase, Instances, RestoreOptions, Source};
pub use prepared::Restore;
pub use probe::{Probe, probe};
pub use report::{MappedInstance, MigrationReport, Replacements, RestoreReport, TableReport, TargetContents};
pub use restore_plan::{
    Fate, OnlyInTarget, Pass, PlannedArchive, PlannedInstance, PlannedLargeObjects, PlannedMigration,
    PlannedObjects, PlannedSchema, PlannedTable, PlannedTarget, RestorePlan, Strategy,
};
pub use step::{Failpoint, Step};
pub use survey::{Holdings, TableHolding};
