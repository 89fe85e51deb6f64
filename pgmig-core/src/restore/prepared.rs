//! A prepared restore: what a caller can ask of it before it runs.

use super::archive_login::ArchiveLogin;
use super::backup_first;
use super::build::{Build, Recording};
use super::error::RestoreError;
use super::failpoint::Failpoints;
use super::in_place::InPlaceRestore;
use super::interruption::{CleanUp, NO_ANSWER};
use super::journal::Journal;
use super::options::{Erase, RestoreOptions};
use super::preflight::open_control;
use super::preflight::{self, Preflight, fingerprint};
use super::refusal::Refusal;
use super::run::Run;
use super::staging::names::staging_name;
use super::swap::SwapRestore;
use super::target_schema::TargetSchema;
use crate::archive::Archive;
use crate::backup::Backup;
use crate::error::Result;
use crate::progress::Step;
use crate::progress::{Event, NoProgress, Notice, NoticeCode, Progress, Reporter, Severity};
use crate::restore::options::Strategy;
use crate::restore::report::contents::TargetContents;
use crate::restore::report::restored::RestoreReport;
use crate::rewrite::Found;
use crate::server::waits::WaitLimits;
use crate::server::{TargetConfig, TargetError};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};
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
    pub(crate) backup: Backup,
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
    /// [`Refusal::TargetSchema`] if rows of the archive have no place in the target's own schema. [`Refusal::Resume`] if the
    /// options ask to go on with a restore with which no other run can go on.
    pub fn check(&self) -> Result<()> {
        fingerprint::require_resumable(&self.backup, &self.options)?;
        match self.preflight.known.target_schema.as_ref().and_then(TargetSchema::refusal) {
            Some(refusal) => Err(refusal.into()),
            None => Ok(()),
        }
    }

    /// A draft of a profile (`profile.yaml`) with rules for the differences between the archive and the target's own schema,
    /// to be edited. `None` if the schema is not the target's.
    pub fn draft_rules(&self) -> Option<String> {
        self.preflight.known.target_schema.as_ref().map(TargetSchema::draft)
    }

    /// Warnings to show before the target's data is erased.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        let notices = self.preflight.known.notices.iter();
        notices.filter(|notice| notice.severity == Severity::Warning).map(|notice| notice.text.as_str())
    }

    /// Whether [`run`](Self::run) will refuse: the target holds data or is a database of PostgreSQL itself, and the options do
    /// not allow pgmig to erase it.
    pub fn needs_confirmation(&self) -> bool {
        self.options.erase == Erase::Refuse && (!self.contents().is_empty() || self.is_system_database())
    }

    /// Whether the target is a database that the server and its tools need, and that is hardly ever meant: `postgres` or a
    /// template.
    pub fn is_system_database(&self) -> bool {
        matches!(self.database(), "postgres" | "template0" | "template1")
    }

    /// Allows [`run`](Self::run) to erase the target's data.
    pub fn allow_erase(&mut self) {
        self.options.erase = Erase::Allow;
    }

    /// Restores. If this returns an error, the target is untouched and the staging database is gone. Exceptions:
    /// [`RestoreError::SwapOutcomeUnknown`] and [`RestoreError::InPlaceOutcomeUnknown`].
    ///
    /// # Errors
    ///
    /// Any error of a restore; see [`Error::kind`](crate::Error::kind) for the conclusion to draw.
    ///
    /// ```no_run
    /// # use pgmig_core::{backup::Backup, server::TargetConfig};
    /// use pgmig_core::instance::Mapping;
    /// use pgmig_core::restore::{Instances, Restore, RestoreOptions};
    /// # async fn restore(backup: Backup, target: TargetConfig) -> pgmig_core::Result<()> {
    /// let mapping = Mapping::read("enteredMapping.yaml".as_ref())?;
    /// let restore = Restore::of(backup, target, RestoreOptions::new(Instances::Map(mapping))).prepare().await?;
    /// for instance in restore.run().await?.instances {
    ///     println!("{} is now {}", instance.source.id, instance.target);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run(self) -> Result<RestoreReport> {
        if let Err(refusal) = self.may_run() {
            self.close().await;
            return Err(refusal);
        }
        match self.strategy() {
            Strategy::Swap => {
                let staging = staging_name(self.database());
                let fingerprint = fingerprint::of(&self.backup, &self.preflight, &self.options, &self.config);
                let (run, build, archive) = self.into_parts(staging.clone());
                let restore = SwapRestore::new(run, staging, &build.known, fingerprint);
                Box::pin(restore.execute(build, archive)).await
            }
            Strategy::InPlace => {
                let database = self.database().to_owned();
                let (run, build, archive) = self.into_parts(database);
                Box::pin(InPlaceRestore::new(run).execute(build, archive)).await
            }
        }
    }

    fn may_run(&self) -> Result<()> {
        self.check()?;
        if self.needs_confirmation() {
            let (database, contents) = (self.database().to_owned(), self.contents().describe());
            if self.contents().is_empty() {
                return Err(Refusal::SystemDatabase { database }.into());
            }
            return Err(Refusal::WouldErase { database, contents }.into());
        }
        Ok(())
    }

    /// Splits the restore into its frame ([`Run`]), the builder that fills `database` ([`Build`]), and the archive.
    fn into_parts(self, database: String) -> (Run, Build, Archive) {
        let jobs = self.jobs();
        let Self {
            config,
            options,
            progress,
            cancel,
            application,
            run_id,
            failpoints,
            started,
            backup,
            preflight,
        } = self;
        let Preflight { control, maintenance, target, decision, login, known } = preflight;
        let (archive, input) = backup.into_archive();
        let is_superuser = known.facts.login_is_superuser;
        let mut journal = Journal::new(progress);
        journal.report.database.clone_from(&target.name);
        journal.report.strategy = decision.strategy;
        journal.report.trusts_archive = options.trust_archive;
        journal.report.erased = known.contents.clone();
        for notice in known.notices.iter().chain(&known.plan.notices) {
            journal.note(notice.clone());
        }
        let build = Build {
            config: login.config(&config).clone(),
            admin: config.clone(),
            has_superuser_beside: login.role().is_some(),
            database,
            target: target.name.clone(),
            target_oid: target.oid,
            application: application.clone(),
            failpoints,
            options: options.clone(),
            jobs,
            known,
            found: Found::default(),
            target_objects: None,
            guard: None,
            state: None,
            superusers_before: Vec::new(),
            recording: Recording { logs_in_as_username: login.is_username(), ..Recording::default() },
        };
        control.expect_answers(false);
        let run = Run {
            config,
            options,
            clean_up: CleanUp::new(&cancel),
            input,
            cancel,
            application,
            run_id,
            failpoints,
            started,
            control,
            maintenance,
            target,
            login,
            is_superuser,
            state: None,
            snapshot: None,
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
    ///
    /// ```no_run
    /// # use pgmig_core::{backup::Backup, restore::{Restore, RestoreOptions}, server::TargetConfig};
    /// use pgmig_core::progress::{Event, Progress};
    /// struct Steps;
    /// impl Progress for Steps {
    ///     fn event(&self, event: &Event<'_>) {
    ///         if let Event::StepEnded { step, took } = event {
    ///             println!("{step}: {took:?}");
    ///         }
    ///     }
    /// }
    /// # async fn restore(backup: Backup, target: TargetConfig, options: RestoreOptions) -> pgmig_core::Result<()> {
    /// let restore = Restore::of(backup, target, options).progress(std::sync::Arc::new(Steps)).prepare().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// Ends the preparation, or the restore, soon after `cancel` is cancelled. The target is then unchanged.
    ///
    /// ```no_run
    /// # use pgmig_core::{backup::Backup, restore::{Restore, RestoreOptions}, server::TargetConfig};
    /// use pgmig_core::{CancellationToken, ErrorKind};
    /// # async fn restore(backup: Backup, target: TargetConfig, options: RestoreOptions) -> pgmig_core::Result<()> {
    /// let stop = CancellationToken::new();
    /// let restore = Restore::of(backup, target, options).cancel(stop.clone()).prepare().await?;
    /// let (result, ()) = tokio::join!(restore.run(), async { stop.cancel() });
    /// assert!(result.is_err_and(|error| error.kind() == ErrorKind::Interrupted));
    /// # Ok(())
    /// # }
    /// ```
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
        let Self { mut backup, config, options, progress, cancel } = self;
        let started = Instant::now();
        let failpoints = Failpoints::new(options.failpoint);
        let run_id = uuid::Uuid::new_v4().simple().to_string();
        let application = application_name(config.application_name().unwrap_or("pgmig"), &run_id);
        let progress: Arc<dyn Progress> = Arc::new(Reporter::new(progress));
        config.waits().set(wait_limits(&options), Arc::clone(&progress));
        progress.event(&Event::StepBegan { step: Step::Preflight });
        failpoints.pass(Step::Preflight)?;
        let mut attempt = 1;
        let preflight = loop {
            let mut login = ArchiveLogin::default();
            let looking = Box::pin(async {
                backup_first::check(&config, &options, &cancel).await?;
                preflight::run(&mut backup, &config, &options, (&run_id, &application), &mut login).await
            });
            let preflight = tokio::select! {
                preflight = looking => preflight,
                () = cancel.cancelled() => Err(RestoreError::Interrupted.into()),
            };
            let error = match preflight {
                Ok(preflight) => break preflight,
                Err(error) => error,
            };
            let pause = pause_after(attempt, &error);
            if let Some(pause) = pause {
                progress.event(&Event::Notice(&repeated(&error)));
                // Nothing is lost if it does not end: the next attempt, or the end of this one, looks again.
                wait(pause, &cancel).await;
            }
            end_anew(login, &config, &application, progress.as_ref(), &CleanUp::new(&cancel)).await;
            if pause.is_none() {
                return Err(error);
            }
            attempt += 1;
        };
        Ok(Restore {
            config,
            options,
            progress,
            cancel,
            application,
            run_id,
            failpoints,
            started,
            backup,
            preflight,
        })
    }
}

