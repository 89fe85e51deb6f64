//! Waiting for other sessions, up to a limit, of which the operator is told once.

use crate::lines::inline;
use crate::progress::{Event, Notice, Severity};
use crate::restore::journal::Journal;
use crate::restore::options::{RestoreOptions, Strategy};
use crate::restore::refusal::Refusal;
use crate::server::OtherSession;
use std::time::Duration;
use tokio::time::Instant;

/// How often is looked whether they have ended.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// One wait, which may take many looks.
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

    /// That these have stayed.
    pub(crate) fn refusal(&self, database: &str, sessions: Vec<OtherSession>) -> Refusal {
        Refusal::InUse { database: database.to_owned(), sessions, waited: self.limit }
    }

    /// Tells, the first time, what these are waited for: `other sessions on the target to end`.
    pub(crate) fn tell(&mut self, journal: &mut Journal, what: &str, sessions: &[OtherSession]) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let event = Event::Waiting { what, sessions: sessions.len(), limit: self.limit };
        journal.progress.event(&event);
        let limit = self.limit.as_secs();
        journal.notice(format!("waiting up to {limit} s for {what}: {}", inline(sessions.iter())));
    }

    /// Until the next look.
    pub(crate) async fn pause(&self) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What is said of other sessions on the target before a restore.
pub(crate) fn sessions_notice(
    sessions: &[OtherSession],
    options: &RestoreOptions,
    strategy: Strategy,
) -> Option<Notice> {
    let who = inline(sessions.iter());
    let wait = options.swap_wait.as_secs();
    let others = "other sessions on the target";
    let (severity, text) = match (options.terminate_sessions, strategy) {
        (true, Strategy::Swap) => (Severity::Notice, format!("{others} are ended at the swap: {who}")),
        (true, Strategy::InPlace) => (Severity::Notice, format!("{others} are ended: {who}")),
        (false, Strategy::Swap) => (
            Severity::Warning,
            format!("{others} must have ended {wait} s after the restore is built, or it stops: {who}"),
        ),
        (false, Strategy::InPlace) => {
            (Severity::Warning, format!("{others} must end within {wait} s, or nothing is begun: {who}"))
        }
    };
    (!sessions.is_empty()).then_some(Notice { severity, text })
}
