//! The main job: restore a backup into the target.

use super::backup::programs;
use super::created::Created;
use super::mapping::{self, Mapper, Provisioned};
use crate::args::{Args, ENTERED_MAPPING, OutputFormat};
use crate::confirm;
use crate::environment::Environment;
use crate::failure::{Failure, Usage};
use crate::hints;
use crate::output;
use crate::previous::rollback_command;
use crate::progress::Display;
use crate::report::{Folder, Recorder, Ticket};
use crate::shell;
use anyhow::Result;
use pgmig_core::Error;
use pgmig_core::migrations::MigrationSet;
use pgmig_core::progress::{Event, Notice, NoticeCode, Progress};
use pgmig_core::restore::{
    BackupFirst, Erase, Instances, Restore, RestoreOptions, RestoreReport, SchemaSource, Strategy,
    StrategyChoice,
};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A prepared restore, which can be run or described.
pub(super) struct Prepared {
    pub(super) restore: Restore,
    /// The file that the entered mapping was written to.
    pub(super) mapping_file: Option<PathBuf>,
    /// The instances that the Resource Controller lists, if pgmig asked it.
    pub(super) provisioned: Option<Provisioned>,
    /// The target, if this run has created it.
    pub(super) created: Created,
    /// The target's server.
    pub(super) server: String,
}

impl Prepared {
    /// Ends a restore that does not begin.
    pub(super) async fn abandon(self) {
        self.restore.close().await;
        self.created.undo().await;
    }
}

/// Runs the restore that the arguments describe, and prints the summary.
pub(crate) async fn run(args: &Args, environment: &Environment, cancel: CancellationToken) -> Result<()> {
    let display = Arc::new(Display::new(args)?);
    let folder = args.report.as_deref().map(Folder::make).transpose()?;
    let mut ticket = Ticket::begin(args);
    let recorder = Arc::new(Recorder::new(Arc::clone(&display) as _));
    let reported = folder.is_some().then_some(&mut ticket);
    let result = restore(args, environment, &display, (&recorder, reported), cancel).await;
    display.finish();
    if let Some(folder) = folder {
        let restored = result.as_ref().map(|report| restored(args, report.clone()));
        let report = ticket.report(Some(restored), recorder.timeline());
        tell_of_report(args, &folder, report.write(&folder));
    }
    let report = result?;
    // The restore is complete, even if its report cannot be printed.
    let database = report.database.clone();
    if let Err(error) = print(args, report) {
        output::tell("warning", &format!("{database:?} was restored, but {error:#}"));
    }
    Ok(())
}

/// A report, and the command that undoes the restore.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Restored {
    #[serde(flatten)]
    pub(crate) report: RestoreReport,
    pub(crate) rollback_command: Option<String>,
    pub(crate) restore_command: Option<String>,
}

/// The command that restores the backup which was taken first.
fn restore_command(args: &Args, report: &RestoreReport, backup: &Path) -> String {
    let mut command = format!(
        "pgmig --source {} {} --keep-ids --schema archive --force",
        shell::word(&backup.to_string_lossy()),
        args.target.words()
    );
    if report.strategy == Strategy::InPlace {
        command += " --strategy in-place";
    }
    if args.trust_archive {
        command += " --trust-archive";
    }
    for extension in &args.allow_extension {
        command += &format!(" --allow-extension {}", shell::word(extension));
    }
    command
}

/// The report, with the commands that go back.
pub(super) fn restored(args: &Args, report: RestoreReport) -> Restored {
    let command = |previous: &String| rollback_command(previous, &args.target);
    let rollback_command = report.previous.as_ref().map(command);
    let restore_command = report.backup.as_ref().map(|backup| restore_command(args, &report, backup));
    Restored { report, rollback_command, restore_command }
}

fn print(args: &Args, report: RestoreReport) -> Result<()> {
    let restored = restored(args, report);
    match args.output {
        OutputFormat::Json => output::print_document("restore", &restored),
        // The user can learn this name from nothing else.
        OutputFormat::Text if args.quiet => output::print(&output::kept(&restored)),
        OutputFormat::Text => output::print(&output::summary(&restored)),
    }
}

/// Tells where the report is. Whatever became of the work stays as it is if there is none.
pub(super) fn tell_of_report(args: &Args, folder: &Folder, written: Result<()>) {
    match written {
        Ok(()) if args.quiet => {}
        Ok(()) => output::tell("notice", &format!("the report is in {}", folder.page().display())),
        Err(error) => output::tell("warning", &format!("{error:#}")),
    }
}

async fn restore(
    args: &Args,
    environment: &Environment,
    display: &Arc<Display>,
    (recorder, ticket): (&Arc<Recorder>, Option<&mut Ticket>),
    cancel: CancellationToken,
) -> Result<RestoreReport> {
    let listener = Arc::clone(recorder) as Arc<dyn Progress>;
    let mut prepared = prepare_for(args, environment, display, listener, &cancel).await?;
    if let Some(ticket) = ticket
        && let Err(error) = note_plan(ticket, &mut prepared).await
    {
        prepared.abandon().await;
        return Err(error);
    }
    match may_run(&prepared.restore, args, display, &cancel).await {
        Ok(true) => prepared.restore.allow_erase(),
        Ok(false) => {}
        Err(refusal) => {
            prepared.abandon().await;
            return Err(refusal);
        }
    }
    run_prepared(args, prepared, display).await
}

/// Notes in the report what the plan says.
pub(super) async fn note_plan(ticket: &mut Ticket, prepared: &mut Prepared) -> Result<()> {
    let plan = prepared.restore.plan().await?;
    ticket.planned(plan, prepared.mapping_file.as_ref());
    Ok(())
}

