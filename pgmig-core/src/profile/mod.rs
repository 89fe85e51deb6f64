//! The profile of a store: where the store keeps its instances and migration history, and which releases it has.
//!
//! It consists of `profile.yaml` and `releases.yaml`, in a directory below `schema-migrations/` that is built in, or
//! in a directory of the user.

mod error;
mod releases;
mod schema_version;
mod store;
mod target_rules;

pub use crate::rewrite::BinaryRule;
pub use error::ProfileError;
pub use releases::{Release, Releases};
pub use schema_version::SchemaVersion;
pub use store::{ByteaColumn, ColumnRef, Profile, TenantTable};
pub use target_rules::{CastRule, DefaultRule, DropRule, RenameRule, TableRef, TargetRules, TriggerRule};
