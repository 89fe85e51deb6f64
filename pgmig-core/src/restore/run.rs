//! A restore from beginning to end, strategy swap.

use super::build::Build;
use super::carry_over;
use super::error::{Refusal, RestoreError};
use super::failpoint::Failpoints;
use super::journal::Journal;
use super::marker::{Marker, State};
use super::names::{previous_name, staging_name};
use super::options::{Erase, RestoreOptions, SchemaMode};
use super::preflight::{Inside, Preflight};
use super::prepared::Restore;
use super::report::{RestoreReport, TargetContents};
use super::staging;
use super::step::Step;
use super::swap::Swap;
use super::target_schema::CopyTarget;
use crate::error::Result;
use crate::progress::{Notice, Severity};
use crate::sql::quote_ident;
use crate::target::catalog::{self, DatabaseFacts};
use crate::target::contents::{self, Holdings};
use crate::target::lock::lock_target;
use crate::target::session::Session;
use crate::target::{OtherSession, TargetConfig, TargetError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How often the connection that holds the lock is used while the staging database is built.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// A restore under way.
pub(super) struct Run {
    config: TargetConfig,
    options: RestoreOptions,
    cancel: CancellationToken,
    application: String,
    run_id: String,
    failpoints: Failpoints,
    started: Instant,
    control: Session,
    maintenance: &'static str,
    target: DatabaseFacts,
    staging: String,
    journal: Journal,
}

impl Run {
    /// Takes a prepared restore apart: what builds the staging database, and what goes on around that.
    pub(super) fn new(restore: Restore) -> (Self, Build) {
        let Restore {
            config,
            options,
            progress,
            cancel,
            application,
            run_id,
            failpoints,
            started,
            preflight,
        } = restore;
        let Preflight { archive, plan, facts, control, maintenance, target, inside, .. } = preflight;
        let mut journal = Journal::new(progress);
        journal.report.database.clone_from(&target.name);
        journal.report.erased = inside.contents.clone();
        for notice in inside.notices.iter().chain(&plan.notices) {
            journal.note(notice.clone());
        }
        let staging = staging_name(&target.name);
        let Inside { extras, profile, migrations, upgrade, resolution, late, target_schema, .. } = inside;
        let build = Build {
            config: config.clone(),
            database: staging.clone(),
            target: target.name.clone(),
            target_is_empty: journal.report.erased.is_empty(),
            application: application.clone(),
            failpoints,
            archive: Some(archive),
            plan,
            facts,
            profile,
            migrations,
            upgrade,
            resolution,
            late,
            instances: options.instances.clone(),
            schema: options.schema,
            target_schema,
            extras,
            jobs: options.jobs,
            toast_compression: options.toast_compression,
        };
        let run = Self {
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
            staging,
            journal,
        };
        (run, build)
    }

    pub(super) async fn execute(&mut self, build: Build) -> Result<RestoreReport> {
        self.warn_of_sessions().await?;
        self.lock().await?;
        self.clean_leftovers().await?;
        let swapped = self.build_and_swap(build).await;
        if let Err(error) = swapped {
            self.abandon(&error).await;
            return Err(error);
        }
        self.drop_previous().await?;
        let mut report = std::mem::take(&mut self.journal.report);
        report.took = self.started.elapsed();
        Ok(report)
    }

    async fn warn_of_sessions(&mut self) -> Result<()> {
        let sessions =
            catalog::other_sessions(&mut self.control, &self.target.name, &self.application).await?;
        if let Some(notice) = sessions_notice(&sessions, &self.options) {
            self.journal.note(notice);
        }
        Ok(())
    }

    async fn lock(&mut self) -> Result<()> {
        self.journal.step(Step::Lock);
        let holder = tokio::select! {
            holder = lock_target(&mut self.control, &self.target.name) => holder?,
            () = self.cancel.cancelled() => return Err(RestoreError::Interrupted.into()),
        };
        if let Some(holder) = holder {
            return Err(Refusal::Locked { database: self.target.name.clone(), holder }.into());
        }
        // Another restore may have swapped since the preflight.
        let now = catalog::database_facts(&mut self.control, &self.target.name).await?;
        if now.is_none_or(|now| now.oid != self.target.oid) {
            return Err(Refusal::Changed { database: self.target.name.clone() }.into());
        }
        self.failpoints.pass(Step::Lock)?;
        Ok(())
    }

    async fn clean_leftovers(&mut self) -> Result<()> {
        self.journal.step(Step::CleanLeftovers);
        let beside = staging::look_beside(&mut self.control, &self.target).await?;
        for leftover in &beside.leftovers {
            staging::drop_leftover(&mut self.control, leftover).await?;
            self.journal
                .notice(format!("removed database {}, left by an earlier run", quote_ident(leftover)));
        }
        if beside.name_taken {
            return Err(Refusal::NameTaken(self.staging.clone()).into());
        }
        self.failpoints.pass(Step::CleanLeftovers)?;
        Ok(())
    }

    async fn build_and_swap(&mut self, build: Build) -> Result<()> {
        let staging_oid = self.create_staging().await?;
        let cancel = self.cancel.clone();
        tokio::select! {
            built = build.run(&mut self.journal) => built?,
            lost = keep_alive(&mut self.control) => return Err(lost.into()),
            () = cancel.cancelled() => return Err(RestoreError::Interrupted.into()),
        }
        let warnings = self.journal.warnings();
        if self.options.strict && warnings > 0 {
            return Err(RestoreError::Strict(warnings).into());
        }
        self.refuse_filled().await?;
        self.swap(staging_oid).await
    }

    /// A target that was empty and may not be erased must still be empty at the swap.
    async fn refuse_filled(&mut self) -> Result<()> {
        if self.options.erase == Erase::Allow {
            return Ok(());
        }
        let mut target = Session::open(&self.config, &self.target.name, &self.application).await?;
        let holdings = contents::holdings(&mut target).await;
        target.close().await;
        let Holdings { tables, rows, large_objects } = holdings?;
        let contents = TargetContents { tables, rows, large_objects, ..TargetContents::default() };
        if contents.is_empty() {
            return Ok(());
        }
        Err(Refusal::Filled { database: self.target.name.clone(), contents: contents.describe() }.into())
    }

    async fn create_staging(&mut self) -> Result<u32> {
        self.journal.step(Step::CreateStaging);
        match self.options.schema {
            SchemaMode::Target => self.copy_target().await?,
            _ => staging::create(&mut self.control, &self.target, &self.staging).await?,
        }
        self.failpoints.pass(Step::CreateStaging)?;
        let marker = self.marker(State::Staging);
        let connects = [self.config.su_username(), self.config.username()];
        let oid = staging::open_to(&mut self.control, &self.staging, &marker, &connects).await?;
        carry_over::rehearse(&mut self.control, &self.target, &self.staging).await?;
        Ok(oid)
    }

    async fn copy_target(&mut self) -> Result<()> {
        let copy = CopyTarget {
            config: &self.config,
            maintenance: self.maintenance,
            application: &self.application,
            target: &self.target,
            staging: &self.staging,
            wait: self.options.swap_wait,
            terminate_sessions: self.options.terminate_sessions,
        };
        tokio::select! {
            copied = copy.run(&mut self.control) => copied,
            () = self.cancel.cancelled() => Err(RestoreError::Interrupted.into()),
        }
    }

    fn marker(&self, state: State) -> Marker {
        Marker {
            run: self.run_id.clone(),
            target: self.target.name.clone(),
            target_oid: self.target.oid,
            state,
            comment: None,
        }
    }

    async fn swap(&mut self, staging_oid: u32) -> Result<()> {
        self.journal.step(Step::Swap);
        let previous = previous_name(&self.target.name, &self.run_id);
        let swap = Swap {
            config: &self.config,
            maintenance: self.maintenance,
            application: &self.application,
            target: &self.target,
            staging: &self.staging,
            staging_oid,
            previous: &previous,
            run_id: &self.run_id,
            keep_previous: self.options.keep_previous,
            wait: self.options.swap_wait,
            terminate_sessions: self.options.terminate_sessions,
            failpoints: self.failpoints,
            cancel: &self.cancel,
        };
        swap.run(&mut self.control).await?;
        if self.options.keep_previous {
            self.journal.report.previous = Some(previous);
        }
        Ok(())
    }

    /// Removes the staging database after a failure. A failure of this changes nothing about the target, so it
    /// is only noted; the next run removes what stayed.
    async fn abandon(&mut self, error: &crate::Error) {
        if matches!(error, crate::Error::Restore(RestoreError::OutcomeUnknown { .. })) {
            return;
        }
        match self.drop_staging().await {
            Ok(true) => {}
            Ok(false) => self.journal.warn(format!(
                "the staging database {} was not removed, since another restore has the lock; it or the next run \
                 removes it",
                quote_ident(&self.staging)
            )),
            Err(error) => self.journal.warn(format!(
                "the staging database {} is left behind ({error}); the next run removes it",
                quote_ident(&self.staging)
            )),
        }
    }

    /// Drops the staging database of this run, under the lock; false if somebody else has that.
    async fn drop_staging(&mut self) -> Result<bool, TargetError> {
        if self.control.execute("SELECT 1", "reach the server").await.is_err() {
            // The lock was lost with the connection.
            let mut again = Session::open(&self.config, self.maintenance, &self.application).await?;
            if lock_target(&mut again, &self.target.name).await?.is_some() {
                return Ok(false);
            }
            self.control = again;
        }
        if staging::is_of_run(&mut self.control, &self.target.name, &self.run_id).await? {
            staging::drop_leftover(&mut self.control, &self.staging).await?;
        }
        Ok(true)
    }

    async fn drop_previous(&mut self) -> Result<()> {
        self.journal.step(Step::Swapped);
        self.failpoints.pass(Step::Swapped)?;
        if self.options.keep_previous {
            return Ok(());
        }
        self.journal.step(Step::DropPrevious);
        let previous = previous_name(&self.target.name, &self.run_id);
        // The restore is complete: what cannot be dropped now is removed by the next run.
        if let Err(error) = staging::drop_leftover(&mut self.control, &previous).await {
            self.journal.warn(format!(
                "the target's previous database is left behind as {} ({error}); the next run removes it",
                quote_ident(&previous)
            ));
        }
        self.failpoints.pass(Step::DropPrevious)?;
        Ok(())
    }
}

/// What is said of other sessions on the target before a restore.
pub(super) fn sessions_notice(sessions: &[OtherSession], options: &RestoreOptions) -> Option<Notice> {
    const NAMED: usize = 5;
    let who: Vec<String> = sessions.iter().take(NAMED).map(ToString::to_string).collect();
    let who = format!("{}{}", who.join("; "), if sessions.len() > NAMED { "; ..." } else { "" });
    let wait = options.swap_wait.as_secs();
    let (severity, text) = if options.terminate_sessions {
        (Severity::Notice, format!("other sessions on the target are ended at the swap: {who}"))
    } else {
        let must_end = "other sessions on the target must have ended";
        (Severity::Warning, format!("{must_end} {wait} s after the restore is built, or it stops: {who}"))
    };
    (!sessions.is_empty()).then_some(Notice { severity, text })
}

/// Uses the connection that holds the lock from time to time, so that nothing between here and the server takes
/// it for dead. Returns only when it is lost: then so is the lock.
async fn keep_alive(control: &mut Session) -> TargetError {
    loop {
        tokio::time::sleep(KEEP_ALIVE).await;
        if let Err(error) = control.execute("SELECT 1", "keep the lock on the target").await {
            return error;
        }
    }
}
