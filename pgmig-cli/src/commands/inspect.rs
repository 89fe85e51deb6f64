//! `pgmig inspect`: what is in a backup.

use super::mapping;
use crate::args::{Args, InspectArgs, OutputFormat};
use crate::failure::Interrupted;
use crate::output::{self, document, inspection};
use crate::progress::Display;
use anyhow::{Context, Result};
use pgmig_core::Error;
use pgmig_core::archive::Archive;
use pgmig_core::restore::{Backup, Inspection, Source};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Prints what the arguments ask for.
pub(crate) async fn run(args: &Args, inspect: &InspectArgs, cancel: &CancellationToken) -> Result<()> {
    if inspect.list {
        args.output.text_only("inspect --list")?;
        return output::print(&listing(inspect.source(), cancel).await?);
    }
    let display = Arc::new(Display::new(args));
    display.doing("reading");
    let inspected = look(inspect, &display, cancel).await;
    display.finish();
    let inspection = inspected?;
    match args.output {
        OutputFormat::Json => output::print(&document("inspect", &inspection)?),
        OutputFormat::Text => output::print(&inspection::text(&inspection)),
    }
}

async fn look(
    inspect: &InspectArgs,
    display: &Arc<Display>,
    cancel: &CancellationToken,
) -> Result<Inspection> {
    let profile = inspect.profile.as_deref().map(mapping::profile_named).transpose()?;
    let work = async {
        let backup = Backup::open(inspect.source(), profile).await?;
        backup.inspect(Arc::clone(display) as _).await
    };
    tokio::select! {
        inspection = work => Ok(inspection?),
        () = cancel.cancelled() => Err(Interrupted.into()),
    }
}

/// As `pg_restore --list` prints it.
async fn listing(source: Source, cancel: &CancellationToken) -> Result<String> {
    let open = tokio::task::spawn_blocking(move || {
        let archive = match source {
            Source::File(path) => Archive::open(&path),
            Source::Stdin => Archive::from_stream(std::io::stdin()),
        };
        Ok(archive.map_err(Error::from)?.listing().to_string())
    });
    tokio::select! {
        listing = open => listing.context("the thread that reads the archive has died")?,
        () = cancel.cancelled() => Err(Interrupted.into()),
    }
}
