//! Restores a `pg_dump -Fc` archive of a multi-tenant store into another cluster, under the instance IDs
//! that were provisioned there, upgraded to the target's release: all or nothing.
//!
//! Modules, in the order that data flows: [`archive`] reads the file, [`sql`] and [`copy`] take its contents
//! apart, [`instance`] finds who lives in it, [`rewrite`] gives them their new IDs, [`target`] talks to
//! PostgreSQL, [`schema`] upgrades, and [`restore`] does the whole job. [`progress`] tells how it goes.
//!
//! The library never prints, prompts, reads the environment or exits.
//!
//! ```no_run
//! use pgmig_core::instance::Mapping;
//! use pgmig_core::progress::NoProgress;
//! use pgmig_core::restore::{Backup, Erase, Instances, Restore, RestoreOptions, Source};
//! use pgmig_core::target::{TargetConfig, TargetEnvironment};
//! use std::sync::Arc;
//!
//! async fn restore() -> pgmig_core::Result<()> {
//!     let target = TargetConfig::from_file("postgres.yaml".as_ref(), &TargetEnvironment::default())?;
//!     let mut options = RestoreOptions::new(Instances::Map(Mapping::read("enteredMapping.yaml".as_ref())?));
//!     options.erase = Erase::Allow;
//!     let backup = Backup::open(Source::File("store.dump".into()), None).await?;
//!     let restore = Restore::prepare(backup, target, options, Arc::new(NoProgress), Default::default()).await?;
//!     let report = restore.run().await?;
//!     println!("{} tables in {:?}", report.tables.len(), report.took);
//!     Ok(())
//! }
//! ```

pub mod archive;
pub mod config_file;
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
pub mod text;
pub mod verify;

pub use error::{Error, ErrorKind, Result};

#[cfg(test)]
mod tests {
    /// The README's example is the one that is compiled above.
    #[test]
    fn the_readme_shows_this_example() {
        let source = include_str!("lib.rs");
        let example: Vec<&str> = source
            .lines()
            .skip_while(|line| *line != "//! ```no_run")
            .skip(1)
            .take_while(|line| *line != "//! ```")
            .map(|line| line.trim_start_matches("//!").trim_start_matches(' '))
            .collect();
        assert!(example.len() > 10, "the example was not found");
        let readme: Vec<&str> = include_str!("../../README.md").lines().map(str::trim_start).collect();
        assert!(readme.windows(example.len()).any(|lines| lines == example), "the README's example differs");
    }
}
