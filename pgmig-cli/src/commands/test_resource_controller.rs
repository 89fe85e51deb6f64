//! `--testRCConnection`: queries the Resource Controller and prints its answer. Changes nothing.

use crate::args::Args;
use crate::environment::Environment;
use crate::output::{self, Text, len, plural};
use crate::provisioned;
use crate::table::{Align, Table};
use anyhow::Result;
use pgmig_core::resource_controller::{Listing, TlsInfo, UnusableInstance, Verification};
use tokio_util::sync::CancellationToken;

/// Tries the connection, and prints the result.
pub(crate) async fn run(args: &Args, environment: &Environment, cancel: &CancellationToken) -> Result<()> {
    args.output.text_only("--testRCConnection")?;
    let listing =
        provisioned::list(args.backup.resource_controller()?, &args.backup, environment, cancel).await?;
    output::print(&report(&listing))
}

fn report(listing: &Listing) -> Text {
    let mut text = Text::of(format!("Reached the Resource Controller at {}", listing.url));
    text.line(format!("  {}", tls(&listing.tls)));
    text.section("Instances by access token", &tokens(listing));
    text.title(&format!("{} provisioned", plural(len(&listing.instances), "instance")));
    if !listing.instances.is_empty() {
        text.table(&instances(listing));
    }
    if !listing.unusable.is_empty() {
        text.title(&format!("{} not usable", plural(len(&listing.unusable), "instance")));
        text.table(&unusable(&listing.unusable));
    }
    text
}

fn tls(tls: &TlsInfo) -> String {
    let fingerprint = tls.certificate.fingerprint;
    match &tls.verification {
        Verification::Verified(by) => format!("{}, certificate verified with {by}", tls.version),
        Verification::Trusted => {
            format!("{}, certificate not verified but trusted by you, SHA-256 {fingerprint}", tls.version)
        }
        Verification::Skipped { reason } => {
            format!("{}, certificate NOT verified ({reason}), SHA-256 {fingerprint}", tls.version)
        }
        other => format!("{}, {other:?}", tls.version),
    }
}

fn tokens(listing: &Listing) -> Table {
    let mut table = Table::new(&[
        ("token", Align::Right),
        ("provisioned", Align::Right),
        ("not usable", Align::Right),
        ("other types", Align::Right),
    ]);
    for token in &listing.tokens {
        let counts = [token.position, token.provisioned, token.unusable, token.other_kinds];
        table.row(counts.map(|count| count.to_string()));
    }
    table
}

fn instances(listing: &Listing) -> Table {
    let mut table = Table::new(&[
        ("instance", Align::Left),
        ("type", Align::Left),
        ("namespace", Align::Left),
        ("tokens", Align::Left),
        ("name", Align::Left),
    ]);
    for instance in &listing.instances {
        let tokens: Vec<String> = instance.tokens.iter().map(ToString::to_string).collect();
        table.row([
            instance.id.to_string(),
            instance.kind.clone().unwrap_or_default(),
            instance.namespace.clone().unwrap_or_default(),
            tokens.join(", "),
            instance.name.clone().unwrap_or_default(),
        ]);
    }
    table
}

fn unusable(instances: &[UnusableInstance]) -> Table {
    let mut table = Table::new(&[("instance", Align::Left), ("status", Align::Left), ("name", Align::Left)]);
    for instance in instances {
        table.row([
            instance.id.map(|id| id.to_string()).unwrap_or_default(),
            instance.status.clone().unwrap_or_else(|| "has no usable ID".to_owned()),
            instance.name.clone().unwrap_or_default(),
        ]);
    }
    table
}
