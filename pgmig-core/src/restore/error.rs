//! Why a restore was refused, or failed.

use crate::error::ErrorKind;
use thiserror::Error;

/// Why a restore was refused before anything was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Refusal {}

/// Why a restore failed. The target is untouched, except where a variant says otherwise.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Refused before anything was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl RestoreError {
    /// What a caller should conclude.
    pub fn kind(&self) -> ErrorKind {
        match self {
            RestoreError::Refused(_) => ErrorKind::Refused,
        }
    }
}
