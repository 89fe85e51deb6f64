//! The swap: in one transaction the target gets its previous-name and the staging database the target's.

use crate::error::Result;
use crate::progress::Step;
use crate::progress::{Event, Progress};
use crate::restore::error::RestoreError;
use crate::restore::failpoint::Failpoints;
use crate::restore::refusal::Refusal;
use crate::restore::staging::mark_statement;
use crate::restore::staging::marker::{Marker, State};
use crate::restore::swap::carry_over;
use crate::server::catalog::{DatabaseFacts, database_facts, end_sessions, other_sessions, swap_obstacles};
use crate::server::lock::lock_target;
use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};
use crate::sql::{quote_ident, quote_literal};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// SQLSTATE of "database is being accessed by other users".
pub(crate) const OBJECT_IN_USE: &str = "55006";

/// SQLSTATE of a lock that was not to be had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// How often sessions are ended while the server waits for the database to become free (it waits 5 s).
const TERMINATE_EVERY: Duration = Duration::from_millis(200);

/// What is swapped, and how patiently.
pub(crate) struct Swap<'a> {
    pub(crate) config: &'a TargetConfig,
    pub(crate) maintenance: &'a str,
    pub(crate) application: &'a str,
    pub(crate) target: &'a DatabaseFacts,
    pub(crate) staging: &'a str,
    pub(crate) staging_oid: u32,
    pub(crate) previous: &'a str,
    pub(crate) run_id: &'a str,
    pub(crate) keep_previous: bool,
    pub(crate) wait: Duration,
    pub(crate) terminate_sessions: bool,
    pub(crate) failpoints: Failpoints,
    pub(crate) cancel: &'a CancellationToken,
    pub(crate) progress: &'a dyn Progress,
}

/// How one attempt ended.
enum Attempt {
    Swapped,
    InUse,
}

