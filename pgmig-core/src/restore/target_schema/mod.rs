//! Restores into the target's own schema (`--schema target`).
//!
//! The staging database is a copy of the target without its data. The archive's rows are loaded into it by the names
//! of tables and columns.
//!
//! Differences are found before anything is changed, from the archive's table of contents and the target's catalogs.
//! A difference is refused unless it is harmless or the profile has a rule for it.

pub(crate) mod archived;
mod columns;
mod draft;
mod expressions;
pub(crate) mod find;
mod firing;
mod fit;
mod foreseen;
mod lookups;
mod matching;
mod obstacles;
pub(crate) mod own;
mod rules;
pub(crate) mod sequences;
pub(crate) mod triggers;
mod types;
mod user_types;

pub(crate) use find::{TargetSchema, find};
pub(crate) use foreseen::certain_differences;
