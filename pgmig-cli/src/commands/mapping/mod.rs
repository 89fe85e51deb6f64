//! Assigns a provisioned instance to each instance of the backup: by a mapping file, by name, and by the operator's
//! answers. `restore` uses it; `pgmig mapping` runs it alone.

mod template;

use super::cluster;
use crate::args::{Args, BackupArgs, MappingArgs, OutputFormat};
use crate::environment::Environment;
use crate::failure::{Interrupted, Unmapped, Usage};
use crate::output::{self, count, len, plural, tell};
use crate::progress::Display;
use crate::prompt::{self, Names};
use crate::provisioned;
use anyhow::Result;
use pgmig_core::Error;
use pgmig_core::backup::{Backup, Source};
use pgmig_core::instance::{Alias, Candidate, Instance, InstanceId, Mapping, MappingDraft, MappingWriter};
use pgmig_core::profile::Profile;
use pgmig_core::progress::{Event, Notice, NoticeCode, Progress, Step};
use pgmig_core::resource_controller::Listing;
use pgmig_core::restore::{Refusal, RestoreError};
use pgmig_core::text::printable;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How many spare instances a message names.
const NAMED: usize = 5;

/// After how long pgmig says that it waits for standard input.
const LONG_WAIT: Duration = Duration::from_secs(10);

/// The sources of a complete mapping.
pub(crate) struct Mapper<'a> {
    pub(crate) args: &'a BackupArgs,
    pub(crate) quiet: bool,
    pub(crate) environment: &'a Environment,
    pub(crate) display: &'a Arc<Display>,
    pub(crate) cancel: &'a CancellationToken,
}

/// A complete mapping.
pub(crate) struct Mapped {
    pub(crate) mapping: Mapping,
    /// The file that the mapping was written to, if it contains answers.
    pub(crate) written: Option<PathBuf>,
    /// The instances that the Resource Controller lists, if pgmig asked it.
    pub(crate) provisioned: Option<Provisioned>,
}

/// The instances that can be targets.
#[derive(Debug, Serialize)]
pub(crate) struct Provisioned {
    /// The Resource Controller's URL, without the path.
    pub(crate) url: String,
    /// How many instances can be targets.
    pub(crate) instances: usize,
    /// Those that get no data from the backup. The restore deletes their present data.
    pub(crate) unused: Vec<Candidate>,
}

/// What `pgmig mapping` has written.
#[derive(Debug, Serialize)]
struct Written {
    /// The file.
    file: String,
    /// Whether every live instance of the backup has a target.
    complete: bool,
    pairs: Vec<Pair>,
    /// The instances of the backup that have no target yet.
    open: Vec<Instance>,
    provisioned: Provisioned,
}

/// A pair of the mapping, with the names that are known.
#[derive(Debug, Serialize)]
struct Pair {
    source: InstanceId,
    source_name: Option<String>,
    target: InstanceId,
    target_name: Option<String>,
}

/// `pgmig mapping`: writes the mapping file, and restores nothing.
pub(crate) async fn run(
    args: &Args,
    mapping: &MappingArgs,
    environment: &Environment,
    cancel: &CancellationToken,
) -> Result<()> {
    if mapping.backup.is_from_stdin() {
        return Err(
            Usage::new("pgmig mapping takes a file as --source: standard input is for the answers").into()
        );
    }
    mapping.backup.resource_controller()?;
    let display = Arc::new(Display::new(args)?);
    let mapper = Mapper { args: &mapping.backup, quiet: args.quiet, environment, display: &display, cancel };
    let written = mapper.write(mapping).await;
    display.finish();
    let (written, outcome) = written?;
    if args.output == OutputFormat::Json {
        output::print_document("mapping", &written)?;
    }
    outcome
}

