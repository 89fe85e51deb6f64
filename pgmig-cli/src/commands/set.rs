//! `--set`: several restores in one run. Every one of them is prepared before the first one changes its target.

use super::restore::{self, Prepared, Restored, prepare};
use crate::args::{Args, OutputFormat};
use crate::environment::Environment;
use crate::failure::{Document, Usage};
use crate::interrupt::{self, Stage};
use crate::output::{self, Text, len, plural};
use crate::progress::Display;
use crate::usage;
use anyhow::Result;
use pgmig_core::Error;
use pgmig_core::config_file::{FileKind, read_yaml};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The file of a set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    restores: Vec<Item>,
}

/// One restore: the arguments that it does not share with the others. Paths are relative to the file's directory.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    source: PathBuf,
    source_database: Option<String>,
    target: Option<PathBuf>,
    target_url: Option<String>,
    database: Option<String>,
    owner: Option<String>,
    mapping: Option<PathBuf>,
    #[serde(default)]
    keep_ids: bool,
    profile: Option<PathBuf>,
    migrations: Option<PathBuf>,
    schema: Option<String>,
}

impl Item {
    /// The arguments, as they would be typed.
    fn arguments(&self, directory: &Path) -> Vec<OsString> {
        let path = |path: &PathBuf| directory.join(path).into_os_string();
        // A built-in profile has a name and no directory.
        let profile = |name: &PathBuf| {
            let beside = directory.join(name);
            if beside.is_dir() { beside } else { name.clone() }.into_os_string()
        };
        let values = [
            ("--source", Some(path(&self.source))),
            ("--source-database", self.source_database.as_ref().map(OsString::from)),
            ("--target", self.target.as_ref().map(path)),
            ("--target-url", self.target_url.as_ref().map(OsString::from)),
            ("--database", self.database.as_ref().map(OsString::from)),
            ("--owner", self.owner.as_ref().map(OsString::from)),
            ("--mapping", self.mapping.as_ref().map(path)),
            ("--profile", self.profile.as_ref().map(profile)),
            ("--migrations", self.migrations.as_ref().map(path)),
            ("--schema", self.schema.as_ref().map(OsString::from)),
        ];
        let mut arguments = Vec::new();
        for (flag, value) in values {
            arguments.extend(value.into_iter().flat_map(|value| [OsString::from(flag), value]));
        }
        arguments.extend(self.keep_ids.then(|| OsString::from("--keep-ids")));
        arguments
    }
}

/// What became of one restore.
#[derive(Debug, Serialize)]
struct Done {
    source: String,
    database: String,
    /// `None` if it failed, or did not begin.
    report: Option<Restored>,
    /// Why it failed; `None` if it did not, or did not begin.
    error: Option<Document>,
}

/// The report of a set.
#[derive(Debug, Serialize)]
struct SetReport {
    restores: Vec<Done>,
}

/// One restore that can begin.
struct Ready {
    args: Args,
    prepared: Prepared,
}

/// Runs the restores of the file.
pub(crate) async fn run(
    args: &Args,
    file: &Path,
    environment: &Environment,
    cancel: CancellationToken,
) -> Result<()> {
    if args.dry_run {
        return Err(Usage::new("--dry-run plans one restore: run it for each one of the set").into());
    }
    let each = arguments_of_each(file)?;
    let display = Arc::new(Display::new(args)?);
    let result = restore_all(each, environment, &display, &cancel).await;
    display.finish();
    let (report, outcome) = result?;
    match args.output {
        OutputFormat::Json => output::print_document("restore_set", &report)?,
        OutputFormat::Text => output::print(&summary(&report, args.quiet))?,
    }
    outcome
}

fn arguments_of_each(file: &Path) -> Result<Vec<Args>> {
    let set: File = read_yaml(file, FileKind::Set).map_err(Error::from)?;
    if set.restores.is_empty() {
        return Err(Usage::new(format!("{} lists no restore", file.display())).into());
    }
    let given: Vec<OsString> = std::env::args_os().collect();
    let directory = file.parent().unwrap_or(Path::new(""));
    let mut each = Vec::new();
    for (index, item) in set.restores.iter().enumerate() {
        let arguments = [given.clone(), item.arguments(directory)].concat();
        let args = usage::again(&arguments).map_err(|message| {
            Usage::new(format!("restore {} of {}: {message}", index + 1, file.display()))
        })?;
        if args.backup.is_from_stdin() || args.target.is_from_stdin() {
            return Err(Usage::new("a restore of a set cannot read standard input").into());
        }
        each.push(args);
    }
    Ok(each)
}

