//! Where a given store keeps its instances, its migration history and its releases: `profile.yaml` and
//! `releases.yaml` of a directory under `schema-migrations/`, built in or given.

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
pub use target_rules::{CastRule, DefaultRule, DropRule, RenameRule, TableRef, TargetRules};
