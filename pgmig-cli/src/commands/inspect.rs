//! `pgmig inspect`: prints the contents of a backup.

use super::restore::tell_of_report;
use super::{cluster, mapping};
use crate::args::{Args, InspectArgs, OutputFormat};
use crate::failure::{Interrupted, Usage};
use crate::output::{self, inspection};
use crate::progress::Display;
use crate::report::{Folder, InspectionReport};
use anyhow::{Context, Result};
use pgmig_core::Error;
use pgmig_core::archive::{Archive, ArchiveError, ClusterDump};
use pgmig_core::backup::{Backup, Inspection, Source};
use pgmig_core::profile::Profile;
use pgmig_core::restore::{self, Refusal, RestoreError};
use std::io::{ErrorKind, Write};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Prints the part that the arguments ask for.
pub(crate) async fn run(args: &Args, inspect: &InspectArgs, cancel: &CancellationToken) -> Result<()> {
    if inspect.source_database.is_none() && ClusterDump::is_at(&inspect.file) && !inspect.list && !inspect.sql
    {
        if inspect.report.is_some() {
            let text = "--report is about one database: name it with --source-database";
            return Err(Usage::new(text).into());
        }
        return cluster::print(args, &inspect.file);
    }
    if inspect.list {
        args.output.text_only("inspect --list")?;
        return listing(inspect.source()?, cancel).await;
    }
    if inspect.sql {
        args.output.text_only("inspect --sql")?;
        return script(inspect.source()?, cancel).await;
    }
    let folder = inspect.report.as_deref().map(Folder::make).transpose()?;
    let display = Arc::new(Display::new(args)?);
    display.doing("reading");
    let profile = inspect.profile.as_deref().map(mapping::profile_named).transpose()?;
    let inspected = look(inspect, profile.clone(), &display, cancel).await;
    display.finish();
    let inspection = inspected?;
    if let Some(profile) = profile.filter(|_| inspection.store.is_none()) {
        output::tell("warning", &Refusal::no_instances(&profile).to_string());
    }
    if let Some(folder) = folder {
        let report = InspectionReport::of(&inspect.file, inspection.clone());
        tell_of_report(args, &folder, report.write(&folder));
    }
    match args.output {
        OutputFormat::Json => output::print_document("inspect", &inspection),
        OutputFormat::Text => output::print(&inspection::text(&inspection)),
    }
}

async fn look(
    inspect: &InspectArgs,
    profile: Option<Profile>,
    display: &Arc<Display>,
    cancel: &CancellationToken,
) -> Result<Inspection> {
    let source = inspect.source()?;
    let work = async {
        let (backup, missing) = Backup::open_incomplete(source, profile).await?;
        display.suspend();
        tell_missing(&missing);
        display.resume();
        backup.inspect(Arc::clone(display) as _).await
    };
    tokio::select! {
        inspection = work => Ok(inspection?),
        () = cancel.cancelled() => Err(Interrupted.into()),
    }
}

/// Warns of files with data that a directory lacks.
fn tell_missing(missing: &[ArchiveError]) {
    for error in missing {
        output::tell("warning", &error.to_string());
    }
}

/// Prints the list in the form of `pg_restore --list`.
async fn listing(source: Source, cancel: &CancellationToken) -> Result<()> {
    on_archive(source, Source::open_incomplete, cancel, |(archive, missing): (Archive, Vec<ArchiveError>)| {
        tell_missing(&missing);
        let listing = archive.listing().to_string();
        let mut out = output::data();
        match out.write_all(listing.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(error).context("cannot write to standard output")
            }
            _ => Ok(()),
        }
    })
    .await
}

/// Streams the script to standard output.
async fn script(source: Source, cancel: &CancellationToken) -> Result<()> {
    on_archive(source, Source::open, cancel, |mut archive| {
        match restore::script(&mut archive, &mut *output::data()) {
            // The reader (`head`, for example) has closed the pipe.
            Err(Error::Restore(RestoreError::Output(error))) if error.kind() == ErrorKind::BrokenPipe => {
                Ok(())
            }
            written => Ok(written?),
        }
    })
    .await
}

/// Opens an archive and works on it, on a thread that may block.
async fn on_archive<A, T: Send + 'static>(
    source: Source,
    open: impl FnOnce(Source) -> Result<A, ArchiveError> + Send + 'static,
    cancel: &CancellationToken,
    work: impl FnOnce(A) -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(move || work(open(source).map_err(Error::from)?));
    tokio::select! {
        done = done => done.context("the thread that reads the archive has died")?,
        () = cancel.cancelled() => Err(Interrupted.into()),
    }
}
