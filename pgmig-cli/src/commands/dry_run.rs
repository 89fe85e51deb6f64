//! `--dry-run`: does everything that a restore does before it changes anything, and shows the plan for the rest.

use super::mapping::Provisioned;
use super::restore::{Prepared, prepare};
use crate::args::{Args, OutputFormat};
use crate::environment::Environment;
use crate::failure::{Document, Usage, WouldStop};
use crate::hints;
use crate::output;
use crate::progress::Display;
use anyhow::{Context as _, Result};
use pgmig_core::restore::RestorePlan;
use serde::Serialize;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
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
    /// Why this command fails although there is a plan.
    pub(crate) error: Option<Document>,
}

/// Plans the restore that the arguments describe, and prints the plan.
///
/// Data that would be erased are not an error: the plan shows them, and how to allow it. Warnings are an error with
/// `--strict`. Differences for which the restore is refused are an error, after the plan has shown all differences.
pub(crate) async fn run(args: &Args, environment: &Environment, cancel: CancellationToken) -> Result<()> {
    let display = Arc::new(Display::new(args)?);
    let result = plan(args, environment, &display, &cancel).await;
    display.finish();
    let (dry_run, outcome) = result?;
    print(args, &dry_run)?;
    outcome
}

/// The plan, and whether a restore would go on to the end.
pub(super) async fn plan(
    args: &Args,
    environment: &Environment,
    display: &Arc<Display>,
    cancel: &CancellationToken,
) -> Result<(DryRun, Result<()>)> {
    let Prepared { mut restore, mapping_file, provisioned, .. } =
        prepare(args, environment, display, cancel).await?;
    let (plan, refused) = (restore.plan().await, restore.check());
    let draft = restore.draft_rules();
    restore.close().await;
    if let Some(file) = &args.write_rules {
        write_rules(file, draft)?;
    }
    let mapping_file = mapping_file.map(|file| file.display().to_string());
    let mut plan = plan?;
    hints::plan(&mut plan);
    let outcome = refused.map_err(anyhow::Error::from).and_then(|()| match plan.warnings() {
        warnings if args.strict && warnings > 0 => Err(WouldStop::new(warnings).into()),
        _ => Ok(()),
    });
    let error = outcome.as_ref().err().map(Document::of);
    Ok((DryRun { plan, mapping_file, provisioned, error }, outcome))
}

/// Writes the draft of a profile to a file that does not exist yet.
fn write_rules(file: &Path, draft: Option<String>) -> Result<()> {
    let Some(draft) = draft else {
        return Err(Usage::new("--write-rules drafts rules for --schema target only").into());
    };
    let written = File::create_new(file).and_then(|mut created| created.write_all(draft.as_bytes()));
    written
        .with_context(|| format!("cannot write the rules to {} (it must not exist yet)", file.display()))?;
    output::tell(
        "notice",
        &format!(
            "wrote rules to {}; edit them, put them into DIR/profile.yaml, and use --profile DIR",
            file.display()
        ),
    );
    Ok(())
}

fn print(args: &Args, dry_run: &DryRun) -> Result<()> {
    match args.output {
        OutputFormat::Json => output::print_document("plan", dry_run),
        OutputFormat::Text => output::print(&output::plan(dry_run)),
    }
}
