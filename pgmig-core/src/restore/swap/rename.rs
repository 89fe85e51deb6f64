//! The swap: one transaction renames the target to the name of a previous database, and its successor to the name of the
//! target. The successor is the staging database of a restore, or, on the way back, a previous database.

use crate::error::Result;
use crate::progress::{Event, Step};
use crate::restore::commit::{CommitEnd, CommitWait};
use crate::restore::error::RestoreError;
use crate::restore::failpoint::Failpoints;
use crate::restore::interruption::or_interrupted;
use crate::restore::journal::Journal;
use crate::restore::refusal::Refusal;
use crate::restore::refusal::previous::PreviousRefusal;
use crate::restore::run::is_outcome_unknown;
use crate::restore::sessions::{OBJECT_IN_USE, TargetSessions};
use crate::restore::staging::dropping::INVALID;
use crate::restore::staging::mark_statement;
use crate::restore::staging::marker::{Marker, State};
use crate::restore::swap::carry_over;
use crate::server::catalog::{
    DatabaseFacts, Slots, database_facts, database_with_oid, rename_obstacles, server_clock_ms,
};
use crate::server::lock::lock_target;
use crate::server::session::Session;
use crate::sql::{quote_ident, quote_literal};
use std::time::Duration;
use tokio::time::sleep;

/// SQLSTATE of a lock that did not become free in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// How many times pgmig asks the server how the commit ended, and how much longer it waits before each question.
const QUESTIONS: u32 = 5;
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(500);

/// The databases to swap, and the conditions of the swap.
pub(crate) struct Swap<'a> {
    /// The sessions on the target.
    pub(crate) sessions: TargetSessions,
    pub(crate) target: &'a DatabaseFacts,
    pub(crate) successor: &'a str,
    pub(crate) successor_oid: u32,
    /// Whether the successor is a previous database.
    pub(crate) is_way_back: bool,
    /// The name that the target gets.
    pub(crate) previous: &'a str,
    pub(crate) run_id: &'a str,
    pub(crate) keep_previous: bool,
    pub(crate) failpoints: Failpoints,
    /// How to wait for the commit, and what ends all waits.
    pub(crate) commit: CommitWait,
}

enum Attempt {
    Swapped,
    InUse,
}

