//! Errors of a profile.

use std::path::PathBuf;
use thiserror::Error;

/// A profile cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// A file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: std::io::Error,
    },
    /// A file does not have the expected contents.
    #[error("{}{}: {message}", path.display(), line.map_or_else(String::new, |line| format!(", line {line}")))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1; `None` if it is not known.
        line: Option<u64>,
        /// The problem.
        message: String,
    },
    /// No built-in profile has this name.
    #[error("there is no built-in profile {name:?}; built in: {known}; give another one with a directory")]
    UnknownName {
        /// The name that the caller gave.
        name: String,
        /// The names of the built-in profiles.
        known: String,
    },
    /// A text is not a release.
    #[error("{text:?} is not a release, expected three numbers such as 4.8.0")]
    Release {
        /// The text.
        text: String,
    },
}
