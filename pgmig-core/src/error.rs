//! The one error type of the library: a variant per layer, and what a caller should conclude from it.

use thiserror::Error;

/// What became of the target, and so which exit status a program should end with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The work failed; the target is untouched (exit status 1).
    Failed,
    /// Bad usage or configuration; nothing was done (2).
    Usage,
    /// Refused before anything was changed (3).
    Refused,
    /// `strict` was asked for and there were warnings; the target is untouched (4).
    Strict,
    /// The connection was lost while committing and the outcome could not be found out (5).
    OutcomeUnknown,
    /// Interrupted; the target is untouched (130).
    Interrupted,
}

/// Any error of this library.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The archive cannot be read.
    #[error(transparent)]
    Archive(#[from] crate::archive::ArchiveError),
    /// The archive cannot be restored.
    #[error(transparent)]
    Verify(#[from] crate::verify::Fault),
    /// The mapping file is not acceptable.
    #[error(transparent)]
    Mapping(#[from] crate::instance::MappingError),
    /// The instances in the archive cannot be read.
    #[error(transparent)]
    Discover(#[from] crate::instance::DiscoverError),
    /// A configuration file is not acceptable.
    #[error(transparent)]
    Config(#[from] crate::target::ConfigError),
    /// A profile or a set of migrations is not acceptable.
    #[error(transparent)]
    Profile(#[from] crate::profile::ProfileError),
    /// The server could not be reached, or refused a statement.
    #[error(transparent)]
    Target(#[from] crate::target::TargetError),
    /// The provisioned instances cannot be listed.
    #[error(transparent)]
    ResourceController(#[from] crate::resource_controller::ResourceControllerError),
    /// The schema cannot be upgraded.
    #[error(transparent)]
    Schema(#[from] crate::schema::SchemaError),
    /// The restore was refused or failed.
    #[error(transparent)]
    Restore(#[from] crate::restore::RestoreError),
}

/// A result with the library's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<crate::resource_controller::ResourceControllerConfigError> for Error {
    fn from(error: crate::resource_controller::ResourceControllerConfigError) -> Self {
        Self::ResourceController(error.into())
    }
}

impl Error {
    /// What a caller should conclude.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Archive(_) | Error::Verify(_) | Error::Discover(_) | Error::Target(_) => ErrorKind::Failed,
            Error::Config(_) | Error::Profile(_) => ErrorKind::Usage,
            Error::Mapping(error) => error.kind(),
            Error::ResourceController(error) => error.kind(),
            Error::Schema(error) => error.kind(),
            Error::Restore(error) => error.kind(),
        }
    }
}
