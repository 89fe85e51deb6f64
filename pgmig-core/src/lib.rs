//! Restores a pg_dump archive of a multi-tenant store, of any format, into another cluster, under the instance IDs
//! that were provisioned there, upgraded to the target's release: all or nothing.
//!
//! Modules, in the order that data flows: [`archive`] (a crate of its own, `pgdump-archive`) reads the file, [`instance`]
//! finds who lives in it, `rewrite` gives them their new IDs, [`server`] talks to PostgreSQL, [`migrations`] upgrades, and
//! [`restore`] does the whole job. [`progress`] tells how it goes.
//!
//! The library never prints, prompts, reads the environment or exits.
//!
//! ```no_run
//! use pgmig_core::instance::Mapping;
//! use pgmig_core::backup::{Backup, Source};
//! use pgmig_core::restore::{Erase, Instances, Restore, RestoreOptions};
//! use pgmig_core::server::{TargetConfig, TargetEnvironment};
//!
//! async fn restore() -> pgmig_core::Result<()> {
//!     let target = TargetConfig::from_file("postgres.yaml".as_ref(), &TargetEnvironment::default())?;
//!     let mut options = RestoreOptions::new(Instances::Map(Mapping::read("enteredMapping.yaml".as_ref())?));
//!     options.erase = Erase::Allow;
//!     let backup = Backup::open(Source::File("store.dump".into()), None).await?;
//!     let restore = Restore::of(backup, target, options).prepare().await?;
//!     let report = restore.run().await?;
//!     println!("{} tables in {:?}", report.tables.len(), report.took);
//!     Ok(())
//! }
//! ```

pub mod backup;
mod calendar;
mod codes;
pub mod config_file;
mod digest;
pub mod dump;
pub mod error;
#[cfg(test)]
mod flags;
pub mod instance;
mod lines;
pub mod migrations;
mod outcome;
pub mod profile;
pub mod progress;
pub mod resource_controller;
pub mod restore;
pub mod retrain;
mod rewrite;
#[cfg(test)]
mod rooms;
pub mod selection;
mod serialized;
pub mod server;
pub mod text;
mod thread;
pub mod verify;

pub use codes::ErrorCode;
pub use error::{Error, Result};
pub use outcome::ErrorKind;
pub use pgdump_archive as archive;
pub(crate) use pgdump_archive::{copy, sql};
pub use tokio_util::sync::CancellationToken;

/// The rewriting of IDs, for this crate's benchmark alone: not a part of the interface.
#[doc(hidden)]
pub mod benchmarked {
    pub use crate::profile::BinaryRule;
    pub use crate::rewrite::{
        ColumnRule, ColumnSelector, LargeObjectRewriter, LeftoverCounter, RowRewriter, Rules, Shape,
    };
}

#[cfg(test)]
mod tests {
    /// The example of the documents is the one that is compiled above.
    #[test]
    fn the_documents_show_this_example() {
        let source = include_str!("lib.rs");
        let example: Vec<&str> = source
            .lines()
            .skip_while(|line| *line != "//! ```no_run")
            .skip(1)
            .take_while(|line| *line != "//! ```")
            .map(|line| line.trim_start_matches("//!").trim_start_matches(' '))
            .collect();
        assert!(example.len() > 10, "the example was not found");
        // Read when the test runs: the package of this crate does not hold the file.
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/library.md");
        let page = std::fs::read_to_string(page).expect("docs/library.md can be read");
        let page: Vec<&str> = page.lines().map(str::trim_start).collect();
        assert!(page.windows(example.len()).any(|lines| lines == example), "the example differs");
    }
}