/// The pauses before the second and the third attempt: a server that has crashed is back after some seconds.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// How long to wait before the checks begin anew; `None` if they shall not. Checks change nothing, so those whose
/// connection was lost can be repeated. A silent server has been waited for already.
fn pause_after(attempt: usize, error: &crate::Error) -> Option<Duration> {
    let crate::Error::Target(error) = error else { return None };
    let is_gone_meanwhile = attempt > 1 && matches!(error, TargetError::Unreachable { .. });
    if !error.is_broken_connection() && !is_gone_meanwhile {
        return None;
    }
    PAUSES.get(attempt - 1).copied()
}

async fn wait(pause: Duration, cancel: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = cancel.cancelled() => {}
    }
}

/// The notice of checks that begin anew.
fn repeated(error: &crate::Error) -> Notice {
    let text = format!("the connection to the server broke ({error}); the checks begin again");
    Notice::note(NoticeCode::ChecksRepeated, text)
}

/// Removes the temporary role after a preflight that failed, whose connection is gone.
async fn end_anew(
    mut login: ArchiveLogin,
    config: &TargetConfig,
    application: &str,
    progress: &dyn Progress,
    clean_up: &CleanUp,
) {
    let Some(name) = login.role().map(|role| role.name().to_owned()) else { return };
    let ending = async {
        let (mut control, _) = open_control(config, application).await?;
        login.end(&mut control, config, application).await?;
        control.close().await;
        Ok::<_, crate::Error>(())
    };
    let ended = clean_up.step(ending).await;
    note_role(&name, ended, progress);
}

