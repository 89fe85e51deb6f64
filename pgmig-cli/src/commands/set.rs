//! `--set`: several restores in one run. Every one of them is prepared before the first one changes its target.

use super::dry_run::{self, DryRun};
use super::restore::{self, Prepared, Restored, prepare_for};
use crate::args::{Args, OutputFormat};
use crate::environment::Environment;
use crate::failure::{Document, Usage};
use crate::interrupt::{self, Stage};
use crate::output::{self, Text, len, plural};
use crate::progress::Display;
use crate::report::{Folder, Recorder, Report, SetOfReports, Ticket};
use crate::usage;
use anyhow::Result;
use pgmig_core::Error;
use pgmig_core::config_file::{FileKind, read_yaml};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
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

/// The plan of one restore.
#[derive(Debug, Serialize)]
struct Planned {
    source: String,
    /// `None` if there is none.
    plan: Option<DryRun>,
    /// Why the restore cannot be run; `None` if it can.
    error: Option<Document>,
}

/// The plan of a set.
#[derive(Debug, Serialize)]
struct SetPlan {
    restores: Vec<Planned>,
}

/// One restore that can begin.
struct Ready {
    args: Args,
    prepared: Prepared,
    ticket: Ticket,
    recorder: Arc<Recorder>,
}

impl Ready {
    fn database(&self) -> &str {
        self.prepared.restore.database()
    }

    /// Ends it without a restore, and reports that.
    async fn close(self, reports: &mut Vec<Report>) {
        reports.push(self.ticket.report(None, self.recorder.timeline()));
        self.prepared.abandon().await;
    }
}

/// What all restores of a set share.
struct Set<'a> {
    environment: &'a Environment,
    display: &'a Arc<Display>,
    cancel: &'a CancellationToken,
    /// Whether `--report` asks for what only plans say.
    is_reported: bool,
}

