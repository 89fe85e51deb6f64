//! Runs a whole restore with strategy `swap`.

use crate::archive::Archive;
use crate::error::Result;
use crate::progress::{Event, NoticeCode, Step};
use crate::restore::backup_first::back_up;
use crate::restore::build::Build;
use crate::restore::error::RestoreError;
use crate::restore::interruption::{NO_ANSWER, after_interruption, or_interrupted};
use crate::restore::options::{Erase, SchemaSource, Strategy};
use crate::restore::preflight::Known;
use crate::restore::record::Fingerprint;
use crate::restore::refusal::Refusal;
use crate::restore::report::contents::TargetContents;
use crate::restore::report::restored::RestoreReport;
use crate::restore::run::{Run, is_outcome_unknown, keep_alive, stalled};
use crate::restore::sessions::sessions_notice;
use crate::restore::staging;
use crate::restore::staging::copy::copy_target;
use crate::restore::staging::dropping::Sessions;
use crate::restore::staging::marker::{Marker, State};
use crate::restore::staging::names::previous_name;
use crate::restore::swap::carry_over;
use crate::restore::swap::rename::Swap;
use crate::restore::swap::resume::{Resumed, is_by_hostile_code};
use crate::server::TargetError;
use crate::server::catalog;
use crate::server::contents::{self, Holdings};
use crate::server::lock::lock_target;
use crate::server::session::Session;
use crate::sql::{QualifiedName, quote_ident};
use std::collections::HashSet;
use std::sync::Arc;

/// A running restore with strategy `swap`.
pub(crate) struct SwapRestore {
    pub(super) run: Run,
    pub(super) staging: String,
    /// The OID of that database, once this run has made it. Its owner, as whom code of the archive runs, can change
    /// everything else that identifies it.
    pub(super) staging_oid: Option<u32>,
    /// Tables that keep their rows.
    kept: HashSet<QualifiedName>,
    /// What decides whether another run may go on with this one; `None` if none may.
    pub(super) fingerprint: Option<Fingerprint>,
    /// The staging database of an interrupted run, with which this run goes on.
    resumed: Option<Resumed>,
    /// Whether the staging database was kept after a failure.
    is_kept: bool,
}

impl SwapRestore {
    /// Makes a restore that builds the database `staging` beside the target.
    pub(crate) fn new(run: Run, staging: String, known: &Known, fingerprint: Option<Fingerprint>) -> Self {
        let schema = known.target_schema.as_ref();
        let kept = schema.map(|schema| schema.kept.clone()).unwrap_or_default();
        Self { run, staging, staging_oid: None, kept, fingerprint, resumed: None, is_kept: false }
    }

    pub(crate) async fn execute(mut self, build: Build, archive: Archive) -> Result<RestoreReport> {
        let restored = self.restore(build, archive).await;
        // Before properties are put back: this ends the sessions that could change them again.
        self.run.end_login().await;
        let restored = match restored {
            Err(error) => Err(self.run.after_putting_back(error).await),
            restored => restored,
        };
        if let Err(error) = restored {
            let staging = quote_ident(&self.staging);
            return Err(match self.is_kept {
                true => RestoreError::Kept { because: Box::new(error), staging }.into(),
                false => error,
            });
        }
        Ok(self.run.report())
    }

    async fn restore(&mut self, build: Build, archive: Archive) -> Result<()> {
        let cancel = self.run.cancel.clone();
        or_interrupted(&cancel, self.begin()).await?;
        // An interruption ends it by itself, and waits until nothing of it is left.
        Box::pin(back_up(&mut self.run)).await?;
        let built = or_interrupted(&cancel, self.build(build, archive)).await;
        let swapped = match built {
            Ok(staging_oid) => self.swap(staging_oid).await,
            Err(error) => Err(error),
        };
        if let Err(error) = swapped {
            self.abandon(&error).await;
            return Err(error);
        }
        self.run.journal.progress.event(&Event::Committed);
        self.drop_previous().await
    }

    async fn begin(&mut self) -> Result<()> {
        self.warn_of_sessions().await?;
        self.run.lock().await?;
        self.run.take_snapshot().await?;
        self.run.journal.step(Step::CleanLeftovers);
        if self.run.options.resume {
            self.resumed = self.find_resumable().await?;
        }
        let except = self.resumed.as_ref().map(|_| self.staging.clone());
        if self.run.clean_leftovers(except.as_deref()).await? {
            return Err(Refusal::NameTaken(self.staging.clone()).into());
        }
        self.run.failpoints.pass(Step::CleanLeftovers)?;
        Ok(())
    }

