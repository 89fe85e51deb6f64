//! Arguments that say which database is meant: a `postgres.yaml`, the JSON of the store's secret, a URL, or
//! the environment.

use crate::failure::Usage;
use crate::output;
use crate::shell;
use anyhow::Result;
use pgmig_core::Error;
use pgmig_core::server::{TargetConfig, TargetEnvironment};
use std::path::{Path, PathBuf};

/// The path by which standard input is read as a file.
const STDIN: &str = "/dev/stdin";

/// The target's configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct TargetArgs {
    /// Target Postgres configuration file [default: what PGHOST, PGDATABASE, PGSERVICE ... name]
    #[arg(short, long, value_name = "FILE")]
    target: Option<PathBuf>,

    /// JSON of the store's VCAP secret, instead of --target (- reads standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "target")]
    vcap: Option<PathBuf>,

    /// URL of the target (postgresql://ROLE@HOST:PORT/DATABASE) or a connection string, instead of --target; without a password
    #[arg(long, value_name = "URL", conflicts_with_all = ["target", "vcap"])]
    target_url: Option<String>,

    /// Database, instead of the one that the target's configuration names
    #[arg(long, value_name = "NAME")]
    database: Option<String>,

    /// Role that owns the restored objects, instead of `username` of the target's configuration
    #[arg(long, value_name = "ROLE")]
    owner: Option<String>,
}

/// What names the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TargetFile<'a> {
    /// Where its configuration is.
    pub(crate) source: TargetSource<'a>,
    /// Another database.
    pub(crate) database: Option<&'a str>,
    /// Another owner.
    pub(crate) owner: Option<&'a str>,
}

/// Where the target's configuration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TargetSource<'a> {
    /// `postgres.yaml`.
    Yaml(&'a Path),
    /// The JSON of the store's secret.
    Vcap(&'a Path),
    /// A URL or a connection string.
    Url(&'a str),
    /// The environment.
    Environment,
}

impl TargetArgs {
    /// What names the target.
    #[allow(
        clippy::unnecessary_wraps,
        reason = "commands treat it as their other arguments, which may be missing"
    )]
    pub(crate) fn file(&self) -> Result<TargetFile<'_>> {
        let source = match (&self.target, &self.vcap, &self.target_url) {
            (Some(path), ..) => TargetSource::Yaml(path),
            (None, Some(_), _) if self.is_from_stdin() => TargetSource::Vcap(Path::new(STDIN)),
            (None, Some(path), _) => TargetSource::Vcap(path),
            (None, None, Some(url)) => TargetSource::Url(url),
            (None, None, None) => TargetSource::Environment,
        };
        Ok(TargetFile { source, database: self.database.as_deref(), owner: self.owner.as_deref() })
    }

    /// Whether standard input holds the configuration.
    pub(crate) fn is_from_stdin(&self) -> bool {
        self.vcap.as_deref() == Some(Path::new("-"))
    }

    /// The arguments, as the words of a command that the operator can copy. Empty if there are none.
    pub(crate) fn words(&self) -> String {
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        let words = [
            ("-t", self.target.as_ref().map(path)),
            ("--vcap", self.vcap.as_ref().map(path)),
            ("--target-url", self.target_url.clone()),
            ("--database", self.database.clone()),
            ("--owner", self.owner.clone()),
        ];
        let words =
            words.into_iter().filter_map(|(flag, value)| Some(format!("{flag} {}", shell::word(&value?))));
        words.collect::<Vec<_>>().join(" ")
    }
}

impl TargetFile<'_> {
    /// The target that it names. Warnings are printed.
    pub(crate) fn config(&self, environment: &TargetEnvironment) -> Result<TargetConfig> {
        let config = match self.source {
            TargetSource::Yaml(path) => TargetConfig::from_file(path, environment),
            TargetSource::Vcap(path) => TargetConfig::from_vcap_file(path, environment),
            TargetSource::Url(_) | TargetSource::Environment => {
                let (url, environment) = (self.url(), self.with_database(environment)?);
                TargetConfig::from_connection(url, &environment)
            }
        };
        let mut config = config.map_err(Error::from)?;
        if let Some(database) = self.database {
            config = config.with_database(database).map_err(Error::from)?;
        }
        if let Some(owner) = self.owner {
            config = config.owned_by(owner).map_err(Error::from)?;
        }
        config.warnings().iter().for_each(|warning| output::tell("warning", warning));
        Ok(config)
    }

    fn url(&self) -> Option<&str> {
        match self.source {
            TargetSource::Url(url) => Some(url),
            _ => None,
        }
    }

    /// The environment, in which `--database` is the default of the database.
    fn with_database(&self, environment: &TargetEnvironment) -> Result<TargetEnvironment> {
        if self.source == TargetSource::Environment && !environment.connection.names_target() {
            let text = "--target is missing: it names the target Postgres configuration file (--vcap takes the JSON of the \
                        store's secret instead, --target-url a URL); see pgmig --help";
            return Err(Usage::new(text).into());
        }
        let mut environment = environment.clone();
        if let Some(database) = self.database {
            environment.connection.variables.insert("PGDATABASE", database.to_owned());
        }
        Ok(environment)
    }
}

#[cfg(test)]
impl TargetArgs {
    /// `--target FILE`.
    pub(crate) fn of_file(path: &Path) -> Self {
        Self { target: Some(path.to_owned()), vcap: None, target_url: None, database: None, owner: None }
    }
}