/// Opens the backup that the arguments name.
pub(crate) async fn open(
    args: &BackupArgs,
    profile: Option<Profile>,
    display: &Display,
    cancel: &CancellationToken,
) -> Result<Backup> {
    let source = match (args.source()?, &args.source_database) {
        (path, Some(name)) => cluster::database_of(path, name)?,
        _ if args.is_from_stdin() => Source::Stdin,
        (path, None) => Source::File(path.to_owned()),
    };
    display.event(&Event::StepBegan { step: Step::Preflight });
    let opening = async {
        let opening = Backup::open(source, profile);
        if !args.is_from_stdin() {
            return Ok(opening.await?);
        }
        let stalled = |_| RestoreError::SourceStalled { seconds: args.source_wait.as_secs() };
        Ok(timeout(args.source_wait, opening).await.map_err(|over| Error::from(stalled(over)))??)
    };
    tokio::select! {
        backup = opening => backup,
        () = tell_of_stall(args, display) => Err(Interrupted.into()),
        () = cancel.cancelled() => Err(Interrupted.into()),
    }
}

/// Says that standard input brings nothing. Never returns.
async fn tell_of_stall(args: &BackupArgs, display: &Display) {
    if args.is_from_stdin() {
        sleep(LONG_WAIT).await;
        let limit = args.source_wait;
        let what = "the beginning of the backup on standard input";
        display.event(&Event::Waiting { what, sessions: 0, limit });
        let text = format!("waiting up to {} s for {what}", limit.as_secs());
        display.event(&Event::Notice(&Notice::note(NoticeCode::Waiting, text)));
    }
    std::future::pending().await
}

/// A backup that does not fit the requested profile has nothing to map.
fn refuse_other_profile(profile: Option<&Profile>, backup: &Backup) -> Result<()> {
    match profile {
        Some(profile) if backup.profile().is_none() => {
            Err(Error::from(RestoreError::from(Refusal::no_instances(profile))).into())
        }
        _ => Ok(()),
    }
}

/// A directory with a profile, or the name of a built-in one.
pub(crate) fn profile(args: &BackupArgs) -> Result<Option<Profile>> {
    args.profile.as_deref().map(profile_named).transpose()
}

/// The profile in a directory, or the built-in one of this name.
pub(super) fn profile_named(name: &Path) -> Result<Profile> {
    let profile = match name.to_str() {
        Some(built_in) if !name.is_dir() => Profile::builtin(built_in),
        _ => Profile::from_dir(name),
    };
    Ok(profile.map_err(Error::from)?)
}

