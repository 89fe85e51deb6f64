//! Errors of `postgres.yaml`.

use crate::config_file::ConfigFileError;
use std::fmt;
use std::path::PathBuf;
use thiserror::Error;

/// Why a configuration file is not acceptable. Never holds a value from the file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read, or is another one.
    #[error(transparent)]
    File(#[from] ConfigFileError),
    /// The file with the password cannot be read. Its name is not shown: it may be the password itself.
    #[error("{}, line {line}: cannot read the file that `{key}` names: {reason}", path.display())]
    PasswordFile {
        /// The configuration file.
        path: PathBuf,
        /// The key that names it.
        key: &'static str,
        /// 1-based.
        line: u64,
        /// Why.
        reason: std::io::Error,
    },
    /// The file is not the YAML that is expected.
    #[error("{}{}: {message}", path.display(), OnLine(*line))]
    Yaml {
        /// The file.
        path: PathBuf,
        /// 1-based; `None` where it is not known.
        line: Option<u64>,
        /// What is wrong.
        message: String,
    },
    /// The JSON of a store's secret is not acceptable.
    #[error("{}: {message}", path.display())]
    Vcap {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A key that must be there is not.
    #[error("{}: the key `{key}` is missing", path.display())]
    MissingKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
    },
    /// A value that is not acceptable.
    #[error("{}, line {line}: the value of `{key}` is not acceptable, expected {expected}", path.display())]
    InvalidValue {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// 1-based.
        line: u64,
        /// What was expected.
        expected: &'static str,
    },
    /// A setting that a program gave is not acceptable.
    #[error("the setting {setting} is not acceptable, expected {expected}")]
    InvalidSetting {
        /// Its name, as in `postgres.yaml`.
        setting: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// The request cannot be met, and ignoring it would lessen the operator's protection.
    #[error("{setting} cannot be honoured: {reason}; {advice}")]
    CannotHonour {
        /// The key or variable, with its value where that matters.
        setting: &'static str,
        /// Why not.
        reason: &'static str,
        /// What to do instead.
        advice: &'static str,
    },
    /// A connection string, a service or the password file is not acceptable.
    #[error("{what}: {message}")]
    Connection {
        /// The file, or what was given.
        what: String,
        /// What is wrong, without values.
        message: String,
    },
    /// An environment variable's value is not acceptable.
    #[error("the environment variable {variable} is not acceptable, expected {expected}")]
    InvalidEnvironment {
        /// Its name.
        variable: &'static str,
        /// What was expected.
        expected: &'static str,
    },
}

impl ConfigError {
    pub(super) fn cannot_honour(setting: &'static str, reason: &'static str, advice: &'static str) -> Self {
        Self::CannotHonour { setting, reason, advice }
    }
}

struct OnLine(Option<u64>);

impl fmt::Display for OnLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(line) => write!(f, ", line {line}"),
            None => Ok(()),
        }
    }
}
