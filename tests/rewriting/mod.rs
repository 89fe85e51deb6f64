//! Replacement of IDs in rows and definitions, compared with an independent replacement.

mod binary_ids;
mod columns;
mod generated;
pub(crate) mod types;
mod unused_sources;