impl Mapper<'_> {
    /// Writes the mapping, and returns what was written, and why it is not complete although it ought to be.
    async fn write(&self, args: &MappingArgs) -> Result<(Written, Result<()>)> {
        let profile = profile(self.args)?;
        let backup = open(self.args, profile.clone(), self.display, self.cancel).await?;
        refuse_other_profile(profile.as_ref(), &backup)?;
        let writer = MappingWriter::create(&args.file).map_err(Error::from)?;
        let given = self.given()?.unwrap_or_default();
        let listing = self.provisioned(self.args.resource_controller()?).await?;
        let draft = self.begin(&given, &backup, &listing)?;
        if args.template {
            return Ok((self.write_template(&draft, &backup, &listing, writer)?, Ok(())));
        }
        let found = Mapping::new(draft.pairs().iter().copied()).map_err(Error::from)?;
        match self.complete(draft, &backup, &listing).await {
            Ok(draft) => {
                let pairs = pairs(&draft, &names(&backup, &listing));
                let Mapped { written, provisioned, .. } =
                    self.finish(draft, &backup, &listing, Some(writer))?;
                let (Some(file), Some(provisioned)) = (written, provisioned) else {
                    return Err(Unmapped::because("no mapping was written").into());
                };
                let file = file.display().to_string();
                Ok((Written { file, complete: true, pairs, open: Vec::new(), provisioned }, Ok(())))
            }
            // What names tell is not lost.
            Err(error) if self.args.map_by_name && error.is::<Unmapped>() && !found.is_empty() => {
                let draft = draft_of(&found, &backup, &listing)?;
                Ok((self.write_template(&draft, &backup, &listing, writer)?, Err(error)))
            }
            Err(error) => Err(error),
        }
    }

    /// Writes what is known, with the other instances as comments.
    fn write_template(
        &self,
        draft: &MappingDraft<'_>,
        backup: &Backup,
        listing: &Listing,
        writer: MappingWriter,
    ) -> Result<Written> {
        let names = names(backup, listing);
        let text = template::text(draft, &names, &self.args.source()?.display().to_string());
        let file = writer.finish_text(&text).map_err(Error::from)?.display().to_string();
        let open: Vec<Instance> = draft.open().iter().copied().cloned().collect();
        self.notice(&match open.len() {
            0 => format!("the mapping is in {file}; use it with --mapping {file}"),
            _ => format!(
                "{} of the backup {} to get a target in {file}; then use it with --mapping {file}",
                plural(len(&open), "instance"),
                if open.len() == 1 { "has" } else { "have" }
            ),
        });
        let provisioned = Provisioned {
            url: listing.url.clone(),
            instances: listing.instances.len(),
            unused: draft.free().to_vec(),
        };
        Ok(Written { file, complete: open.is_empty(), pairs: pairs(draft, &names), open, provisioned })
    }

    /// The pairs that need no question: the given ones, and those of the same names if the arguments ask for these.
    fn begin<'a>(&self, given: &Mapping, backup: &'a Backup, listing: &Listing) -> Result<MappingDraft<'a>> {
        let mut draft = draft_of(given, backup, listing)?;
        if self.args.map_by_name {
            let mapped = draft.assign_by_name();
            self.notice(&format!(
                "{} mapped by name",
                plural(u64::try_from(mapped).unwrap_or(u64::MAX), "instance")
            ));
        }
        Ok(draft)
    }

    /// The mapping for a restore of this backup, as complete as pgmig can make it. When this function returns, the
    /// answers are in the file `entered`.
    pub(crate) async fn mapping(&self, backup: &Backup, entered: &Path) -> Result<Mapped> {
        let given = self.given()?;
        let Some(config) = &self.args.resource_controller else {
            let given = given.unwrap_or_default();
            backup.resolve(&given)?;
            return Ok(Mapped { mapping: given, written: None, provisioned: None });
        };
        if backup.is_stream() && backup.profile().is_some() && given.is_none() {
            return Err(Unmapped::because(
                "the backup comes from standard input or a pipe, so that nothing can be asked: give a complete mapping \
                 with --mapping (pgmig mapping makes one from a file)",
            )
            .into());
        }
        let listing = self.provisioned(config).await?;
        let draft = self.begin(&given.unwrap_or_default(), backup, &listing)?;
        if draft.open().is_empty() {
            return self.finish(draft, backup, &listing, None);
        }
        // This comes before the first question, so that no answer is lost.
        let writer = MappingWriter::create(entered).map_err(Error::from)?;
        let draft = self.complete(draft, backup, &listing).await?;
        self.finish(draft, backup, &listing, Some(writer))
    }

    fn given(&self) -> Result<Option<Mapping>> {
        let read = |path| Mapping::read(path).map_err(Error::from);
        Ok(self.args.mapping.as_deref().map(read).transpose()?)
    }

    async fn provisioned(&self, config: &Path) -> Result<Listing> {
        self.display.suspend();
        let listing = provisioned::list(config, self.args, self.environment, self.cancel).await;
        self.display.resume();
        let listing = listing?;
        for instance in &listing.unusable {
            let name = instance.name.as_deref().unwrap_or("(no name)");
            let why = match &instance.status {
                Some(status) => format!("its provisioning status is {}", printable(status)),
                None => "it has no usable ID".to_owned(),
            };
            self.notice(&format!("{name:?} on the target is not offered: {why}"));
        }
        Ok(listing)
    }

    /// Covers every live instance of the backup: by suggestion if the arguments ask for it, then by answers.
    async fn complete<'a>(
        &self,
        mut draft: MappingDraft<'a>,
        backup: &'a Backup,
        listing: &Listing,
    ) -> Result<MappingDraft<'a>> {
        if self.args.yes {
            take_suggestions(&mut draft)?;
        }
        if draft.open().is_empty() {
            return Ok(draft);
        }
        let holdings = tokio::select! {
            holdings = backup.holdings(Arc::clone(self.display) as _) => holdings?,
            () = self.cancel.cancelled() => return Err(Interrupted.into()),
        };
        self.display.suspend();
        let draft = prompt::map_instances(draft, &holdings, &names(backup, listing), self.cancel).await;
        self.display.resume();
        draft
    }

    /// Checks the complete mapping, and writes it to the file that the arguments name.
    fn finish(
        &self,
        draft: MappingDraft<'_>,
        backup: &Backup,
        listing: &Listing,
        writer: Option<MappingWriter>,
    ) -> Result<Mapped> {
        let unused = draft.free().to_vec();
        let mapping = draft.into_mapping();
        backup.resolve(&mapping)?;
        let mut written = None;
        if let Some(writer) = writer {
            let names = names(backup, listing);
            let comment = |source, target| names.comment(source, target);
            let file = writer.finish_with(&mapping, comment).map_err(Error::from)?;
            let path = file.display().to_string();
            written = Some(file);
            self.notice(&format!("mapping saved in {path}; use it again with --mapping {path}"));
        }
        if let Some(spares) = spares(&unused) {
            self.notice(&spares);
        }
        let provisioned =
            Provisioned { url: listing.url.clone(), instances: listing.instances.len(), unused };
        Ok(Mapped { mapping, written, provisioned: Some(provisioned) })
    }

    fn notice(&self, text: &str) {
        if !self.quiet {
            self.display.suspend();
            tell("notice", text);
            self.display.resume();
        }
    }
}