/// Runs the restores of the file.
pub(crate) async fn run(
    args: &Args,
    file: &Path,
    environment: &Environment,
    cancel: CancellationToken,
) -> Result<()> {
    let each = arguments_of_each(file)?;
    let folder = args.report.as_deref().map(Folder::make).transpose()?;
    let display = Arc::new(Display::new(args)?);
    let set = Set { environment, display: &display, cancel: &cancel, is_reported: folder.is_some() };
    if args.dry_run {
        let (plan, outcome) = set.plan_all(each).await?;
        display.finish();
        print_plan(args, &plan)?;
        return outcome;
    }
    let (began, mut reports) = (SystemTime::now(), Vec::new());
    let result = set.restore_all(each, &mut reports).await;
    display.finish();
    if let Some(folder) = folder {
        let error = result.as_ref().map_or_else(Some, |(_, outcome)| outcome.as_ref().err());
        let written = SetOfReports::of(began, error, reports).write(&folder);
        restore::tell_of_report(args, &folder, written);
    }
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

impl Set<'_> {
    /// Prepares all restores, asks what has to be asked, and then runs one after the other, up to the first that fails.
    async fn restore_all(
        &self,
        each: Vec<Args>,
        reports: &mut Vec<Report>,
    ) -> Result<(SetReport, Result<()>)> {
        let mut ready: Vec<Ready> = Vec::new();
        for args in each {
            let source = source(&args)?;
            let mut ticket = Ticket::begin(&args);
            let recorder = Arc::new(Recorder::new(Arc::clone(self.display) as _));
            match self.prepare(&args, &ready, &recorder, &mut ticket).await {
                Ok(prepared) => ready.push(Ready { args, prepared, ticket, recorder }),
                Err(error) => {
                    close(ready, reports).await;
                    reports.push(ticket.report(Some(Err(&error)), recorder.timeline()));
                    return Err(error.context(format!("nothing was restored, because {source} cannot be")));
                }
            }
        }
        let mut report = SetReport { restores: Vec::new() };
        let mut ready = ready.into_iter();
        while let Some(next) = ready.next() {
            interrupt::has_come_to(Stage::Before);
            let (source, database) = (source(&next.args)?, next.database().to_owned());
            let Ready { args, prepared, ticket, recorder } = next;
            let result = restore::run_prepared(&args, prepared, self.display).await;
            let result = result.map(|done| restore::restored(&args, done));
            reports.push(ticket.report(Some(result.as_ref().map(Clone::clone)), recorder.timeline()));
            match result {
                Ok(done) => report.restores.push(Done { source, database, report: Some(done), error: None }),
                Err(error) => {
                    let (done, of) = (report.restores.len(), report.restores.len() + 1 + ready.len());
                    let failed = Some(Document::of(&error));
                    report.restores.push(Done {
                        source: source.clone(),
                        database,
                        report: None,
                        error: failed,
                    });
                    let rest: Vec<Ready> = ready.collect();
                    report.restores.extend(rest.iter().filter_map(not_begun));
                    close(rest, reports).await;
                    let text =
                        format!("{done} of {of} restores are complete; the restore of {source} failed");
                    return Ok((report, Err(error.context(text))));
                }
            }
        }
        Ok((report, Ok(())))
    }

    /// Prepares a restore, and asks whether it may erase its target.
    async fn prepare(
        &self,
        args: &Args,
        others: &[Ready],
        recorder: &Arc<Recorder>,
        ticket: &mut Ticket,
    ) -> Result<Prepared> {
        let Self { environment, display, cancel, is_reported } = *self;
        let listener = Arc::clone(recorder) as _;
        let mut prepared = prepare_for(args, environment, display, listener, cancel).await?;
        let target = (prepared.server.as_str(), prepared.restore.database());
        let mut taken = others.iter().map(|other| (other.prepared.server.as_str(), other.database()));
        let allowed = if taken.any(|other| other == target) {
            Err(same_target(target.1))
        } else if is_reported && let Err(error) = restore::note_plan(ticket, &mut prepared).await {
            Err(error)
        } else {
            restore::may_run(&prepared.restore, args, display, cancel).await
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

    /// Plans all restores, those after one that cannot be run, too. The outcome is the first error.
    async fn plan_all(&self, each: Vec<Args>) -> Result<(SetPlan, Result<()>)> {
        let (mut set, mut outcome) = (SetPlan { restores: Vec::new() }, Ok(()));
        let mut targets = Vec::new();
        for args in each {
            let source = source(&args)?;
            let planned = dry_run::plan(&args, self.environment, self.display, self.cancel).await;
            let (plan, result) = match planned {
                Ok((plan, result)) => {
                    let target = (plan.plan.target.server.clone(), plan.plan.target.database.clone());
                    let result = match targets.contains(&target) {
                        true => Err(same_target(&target.1)),
                        false => result,
                    };
                    targets.push(target);
                    (Some(plan), result)
                }
                Err(error) if self.cancel.is_cancelled() => return Err(error),
                Err(error) => (None, Err(error)),
            };
            let error = result.as_ref().err().map(Document::of);
            let text = format!("the set cannot be restored, because {source} cannot be");
            outcome = outcome.and(result.map_err(|error| error.context(text)));
            set.restores.push(Planned { source, plan, error });
        }
        Ok((set, outcome))
    }
}

fn source(args: &Args) -> Result<String> {
    Ok(args.backup.source()?.display().to_string())
}

fn same_target(database: &str) -> anyhow::Error {
    Usage::new(format!("two restores of the set have database {database:?} as their target")).into()
}

fn not_begun(ready: &Ready) -> Option<Done> {
    let source = source(&ready.args).ok()?;
    Some(Done { source, database: ready.database().to_owned(), report: None, error: None })
}

async fn close(ready: Vec<Ready>, reports: &mut Vec<Report>) {
    for each in ready {
        each.close(reports).await;
    }
}

fn print_plan(args: &Args, set: &SetPlan) -> Result<()> {
    if let OutputFormat::Json = args.output {
        return output::print_document("plan_set", set);
    }
    let mut text = Text::new();
    for planned in &set.restores {
        text.line(format!("Restore of {}", planned.source));
        if let Some(plan) = &planned.plan {
            text.append(&output::plan(plan));
        }
        for line in planned.error.iter().flat_map(Document::lines) {
            text.append(&Text::message("cannot be run", &line));
        }
        text.line("");
    }
    let can = set.restores.iter().filter(|planned| planned.error.is_none()).count();
    text.line(format!("{can} of {} can be run", plural(len(&set.restores), "restore")));
    output::print(&text)
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