    async fn warn_of_sessions(&mut self) -> Result<()> {
        let sessions =
            catalog::other_sessions(&mut self.run.control, &self.run.target.name, &self.run.application)
                .await?;
        if let Some(notice) = sessions_notice(&sessions, &self.run.options, Strategy::Swap) {
            self.run.journal.note(notice);
        }
        Ok(())
    }

    /// Does everything up to the swap. Returns the OID of the staging database.
    async fn build(&mut self, mut build: Build, archive: Archive) -> Result<u32> {
        let (staging_oid, is_built) = match self.resumed.take() {
            Some(resumed) => self.take_over(resumed, &mut build).await?,
            None => (self.create_staging().await?, false),
        };
        if !is_built {
            build.recording.fingerprint = self.fingerprint.take();
            build.recording.marker = Some(self.marker(State::Staging));
            let progress = Arc::clone(&self.run.journal.progress);
            let stalled = stalled(self.run.input.take(), self.run.options.source_wait, progress);
            tokio::select! {
                built = Box::pin(build.run(archive, &mut self.run.journal)) => built?,
                stalled = stalled => return Err(stalled.into()),
                lost = keep_alive(&mut self.run.control, &self.run.login) => return Err(lost.into()),
            }
        }
        self.run.refuse_warnings()?;
        self.refuse_filled().await?;
        let changes = self.run.changes().await?;
        if !changes.is_empty() {
            return Err(RestoreError::StateChanged { because: String::new(), changes }.into());
        }
        Ok(staging_oid)
    }

    /// Refuses a target that somebody has filled meanwhile. It was empty before, and the caller has not allowed pgmig
    /// to erase data.
    async fn refuse_filled(&mut self) -> Result<()> {
        if self.run.options.erase == Erase::Allow {
            return Ok(());
        }
        let mut target =
            Session::open(self.run.archive_config(), &self.run.target.name, &self.run.application).await?;
        let holdings = contents::holdings(&mut target, &self.kept).await;
        target.close().await;
        let Holdings { tables, rows, large_objects } = holdings?;
        let contents = TargetContents { tables, rows, large_objects, ..TargetContents::default() };
        if contents.is_empty() {
            return Ok(());
        }
        Err(Refusal::Filled { database: self.run.target.name.clone(), contents: contents.describe() }.into())
    }

    async fn create_staging(&mut self) -> Result<u32> {
        self.run.journal.step(Step::CreateStaging);
        match self.run.options.schema {
            SchemaSource::Target => self.copy_target().await?,
            _ => staging::create(&mut self.run.control, &self.run.target, &self.staging).await?,
        }
        self.run.failpoints.pass(Step::CreateStaging)?;
        let marker = self.marker(State::Staging);
        let connects = [self.run.config.su_username(), self.run.config.username()];
        let oid = staging::open_to(&mut self.run.control, &self.staging, &marker, &connects).await?;
        self.staging_oid = Some(oid);
        carry_over::rehearse(&mut self.run.control, &self.run.target, oid).await?;
        Ok(oid)
    }

    async fn copy_target(&mut self) -> Result<()> {
        let sessions = self.run.target_sessions();
        copy_target(&mut self.run.control, &self.run.target, &self.staging, &sessions).await
    }

    pub(super) fn marker(&self, state: State) -> Marker {
        Marker {
            run: self.run.run_id.clone(),
            target: self.run.target.name.clone(),
            target_oid: self.run.target.oid,
            state,
            replaced_ms: None,
            built: None,
            comment: None,
        }
    }

    async fn swap(&mut self, staging_oid: u32) -> Result<()> {
        self.run.journal.step(Step::Swap);
        let previous = previous_name(&self.run.target.name, &self.run.run_id);
        let swap = Swap {
            sessions: self.run.target_sessions(),
            target: &self.run.target,
            successor: &self.staging,
            successor_oid: staging_oid,
            is_way_back: false,
            previous: &previous,
            run_id: &self.run.run_id,
            keep_previous: self.run.options.keep_previous,
            failpoints: self.run.failpoints,
            commit: self.run.commit_wait(),
        };
        swap.run(&mut self.run.control, &mut self.run.journal).await?;
        if self.run.options.keep_previous {
            self.run.journal.report.previous = Some(previous);
        }
        Ok(())
    }