/// The names that the backup and the Resource Controller know.
fn names(backup: &Backup, listing: &Listing) -> Names {
    let of_backup = backup.instances().iter().flat_map(|instance| {
        let ids = instance.aliases.iter().filter_map(Alias::id).chain([instance.id]);
        let name = instance.name.clone();
        ids.filter_map(move |id| Some((id, name.clone()?)))
    });
    let provisioned = listing.instances.iter().map(Candidate::from);
    Names {
        sources: of_backup.collect(),
        targets: provisioned.filter_map(|candidate| Some((candidate.id, candidate.name?))).collect(),
    }
}

fn pairs(draft: &MappingDraft<'_>, names: &Names) -> Vec<Pair> {
    let pair = |&(source, target)| Pair {
        source,
        source_name: names.sources.get(&source).cloned(),
        target,
        target_name: names.targets.get(&target).cloned(),
    };
    draft.pairs().iter().map(pair).collect()
}

fn draft_of<'a>(given: &Mapping, backup: &'a Backup, listing: &Listing) -> Result<MappingDraft<'a>> {
    let candidates = listing.instances.iter().map(Candidate::from).collect();
    let draft = MappingDraft::new(given, backup.instances(), backup.system_regions(), candidates);
    Ok(draft.map_err(Error::from)?)
}

/// The answer of `--yes`: the suggestion. An instance without a suggestion is an error.
fn take_suggestions(draft: &mut MappingDraft<'_>) -> Result<()> {
    for instance in draft.open().to_vec() {
        if let Some(target) = draft.suggestion(instance).map(|candidate| candidate.id) {
            draft.assign(instance.id, target).map_err(Error::from)?;
        }
    }
    if draft.open().is_empty() {
        return Ok(());
    }
    Err(Unmapped::new(draft, "--yes takes suggestions only").into())
}

fn spares(free: &[Candidate]) -> Option<String> {
    let label = |candidate: &Candidate| match &candidate.name {
        Some(name) => format!("{name:?}, {}", candidate.id),
        None => candidate.id.to_string(),
    };
    let named: Vec<String> = free.iter().take(NAMED).map(label).collect();
    let more = match free.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {} more", count(u64::try_from(more).unwrap_or(u64::MAX))),
    };
    (!free.is_empty()).then(|| {
        let (get, their) = if free.len() == 1 { ("gets", "its") } else { ("get", "their") };
        format!(
            "{} of the target {get} no data from the backup; {their} present data will be deleted: {}{more}",
            plural(len(free), "instance"),
            named.join("; ")
        )
    })
}
