//! The environment variables that pgmig reads; the library reads none.

use crate::failure::Usage;
use crate::target::TargetFile;
use anyhow::Result;
use pgmig_core::progress::Failpoint;
use pgmig_core::resource_controller::RcEnvironment;
use pgmig_core::server::{
    CONNECTION_VARIABLES, LIBPQ_VARIABLES, LibpqVariables, TargetConfig, TargetEnvironment,
};
use secrecy::SecretString;
use std::env;
use std::os::unix::fs::MetadataExt as _;
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
        for name in CONNECTION_VARIABLES {
            target.connection.variables.extend(text(name)?.map(|value| (name, value)));
        }
        target.connection.home = env::var_os("HOME").map(PathBuf::from);
        target.connection.user = user();
        let resource_controller = RcEnvironment { rc_ca_file: text("RC_CA_FILE")?.map(PathBuf::from) };
        let search_path =
            env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
        Ok(Self { target, resource_controller, search_path, failpoint: failpoint()? })
    }

    /// Reads a target's configuration, and prints its warnings.
    pub(crate) fn target_config(&self, file: TargetFile<'_>) -> Result<TargetConfig> {
        file.config(&self.target)
    }
}

/// The name of the operating system's user, as the user database has it.
fn user() -> Option<String> {
    let id = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, uid) = (fields.next()?, fields.next()?, fields.next()?);
        (uid == id).then(|| name.to_owned())
    })
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
