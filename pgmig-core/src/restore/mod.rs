//! The whole job: plan (pure), staging database, load, upgrade, verify, swap.

mod analyze;
mod backup;
mod binary;
mod build;
mod carry_over;
mod compare;
mod context;
mod data;
mod discover;
mod dry_run;
mod error;
mod execute;
mod extras;
mod facts;
mod failpoint;
mod in_place;
mod inspect;
mod inspection;
mod journal;
mod late;
mod load;
mod marker;
mod names;
mod options;
mod plan;
mod preflight;
mod prepared;
mod probe;
mod psql_text;
mod report;
mod resolution;
mod restore_plan;
mod run;
mod script;
mod sql_script;
mod staging;
mod stale_locks;
mod step;
mod strategy;
mod survey;
mod swap;
mod tables;
mod target_schema;
mod tenants;
mod transcode;
mod upgrade;
mod upgrade_path;
mod verify;

pub use backup::Backup;
pub(crate) use backup::on_thread;
pub use compare::SchemaDifference;
pub use error::{Refusal, RestoreError, RowError};
pub use inspection::{
    ArchiveFacts, InspectedInstance, InspectedMigration, InspectedStore, InspectedTable, Inspection,
    KindCount,
};
pub use options::{Erase, Instances, RestoreOptions, SchemaMode, Source, StrategyMode, ToastCompression};
pub use prepared::Restore;
pub use probe::{Probe, probe};
pub use report::{
    LargeObjectIds, MappedInstance, MigrationReport, Replacements, RestoreReport, TableReport, TargetContents,
};
pub use restore_plan::{
    Fate, OnlyInTarget, Pass, PlannedArchive, PlannedInstance, PlannedLargeObjects, PlannedMigration,
    PlannedObjects, PlannedSchema, PlannedTable, PlannedTarget, RestorePlan, Strategy,
};
pub use sql_script::script;
pub use step::{Failpoint, Step};
pub use survey::{Holdings, TableHolding};
pub use target_schema::{DifferenceKind, Outcome, TableDifference};
