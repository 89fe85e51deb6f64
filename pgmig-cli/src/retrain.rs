//! Arguments of `pgmig retrain`.

use crate::failure::Usage;
use anyhow::Result;
use pgmig_core::retrain::{InstanceName, Moment, Namespace, Replicas, RetrainJob};
use std::path::{Path, PathBuf};

/// Arguments of `pgmig retrain`.
#[derive(Debug, clap::Args)]
pub(crate) struct RetrainArgs {
    /// Backup that was restored: its workspaces are counted (- reads standard input)
    #[arg(short, long, value_name = "FILE", conflicts_with = "workspaces")]
    pub(crate) source: Option<PathBuf>,

    /// Number of workspaces to train, instead of --source
    #[arg(long, value_name = "N", value_parser = workspaces)]
    pub(crate) workspaces: Option<u64>,

    /// Profile of the store: a built-in one's name, or a directory
    #[arg(long, value_name = "NAME|DIR", requires = "source")]
    pub(crate) profile: Option<PathBuf>,

    /// Number of training replicas that there are [default: that of --scale]
    #[arg(long, value_name = "P")]
    replicas: Option<Replicas>,

    /// When the job runs, such as 2026-12-01T02:00:00Z; without a zone it is in UTC
    #[arg(long, value_name = "TIME")]
    at: Option<Moment>,

    /// Namespace (project) in which the product is installed
    #[arg(long, value_name = "NAME")]
    namespace: Option<Namespace>,

    /// Name of the product's instance, as oc get wa lists it
    #[arg(long, value_name = "NAME")]
    instance: Option<InstanceName>,

    /// Scale to this many training replicas, and the deployments that they need in proportion
    #[arg(long, value_name = "X")]
    scale: Option<Replicas>,

    /// Print the commands that undo the patches, and nothing else
    #[arg(long, requires_all = ["namespace", "instance"], conflicts_with_all = ["source", "workspaces", "at", "replicas"])]
    pub(crate) undo: bool,

    /// Log of the store-admin service: say whether the job is complete (- reads standard input)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["source", "workspaces", "profile", "replicas", "at", "namespace", "instance", "scale", "undo"])]
    pub(crate) log: Option<PathBuf>,
}

impl RetrainArgs {
    /// The job that the arguments describe; `None` if they only ask for the time that it takes.
    pub(crate) fn job(&self) -> Result<Option<RetrainJob>> {
        let asked =
            [self.at.is_some(), self.namespace.is_some(), self.instance.is_some(), self.scale.is_some()];
        if !asked.contains(&true) {
            return Ok(None);
        }
        let missing = |flag: &str, what: &str| {
            Usage::new(format!("{flag} is missing: the patches need {what}; see pgmig retrain --help"))
        };
        let namespace =
            self.namespace.clone().ok_or_else(|| missing("--namespace", "the namespace of the product"))?;
        let instance = self
            .instance
            .clone()
            .ok_or_else(|| missing("--instance", "the name of the product's instance"))?;
        let at = self.at.ok_or_else(|| missing("--at", "the time at which the job runs"))?;
        let replicas = self.replicas();
        let replicas = replicas.ok_or_else(|| missing("--replicas", "the number of training replicas"))?;
        let job = RetrainJob::new(namespace, instance, replicas, at);
        Ok(Some(match self.scale {
            Some(scale) => job.scaled_to(scale),
            None => job,
        }))
    }

    /// The number of training replicas.
    pub(crate) fn replicas(&self) -> Option<Replicas> {
        self.replicas.or(self.scale)
    }

    /// The time at which the job runs.
    pub(crate) fn at(&self) -> Option<Moment> {
        self.at
    }

    /// The namespace, the instance, and whether replicas are scaled, for the commands that undo the patches.
    pub(crate) fn to_undo(&self) -> Option<(&Namespace, &InstanceName, bool)> {
        Some((self.namespace.as_ref()?, self.instance.as_ref()?, self.scale.is_some()))
    }

    /// Whether the log comes from standard input.
    pub(crate) fn is_log_stdin(&self) -> bool {
        self.log.as_deref() == Some(Path::new("-"))
    }
}

/// More workspaces than this are a mistake.
const MOST_WORKSPACES: u64 = 1_000_000_000;

fn workspaces(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| *number <= MOST_WORKSPACES);
    number.ok_or_else(|| format!("expected a whole number from 0 to {MOST_WORKSPACES}"))
}
