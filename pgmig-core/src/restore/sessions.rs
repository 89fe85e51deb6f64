//! Waits for other sessions, up to a limit, and informs the operator once.

use crate::error::Result;
use crate::lines::inline;
use crate::progress::{Event, Notice, NoticeCode, Severity};
use crate::restore::interruption::or_interrupted;
use crate::restore::journal::Journal;
use crate::restore::options::{RestoreOptions, Strategy};
use crate::restore::refusal::Refusal;
use crate::server::catalog::{end_sessions, other_sessions};
use crate::server::session::Session;
use crate::server::{OtherSession, TargetConfig, TargetError};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// SQLSTATE of "database is being accessed by other users".
pub(crate) const OBJECT_IN_USE: &str = "55006";

/// How often sessions are ended while the server waits for the database to become free (it waits 5 s).
const TERMINATE_EVERY: Duration = Duration::from_millis(200);

/// Polling interval.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// One wait, with as many checks as needed.
pub(crate) struct Waiting {
    limit: Duration,
    deadline: Instant,
    told: bool,
}

impl Waiting {
    pub(crate) fn up_to(limit: Duration) -> Self {
        Self { limit, deadline: Instant::now() + limit, told: false }
    }

    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// The refusal: these sessions did not leave in time.
    pub(crate) fn refusal(&self, database: &str, sessions: Vec<OtherSession>) -> Refusal {
        Refusal::InUse { database: database.to_owned(), sessions, waited: self.limit }
    }

    /// Reports, only the first time, the condition for which pgmig waits: `other sessions on the target to end`.
    pub(crate) fn tell(&mut self, journal: &mut Journal, what: &str, sessions: &[OtherSession]) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let event = Event::Waiting { what, sessions: sessions.len(), limit: self.limit };
        journal.progress.event(&event);
        let limit = self.limit.as_secs();
        journal.notice(
            NoticeCode::Waiting,
            format!("waiting up to {limit} s for {what}: {}", inline(sessions.iter())),
        );
    }

    /// Sleeps until the next check.
    pub(crate) async fn pause(&self) {
        sleep(LOOK_EVERY).await;
    }
}

/// The sessions on the target and on a previous database that takes its place, for a statement that requires that no other
/// session is connected to them.
pub(crate) struct TargetSessions {
    pub(crate) config: TargetConfig,
    pub(crate) maintenance: String,
    pub(crate) application: String,
    /// The databases, at least one.
    pub(crate) databases: Vec<String>,
    /// How long to wait for the sessions to end.
    pub(crate) wait: Duration,
    /// Whether to terminate the sessions instead.
    pub(crate) terminate: bool,
    pub(crate) cancel: CancellationToken,
}

impl TargetSessions {
    /// Starts the wait for the sessions to end.
    pub(crate) fn waiting(&self) -> Waiting {
        Waiting::up_to(self.wait)
    }

    /// Runs one attempt of the statement. If the sessions are to be terminated, a second connection does that meanwhile:
    /// the attempt locks the database before it counts sessions, so new sessions wait outside.
    ///
    /// # Errors
    ///
    /// The second connection cannot be opened, or the restore was interrupted.
    pub(crate) async fn attempt<T>(&self, attempt: impl Future<Output = T>) -> Result<T> {
        if !self.terminate {
            return Ok(attempt.await);
        }
        let opening = async { Ok(Session::open(&self.config, &self.maintenance, &self.application).await?) };
        let mut helper = or_interrupted(&self.cancel, opening).await?;
        let outcome = tokio::select! {
            outcome = attempt => outcome,
            never = keep_ending(&mut helper, &self.databases, &self.application) => match never {},
        };
        helper.close().await;
        Ok(outcome)
    }

    /// The refusal: sessions did not leave in time.
    pub(crate) async fn refusal(
        &self,
        control: &mut Session,
        waiting: &Waiting,
    ) -> Result<Refusal, TargetError> {
        for database in &self.databases {
            let sessions = other_sessions(control, database, &self.application).await?;
            if !sessions.is_empty() {
                return Ok(waiting.refusal(database, sessions));
            }
        }
        let database = self.databases.first().map(String::as_str).unwrap_or_default();
        Ok(waiting.refusal(database, Vec::new()))
    }
}

/// The notice about other sessions on the target before a restore.
pub(crate) fn sessions_notice(
    sessions: &[OtherSession],
    options: &RestoreOptions,
    strategy: Strategy,
) -> Option<Notice> {
    let who = inline(sessions.iter());
    let wait = options.swap_wait.as_secs();
    let others = match sessions.len() {
        1 => "1 session is connected to the target".to_owned(),
        more => format!("{more} sessions are connected to the target"),
    };
    let (severity, text) = match (options.terminate_sessions, strategy) {
        (true, Strategy::Swap) => {
            (Severity::Notice, format!("{others}; pgmig terminates them at the swap: {who}"))
        }
        (true, Strategy::InPlace) => (Severity::Notice, format!("{others}; pgmig terminates them: {who}")),
        (false, Strategy::Swap) => (
            Severity::Warning,
            format!("{others}; at the swap pgmig waits up to {wait} s for them to disconnect: {who}"),
        ),
        (false, Strategy::InPlace) => (
            Severity::Warning,
            format!("{others}; pgmig waits up to {wait} s for them to disconnect before it begins: {who}"),
        ),
    };
    (!sessions.is_empty()).then_some(Notice { severity, code: NoticeCode::OtherSessions, text })
}

/// Ends the other sessions on these databases, again and again.
async fn keep_ending(helper: &mut Session, databases: &[String], application: &str) -> Infallible {
    loop {
        for database in databases {
            let sessions = other_sessions(helper, database, application).await;
            end_sessions(helper, sessions.unwrap_or_default().iter().map(|session| session.pid)).await;
        }
        sleep(TERMINATE_EVERY).await;
    }
}
