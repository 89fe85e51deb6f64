//! Finds the checked-in files.

use std::path::{Path, PathBuf};

/// The repository's root.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the repository")
}

/// A file below `fixtures/`. Panics if it does not exist.
#[track_caller]
pub(crate) fn fixture(name: &str) -> PathBuf {
    let path = repository().join("fixtures").join(name);
    assert!(path.exists(), "no fixture {}", path.display());
    path
}