/// Prepares all restores, asks what has to be asked, and then runs one after the other, up to the first that fails.
async fn restore_all(
    each: Vec<Args>,
    environment: &Environment,
    display: &Arc<Display>,
    cancel: &CancellationToken,
) -> Result<(SetReport, Result<()>)> {
    let mut ready: Vec<Ready> = Vec::new();
    for args in each {
        let source = args.backup.source()?.display().to_string();
        match prepare_one(&args, &ready, environment, display, cancel).await {
            Ok(prepared) => ready.push(Ready { args, prepared }),
            Err(error) => {
                close(ready).await;
                return Err(error.context(format!("nothing was restored, because {source} cannot be")));
            }
        }
    }
    let mut report = SetReport { restores: Vec::new() };
    let mut ready = ready.into_iter();
    while let Some(Ready { args, prepared }) = ready.next() {
        interrupt::has_come_to(Stage::Before);
        let (source, database) =
            (args.backup.source()?.display().to_string(), prepared.restore.database().to_owned());
        match restore::run_prepared(&args, prepared, display).await {
            Ok(done) => {
                let report_of = Some(restore::restored(&args, done));
                report.restores.push(Done { source, database, report: report_of, error: None });
            }
            Err(error) => {
                let (done, of) = (report.restores.len(), report.restores.len() + 1 + ready.len());
                let failed = Some(Document::of(&error));
                report.restores.push(Done { source: source.clone(), database, report: None, error: failed });
                let rest: Vec<Ready> = ready.collect();
                report.restores.extend(rest.iter().filter_map(not_begun));
                close(rest).await;
                let text = format!("{done} of {of} restores are complete; the restore of {source} failed");
                return Ok((report, Err(error.context(text))));
            }
        }
    }
    Ok((report, Ok(())))
}

fn not_begun(ready: &Ready) -> Option<Done> {
    let source = ready.args.backup.source().ok()?.display().to_string();
    Some(Done { source, database: ready.prepared.restore.database().to_owned(), report: None, error: None })
}

/// Prepares a restore, and asks whether it may erase its target.
async fn prepare_one(
    args: &Args,
    others: &[Ready],
    environment: &Environment,
    display: &Arc<Display>,
    cancel: &CancellationToken,
) -> Result<Prepared> {
    let mut prepared = prepare(args, environment, display, cancel).await?;
    let target = (prepared.server.clone(), prepared.restore.database().to_owned());
    let is_taken = others
        .iter()
        .any(|other| (&other.prepared.server, other.prepared.restore.database()) == (&target.0, &target.1));
    let allowed = match is_taken {
        true => {
            Err(Usage::new(format!("two restores of the set have database {:?} as their target", target.1))
                .into())
        }
        false => restore::may_run(&prepared.restore, args, display, cancel).await,
    };
    match allowed {
        Ok(was_asked) => {
            if was_asked {
                prepared.restore.allow_erase();
            }
            Ok(prepared)
        }
        Err(refusal) => {
            prepared.abandon().await;
            Err(refusal)
        }
    }
}

async fn close(ready: Vec<Ready>) {
    for Ready { prepared, .. } in ready {
        prepared.abandon().await;
    }
}

fn summary(report: &SetReport, quiet: bool) -> Text {
    let complete = report.restores.iter().filter(|done| done.report.is_some()).count();
    let mut text = Text::new();
    for done in &report.restores {
        match (&done.report, &done.error) {
            (Some(restored), _) if quiet => text.append(&output::kept(restored)),
            (Some(restored), _) => text.append(&output::summary(restored)),
            (None, Some(_)) => {
                text.line(format!("{:?} was NOT restored from {}", done.database, done.source))
            }
            (None, None) => text.line(format!("{:?} was not begun", done.database)),
        }
        if !quiet {
            text.line("");
        }
    }
    if !quiet {
        text.line(format!("{complete} of {} complete", plural(len(&report.restores), "restore")));
    }
    text
}
