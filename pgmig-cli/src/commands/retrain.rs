//! `pgmig retrain`: the time, the settings and the patches of the job that trains all workspaces, and whether it is complete.

use super::mapping::profile_named;
use crate::args::{Args, OutputFormat};
use crate::failure::{Interrupted, Untrained, Usage};
use crate::output;
use crate::progress::Display;
use crate::retrain::RetrainArgs;
use anyhow::{Context as _, Result};
use pgmig_core::backup::{Backup, Source};
use pgmig_core::retrain::{Manifest, RetrainJob, RetrainSummary, RetrainVerdict, Scale, Training, Variable};
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use tokio_util::sync::CancellationToken;

/// The training of a restored store, in the form in which it is printed.
#[derive(Debug, Serialize)]
pub(crate) struct Retraining {
    pub(crate) training: Training,
    /// `None` if only the time was asked for.
    pub(crate) job: Option<Job>,
}

/// The job that trains all workspaces.
#[derive(Debug, Serialize)]
pub(crate) struct Job {
    pub(crate) environment: Vec<Variable>,
    /// `None` if the replicas stay as they are.
    pub(crate) scale: Option<Scale>,
    pub(crate) patches: Vec<Manifest>,
    /// The commands that undo the patches.
    pub(crate) undo: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// What the log says.
#[derive(Debug, Serialize)]
pub(crate) struct Progressed {
    pub(crate) verdict: RetrainVerdict,
    #[serde(flatten)]
    pub(crate) summary: RetrainSummary,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, retrain: &RetrainArgs, cancel: &CancellationToken) -> Result<()> {
    if let Some(log) = &retrain.log {
        let (path, is_stdin) = (log.clone(), retrain.is_log_stdin());
        let reading = tokio::task::spawn_blocking(move || read(&path, is_stdin));
        let summary = tokio::select! {
            summary = reading => summary.context("the thread that reads the log has died")??,
            () = cancel.cancelled() => return Err(Interrupted.into()),
        };
        return report(args, summary);
    }
    if let Some((namespace, instance, is_scaled)) = retrain.to_undo().filter(|_| retrain.undo) {
        args.output.text_only("pgmig retrain --undo")?;
        return output::print(&output::lines(&RetrainJob::undo_of(namespace, instance, is_scaled)));
    }
    let job = retrain.job()?;
    let mut training = Training::of(workspaces(args, retrain, cancel).await?);
    if let Some(replicas) = retrain.replicas() {
        training = training.and_for(replicas);
    }
    let retraining = Retraining { training, job: job.map(|job| described(&job, retrain)) };
    match args.output {
        OutputFormat::Json => output::print_document("retrain", &retraining),
        OutputFormat::Text => {
            for warning in retraining.job.iter().flat_map(|job| &job.warnings) {
                output::tell("warning", warning);
            }
            output::print(&output::retraining(&retraining, args.quiet))
        }
    }
}

fn described(job: &RetrainJob, retrain: &RetrainArgs) -> Job {
    let mut warnings = job.warnings();
    if let Some(at) = retrain.at().filter(|at| at.is_before(SystemTime::now())) {
        warnings.push(format!("{} is over: the job would not run", at.shown()));
    }
    let (scale, patches) = (job.scale().copied(), job.patches());
    Job { environment: job.environment(), scale, patches, undo: job.undo(), warnings }
}

/// The number of workspaces: the one that was given, or that of the backup.
async fn workspaces(args: &Args, retrain: &RetrainArgs, cancel: &CancellationToken) -> Result<u64> {
    if let Some(workspaces) = retrain.workspaces {
        return Ok(workspaces);
    }
    let Some(path) = &retrain.source else {
        let text = "--source is missing: it names the backup whose workspaces are counted; --workspaces N gives their number";
        return Err(Usage::new(text).into());
    };
    let source = if path == Path::new("-") { Source::Stdin } else { Source::File(path.clone()) };
    let profile = retrain.profile.as_deref().map(profile_named).transpose()?;
    let display = Arc::new(Display::new(args)?);
    display.doing("counting workspaces");
    let counting = async {
        let backup = Backup::open(source, profile).await?;
        backup.workspaces(Arc::clone(&display) as _).await
    };
    let counted = tokio::select! {
        counted = counting => counted,
        () = cancel.cancelled() => return Err(Interrupted.into()),
    };
    display.finish();
    let missing = || {
        Usage::new(format!(
            "{} has no table of workspaces: give their number with --workspaces, or a profile that names their table \
             (workspaces)",
            path.display()
        ))
    };
    Ok(counted?.ok_or_else(missing)?)
}

fn read(path: &Path, is_stdin: bool) -> Result<RetrainSummary> {
    if is_stdin {
        return Ok(RetrainSummary::read(io::stdin().lock())?);
    }
    let file =
        File::open(path).map_err(|error| Usage::new(format!("cannot read {}: {error}", path.display())))?;
    RetrainSummary::read(BufReader::new(file)).with_context(|| path.display().to_string())
}

/// Prints what the log says. An incomplete job is an error, so that a script can wait for it.
fn report(args: &Args, summary: RetrainSummary) -> Result<()> {
    let progressed = Progressed { verdict: summary.verdict(), summary };
    match args.output {
        OutputFormat::Json => output::print_document("retrain_log", &progressed)?,
        OutputFormat::Text => output::print(&output::retrained(&progressed, args.quiet))?,
    }
    match progressed.verdict {
        RetrainVerdict::Complete => Ok(()),
        _ => Err(Untrained::of(&summary).into()),
    }
}
