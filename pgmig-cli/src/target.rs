//! Arguments that say which database is meant: a `postgres.yaml`, or the JSON of the store's secret.

use crate::failure::Usage;
use crate::shell;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// The path by which standard input is read as a file.
const STDIN: &str = "/dev/stdin";

/// The target's configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct TargetArgs {
    /// Target Postgres configuration file
    #[arg(short, long, value_name = "FILE")]
    target: Option<PathBuf>,

    /// JSON of the store's VCAP secret, instead of --target (- reads standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "target")]
    vcap: Option<PathBuf>,
}

/// A file with the target's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TargetFile<'a> {
    /// `postgres.yaml`.
    Yaml(&'a Path),
    /// The JSON of the store's secret.
    Vcap(&'a Path),
}

impl TargetArgs {
    /// The configuration's file.
    pub(crate) fn file(&self) -> Result<TargetFile<'_>> {
        match (&self.target, &self.vcap) {
            (Some(path), _) => Ok(TargetFile::Yaml(path)),
            (None, Some(path)) if path == Path::new("-") => Ok(TargetFile::Vcap(Path::new(STDIN))),
            (None, Some(path)) => Ok(TargetFile::Vcap(path)),
            (None, None) => {
                let text = "--target is missing: it names the target's Postgres configuration file; see pgmig --help";
                Err(Usage::new(text).into())
            }
        }
    }

    /// Whether standard input holds the configuration.
    pub(crate) fn is_from_stdin(&self) -> bool {
        self.vcap.as_deref() == Some(Path::new("-"))
    }

    /// The arguments, as the words of a command that the operator can copy. Empty if there are none.
    pub(crate) fn words(&self) -> String {
        let word = |flag: &str, path: &Path| format!("{flag} {}", shell::word(&path.to_string_lossy()));
        match (&self.target, &self.vcap) {
            (Some(path), _) => word("-t", path),
            (None, Some(path)) => word("--vcap", path),
            (None, None) => String::new(),
        }
    }
}

#[cfg(test)]
impl TargetArgs {
    /// `--target FILE`.
    pub(crate) fn of_file(path: &Path) -> Self {
        Self { target: Some(path.to_owned()), vcap: None }
    }
}
