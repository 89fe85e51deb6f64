//! Copies buckets of an S3 or MinIO server to a directory and back, and verifies both.
//!
//! A directory has a folder for each bucket: `objects/` with a file for each object, named by the SHA-256 of its key, so that
//! no key can name another place; and `objects.jsonl`, the manifest, with key, size, checksum and attributes of each object. An
//! interrupted copy is gone on with by the next call. Nothing is deleted unless the options ask for it.
//!
//! The library never prints, prompts, reads the environment or exits.

mod backup;
mod bucket;
mod client;
mod crypto;
mod directory;
mod error;
mod file;
mod manifest;
mod remote;
mod report;
mod restore;
mod verify;

pub use backup::backup;
pub use client::Trust;
pub use error::ObjectsError;
pub use remote::{Endpoint, Remote};
pub use report::{BucketReport, Fault, NoProgress, ObjectsReport, Progress};
pub use restore::restore;
pub use verify::{verify_directory, verify_remote};

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

/// The buckets of the speech services, which are copied if the options name none.
pub const BUCKETS: [&str; 3] = ["speech-service-base-models", "stt-async-icp", "stt-customization-icp"];

/// What is copied, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ObjectsOptions {
    /// The directory with a folder for each bucket.
    pub directory: PathBuf,
    /// The buckets; empty for those of [`BUCKETS`] that exist.
    pub buckets: Vec<String>,
    /// How many objects are copied at the same time.
    pub jobs: NonZeroUsize,
    /// Whether objects that the source does not have are deleted at the target.
    pub delete: bool,
    /// Receives the progress.
    pub progress: Arc<dyn Progress>,
}

impl ObjectsOptions {
    /// The options for a directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            buckets: Vec::new(),
            jobs: NonZeroUsize::MIN.saturating_add(3),
            delete: false,
            progress: Arc::new(NoProgress),
        }
    }

    /// The buckets, and whether each of them must exist.
    fn wanted(&self) -> Result<Vec<(String, bool)>, ObjectsError> {
        if self.buckets.is_empty() {
            return Ok(BUCKETS.map(|name| (name.to_owned(), false)).to_vec());
        }
        let mut wanted: Vec<(String, bool)> = Vec::new();
        for name in &self.buckets {
            bucket::check_name(name)?;
            if !wanted.iter().any(|(other, _)| other == name) {
                wanted.push((name.clone(), true));
            }
        }
        Ok(wanted)
    }
}
