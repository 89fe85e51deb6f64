//! The schema version of a store.

use super::Release;
use serde::Serialize;
use std::fmt;

/// A schema version, with the releases of the product that have it. Its display is `version 9 (releases 4.8.0 to
/// 4.8.8)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SchemaVersion {
    /// The version of its last migration.
    pub version: i64,
    /// The first release with it; `None` if it lies between releases.
    pub first_release: Option<Release>,
    /// The last release with it; `None` if it lies between releases.
    pub last_release: Option<Release>,
}

impl fmt::Display for SchemaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {}", self.version)?;
        match (self.first_release, self.last_release) {
            (Some(first), Some(last)) if first != last => write!(f, " (releases {first} to {last})"),
            (Some(release), _) | (_, Some(release)) => write!(f, " (release {release})"),
            (None, None) => Ok(()),
        }
    }
}
