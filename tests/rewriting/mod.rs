//! IDs replaced in rows and definitions, beside a replacement done by other means.

mod binary_ids;
mod columns;
mod generated;
pub(crate) mod types;
