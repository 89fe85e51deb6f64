//! The whole job: preflight, plan (pure), staging database, load, upgrade, verify, swap.

mod archive_login;
mod backup_first;
mod build;
mod catalogs;
mod clearing;
mod commit;
mod doctor;
mod dry_run;
mod error;
mod executor;
mod failpoint;
mod in_place;
mod interruption;
mod journal;
mod load;
mod new_target;
mod options;
mod plan;
mod preflight;
mod prepared;
mod previous;
mod privileges;
mod record;
mod refusal;
mod report;
mod run;
mod sessions;
mod staging;
mod state;
mod superuser_session;
mod swap;
mod target_schema;

pub use doctor::{Diagnosis, Finding, Gravity, diagnose};
pub use error::{RestoreError, RowError};
pub use new_target::{NewTarget, create_target};
pub use options::{
    BackupFirst, Erase, Instances, RestoreOptions, SchemaSource, Strategy, StrategyChoice, ToastCompression,
    UnknownWord, Verify,
};
pub use plan::script::script;
pub use preflight::probe::{Probe, probe};
pub use prepared::{Restore, RestoreBuilder};
pub use previous::{
    PreviousDatabase, PreviousDatabases, PreviousList, PreviousOptions, Removal, RemovalReport, Rollback,
    RollbackReport, ToDrop,
};
pub use refusal::previous::PreviousRefusal;
pub use refusal::resume::ResumeRefusal;
pub use refusal::{Refusal, Remedy};
pub use report::contents::TargetContents;
pub use report::difference::{DifferenceKind, Outcome, SchemaDifference, TableDifference};
pub use report::planned::{
    OnlyInTarget, PlannedArchive, PlannedInstance, PlannedLargeObjects, PlannedMigration, PlannedObjects,
    PlannedResume, PlannedSchema, PlannedTable, PlannedTarget, RestorePass, RestorePlan, WayBack, WhyThatId,
};
pub use report::restored::{
    LargeObjectIds, MappedInstance, MigrationReport, NotCompared, Replacements, RestoreReport, ResumedWork,
    RowComparison, SourceReport, TableCount, TableReport,
};