impl Swap<'_> {
    /// Swaps, waiting for other sessions on the target to end. Returns when the transaction is committed.
    ///
    /// # Errors
    ///
    /// [`Refusal::InUse`] if sessions stayed; [`RestoreError::OutcomeUnknown`] if the connection was lost in
    /// the commit and cannot be made again; otherwise the target is untouched.
    pub(crate) async fn run(&self, control: &mut Session) -> Result<()> {
        let deadline = Instant::now() + self.wait;
        loop {
            if self.cancel.is_cancelled() {
                return Err(RestoreError::Interrupted.into());
            }
            let attempt = if self.terminate_sessions {
                self.attempt_terminating(control).await?
            } else {
                self.attempt(control).await?
            };
            match attempt {
                Attempt::Swapped => return Ok(()),
                Attempt::InUse if Instant::now() >= deadline => {
                    let sessions = other_sessions(control, &self.target.name, self.application).await?;
                    return Err(RestoreError::from(Refusal::InUse {
                        database: self.target.name.clone(),
                        sessions,
                        waited: self.wait,
                    })
                    .into());
                }
                Attempt::InUse => sleep(Duration::from_millis(500)).await,
            }
        }
    }

    /// One attempt, while a second connection ends the sessions on the target. The rename takes the database's
    /// lock before it counts sessions, so new ones wait outside and those that are there are ended.
    async fn attempt_terminating(&self, control: &mut Session) -> Result<Attempt> {
        let mut helper = Session::open(self.config, self.maintenance, self.application).await?;
        let attempt = tokio::select! {
            attempt = self.attempt(control) => attempt,
            never = keep_ending(&mut helper, &self.target.name, self.application) => match never {},
        };
        helper.close().await;
        attempt
    }

    async fn attempt(&self, control: &mut Session) -> Result<Attempt> {
        control.begin("begin the swap").await?;
        // Until the commit is sent, an interruption rolls back; after that it comes too late.
        let renamed = tokio::select! {
            renamed = self.rename(control) => renamed,
            () = self.cancel.cancelled() => Err(RestoreError::Interrupted.into()),
        };
        match renamed {
            Ok(()) => self.commit(control).await.map(|()| Attempt::Swapped),
            Err(error) => {
                // A rollback that fails means a lost connection, and then the server rolls back.
                let _ = control.rollback("roll back the swap").await;
                match &error {
                    crate::Error::Target(server)
                        if matches!(server.sqlstate(), Some(OBJECT_IN_USE | LOCK_NOT_AVAILABLE)) =>
                    {
                        Ok(Attempt::InUse)
                    }
                    _ => Err(error),
                }
            }
        }
    }

    async fn rename(&self, control: &mut Session) -> Result<()> {
        // The commit must be on disk when it returns: it covers all of the staging database's, which were
        // committed asynchronously.
        let doing = "swap the databases";
        // Whoever waits for the database's lock keeps new sessions off it, so no waiting for long.
        control.execute("SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '5s'", doing).await?;
        // Read anew: it may have been changed while the restore was under way.
        let current = database_facts(control, &self.target.name).await?;
        let Some(mut current) = current.filter(|current| current.oid == self.target.oid) else {
            return Err(Refusal::Changed { database: self.target.name.clone() }.into());
        };
        // A previous database that was put back by hand still has our marker for a comment, and its own in it.
        if let Some(marker) = current.comment.as_deref().and_then(Marker::from_comment) {
            current.comment = marker.comment;
        }
        carry_over::run(control, &current, self.staging).await?;
        self.failpoints.pass(Step::CarryOver)?;
        let (target, staging) = (quote_ident(&self.target.name), quote_ident(self.staging));
        let previous = quote_ident(self.previous);
        let marker = Marker {
            run: self.run_id.to_owned(),
            target: self.target.name.clone(),
            target_oid: self.target.oid,
            state: if self.keep_previous { State::Kept } else { State::Previous },
            comment: current.comment.clone(),
        };
        // What would be destroyed with the previous database may have come since the beginning.
        let reasons = swap_obstacles(control, &current).await?;
        if !reasons.is_empty() {
            return Err(Refusal::CannotSwap { database: self.target.name.clone(), reasons }.into());
        }
        control.execute(&format!("ALTER DATABASE {target} RENAME TO {previous}"), doing).await?;
        control.execute(&mark_statement(self.previous, &marker), doing).await?;
        control.execute(&format!("ALTER DATABASE {staging} RENAME TO {target}"), doing).await?;
        self.failpoints.pass(Step::Swap)?;
        Ok(())
    }

    async fn commit(&self, control: &mut Session) -> Result<()> {
        self.progress.event(&Event::Committing);
        let Err(error) = control.commit("commit the swap").await else { return Ok(()) };
        if error.is_answer() {
            // It did not commit.
            return Err(error.into());
        }
        self.find_out(control, error).await
    }

    /// The connection was lost while committing: whose OID the target's name has tells the outcome, once the old
    /// server process has ended. It has when its lock on the target's name is free.
    async fn find_out(&self, control: &mut Session, lost: TargetError) -> Result<()> {
        let query = format!(
            "SELECT oid FROM pg_catalog.pg_database WHERE datname = {}",
            quote_literal(&self.target.name)
        );
        for _ in 0..5 {
            sleep(Duration::from_secs(1)).await;
            let Ok(mut again) = Session::open(self.config, self.maintenance, self.application).await else {
                continue;
            };
            let Ok(None) = lock_target(&mut again, &self.target.name).await else { continue };
            let Ok(oid) = again.value(&query, "find out how the swap ended").await else { continue };
            *control = again;
            return if oid == self.staging_oid.to_string() { Ok(()) } else { Err(lost.into()) };
        }
        Err(RestoreError::OutcomeUnknown { query, swapped_oid: self.staging_oid }.into())
    }
}

/// Ends the other sessions on a database, again and again.
pub(crate) async fn keep_ending(helper: &mut Session, database: &str, application: &str) -> Infallible {
    loop {
        let sessions = other_sessions(helper, database, application).await;
        end_sessions(helper, sessions.unwrap_or_default().iter().map(|session| session.pid)).await;
        sleep(TERMINATE_EVERY).await;
    }
}
