//! Errors of values that describe a training job.

use thiserror::Error;

/// A value of a training job that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RetrainError {
    /// A text is not a time.
    #[error(
        "{text:?} is not a time: expected 2026-12-01T02:00:00Z (without a zone it is in UTC), or the schedule of the job \
         in seven fields, such as \"0 0 2 1 12 ? 2026\""
    )]
    Time {
        /// The text.
        text: String,
    },
    /// A text cannot be the name of a namespace or an instance.
    #[error(
        "{text:?} is not a name in Kubernetes: expected letters, digits, hyphens, dots and underscores, 1 to {most} of them"
    )]
    Name {
        /// The text.
        text: String,
        /// The most characters that such a name has.
        most: usize,
    },
    /// A number of replicas is out of range.
    #[error("expected a number of replicas from 1 to {most}")]
    Replicas {
        /// The largest number.
        most: u32,
    },
    /// The log could not be read.
    #[error("the log cannot be read: {0}")]
    Log(String),
}
