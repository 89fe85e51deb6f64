//! The environment variables that pgmig reads; the library reads none.

use crate::failure::Usage;
use crate::output;
use crate::target::TargetFile;
use anyhow::Result;
use pgmig_core::Error;
use pgmig_core::progress::Failpoint;
use pgmig_core::resource_controller::RcEnvironment;
use pgmig_core::server::{LIBPQ_VARIABLES, LibpqVariables, TargetConfig, TargetEnvironment};
use secrecy::SecretString;
use std::env;
use std::path::PathBuf;

/// The settings from the environment. pgmig accepts `ENABLE_ICP` of the original tool's runbooks, and ignores it.
#[derive(Debug)]
pub(crate) struct Environment {
    /// For connections to the target.
    pub(crate) target: TargetEnvironment,
    /// For connections to the Resource Controller.
    pub(crate) resource_controller: RcEnvironment,
    /// `PATH`: where pg_dump is looked for.
    pub(crate) search_path: Vec<PathBuf>,
    /// Test builds only: the step at which pgmig stops or dies.
    pub(crate) failpoint: Option<Failpoint>,
}

impl Environment {
    /// Reads the process's environment.
    pub(crate) fn read() -> Result<Self> {
        let mut target = TargetEnvironment::default();
        target.pg_ca_file = text("PG_CA_FILE")?;
        target.pgsslmode = text("PGSSLMODE")?;
        target.pgsslrootcert = text("PGSSLROOTCERT")?;
        target.pgpassword = text("PGPASSWORD")?.map(SecretString::from);
        target.pgappname = text("PGAPPNAME")?;
        target.libpq = libpq()?;
        let resource_controller = RcEnvironment { rc_ca_file: text("RC_CA_FILE")?.map(PathBuf::from) };
        let search_path =
            env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
        Ok(Self { target, resource_controller, search_path, failpoint: failpoint()? })
    }

    /// Reads a target's configuration file, and prints its warnings.
    pub(crate) fn target_config(&self, file: TargetFile<'_>) -> Result<TargetConfig> {
        let config = match file {
            TargetFile::Yaml(path) => TargetConfig::from_file(path, &self.target),
            TargetFile::Vcap(path) => TargetConfig::from_vcap_file(path, &self.target),
        };
        let config = config.map_err(Error::from)?;
        config.warnings().iter().for_each(|warning| output::tell("warning", warning));
        Ok(config)
    }
}

/// Whether `NO_COLOR` allows colours: it is not set, or empty (<https://no-color.org>).
pub(crate) fn colour_allowed() -> bool {
    env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(feature = "failpoints")]
fn failpoint() -> Result<Option<Failpoint>> {
    let Some(text) = text("PGMIG_FAILPOINT")? else { return Ok(None) };
    let failpoint = text.parse().map_err(|error| Usage::new(format!("PGMIG_FAILPOINT: {error}")))?;
    Ok(Some(failpoint))
}

#[cfg(not(feature = "failpoints"))]
#[allow(clippy::unnecessary_wraps, reason = "the same signature as in test builds")]
fn failpoint() -> Result<Option<Failpoint>> {
    Ok(None)
}

/// The settings that libpq's variables contain.
fn libpq() -> Result<LibpqVariables> {
    let mut variables = LibpqVariables::new();
    for name in LIBPQ_VARIABLES {
        if let Some(value) = text(name)? {
            variables.insert(name, value);
        }
    }
    Ok(variables)
}

/// An empty variable counts as one that is not set, as in libpq.
fn text(name: &str) -> Result<Option<String>> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => {
            Err(Usage::new(format!("the environment variable {name} is not valid UTF-8")).into())
        }
    }
}
