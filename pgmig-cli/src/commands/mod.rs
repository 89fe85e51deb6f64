//! The program's commands.

pub(crate) mod backup;
pub(crate) mod cluster;
pub(crate) mod config;
mod created;
pub(crate) mod doctor;
pub(crate) mod dry_run;
pub(crate) mod inspect;
pub(crate) mod mapping;
pub(crate) mod objects;
pub(crate) mod papers;
pub(crate) mod previous;
pub(crate) mod releases;
pub(crate) mod restore;
pub(crate) mod retrain;
pub(crate) mod set;
pub(crate) mod test_connection;
pub(crate) mod test_resource_controller;
pub(crate) mod verify;

use crate::args::{Args, Command};
use crate::environment::Environment;
use anyhow::Result;
use tokio_util::sync::CancellationToken;

/// Runs a subcommand.
pub(crate) async fn run(
    args: &Args,
    command: &Command,
    environment: &Environment,
    cancel: &CancellationToken,
) -> Result<()> {
    match command {
        Command::Backup(dump) => backup::run(args, dump, environment, cancel).await,
        Command::Config(config) => config::run(args, config),
        Command::Doctor(doctor) => doctor::run(args, doctor, environment, cancel).await,
        Command::Mapping(mapping) => mapping::run(args, mapping, environment, cancel).await,
        Command::Inspect(inspect) => inspect::run(args, inspect, cancel).await,
        Command::Objects(command) => objects::run(args, command, cancel).await,
        Command::Papers(papers) => papers::run(papers),
        Command::Previous(command) => previous::run(args, command, environment, cancel).await,
        Command::Releases(releases) => releases::run(args, releases),
        Command::Retrain(retrain) => retrain::run(args, retrain, cancel).await,
        Command::Verify(verify) => verify::run(args, verify, cancel).await,
    }
}
