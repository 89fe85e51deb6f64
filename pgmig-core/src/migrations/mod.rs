//! Upgrades a store's schema through versioned migrations: files, history, plan (pure), run.
//!
//! Files and history have sqlx's form, so pgmig can upgrade a store that sqlx has migrated, and sqlx one that pgmig
//! has migrated.

mod constraints;
mod error;
mod foreign;
mod history;
mod lock;
mod one_transaction;
mod plan;
mod reindex;
mod row_security;
mod run;
mod set;
mod settings;
mod statement_lines;
mod tools;
mod transaction_block;

pub(crate) use constraints::settle_constraints;
pub use error::SchemaError;
pub(crate) use foreign::foreign_history;
pub use foreign::{ForeignHistory, ForeignReader, HistoryRow, UnknownHistory};
pub(crate) use history::newest_finished;
pub use history::{AppliedMigration, History};
pub use one_transaction::check_in_one_transaction;
pub use plan::{Goal, UpgradePlan};
pub use run::{Migrated, SplitStatements, Upgrade, check};
pub use set::{MigrationFile, MigrationSet};
pub(crate) use tools::{looks_like_history, tool_of};
pub(crate) use transaction_block::why_alone;
