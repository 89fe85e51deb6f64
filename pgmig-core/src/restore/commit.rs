//! Waits for the server to commit the restore, up to a limit.
//!
//! A commit can wait for a synchronous standby that is not there, or for a server that is gone. After the limit, or soon
//! after an interruption, pgmig cancels it from another session: a wait for a standby then ends with a restore that is
//! committed on this server, and checks that are still at work end with nothing committed.

use crate::progress::NoticeCode;
use crate::restore::error::RestoreError;
use crate::restore::interruption::CleanUp;
use crate::restore::journal::Journal;
use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};
use crate::sql::quote_literal;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How long a commit may still take after an interruption before it is cancelled.
const AFTER_INTERRUPTION: Duration = Duration::from_millis(1500);

/// How long to wait for the answer of a commit that has been cancelled.
const AFTER_CANCELLING: Duration = Duration::from_secs(10);

/// The same after an interruption. All these times together are less than the 5 s that the manual promises.
const SOON: Duration = Duration::from_millis(700);

/// How much time is then left for everything, until the program ends.
const LEFT: Duration = Duration::from_millis(2500);

/// The session from which a commit is looked after, and the limit.
pub(crate) struct CommitWait {
    pub(crate) config: TargetConfig,
    pub(crate) database: String,
    pub(crate) application: String,
    pub(crate) cancel: CancellationToken,
    pub(crate) clean_up: CleanUp,
    pub(crate) limit: Duration,
}

/// How a commit ended.
pub(crate) struct CommitEnd {
    /// The server's answer; `None` if there was none.
    pub(crate) answer: Option<Result<(), TargetError>>,
    /// Whether pgmig cancelled the commit because the limit was reached.
    pub(crate) is_over_limit: bool,
    /// Whether it was waiting for a synchronous standby when pgmig cancelled it.
    pub(crate) is_unconfirmed: bool,
}

impl CommitWait {
    /// Commits what the session has begun last.
    pub(crate) async fn run(&self, session: &mut Session, doing: &str) -> CommitEnd {
        let process = session.backend_pid();
        let mut end = CommitEnd { answer: None, is_over_limit: false, is_unconfirmed: false };
        let committing = session.commit(doing);
        tokio::pin!(committing);
        tokio::select! {
            answer = &mut committing => {
                end.answer = Some(answer);
                return end;
            }
            () = sleep(self.limit) => end.is_over_limit = true,
            () = self.interrupted(AFTER_INTERRUPTION) => self.clean_up.end_within(LEFT),
        }
        let cancelled = self.limited(self.cancel_commit(process)).await;
        end.is_unconfirmed = cancelled.is_some_and(|cancelled| cancelled.unwrap_or(false));
        end.answer = self.limited(committing).await;
        end
    }

    /// Does the work within the limit of finding out how a commit ended.
    pub(crate) async fn limited<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = sleep(AFTER_CANCELLING) => None,
            () = self.interrupted(SOON) => None,
        }
    }

    /// Does the work, which has a limit of its own, unless it is interrupted.
    pub(crate) async fn until_interrupted<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.interrupted(SOON) => None,
        }
    }

    /// Cancels the commit. Returns whether it was waiting for a standby.
    async fn cancel_commit(&self, process: i32) -> Result<bool, TargetError> {
        const DOING: &str = "cancel the commit";
        let mut session = self.session().await?;
        let ours = self.ours(process);
        let standby = format!("SELECT COALESCE(wait_event, '') = 'SyncRep' {ours}");
        let is_for_standby = session.holds(&standby, DOING).await?;
        session.rows(&format!("SELECT pg_catalog.pg_cancel_backend(pid) {ours}"), DOING).await?;
        session.close().await;
        Ok(is_for_standby)
    }

    /// Ends the server process, so that a COMMIT which the network has lost cannot arrive later.
    pub(crate) async fn end_process(&self, session: &mut Session, process: i32) -> Result<(), TargetError> {
        let sql = format!("SELECT pg_catalog.pg_terminate_backend(pid) {}", self.ours(process));
        session.rows(&sql, "end the session that commits").await.map(drop)
    }

    /// A session to look from.
    pub(crate) async fn session(&self) -> Result<Session, TargetError> {
        Session::open_another(&self.config, &self.database, &self.application).await
    }

    /// Returns this long after an interruption.
    async fn interrupted(&self, after: Duration) {
        self.cancel.cancelled().await;
        sleep(after).await;
    }

    /// The process may have ended, and another one may have its ID by now.
    fn ours(&self, process: i32) -> String {
        format!(
            "FROM pg_catalog.pg_stat_activity WHERE pid = {process} AND application_name = {}",
            quote_literal(&self.application)
        )
    }
}

impl CommitEnd {
    /// The error of a commit that the server has refused.
    pub(crate) fn refused(&self, wait: &CommitWait, error: TargetError) -> crate::Error {
        const CANCELLED: &str = "57014";
        match error.sqlstate() {
            Some(CANCELLED) if self.is_over_limit || wait.cancel.is_cancelled() => self.not_committed(wait),
            _ => error.into(),
        }
    }

    /// The error of a commit that took no effect, as far as is known.
    pub(crate) fn not_committed(&self, wait: &CommitWait) -> crate::Error {
        let error = if wait.cancel.is_cancelled() {
            RestoreError::Interrupted
        } else if self.is_over_limit {
            RestoreError::CommitTimeout { seconds: wait.limit.as_secs() }
        } else {
            RestoreError::CommitLost
        };
        error.into()
    }

    /// Warns of a commit that no standby has confirmed.
    pub(crate) fn note(&self, journal: &mut Journal) {
        if self.is_unconfirmed {
            journal.warn(NoticeCode::StandbyNotConfirmed,
                "the restore is committed on this server, but no synchronous standby has confirmed it; after a failover to a \
                 standby it can be missing; check pg_stat_replication and synchronous_standby_names"
                    .to_owned(),
            );
        }
    }
}
