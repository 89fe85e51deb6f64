//! Lists the instances that are provisioned on the target. It asks the Resource Controller, and asks the operator once
//! if the certificate cannot be verified.

use crate::args::BackupArgs;
use crate::environment::Environment;
use crate::failure::Interrupted;
use crate::output::{Text, say, tell};
use crate::prompt;
use anyhow::Result;
use pgmig_core::Error;
use pgmig_core::resource_controller::{
    Listing, ResourceController, ResourceControllerConfig, ResourceControllerError, ServiceType,
    UntrustedCertificate,
};
use std::io::{self, IsTerminal};
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// Lists the instances that the Resource Controller of this configuration file reports, and prints its warnings.
///
/// If a certificate cannot be verified, pgmig asks the operator, at a terminal only. `--yes` does not answer this
/// question. Only the configuration file can accept any certificate.
pub(crate) async fn list(
    config: &Path,
    args: &BackupArgs,
    environment: &Environment,
    cancel: &CancellationToken,
) -> Result<Listing> {
    let mut config = ResourceControllerConfig::from_file(config).map_err(Error::from)?;
    config.warnings.iter().for_each(|warning| tell("warning", warning));
    if args.wxo {
        config.service_type = Some(ServiceType::Orchestrate);
    }
    let mut controller =
        ResourceController::new(config, &environment.resource_controller).map_err(Error::from)?;
    let listing = match interruptible(&controller, cancel).await? {
        Err(ResourceControllerError::UntrustedCertificate(untrusted))
            if trusts(&untrusted, args, cancel).await? =>
        {
            controller.trust(untrusted.certificate.fingerprint);
            interruptible(&controller, cancel).await?
        }
        other => other,
    };
    let listing = listing.map_err(Error::from)?;
    listing.warnings().iter().for_each(|warning| tell("warning", warning));
    Ok(listing)
}

async fn interruptible(
    controller: &ResourceController,
    cancel: &CancellationToken,
) -> Result<Result<Listing, ResourceControllerError>> {
    tokio::select! {
        listing = controller.list_instances() => Ok(listing),
        () = cancel.cancelled() => Err(Interrupted.into()),
    }
}

/// Shows the certificate and asks. Without a terminal, the answer is no.
async fn trusts(
    untrusted: &UntrustedCertificate,
    args: &BackupArgs,
    cancel: &CancellationToken,
) -> Result<bool> {
    if args.is_from_stdin() || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(false);
    }
    say(&question(untrusted));
    let answer = prompt::ask("Trust this certificate, this time? [y/N] ", cancel).await?;
    Ok(answer.is_some_and(|answer| means_yes(&answer)))
}

fn question(untrusted: &UntrustedCertificate) -> Text {
    let UntrustedCertificate { server, reason, certificate, .. } = untrusted;
    let mut text = Text::of(format!(
        "The certificate of the Resource Controller at {server} cannot be verified: {reason}"
    ));
    for (name, value) in [
        ("subject", &certificate.subject),
        ("names", &certificate.names_shown()),
        ("issuer", &certificate.issuer),
        ("valid until", &certificate.not_after),
        ("SHA-256", &certificate.fingerprint.to_string()),
    ] {
        text.line(format!("  {name:<11}  {value}"));
    }
    text.line(
        "Compare the fingerprint with that of the service's own certificate. Your tokens go to whoever holds it.",
    );
    text
}

fn means_yes(answer: &str) -> bool {
    ["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_means_yes() {
        for yes in ["y\n", "Y\r\n", "yes", " YES \n"] {
            assert!(means_yes(yes), "{yes:?}");
        }
        for no in ["", "\n", "n\n", "no\n", "yep\n", "ye\n", "1\n"] {
            assert!(!means_yes(no), "{no:?}");
        }
    }
}
