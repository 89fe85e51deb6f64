//! A prepared restore: what a caller can ask of it before it runs.

use super::build::Build;
use super::error::RestoreError;
use super::failpoint::Failpoints;
use super::in_place::InPlaceRestore;
use super::journal::Journal;
use super::options::{Erase, RestoreOptions};
use super::preflight::{self, Preflight};
use super::refusal::Refusal;
use super::run::Run;
use super::staging::names::staging_name;
use super::swap::SwapRestore;
use super::target_schema::TargetSchema;
use crate::archive::Archive;
use crate::backup::Backup;
use crate::error::Result;
use crate::progress::Step;
use crate::progress::{Event, NoProgress, Progress, Reporter, Severity};
use crate::restore::options::Strategy;
use crate::restore::report::contents::TargetContents;
use crate::restore::report::restored::RestoreReport;
use crate::server::TargetConfig;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// A prepared restore: all facts are known, and nothing has been changed.
///
/// It can be dropped at any time, and so can the future of [`run`](Self::run): the target is then untouched or
/// completely restored. A staging database may be left behind; the next restore of the same target removes it.
pub struct Restore {
    pub(crate) config: TargetConfig,
    pub(crate) options: RestoreOptions,
    pub(crate) progress: Arc<dyn Progress>,
    pub(crate) cancel: CancellationToken,
    pub(crate) application: String,
    pub(crate) run_id: String,
    pub(crate) failpoints: Failpoints,
    pub(crate) started: Instant,
    pub(crate) preflight: Preflight,
}

impl std::fmt::Debug for Restore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restore").field("database", &self.database()).finish_non_exhaustive()
    }
}

impl Restore {
    /// Begins the preparation of a restore of `backup` into the target that `config` describes.
    pub fn of(backup: Backup, config: TargetConfig, options: RestoreOptions) -> RestoreBuilder {
        RestoreBuilder {
            backup,
            config,
            options,
            progress: Arc::new(NoProgress),
            cancel: CancellationToken::new(),
        }
    }

    /// The name of the target database.
    pub fn database(&self) -> &str {
        &self.preflight.target.name
    }

    /// The strategy that replaces the target.
    pub fn strategy(&self) -> Strategy {
        self.preflight.decision.strategy
    }

    /// The most connections that load rows at the same time; in place it is one.
    pub fn jobs(&self) -> NonZeroUsize {
        match self.strategy() {
            Strategy::Swap => self.options.jobs,
            Strategy::InPlace => NonZeroUsize::MIN,
        }
    }

    /// The data that the target holds, and would lose.
    pub fn contents(&self) -> &TargetContents {
        &self.preflight.known.contents
    }

    /// Checks whether the restore can run. Even if it cannot, [`plan`](Self::plan) shows the reasons.
    ///
    /// # Errors
    ///
    /// [`Refusal::TargetSchema`] if rows of the archive have no place in the target's own schema.
    pub fn check(&self) -> Result<()> {
        match self.preflight.known.target_schema.as_ref().and_then(TargetSchema::refusal) {
            Some(refusal) => Err(refusal.into()),
            None => Ok(()),
        }
    }

