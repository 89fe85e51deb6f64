//! Restores a `pg_dump -Fc` archive of a multi-tenant store into another cluster, under the instance IDs
//! that were provisioned there, upgraded to the target's release: all or nothing.
//!
//! Modules, in the order that data flows: [`archive`] reads the file, [`sql`] and [`copy`] take its contents
//! apart, [`instance`] finds who lives in it, [`rewrite`] gives them their new IDs, [`target`] talks to
//! PostgreSQL, [`schema`] upgrades, and [`restore`] does the whole job. [`progress`] tells how it goes.
//!
//! The library never prints, prompts, reads the environment or exits.

pub mod archive;
pub mod copy;
pub mod error;
pub mod instance;
pub mod profile;
pub mod progress;
pub mod resource_controller;
pub mod restore;
pub mod rewrite;
pub mod schema;
pub mod sql;
pub mod target;

pub use error::{Error, ErrorKind, Result};
