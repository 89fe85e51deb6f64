//! `pgmig backup`: backs a database up, and removes old backups.

use crate::args::{Args, OutputFormat};
use crate::backup::{DumpArgs, DumpCommand, PruneArgs};
use crate::environment::Environment;
use crate::failure::{Interrupted, Usage};
use crate::hints;
use crate::output;
use crate::progress::Display;
use anyhow::Result;
use pgmig_core::dump::{
    Destination, Dump, DumpOptions, DumpReport, Programs, PruneOptions, PruneReport, prune as remove_old,
};
use pgmig_core::progress::Notice;
use serde::Serialize;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A backup, and what was removed afterwards.
#[derive(Debug, Serialize)]
pub(crate) struct BackedUp {
    #[serde(flatten)]
    pub(crate) report: DumpReport,
    /// `None` if all backups are kept.
    pub(crate) pruned: Option<PruneReport>,
}

/// Runs the command.
pub(crate) async fn run(
    args: &Args,
    dump: &DumpArgs,
    environment: &Environment,
    cancel: &CancellationToken,
) -> Result<()> {
    match &dump.command {
        None => back_up(args, dump, environment, cancel).await,
        Some(DumpCommand::Prune(pruning)) => prune(args, pruning, cancel).await,
    }
}

async fn back_up(
    args: &Args,
    dump: &DumpArgs,
    environment: &Environment,
    cancel: &CancellationToken,
) -> Result<()> {
    let to = dump.to()?;
    let is_stdout = to == Path::new("-");
    if dump.retention().is_some() && !to.is_dir() {
        let text = "--keep-daily and --keep-weekly remove old backups from a directory: -o must name an existing one";
        return Err(Usage::new(text).into());
    }
    let destination = if is_stdout { stdout(args)? } else { Destination::at(to) };
    let config = environment.target_config(dump.target.file()?)?;
    let mut options = DumpOptions::default();
    options.programs = programs(dump.pg_dump.as_ref(), environment);
    options.lock_wait = dump.lock_wait;
    let display = Arc::new(Display::new(args)?);
    display.doing("backing up");
    let making = Dump::of(config, destination)
        .options(options)
        .progress(Arc::clone(&display) as _)
        .cancel(cancel.clone())
        .run();
    let made = making.await;
    display.finish();
    let mut report = made?;
    hints::notices(&mut report.notices);
    let pruned = prune_after(args, dump, &report, cancel).await;
    // The backup is there, whatever became of old ones.
    let (pruned, failed) = match pruned {
        Ok(pruned) => (pruned, Ok(())),
        Err(error) => (None, Err(error)),
    };
    let done = BackedUp { report, pruned };
    let text = output::backed_up(&done, args.quiet);
    match args.output {
        OutputFormat::Json => output::print_document("backup", &done)?,
        OutputFormat::Text if is_stdout => output::say(&text),
        OutputFormat::Text => output::print(&text)?,
    }
    failed
}

/// Where pg_dump is looked for.
pub(super) fn programs(given: Option<&PathBuf>, environment: &Environment) -> Programs {
    match given {
        Some(path) => Programs::Path(path.clone()),
        None => Programs::Search(environment.search_path.clone()),
    }
}

fn stdout(args: &Args) -> Result<Destination> {
    args.output.text_only("pgmig backup -o -: standard output holds the backup")?;
    if io::stdout().is_terminal() {
        let text = "-o - writes the backup, which is no text, to standard output: redirect it to a file or a program";
        return Err(Usage::new(text).into());
    }
    Ok(Destination::Writer(Box::new(io::stdout())))
}

async fn prune_after(
    args: &Args,
    dump: &DumpArgs,
    report: &DumpReport,
    cancel: &CancellationToken,
) -> Result<Option<PruneReport>> {
    let (Some(retention), Some(file)) = (dump.retention(), &report.file) else { return Ok(None) };
    let mut options = PruneOptions::default();
    options.retention = retention;
    options.database = Some(report.database.clone());
    options.verified = Some(file.clone());
    remove(args, dump.to()?, options, cancel).await.map(Some)
}

async fn prune(args: &Args, pruning: &PruneArgs, cancel: &CancellationToken) -> Result<()> {
    let mut options = PruneOptions::default();
    options.retention = pruning.retention();
    options.dry_run = pruning.dry_run;
    let report = remove(args, &pruning.to, options, cancel).await?;
    match args.output {
        OutputFormat::Json => output::print_document("backup_prune", &report),
        OutputFormat::Text => output::print(&output::pruned(&report, args.quiet)),
    }
}

async fn remove(
    args: &Args,
    directory: &Path,
    mut options: PruneOptions,
    cancel: &CancellationToken,
) -> Result<PruneReport> {
    let display = Arc::new(Display::new(args)?);
    display.doing("verifying a backup that stays");
    options.progress = Arc::clone(&display) as _;
    let removed = tokio::select! {
        removed = remove_old(directory, options) => removed,
        () = cancel.cancelled() => return Err(Interrupted.into()),
    };
    display.finish();
    Ok(removed?)
}

/// The notices of a backup and of the removal of old ones.
pub(crate) fn all_notices(done: &BackedUp) -> impl Iterator<Item = &Notice> {
    done.report.notices.iter().chain(done.pruned.iter().flat_map(|pruned| &pruned.notices))
}