/// Runs a restore that was prepared and allowed.
pub(super) async fn run_prepared(
    args: &Args,
    prepared: Prepared,
    display: &Arc<Display>,
) -> Result<RestoreReport> {
    let Prepared { restore, created, .. } = prepared;
    if args.jobs.is_some_and(|jobs| jobs > restore.jobs()) {
        let text = "in place everything goes over one connection, whatever --jobs says";
        display.event(&Event::Notice(&Notice::note(NoticeCode::FewerConnections, text)));
    }
    let result = restore.run().await.map_err(Failure::of);
    let mut report = created.settle(result).await?;
    hints::notices(&mut report.notices);
    Ok(report)
}

/// Asks whether pgmig may erase the target's data, if the target holds any. Returns whether it asked.
pub(super) async fn may_run(
    restore: &Restore,
    args: &Args,
    display: &Arc<Display>,
    cancel: &CancellationToken,
) -> Result<bool> {
    restore.check()?;
    let is_asked = restore.needs_confirmation() && !args.force;
    if is_asked {
        let question = confirm::Erasure {
            database: restore.database(),
            contents: restore.contents(),
            warnings: restore.warnings().collect(),
            from_stdin: args.backup.is_from_stdin() || args.target.is_from_stdin(),
        };
        display.suspend();
        confirm::erase(&question, cancel).await?;
        display.resume();
    }
    Ok(is_asked)
}

/// Opens the backup, makes the mapping, and reads the target's state.
pub(super) async fn prepare(
    args: &Args,
    environment: &Environment,
    display: &Arc<Display>,
    cancel: &CancellationToken,
) -> Result<Prepared> {
    prepare_for(args, environment, display, Arc::clone(display) as _, cancel).await
}

/// The same for another listener to the restore's events.
pub(super) async fn prepare_for(
    args: &Args,
    environment: &Environment,
    display: &Arc<Display>,
    progress: Arc<dyn Progress>,
    cancel: &CancellationToken,
) -> Result<Prepared> {
    args.backup.source()?;
    if args.backup.is_from_stdin() && args.target.is_from_stdin() {
        let text = "--source - and --vcap - cannot both read standard input: give one of them as a file";
        return Err(Usage::new(text).into());
    }
    let target = environment.target_config(args.target.file()?)?;
    let mut options = options(args, environment)?;
    let profile = mapping::profile(&args.backup)?;
    let backup = mapping::open(&args.backup, profile, display, cancel).await?;
    let (mut mapping_file, mut provisioned) = (None, None);
    if !args.keep_ids {
        let mapper = Mapper { args: &args.backup, quiet: args.quiet, environment, display, cancel };
        let mapped = mapper.mapping(&backup, ENTERED_MAPPING.as_ref()).await?;
        options.instances = Instances::Map(mapped.mapping);
        (mapping_file, provisioned) = (mapped.written, mapped.provisioned);
    }
    let created = Created::of(args.create_database, &target, &backup).await?;
    let server = target.server();
    let preparing = Restore::of(backup, target, options).progress(progress).cancel(cancel.clone()).prepare();
    match preparing.await {
        Ok(restore) => Ok(Prepared { restore, mapping_file, provisioned, created, server }),
        Err(error) => {
            created.undo().await;
            Err(error.into())
        }
    }
}

fn options(args: &Args, environment: &Environment) -> Result<RestoreOptions> {
    // The mapping is chosen when the backup is open.
    let mut options = RestoreOptions::new(Instances::Keep);
    options.erase = if args.force { Erase::Allow } else { Erase::Refuse };
    options.migrations =
        args.migrations.as_deref().map(MigrationSet::from_dir).transpose().map_err(Error::from)?;
    options.schema = args.schema;
    if args.to_release.is_some() && matches!(args.schema, SchemaSource::Archive | SchemaSource::Target) {
        let text =
            "--to-release says where an upgrade ends, and --schema archive and --schema target make none";
        return Err(Usage::new(text.to_owned()).into());
    }
    options.to_release = args.to_release;
    options.strategy = args.strategy;
    if args.keep_previous && args.strategy == StrategyChoice::InPlace {
        let text =
            "--keep-previous keeps the database that a swap replaces, and --strategy in-place has none";
        return Err(Usage::new(text.to_owned()).into());
    }
    for (is_set, flag) in [(args.resume, "--resume"), (args.keep_staging, "--keep-staging")] {
        if is_set && args.strategy == StrategyChoice::InPlace {
            let text = format!(
                "{flag} is about the staging database of a swap; --strategy in-place has none, and an interrupted restore in place \
                 leaves nothing to go on with: run it again without {flag}"
            );
            return Err(Usage::new(text).into());
        }
    }
    (options.resume, options.keep_staging) = (args.resume, args.keep_staging);
    options.allow_unused_sources = args.allow_unused;
    options.strict = args.strict;
    options.keep_previous = args.keep_previous;
    options.swap_wait = args.swap_wait;
    options.terminate_sessions = args.terminate_sessions;
    options.server_timeout = args.server_timeout;
    options.lock_wait = args.lock_wait;
    options.commit_wait = args.commit_wait;
    options.source_wait = args.backup.source_wait;
    if let Some(jobs) = args.jobs {
        options.jobs = jobs;
    }
    options.backup_first = args.backup_first.as_ref().map(|directory| {
        let mut first = BackupFirst::to(directory);
        first.options.programs = programs(args.pg_dump.as_ref(), environment);
        first.options.lock_wait = args.lock_wait;
        first
    });
    options.toast_compression = args.toast_compression;
    options.verify = args.verify;
    options.trust_archive = args.trust_archive;
    options.allow_extensions = args.allow_extension.iter().cloned().collect();
    options.selection = args.selection.selection()?;
    options.failpoint = environment.failpoint;
    Ok(options)
}
