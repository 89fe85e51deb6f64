//! `pgmig`: restores a store's backup on another cluster, all or nothing. `pgmig-core` does the work. This program
//! parses arguments, asks questions, shows progress and prints results.

mod args;
mod commands;
mod confirm;
mod environment;
mod failure;
mod hints;
mod interrupt;
mod log;
mod output;
mod previous;
mod progress;
mod prompt;
mod provisioned;
mod selection;
mod shell;
mod table;
mod usage;

use anyhow::{Context, Result};
use args::Args;
use environment::Environment;
use std::ffi::OsString;
use std::process::ExitCode;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let args = match usage::parse(&arguments) {
        Ok(args) => args,
        Err(status) => return status,
    };
    log::start(args.log_level);
    match start(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::say(&failure::describe(&error));
            ExitCode::from(failure::exit_status(failure::kind(&error)))
        }
    }
}

fn start(args: &Args) -> Result<()> {
    let runtime = Runtime::new().context("cannot start the program's threads")?;
    let result = runtime.block_on(run(args));
    // A thread may still read standard input. The program must not wait for it.
    runtime.shutdown_background();
    result
}

async fn run(args: &Args) -> Result<()> {
    let environment = Environment::read()?;
    let cancel = interrupt::cancelled_by_signals()?;
    if let Some(command) = &args.command {
        return commands::run(args, command, &environment, &cancel).await;
    }
    if args.test_rc_connection {
        commands::test_resource_controller::run(args, &environment, &cancel).await?;
    }
    if args.test_pg_connection {
        commands::test_connection::run(args, &environment, &cancel).await?;
    }
    if args.test_rc_connection || args.test_pg_connection {
        return Ok(());
    }
    if args.dry_run {
        return commands::dry_run::run(args, &environment, cancel).await;
    }
    commands::restore::run(args, &environment, cancel).await
}