impl Swap<'_> {
    /// Swaps the databases. Waits for other sessions on the target to end. Returns when the transaction is committed.
    ///
    /// # Errors
    ///
    /// [`Refusal::InUse`] if sessions did not leave in time; [`RestoreError::SwapOutcomeUnknown`] if the connection was
    /// lost in the commit and pgmig cannot connect again. In every other case the target is untouched.
    pub(crate) async fn run(&self, control: &mut Session, journal: &mut Journal) -> Result<()> {
        let waiting = self.sessions.waiting();
        loop {
            if self.commit.cancel.is_cancelled() {
                return Err(RestoreError::Interrupted.into());
            }
            match self.sessions.attempt(self.attempt(control, journal)).await?? {
                Attempt::Swapped => return Ok(()),
                Attempt::InUse if waiting.is_over() => {
                    return Err(self.sessions.refusal(control, &waiting).await?.into());
                }
                Attempt::InUse => {
                    tokio::select! {
                        () = waiting.pause() => {}
                        () = self.commit.cancel.cancelled() => return Err(RestoreError::Interrupted.into()),
                    }
                }
            }
        }
    }

    async fn attempt(&self, control: &mut Session, journal: &mut Journal) -> Result<Attempt> {
        // Until the COMMIT is sent, an interruption rolls back; afterwards it is too late.
        match or_interrupted(&self.commit.cancel, self.rename(control)).await {
            Ok(()) => self.commit(control, journal).await.map(|()| Attempt::Swapped),
            // The statement that was interrupted may still be at work. Cleaning up ends its session.
            Err(error @ crate::Error::Restore(RestoreError::Interrupted)) => Err(error),
            Err(error) => {
                // If the rollback fails, the connection is lost, and the server rolls back by itself.
                let _ = self.commit.clean_up.step(control.rollback("roll back the swap")).await;
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
        control.begin("begin the swap").await?;
        // The commit must be on disk when it returns. It covers all commits in the staging database, which were
        // asynchronous.
        let doing = "swap the databases";
        // A waiter on this lock blocks new sessions of the database, so `lock_timeout` is short.
        control.execute("SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '5s'", doing).await?;
        // Reads the facts again: they may have changed during the restore.
        let current = database_facts(control, &self.target.name).await?;
        let Some(mut current) = current.filter(|current| current.oid == self.target.oid) else {
            return Err(Refusal::Changed { database: self.target.name.clone() }.into());
        };
        if self.is_way_back {
            self.check_previous(control).await?;
        }
        // If a user renamed a previous database back by hand, its comment is still our marker, which contains the
        // original comment.
        let marker = current.comment.as_deref().and_then(Marker::from_comment);
        if let Some(marker) = marker.filter(|marker| marker.is_of_previous(current.oid)) {
            current.comment = marker.comment;
        }
        carry_over::run(control, &current, self.successor_oid).await?;
        self.failpoints.pass(Step::CarryOver)?;
        let (target, successor) = (quote_ident(&self.target.name), quote_ident(self.successor));
        let previous = quote_ident(self.previous);
        let marker = Marker {
            run: self.run_id.to_owned(),
            target: self.target.name.clone(),
            target_oid: self.target.oid,
            state: if self.keep_previous { State::Kept } else { State::Previous },
            replaced_ms: Some(server_clock_ms(control).await?),
            built: None,
            comment: current.comment.clone(),
        };
        // Objects that the swap would destroy may have been created since the preflight.
        let reasons = rename_obstacles(control, &current, Slots::Every).await?;
        if !reasons.is_empty() {
            return Err(Refusal::CannotSwap { database: self.target.name.clone(), reasons }.into());
        }
        control.execute(&format!("ALTER DATABASE {target} RENAME TO {previous}"), doing).await?;
        control.execute(&mark_statement(self.previous, &marker), doing).await?;
        control.execute(&format!("ALTER DATABASE {successor} RENAME TO {target}"), doing).await?;
        self.failpoints.pass(Step::Swap)?;
        Ok(())
    }

    /// Checks, inside the transaction, that the successor is still the previous database that was chosen.
    async fn check_previous(&self, control: &mut Session) -> Result<()> {
        let found = database_with_oid(control, self.successor_oid).await?;
        let is_same = |found: &DatabaseFacts| {
            let marker = found.comment.as_deref().and_then(Marker::from_comment);
            found.name == self.successor
                && found.connection_limit != INVALID
                && marker.is_some_and(|marker| {
                    marker.target == self.target.name && marker.is_of_previous(found.oid)
                })
        };
        match found {
            Some(found) if is_same(&found) => Ok(()),
            _ => Err(PreviousRefusal::Changed { database: self.successor.to_owned() }.into()),
        }
    }

    async fn commit(&self, control: &mut Session, journal: &mut Journal) -> Result<()> {
        journal.progress.event(&Event::Committing);
        let process = control.backend_pid();
        let mut end = self.commit.run(control, "commit the swap").await;
        let committed = match end.answer.take() {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) if error.is_answer() => Err(end.refused(&self.commit, error)),
            Some(Err(_)) | None => self.find_out(control, process, &end).await,
        };
        if committed.is_ok() {
            end.note(journal);
        } else if !committed.as_ref().is_err_and(is_outcome_unknown) {
            journal.progress.event(&Event::NotCommitted);
        }
        committed
    }

    /// Finds out how the commit ended without the server's answer. The OID of the database with the target's name
    /// shows it, once the old server process has ended. The process has ended when its lock on the target's name is
    /// free.
    async fn find_out(&self, control: &mut Session, process: i32, end: &CommitEnd) -> Result<()> {
        let query = format!(
            "SELECT oid FROM pg_catalog.pg_database WHERE datname = {}",
            quote_literal(&self.target.name)
        );
        let asking = async {
            for question in 0..QUESTIONS {
                sleep(BETWEEN_QUESTIONS * question).await;
                let Ok(mut again) = self.commit.session().await else { continue };
                // A COMMIT that the network has lost must not arrive later.
                let _ = self.commit.end_process(&mut again, process).await;
                let Ok(None) = lock_target(&mut again, &self.target.name).await else { continue };
                let Ok(oid) = again.value(&query, "find out how the swap ended").await else { continue };
                return Some((again, oid == self.successor_oid.to_string()));
            }
            None
        };
        match self.commit.until_interrupted(asking).await.flatten() {
            Some((again, is_swapped)) => {
                *control = again;
                if is_swapped { Ok(()) } else { Err(end.not_committed(&self.commit)) }
            }
            None => Err(RestoreError::SwapOutcomeUnknown { query, swapped_oid: self.successor_oid }.into()),
        }
    }
}
