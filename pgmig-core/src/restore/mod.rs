//! The whole job: plan (pure), staging database, load, upgrade, verify, swap.

mod analyze;
mod backup;
mod binary;
mod build;
mod bulk;
mod carry_over;
mod compare;
mod context;
mod crew;
mod data;
mod discover;
mod dry_run;
mod error;
mod execute;
mod expected;
mod extras;
mod facts;
mod failpoint;
mod feed;
mod graph;
mod in_place;
mod inspect;
mod inspection;
mod journal;
mod late;
mod load;
mod marker;
mod names;
mod of_others;
mod options;
mod partial;
mod plan;
mod planner;
mod preflight;
mod prepared;
mod probe;
mod refused_row;
mod report;
mod resolution;
mod restore_plan;
mod roles;
mod row_reader;
mod run;
mod schedule;
mod script;
mod sql_script;
mod staging;
mod stale_locks;
mod step;
mod strategy;
mod stream;
mod superuser;
mod survey;
mod swap;
mod tables;
mod target_schema;
mod tenants;
mod transcode;
mod two_steps;
mod upgrade;
mod upgrade_path;
mod verify;
mod watch;
mod workers;

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
