//! `pgmig doctor`: everything that would stop a restore, or cost it time, at once, and how long a restore may take. Changes
//! nothing.

use super::mapping;
use crate::args::{Args, DoctorArgs, OutputFormat};
use crate::environment::Environment;
use crate::failure::{self, Interrupted, Unhealthy};
use crate::hints;
use crate::output::{self, Text, len, plural};
use crate::progress::Display;
use crate::provisioned;
use anyhow::Result;
use pgmig_core::Error;
use pgmig_core::instance::Mapping;
use pgmig_core::progress::Severity;
use pgmig_core::restore::{
    Diagnosis, Finding, Gravity, Instances, Restore, RestoreOptions, diagnose, predict_duration,
};
use pgmig_core::server::TargetConfig;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Examines the target, and the backup and the Resource Controller if they are given; prints what was found.
///
/// # Errors
/// Something stops a restore. The findings have been printed.
pub(crate) async fn run(
    args: &Args,
    doctor: &DoctorArgs,
    environment: &Environment,
    cancel: &CancellationToken,
) -> Result<()> {
    let mut diagnosis = Diagnosis::default();
    let work = examine(args, doctor, environment, &mut diagnosis, cancel);
    tokio::select! {
        () = work => {}
        () = cancel.cancelled() => return Err(Interrupted.into()),
    }
    for finding in &mut diagnosis.findings {
        finding.text = hints::in_flags(&finding.text);
    }
    match args.output {
        OutputFormat::Json => output::print_document("diagnosis", &diagnosis)?,
        OutputFormat::Text => output::print(&report(&diagnosis))?,
    }
    let stopping =
        diagnosis.findings.iter().filter(|finding| finding.gravity == Gravity::StopsRestore).count();
    let stopping = u64::try_from(stopping).unwrap_or(u64::MAX);
    if stopping > 0 { Err(Unhealthy(stopping).into()) } else { Ok(()) }
}

async fn examine(
    args: &Args,
    doctor: &DoctorArgs,
    environment: &Environment,
    diagnosis: &mut Diagnosis,
    cancel: &CancellationToken,
) {
    let config = doctor.target.file().and_then(|file| environment.target_config(file));
    let target = match config {
        Ok(target) => {
            *diagnosis = diagnose(&target).await;
            Some(target)
        }
        Err(error) => {
            diagnosis.add([stops("target-file", &error)]);
            None
        }
    };
    if let Some(file) = &doctor.backup.resource_controller
        && let Err(error) = provisioned::list(file, &doctor.backup, environment, cancel).await
    {
        diagnosis.add([stops("resource-controller", &error)]);
    }
    if doctor.backup.source.is_none() {
        return;
    }
    let target = target.filter(|_| diagnosis.server_version.is_some());
    match plan(args, doctor, target, cancel).await {
        Ok(findings) => diagnosis.add(findings),
        Err(error) => diagnosis.add([stops("refused", &error)]),
    }
}

/// What a dry run finds. Without a mapping it is under the backup's own instance IDs.
async fn plan(
    args: &Args,
    doctor: &DoctorArgs,
    target: Option<TargetConfig>,
    cancel: &CancellationToken,
) -> Result<Vec<Finding>> {
    let display = Arc::new(Display::new(args)?);
    let profile = mapping::profile(&doctor.backup)?;
    let backup = mapping::open(&doctor.backup, profile, &display, cancel).await;
    display.finish();
    let backup = backup?;
    // Without a target, the backup itself has been looked at.
    let Some(target) = target else { return Ok(Vec::new()) };
    let instances = match &doctor.backup.mapping {
        Some(file) => Instances::Map(Mapping::read(file).map_err(Error::from)?),
        None => Instances::Keep,
    };
    let options = RestoreOptions::new(instances);
    let mut restore = Restore::of(backup, target.clone(), options).cancel(cancel.clone()).prepare().await?;
    let (plan, check) = (restore.plan().await, restore.check());
    restore.close().await;
    let mut plan = plan?;
    check?;
    hints::plan(&mut plan);
    let information = |code, text: String| Finding::new(Gravity::Information, code, text);
    let duration = match predict_duration(&target, &plan.archive).await {
        Ok(duration) => duration,
        Err(error) => {
            let reason = hints::in_our_words(&error);
            Some(information("duration", format!("how long a restore takes cannot be predicted: {reason}")))
        }
    };
    let warnings = plan.notices.iter().filter(|notice| notice.severity == Severity::Warning);
    let warnings = warnings.map(|notice| information("warning", notice.text.clone()));
    Ok(warnings.chain(duration).collect())
}

fn stops(code: &'static str, error: &anyhow::Error) -> Finding {
    let mut text = vec![hints::in_our_words(error.as_ref())];
    text.extend(failure::causes(error));
    let text = text.join(": ");
    Finding::new(Gravity::StopsRestore, code, text)
}

fn report(diagnosis: &Diagnosis) -> Text {
    let mut text = match diagnosis.server.is_empty() {
        true => Text::of("No target"),
        false => Text::of(format!("Database {} on {}", diagnosis.database, diagnosis.server)),
    };
    if let Some(version) = &diagnosis.server_version {
        text.line(format!("  PostgreSQL {version}"));
    }
    if diagnosis.findings.is_empty() {
        text.line("  nothing found");
    }
    for gravity in [Gravity::StopsRestore, Gravity::CostsTime, Gravity::Information] {
        let findings: Vec<&Finding> =
            diagnosis.findings.iter().filter(|finding| finding.gravity == gravity).collect();
        if findings.is_empty() {
            continue;
        }
        text.title(&format!("{gravity}: {}", plural(len(&findings), "finding")));
        for finding in findings {
            text.line(format!("  {} ({})", finding.text, finding.code));
            if let Some(help) = &finding.help {
                text.line(format!("    -> {help}"));
            }
        }
    }
    text
}
