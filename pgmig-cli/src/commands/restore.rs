//! The main job: restore a backup into the target.

use super::backup::programs;
use super::mapping::{self, Mapper, Provisioned};
use crate::args::{Args, ENTERED_MAPPING, OutputFormat};
use crate::confirm;
use crate::environment::Environment;
use crate::failure::{self, CreationInterrupted, Failure, Usage};
use crate::hints;
use crate::output;
use crate::previous::rollback_command;
use crate::progress::Display;
use crate::shell;
use anyhow::Result;
use pgmig_core::migrations::MigrationSet;
use pgmig_core::progress::{Event, Notice, Progress as _, Severity};
use pgmig_core::restore::{
    self, BackupFirst, Erase, Instances, NewTarget, Restore, RestoreOptions, RestoreReport, SchemaSource,
    Strategy, StrategyChoice,
};
use pgmig_core::{Error, ErrorKind};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The name of the sessions that create and remove a target.
const APPLICATION: &str = "pgmig";

/// A prepared restore, which can be run or described.
pub(super) struct Prepared {
    pub(super) restore: Restore,
    /// The file that the entered mapping was written to.
    pub(super) mapping_file: Option<PathBuf>,
    /// The instances that the Resource Controller lists, if pgmig asked it.
    pub(super) provisioned: Option<Provisioned>,
}

/// Runs the restore that the arguments describe, and prints the summary.
pub(crate) async fn run(args: &Args, environment: &Environment, cancel: CancellationToken) -> Result<()> {
    let display = Arc::new(Display::new(args));
    let created = create_target(args, environment, &cancel).await?;
    let result = run_restore(args, environment, &display, cancel).await;
    display.finish();
    if let (Some(created), Err(error)) = (created, &result) {
        remove_target(args, created, error).await;
    }
    let report = result?;
    // The restore is complete, even if its report cannot be printed.
    let database = report.database.clone();
    if let Err(error) = print(args, report) {
        output::tell("warning", &format!("{database:?} was restored, but {error:#}"));
    }
    Ok(())
}

/// With `--create-database`, creates the target if it does not exist.
async fn create_target(
    args: &Args,
    environment: &Environment,
    cancel: &CancellationToken,
) -> Result<Option<NewTarget>> {
    if !args.create_database {
        return Ok(None);
    }
    // A wrong argument must not leave a database behind.
    args.backup.source()?;
    options(args, environment)?;
    let config = environment.target_config(args.target.file()?)?;
    tokio::select! {
        created = restore::create_target(&config, APPLICATION) => Ok(created?),
        () = cancel.cancelled() => Err(CreationInterrupted.into()),
    }
}

/// Removes the target that this run has created, as nothing was restored into it. One that another run goes on with stays.
async fn remove_target(args: &Args, created: NewTarget, error: &anyhow::Error) {
    if args.keep_staging || failure::kind(error) == ErrorKind::OutcomeUnknown {
        return;
    }
    let name = created.name().to_owned();
    let text = match created.remove(APPLICATION).await {
        Ok(true) => return,
        Ok(false) => "it is not empty".to_owned(),
        Err(error) => error.to_string(),
    };
    output::tell(
        "warning",
        &format!("database {name:?}, which was created for the restore, is still there: {text}"),
    );
}

/// A report, and the command that undoes the restore.
#[derive(Debug, Serialize)]
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

fn print(args: &Args, report: RestoreReport) -> Result<()> {
    let command = |previous: &String| rollback_command(previous, &args.target);
    let rollback_command = report.previous.as_ref().map(command);
    let restore_command = report.backup.as_ref().map(|backup| restore_command(args, &report, backup));
    let restored = Restored { report, rollback_command, restore_command };
    match args.output {
        OutputFormat::Json => output::print_document("restore", &restored),
        // The user can learn this name from nothing else.
        OutputFormat::Text if args.quiet => output::print(&output::kept(&restored)),
        OutputFormat::Text => output::print(&output::summary(&restored)),
    }
}

async fn run_restore(
    args: &Args,
    environment: &Environment,
    display: &Arc<Display>,
    cancel: CancellationToken,
) -> Result<RestoreReport> {
    let Prepared { mut restore, .. } = prepare(args, environment, display, &cancel).await?;
    match may_run(&restore, args, display, &cancel).await {
        Ok(true) => restore.allow_erase(),
        Ok(false) => {}
        Err(refusal) => {
            restore.close().await;
            return Err(refusal);
        }
    }
    if args.jobs.is_some_and(|jobs| jobs > restore.jobs()) {
        let text = "in place everything goes over one connection, whatever --jobs says";
        display.event(&Event::Notice(&Notice::new(Severity::Notice, text)));
    }
    let mut report = restore.run().await.map_err(Failure::of)?;
    hints::notices(&mut report.notices);
    Ok(report)
}

/// Asks whether pgmig may erase the target's data, if the target holds any. Returns whether it asked.
async fn may_run(
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
    let progress = Arc::clone(display);
    let restore =
        Restore::of(backup, target, options).progress(progress).cancel(cancel.clone()).prepare().await?;
    Ok(Prepared { restore, mapping_file, provisioned })
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
