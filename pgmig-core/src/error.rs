//! The one error type of the library: a variant per layer, and what a caller should conclude from it.

use crate::archive::ArchiveError;
use crate::outcome::ErrorKind;
use std::io;
use thiserror::Error;

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
    /// The backup cannot be looked into, or does not fit its mapping.
    #[error(transparent)]
    Backup(#[from] crate::backup::BackupError),
    /// A configuration file is not acceptable.
    #[error(transparent)]
    Config(#[from] crate::server::ConfigError),
    /// A profile or a set of migrations is not acceptable.
    #[error(transparent)]
    Profile(#[from] crate::profile::ProfileError),
    /// The server could not be reached, or refused a statement.
    #[error(transparent)]
    Target(#[from] crate::server::TargetError),
    /// The provisioned instances cannot be listed.
    #[error(transparent)]
    ResourceController(#[from] crate::resource_controller::ResourceControllerError),
    /// The selection of entries cannot be used.
    #[error(transparent)]
    Selection(#[from] crate::selection::SelectionError),
    /// The schema cannot be upgraded.
    #[error(transparent)]
    Schema(#[from] crate::migrations::SchemaError),
    /// There is no backup of the database, or old backups were not removed.
    #[error(transparent)]
    Dump(#[from] crate::dump::DumpError),
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
    /// The kind of the error, by which a caller decides what to do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Archive(ArchiveError::ManyDatabases { .. } | ArchiveError::NoSuchDatabase { .. }) => {
                ErrorKind::Usage
            }
            // The operator named a file that does not exist, as with a configuration file.
            Error::Archive(ArchiveError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                ErrorKind::Usage
            }
            Error::Archive(_) | Error::Verify(_) | Error::Discover(_) | Error::Target(_) => ErrorKind::Failed,
            Error::Config(_) | Error::Profile(_) => ErrorKind::Usage,
            Error::Backup(error) => error.kind(),
            Error::Mapping(error) => error.kind(),
            Error::ResourceController(error) => error.kind(),
            Error::Selection(error) => error.kind(),
            Error::Schema(error) => error.kind(),
            Error::Dump(error) => error.kind(),
            Error::Restore(error) => error.kind(),
        }
    }
}
