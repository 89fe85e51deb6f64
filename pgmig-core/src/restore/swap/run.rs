//! A restore from beginning to end, strategy swap.

use crate::error::Result;
use crate::progress::Step;
use crate::restore::build::Build;
use crate::restore::error::RestoreError;
use crate::restore::options::Strategy;
use crate::restore::options::{Erase, SchemaMode};
use crate::restore::prepared::Restore;
use crate::restore::refusal::Refusal;
use crate::restore::report::contents::TargetContents;
use crate::restore::report::restored::RestoreReport;
use crate::restore::run::{Context, keep_alive};
use crate::restore::sessions::sessions_notice;
use crate::restore::staging;
use crate::restore::staging::copy::CopyTarget;
use crate::restore::staging::marker::{Marker, State};
use crate::restore::staging::names::{previous_name, staging_name};
use crate::restore::swap::carry_over;
use crate::restore::swap::rename::Swap;
use crate::server::TargetError;
use crate::server::catalog;
use crate::server::contents::{self, Holdings};
use crate::server::lock::lock_target;
use crate::server::session::Session;
use crate::sql::{QualifiedName, quote_ident};
use std::collections::HashSet;

/// A restore by a swap under way.
pub(crate) struct Run {
    context: Context,
    staging: String,
    /// Tables that keep their rows, which are not erased.
    kept: HashSet<QualifiedName>,
}

impl Run {
    /// Takes a prepared restore apart: what builds the staging database, and what goes on around that.
    pub(crate) fn new(restore: Restore) -> (Self, Build) {
        let staging = staging_name(restore.database());
        let schema = restore.preflight.inside.target_schema.as_ref();
        let kept = schema.map(|schema| schema.kept.clone()).unwrap_or_default();
        let (context, build) = Context::new(restore, staging.clone());
        (Self { context, staging, kept }, build)
    }

    pub(crate) async fn execute(&mut self, build: Build) -> Result<RestoreReport> {
        self.warn_of_sessions().await?;
        self.context.lock().await?;
        if self.context.clean_leftovers().await? {
            return Err(Refusal::NameTaken(self.staging.clone()).into());
        }
        self.context.failpoints.pass(Step::CleanLeftovers)?;
        let swapped = self.build_and_swap(build).await;
        if let Err(error) = swapped {
            self.abandon(&error).await;
            return Err(error);
        }
        self.drop_previous().await?;
        Ok(self.context.report())
    }

    async fn warn_of_sessions(&mut self) -> Result<()> {
        let sessions = catalog::other_sessions(
            &mut self.context.control,
            &self.context.target.name,
            &self.context.application,
        )
        .await?;
        if let Some(notice) = sessions_notice(&sessions, &self.context.options, Strategy::Swap) {
            self.context.journal.note(notice);
        }
        Ok(())
    }

    async fn build_and_swap(&mut self, build: Build) -> Result<()> {
        let staging_oid = self.create_staging().await?;
        let cancel = self.context.cancel.clone();
        tokio::select! {
            built = build.run(&mut self.context.journal) => built?,
            lost = keep_alive(&mut self.context.control) => return Err(lost.into()),
            () = cancel.cancelled() => return Err(RestoreError::Interrupted.into()),
        }
        self.context.refuse_warnings()?;
        self.refuse_filled().await?;
        self.swap(staging_oid).await
    }

    /// A target that was empty and may not be erased must still be empty at the swap.
    async fn refuse_filled(&mut self) -> Result<()> {
        if self.context.options.erase == Erase::Allow {
            return Ok(());
        }
        let mut target =
            Session::open(&self.context.config, &self.context.target.name, &self.context.application).await?;
        let holdings = contents::holdings(&mut target, &self.kept).await;
        target.close().await;
        let Holdings { tables, rows, large_objects } = holdings?;
        let contents = TargetContents { tables, rows, large_objects, ..TargetContents::default() };
        if contents.is_empty() {
            return Ok(());
        }
        Err(Refusal::Filled { database: self.context.target.name.clone(), contents: contents.describe() }
            .into())
    }

