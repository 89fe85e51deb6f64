//! Why a profile is not acceptable.

use std::path::PathBuf;
use thiserror::Error;

/// Why a profile is not acceptable.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// A file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// A file is not what is expected.
    #[error("{}{}: {message}", path.display(), line.map_or_else(String::new, |line| format!(", line {line}")))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// 1-based; `None` where it is not known.
        line: Option<u64>,
        /// What is wrong.
        message: String,
    },
    /// No such profile is built in.
    #[error("there is no built-in profile {name:?}; built in: {known}; give another one with a directory")]
    UnknownName {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// A text is not a release.
    #[error("{text:?} is not a release, expected three numbers such as 4.8.0")]
    Release {
        /// The text.
        text: String,
    },
}
