//! Which schema a store has.

use super::Release;
use serde::Serialize;
use std::fmt;

/// A schema version, and the releases of the product that have it. Displays as `version 9 (releases 4.8.0 to
/// 4.8.8)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SchemaVersion {
    /// The version of its last migration.
    pub version: i64,
    /// The first release that has it; `None` if it is between releases.
    pub first_release: Option<Release>,
    /// The last release that has it; `None` if it is between releases.
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