    async fn create_staging(&mut self) -> Result<u32> {
        self.context.journal.step(Step::CreateStaging);
        match self.context.options.schema {
            SchemaMode::Target => self.copy_target().await?,
            _ => staging::create(&mut self.context.control, &self.context.target, &self.staging).await?,
        }
        self.context.failpoints.pass(Step::CreateStaging)?;
        let marker = self.marker(State::Staging);
        let connects = [self.context.config.su_username(), self.context.config.username()];
        let oid = staging::open_to(&mut self.context.control, &self.staging, &marker, &connects).await?;
        carry_over::rehearse(&mut self.context.control, &self.context.target, &self.staging).await?;
        Ok(oid)
    }

    async fn copy_target(&mut self) -> Result<()> {
        let copy = CopyTarget {
            config: &self.context.config,
            maintenance: &self.context.maintenance,
            application: &self.context.application,
            target: &self.context.target,
            staging: &self.staging,
            wait: self.context.options.swap_wait,
            terminate_sessions: self.context.options.terminate_sessions,
        };
        tokio::select! {
            copied = copy.run(&mut self.context.control) => copied,
            () = self.context.cancel.cancelled() => Err(RestoreError::Interrupted.into()),
        }
    }

    fn marker(&self, state: State) -> Marker {
        Marker {
            run: self.context.run_id.clone(),
            target: self.context.target.name.clone(),
            target_oid: self.context.target.oid,
            state,
            comment: None,
        }
    }

    async fn swap(&mut self, staging_oid: u32) -> Result<()> {
        self.context.journal.step(Step::Swap);
        let previous = previous_name(&self.context.target.name, &self.context.run_id);
        let swap = Swap {
            config: &self.context.config,
            maintenance: &self.context.maintenance,
            application: &self.context.application,
            target: &self.context.target,
            staging: &self.staging,
            staging_oid,
            previous: &previous,
            run_id: &self.context.run_id,
            keep_previous: self.context.options.keep_previous,
            wait: self.context.options.swap_wait,
            terminate_sessions: self.context.options.terminate_sessions,
            failpoints: self.context.failpoints,
            cancel: &self.context.cancel,
            progress: self.context.journal.progress.as_ref(),
        };
        swap.run(&mut self.context.control).await?;
        if self.context.options.keep_previous {
            self.context.journal.report.previous = Some(previous);
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
            Ok(false) => self.context.journal.warn(format!(
                "the staging database {} was not removed, since another restore has the lock; it or the next run \
                 removes it",
                quote_ident(&self.staging)
            )),
            Err(error) => self.context.journal.warn(format!(
                "the staging database {} is left behind ({error}); the next run removes it",
                quote_ident(&self.staging)
            )),
        }
    }

    /// Drops the staging database of this run, under the lock; false if somebody else has that.
    async fn drop_staging(&mut self) -> Result<bool, TargetError> {
        if self.context.control.execute("SELECT 1", "reach the server").await.is_err() {
            // The lock was lost with the connection.
            let mut again =
                Session::open(&self.context.config, &self.context.maintenance, &self.context.application)
                    .await?;
            if lock_target(&mut again, &self.context.target.name).await?.is_some() {
                return Ok(false);
            }
            self.context.control = again;
        }
        if staging::is_of_run(&mut self.context.control, &self.context.target.name, &self.context.run_id)
            .await?
        {
            staging::drop_leftover(&mut self.context.control, &self.staging).await?;
        }
        Ok(true)
    }

    async fn drop_previous(&mut self) -> Result<()> {
        self.context.journal.step(Step::Swapped);
        self.context.failpoints.pass(Step::Swapped)?;
        if self.context.options.keep_previous {
            return Ok(());
        }
        self.context.journal.step(Step::DropPrevious);
        let previous = previous_name(&self.context.target.name, &self.context.run_id);
        // The restore is complete: what cannot be dropped now is removed by the next run.
        if let Err(error) = staging::drop_leftover(&mut self.context.control, &previous).await {
            self.context.journal.warn(format!(
                "the target's previous database is left behind as {} ({error}); the next run removes it",
                quote_ident(&previous)
            ));
        }
        self.context.failpoints.pass(Step::DropPrevious)?;
        Ok(())
    }
}
