//! Errors of copies.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A copy could not be begun, or failed. What was copied before stays, and the next call goes on with it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ObjectsError {
    /// A setting cannot be used.
    #[error("{0}")]
    Usage(String),
    /// The server could not be reached, or refused a request.
    #[error("bucket {bucket} on {endpoint}: {reason}")]
    Server {
        /// The server's URL.
        endpoint: String,
        /// The bucket.
        bucket: String,
        /// The reason.
        reason: String,
    },
    /// An object could not be copied.
    #[error("object {key:?} of bucket {bucket}: {reason}")]
    Object {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
        /// The reason.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A manifest cannot be used.
    #[error("{}: {reason}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
}

impl ObjectsError {
    /// Whether the caller's settings are wrong.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_))
    }

    /// For `map_err`: a file could not be read or written.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::File { path: path.to_owned(), source }
    }
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Many errors repeat their cause.
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
