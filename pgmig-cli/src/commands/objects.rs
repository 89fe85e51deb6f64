//! `pgmig objects`: copies buckets of an S3 or MinIO server to a directory and back.

use crate::args::{Args, OutputFormat};
use crate::failure::{CopyInterrupted, DamagedObjects};
use crate::objects::{CopyArgs, ObjectsCommand};
use crate::output;
use crate::progress::Display;
use anyhow::Result;
use pgmig_core::progress::{Event, Progress as _};
use pgmig_objects::{ObjectsError, ObjectsOptions, ObjectsReport, Progress};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// What was done, in the form in which it is printed.
#[derive(Debug, Serialize)]
pub(crate) struct Copied {
    /// `backup`, `restore` or `verify`.
    pub(crate) action: &'static str,
    #[serde(flatten)]
    pub(crate) report: ObjectsReport,
    pub(crate) took_seconds: f64,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, command: &ObjectsCommand, cancel: &CancellationToken) -> Result<()> {
    let (copy, server) = match command {
        ObjectsCommand::Backup(transfer) | ObjectsCommand::Restore(transfer) => {
            (&transfer.copy, &transfer.server)
        }
        ObjectsCommand::Verify(verify) => (&verify.copy, &verify.server),
    };
    if let Some(warning) = server.warning() {
        output::tell("warning", warning);
    }
    let begun = Instant::now();
    let display = Arc::new(Display::new(args)?);
    let mut options = options(copy, &display);
    let copied = async {
        Ok(match command {
            ObjectsCommand::Backup(transfer) => {
                display.doing("backing up");
                options.delete = transfer.delete;
                ("backup", pgmig_objects::backup(&server.required()?, &options).await?)
            }
            ObjectsCommand::Restore(transfer) => {
                display.doing("restoring");
                options.delete = transfer.delete;
                ("restore", pgmig_objects::restore(&server.required()?, &options).await?)
            }
            ObjectsCommand::Verify(_) => {
                display.doing("verifying");
                let remote = server.remote()?;
                let mut report = pgmig_objects::verify_directory(&options).await?;
                if let Some(remote) = remote {
                    report.faults.extend(pgmig_objects::verify_remote(&remote, &options).await?.faults);
                }
                ("verify", report)
            }
        })
    };
    let copied: Result<(&str, ObjectsReport)> = tokio::select! {
        copied = copied => copied,
        () = cancel.cancelled() => Err(CopyInterrupted.into()),
    };
    display.finish();
    let (action, report) = copied?;
    let faults = report.faults.len();
    let copied = Copied { action, report, took_seconds: begun.elapsed().as_secs_f64() };
    match args.output {
        OutputFormat::Json => output::print_document("objects", &copied)?,
        OutputFormat::Text => output::print(&output::objects(&copied, args.quiet))?,
    }
    if faults == 0 { Ok(()) } else { Err(DamagedObjects(faults).into()) }
}

fn options(copy: &CopyArgs, display: &Arc<Display>) -> ObjectsOptions {
    let mut options = ObjectsOptions::new(&copy.directory);
    options.buckets.clone_from(&copy.bucket);
    options.jobs = copy.jobs;
    options.progress = Arc::new(Shown(Arc::clone(display)));
    options
}

/// Shows the progress as that of a restore is shown.
struct Shown(Arc<Display>);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

impl Progress for Shown {
    fn bytes(&self, _: &str, done: u64, total: u64) {
        self.0.event(&Event::ArchiveRead { bytes: done, total: Some(total), left: None });
    }
}

/// Whether an error is one of usage.
pub(crate) fn is_usage(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<ObjectsError>().is_some_and(ObjectsError::is_usage)
}
