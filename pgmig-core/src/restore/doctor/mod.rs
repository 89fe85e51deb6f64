//! Looks for everything that would stop a restore, or cost it time: all findings at once. Changes nothing.

mod checks;
mod duration;
mod finding;

pub use duration::predict_duration;
pub use finding::{Diagnosis, Finding, Gravity};

use crate::error::Result;
use crate::restore::preflight::open_control;
use crate::restore::preflight::probe::probe;
use crate::restore::refusal::Refusal;
use crate::restore::staging;
use crate::restore::staging::names::staging_name;
use crate::server::TargetConfig;
use crate::server::catalog;
use crate::server::lock::lock_holder;
use crate::server::session::Session;
use crate::sql::quote_ident;

/// Examines a target. What cannot be examined is a finding, too, so there is always a diagnosis.
///
/// ```no_run
/// # use pgmig_core::server::TargetConfig;
/// # async fn examine(target: TargetConfig) {
/// for finding in pgmig_core::restore::diagnose(&target).await.findings {
///     println!("{}: {}", finding.gravity, finding.text);
/// }
/// # }
/// ```
pub async fn diagnose(config: &TargetConfig) -> Diagnosis {
    let mut diagnosis =
        Diagnosis { server: config.server(), database: config.database().to_owned(), ..Diagnosis::default() };
    match probe(config).await {
        Ok(probe) => {
            diagnosis.add(finding::of_probe(&probe));
            diagnosis.server_version = Some(probe.server_version);
        }
        Err(error) => diagnosis.add([stops("no-connection", error.to_string())]),
    }
    match examine(config).await {
        Ok(findings) => diagnosis.add(findings),
        // The probe has said the same.
        Err(_) if diagnosis.stops_restore() => {}
        Err(error) => diagnosis.add([stops("not-examined", error.to_string())]),
    }
    diagnosis
}

async fn examine(config: &TargetConfig) -> Result<Vec<Finding>> {
    let application = config.application_name().unwrap_or("pgmig").to_owned();
    let (mut control, _) = open_control(config, &application).await?;
    let mut findings = checks::of_server(&mut control, config.database()).await?;
    findings.extend(beside(&mut control, config).await?);
    control.close().await;
    Ok(findings)
}

/// What earlier runs have left, and the lock.
async fn beside(control: &mut Session, config: &TargetConfig) -> Result<Vec<Finding>> {
    let database = config.database();
    let mut findings = Vec::new();
    if let Some(holder) = lock_holder(control, database).await? {
        let refusal = Refusal::Locked { database: database.to_owned(), holder };
        findings.push(stops("locked", refusal.to_string()));
    }
    let Some(target) = catalog::database_facts(control, database).await? else { return Ok(findings) };
    let beside = staging::look_beside(control, &target).await?;
    if beside.name_taken {
        let refusal = Refusal::NameTaken(staging_name(database)).to_string();
        findings.push(stops("staging-name-taken", refusal));
    }
    findings.extend(beside.leftovers.iter().map(|name| {
        let text =
            format!("an interrupted run left database {}, which the next restore removes", quote_ident(name));
        Finding::new(Gravity::Information, "leftover", text)
    }));
    let megabytes = target.bytes.div_ceil(1_000_000);
    let text = format!(
        "a swap holds the target ({megabytes} MB) and the restored database at the same time; pgmig cannot see how much \
         space is free"
    );
    findings.push(Finding::new(Gravity::Information, "space", text).with_help("df, where data_directory is"));
    Ok(findings)
}

fn stops(code: &'static str, text: String) -> Finding {
    Finding::new(Gravity::StopsRestore, code, text)
}
