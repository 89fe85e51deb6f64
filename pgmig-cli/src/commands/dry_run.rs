//! `--dry-run`: does everything that a restore does before it changes anything, and shows the plan for the rest.

use super::mapping::Provisioned;
use super::restore::{Prepared, prepare};
use crate::args::{Args, OutputFormat};
use crate::environment::Environment;
use crate::failure::WouldStop;
use crate::hints;
use crate::output;
use crate::progress::Display;
use anyhow::Result;
use pgmig_core::progress::{Event, Progress, Severity};
use pgmig_core::restore::RestorePlan;
use serde::Serialize;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A plan, and the facts that only the command line knows.
#[derive(Debug, Serialize)]
pub(crate) struct DryRun {
    #[serde(flatten)]
    pub(crate) plan: RestorePlan,
    /// The file that the entered mapping was written to, if the operator entered one.
    pub(crate) mapping_file: Option<String>,
    /// The instances that the Resource Controller lists, if pgmig asked it.
    pub(crate) provisioned: Option<Provisioned>,
}

/// Plans the restore that the arguments describe, and prints the plan.
///
/// Data that would be erased are not an error: the plan shows them, and how to allow it. Warnings are an error with
/// `--strict`. Differences for which the restore is refused are an error, after the plan has shown all differences.
pub(crate) async fn run(args: &Args, environment: &Environment, cancel: CancellationToken) -> Result<()> {
    let display = Arc::new(Display::new(args));
    let result = plan(args, environment, &display, &cancel).await;
    display.finish();
    let (dry_run, refused) = result?;
    print(args, &dry_run, &display)?;
    refused?;
    match dry_run.plan.warnings() {
        warnings if args.strict && warnings > 0 => Err(WouldStop::new(warnings).into()),
        _ => Ok(()),
    }
}

async fn plan(
    args: &Args,
    environment: &Environment,
    display: &Arc<Display>,
    cancel: &CancellationToken,
) -> Result<(DryRun, Result<()>)> {
    let Prepared { mut restore, mapping_file, provisioned } =
        prepare(args, environment, display, cancel).await?;
    let (plan, refused) = (restore.plan().await, restore.check());
    restore.close().await;
    let mapping_file = mapping_file.map(|file| file.display().to_string());
    let mut plan = plan?;
    hints::plan(&mut plan);
    Ok((DryRun { plan, mapping_file, provisioned }, refused.map_err(Into::into)))
}

fn print(args: &Args, dry_run: &DryRun, display: &Display) -> Result<()> {
    match args.output {
        OutputFormat::Json => output::print_document("plan", dry_run),
        OutputFormat::Text if args.quiet => {
            let notices = dry_run.plan.notices.iter();
            notices
                .filter(|notice| notice.severity == Severity::Warning)
                .for_each(|notice| display.event(&Event::Notice(notice)));
            Ok(())
        }
        OutputFormat::Text => output::print(&output::plan(dry_run)),
    }
}
