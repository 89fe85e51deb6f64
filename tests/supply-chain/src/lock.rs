//! Checksums of crates, from Cargo.lock.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// SHA-256 in hexadecimal, by name and version of the crate.
pub(crate) type Checksums = BTreeMap<(String, String), String>;

#[derive(Debug, Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Debug, Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// The checksum of each crate that comes from a registry.
///
/// # Errors
///
/// If the file cannot be read as Cargo.lock.
pub(crate) fn checksums(path: &Path) -> Result<Checksums> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lock: Lock = toml::from_str(&text).with_context(|| format!("cannot parse {}", path.display()))?;
    let with_checksum =
        |locked: Locked| locked.checksum.map(|checksum| ((locked.name, locked.version), checksum));
    Ok(lock.package.into_iter().filter_map(with_checksum).collect())
}