    /// Warnings to show before the target's data is erased.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        let notices = self.preflight.known.notices.iter();
        notices.filter(|notice| notice.severity == Severity::Warning).map(|notice| notice.text.as_str())
    }

    /// Whether [`run`](Self::run) will refuse: the target holds data, and the options do not allow pgmig to erase it.
    pub fn needs_confirmation(&self) -> bool {
        self.options.erase == Erase::Refuse && !self.contents().is_empty()
    }

    /// Allows [`run`](Self::run) to erase the target's data.
    pub fn allow_erase(&mut self) {
        self.options.erase = Erase::Allow;
    }

    /// Restores. If this returns an error, the target is untouched and the staging database is gone. Exceptions:
    /// [`RestoreError::OutcomeUnknown`] and [`RestoreError::CommitUnknown`].
    ///
    /// # Errors
    ///
    /// Any error of a restore; see [`Error::kind`](crate::Error::kind) for the conclusion to draw.
    pub async fn run(self) -> Result<RestoreReport> {
        self.check()?;
        if self.needs_confirmation() {
            let (database, contents) = (self.database().to_owned(), self.contents().describe());
            return Err(Refusal::WouldErase { database, contents }.into());
        }
        match self.strategy() {
            Strategy::Swap => {
                let staging = staging_name(self.database());
                let (run, build, archive) = self.into_parts(staging.clone());
                SwapRestore::new(run, staging, &build.known).execute(build, archive).await
            }
            Strategy::InPlace => {
                let database = self.database().to_owned();
                let (run, build, archive) = self.into_parts(database);
                InPlaceRestore::new(run).execute(build, archive).await
            }
        }
    }

    /// Splits the restore into its frame ([`Run`]), the builder that fills `database` ([`Build`]), and the archive.
    fn into_parts(self, database: String) -> (Run, Build, Archive) {
        let jobs = self.jobs();
        let Self { config, options, progress, cancel, application, run_id, failpoints, started, preflight } =
            self;
        let Preflight { archive, control, maintenance, target, decision, known, .. } = preflight;
        let mut journal = Journal::new(progress);
        journal.report.database.clone_from(&target.name);
        journal.report.strategy = decision.strategy;
        journal.report.erased = known.contents.clone();
        for notice in known.notices.iter().chain(&known.plan.notices) {
            journal.note(notice.clone());
        }
        let build = Build {
            config: config.clone(),
            database,
            target: target.name.clone(),
            application: application.clone(),
            failpoints,
            options: options.clone(),
            jobs,
            known,
            target_objects: None,
            guard: None,
        };
        let run = Run {
            config,
            options,
            cancel,
            application,
            run_id,
            failpoints,
            started,
            control,
            maintenance,
            target,
            journal,
        };
        (run, build, archive)
    }
}

/// A restore that is about to be prepared.
#[must_use = "nothing is looked at until prepare() is called"]
pub struct RestoreBuilder {
    backup: Backup,
    config: TargetConfig,
    options: RestoreOptions,
    progress: Arc<dyn Progress>,
    cancel: CancellationToken,
}

impl std::fmt::Debug for RestoreBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestoreBuilder").field("database", &self.config.database()).finish_non_exhaustive()
    }
}

impl RestoreBuilder {
    /// Sends the events of the preparation and of the restore to `progress`.
    pub fn progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// Ends the preparation, or the restore, soon after `cancel` is cancelled. The target is then unchanged.
    pub fn cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Examines the target, and plans. Changes nothing.
    ///
    /// # Errors
    ///
    /// The archive or the configuration cannot be used, the server cannot be reached, or the restore is refused (see
    /// [`Refusal`]). Two refusals are not among them: for data in the target ask [`Restore::needs_confirmation`], for
    /// differences from its schema ask [`Restore::check`].
    pub async fn prepare(self) -> Result<Restore> {
        let Self { backup, config, options, progress, cancel } = self;
        let started = Instant::now();
        let failpoints = Failpoints::new(options.failpoint);
        let run_id = uuid::Uuid::new_v4().simple().to_string();
        let application = application_name(config.application_name().unwrap_or("pgmig"), &run_id);
        let progress: Arc<dyn Progress> = Arc::new(Reporter::new(progress));
        progress.event(&Event::StepBegan { step: Step::Preflight });
        failpoints.pass(Step::Preflight)?;
        let looking = preflight::run(backup, &config, &options, &application);
        let preflight = tokio::select! {
            preflight = looking => preflight?,
            () = cancel.cancelled() => return Err(RestoreError::Interrupted.into()),
        };
        Ok(Restore { config, options, progress, cancel, application, run_id, failpoints, started, preflight })
    }
}

/// The application name of our sessions: the name that the caller gave, and a part of the run's ID, which
/// distinguishes them from other sessions. It is shortened here, since the server truncates longer names, and a
/// truncated name would not be ours.
fn application_name(asked_for: &str, run_id: &str) -> String {
    const BYTES: usize = 50;
    let name = asked_for.get(..asked_for.floor_char_boundary(BYTES)).unwrap_or(asked_for);
    format!("{name} {}", run_id.get(..8).unwrap_or_default())
}
