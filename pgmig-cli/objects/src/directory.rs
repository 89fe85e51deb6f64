//! The folder of a bucket in a directory.

use crate::error::ObjectsError;
use openssl::hash::{MessageDigest, hash};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of a bucket.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(crate) fn of(directory: &Path, bucket: &str) -> Self {
        Self { root: directory.join(bucket) }
    }

    pub(crate) fn create(&self) -> Result<(), ObjectsError> {
        let objects = self.root.join("objects");
        fs::create_dir_all(&objects).map_err(ObjectsError::file(&objects))
    }

    /// The manifest of a complete copy.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.root.join("objects.jsonl")
    }

    /// The objects that a copy in progress has received.
    pub(crate) fn notes(&self) -> PathBuf {
        self.root.join("progress.jsonl")
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The file of an object. Its name is a checksum of the key, so that no key can name another place, and none is too long.
    pub(crate) fn file(&self, key: &str) -> Result<PathBuf, ObjectsError> {
        let digest = hash(MessageDigest::sha256(), key.as_bytes())
            .map_err(|error| ObjectsError::Usage(format!("OpenSSL has no SHA-256: {error}")))?;
        let name = hex(&digest);
        Ok(self.root.join("objects").join(name.get(..2).unwrap_or_default()).join(&name))
    }
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn no_key_leaves_the_folder() {
        let folder = Folder::of(Path::new("/backup"), "b");
        let long = "x".repeat(1024);
        let files: Vec<PathBuf> = ["a", "a/b", "../x", "/etc/passwd", "\0", "", &long, "a/"]
            .iter()
            .map(|key| folder.file(key).unwrap())
            .collect();
        for file in &files {
            assert!(
                file.starts_with("/backup/b/objects") && file.components().count() == 6,
                "{}",
                file.display()
            );
        }
        let mut unique = files.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), files.len());
    }
}