/// Gives notice of a temporary role that could not be removed.
pub(crate) fn note_role<E: std::fmt::Display>(
    name: &str,
    ended: Option<std::result::Result<(), E>>,
    progress: &dyn Progress,
) {
    match ended {
        Some(Ok(())) => {}
        Some(Err(error)) => progress.event(&Event::Notice(&left_behind(name, &error))),
        None => progress.event(&Event::Notice(&left_behind(name, &NO_ANSWER))),
    }
}

/// The limits of waiting for the server.
fn wait_limits(options: &RestoreOptions) -> WaitLimits {
    WaitLimits { answer: options.server_timeout, locks: options.lock_wait, commit: options.commit_wait }
}

/// The notice about a temporary role that could not be removed.
fn left_behind(name: &str, error: &dyn std::fmt::Display) -> Notice {
    let text = format!(
        "the temporary role {name} is left behind ({error}); the next restore of the target removes it"
    );
    Notice::warning(NoticeCode::RoleLeftBehind, text)
}

/// The application name of our sessions: the name that the caller gave, and a part of the run's ID, which
/// distinguishes them from other sessions. It is shortened here, since the server truncates longer names, and a
/// truncated name would not be ours.
pub(crate) fn application_name(asked_for: &str, run_id: &str) -> String {
    const BYTES: usize = 50;
    let name = asked_for.get(..asked_for.floor_char_boundary(BYTES)).unwrap_or(asked_for);
    format!("{name} {}", run_id.get(..8).unwrap_or_default())
}
