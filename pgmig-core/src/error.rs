//! The one error type of the library: a variant per layer, and what a caller should conclude from it.

use crate::outcome::ErrorKind;
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

impl From<crate::config_file::ConfigFileError> for Error {
    fn from(error: crate::config_file::ConfigFileError) -> Self {
        Self::Config(error.into())
    }
}

impl From<crate::resource_controller::ResourceControllerConfigError> for Error {
    fn from(error: crate::resource_controller::ResourceControllerConfigError) -> Self {
        Self::ResourceController(error.into())
    }
}

impl Error {
    /// The kind of the error, by which a caller decides what to do.
    pub fn kind(&self) -> ErrorKind {
        self.code().kind
    }
}