    /// Removes the staging database after a failure. If that fails, only a notice reports it: the target is
    /// unchanged, and the next run removes the leftover.
    async fn abandon(&mut self, error: &crate::Error) {
        if is_outcome_unknown(error) {
            return;
        }
        let clean_up = self.run.clean_up.clone();
        if self.run.options.keep_staging && !is_by_hostile_code(error) {
            let kept = clean_up.step(self.keep_staging()).await;
            // If the server cannot be reached, nothing drops the database either.
            self.is_kept = !matches!(kept, Some(Ok(false)));
            if self.is_kept {
                return;
            }
        }
        let left = match clean_up.step(self.drop_staging()).await {
            Some(Ok(true)) => return,
            Some(Err(error)) => error.to_string(),
            None => NO_ANSWER.to_owned(),
            Some(Ok(false)) => return self.run.journal.warn(NoticeCode::DatabaseLeftBehind, format!(
                "the staging database {} was not removed, since another restore has the lock; it or the next run \
                 removes it",
                quote_ident(&self.staging)
            )),
        };
        self.run.journal.warn(
            NoticeCode::DatabaseLeftBehind,
            format!(
                "the staging database {} is left behind ({left}); the next run removes it",
                quote_ident(&self.staging)
            ),
        );
    }

    /// Whether the staging database stays, as it is that of this run. It does not where code of the archive has changed what
    /// belongs to the target: a run that goes on would not see that.
    async fn keep_staging(&mut self) -> Result<bool> {
        let Some(oid) = self.staging_oid else { return Ok(false) };
        self.run.reach_server().await?;
        let found = catalog::database_with_oid(&mut self.run.control, oid).await?;
        Ok(found.is_some_and(|found| found.name == self.staging) && self.run.changes().await?.is_empty())
    }

    /// Drops the staging database of this run, under the lock. Returns false if another run holds the lock.
    async fn drop_staging(&mut self) -> Result<bool, TargetError> {
        if !self.run.reach_server().await? {
            // The lock was lost with the connection.
            let name = &self.run.target.name;
            if lock_target(&mut self.run.control, name).await?.is_some() {
                return Ok(false);
            }
        }
        let is_ours = match self.staging_oid {
            // Under its own name only: after the swap, it has the target's.
            Some(oid) => catalog::database_with_oid(&mut self.run.control, oid)
                .await?
                .is_some_and(|found| found.name == self.staging),
            None => {
                staging::is_of_run(&mut self.run.control, &self.run.target.name, &self.run.run_id).await?
            }
        };
        if !is_ours {
            return Ok(true);
        }
        let (mut holder, journal) = self.run.holder();
        let mut tell = |text| journal.notice(NoticeCode::Waiting, text);
        Ok(holder.drop_database(&self.staging, Sessions::End, &mut tell).await?.is_none())
    }

    async fn drop_previous(&mut self) -> Result<()> {
        self.run.journal.step(Step::Swapped);
        self.run.failpoints.pass(Step::Swapped)?;
        if self.run.options.keep_previous {
            return Ok(());
        }
        self.run.journal.step(Step::DropPrevious);
        // The restore is complete. If the previous database cannot be dropped now, the next run removes it.
        let previous = previous_name(&self.run.target.name, &self.run.run_id);
        let cancel = self.run.cancel.clone();
        let (mut holder, journal) = self.run.holder();
        let mut tell = |text| journal.notice(NoticeCode::Waiting, text);
        // If another run has taken the lock meanwhile, that run removes it.
        let dropping = holder.drop_database(&previous, Sessions::End, &mut tell);
        let left = tokio::select! {
            dropped = dropping => dropped.err().map(|error| error.to_string()),
            () = after_interruption(&cancel) => Some(NO_ANSWER.to_owned()),
        };
        if let Some(left) = left {
            self.run.journal.warn(
                NoticeCode::DatabaseLeftBehind,
                format!(
                    "the target's previous database is left behind as {} ({left}); the next run removes it",
                    quote_ident(&previous)
                ),
            );
        }
        self.run.failpoints.pass(Step::DropPrevious)?;
        Ok(())
    }
}
