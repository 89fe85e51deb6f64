//! The target's own schema as the authority (`--schema target`): staging is a copy of the target, emptied of its
//! data, and the archive's rows are loaded into it by the names of tables and columns.
//!
//! What differs is found out before anything is changed, from the archive's table of contents and the target's
//! catalogs, and is refused unless it is harmless or the profile has a rule for it.

mod archived;
mod build;
mod columns;
mod create;
mod difference;
mod empty;
mod expressions;
mod find;
mod fit;
mod foreseen;
mod lifted;
mod matching;
mod obstacles;
mod own;
mod rules;
mod sequences;
mod types;
mod user_types;

pub(super) use create::CopyTarget;
pub use difference::{DifferenceKind, Outcome, TableDifference};
pub(super) use find::{TargetSchema, find};
pub(super) use foreseen::certain_differences;
