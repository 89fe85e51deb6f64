//! `pgmig`: restores a store's backup on another cluster, all or nothing. `pgmig-core` does the work. This program
//! parses arguments, asks questions, shows progress and prints results.

mod args;
mod backup;
mod commands;
mod confirm;
#[cfg(test)]
mod documents;
mod environment;
mod failure;
mod hints;
mod interrupt;
mod log;
mod objects;
mod output;
mod previous;
mod progress;
mod prompt;
mod provisioned;
mod report;
mod retrain;
mod selection;
mod shell;
mod table;
mod target;
mod usage;

use anyhow::{Context, Result};
use args::{Args, OutputFormat};
use environment::Environment;
use std::ffi::OsString;
use std::io;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    // Before anything else: a signal must never end the program by its default action.
    let cancel = interrupt::cancelled_by_signals();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let args = match usage::parse(&arguments) {
        Ok(args) => args,
        Err(status) => return status,
    };
    let started = log::start(args.log_level, args.log_file.as_deref());
    match started.and(cancel).and_then(|cancel| start(&args, cancel)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::say(&failure::describe(&error));
            if args.output == OutputFormat::Json {
                output::print_failure(&failure::Document::of(&error));
            }
            ExitCode::from(failure::exit_status(failure::kind(&error)))
        }
    }
}

fn start(args: &Args, cancel: CancellationToken) -> Result<()> {
    require_threads().context("cannot start the program's threads")?;
    let runtime = Runtime::new().context("cannot start the program's threads")?;
    let result = runtime.block_on(run(args, cancel));
    // A thread may still read standard input. The program must not wait for it.
    runtime.shutdown_background();
    result
}

/// Tries whether as many threads can be started as the runtime needs: it would panic if they could not.
fn require_threads() -> io::Result<()> {
    let count = thread::available_parallelism().map_or(1, NonZeroUsize::get) + 2;
    let hold = Mutex::new(());
    thread::scope(|scope| {
        let all_at_once = hold.lock().unwrap_or_else(PoisonError::into_inner);
        let started: io::Result<Vec<_>> =
            (0..count).map(|_| thread::Builder::new().spawn_scoped(scope, || drop(hold.lock()))).collect();
        drop(all_at_once);
        started.map(drop)
    })
}

async fn run(args: &Args, cancel: CancellationToken) -> Result<()> {
    let environment = Environment::read()?;
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
    if let Some(file) = &args.set {
        return commands::set::run(args, file, &environment, cancel).await;
    }
    if args.dry_run {
        return commands::dry_run::run(args, &environment, cancel).await;
    }
    commands::restore::run(args, &environment, cancel).await
}
