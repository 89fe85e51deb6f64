//! Waiting for other sessions, up to a limit, of which the operator is told once.

use crate::restore::error::Refusal;
use crate::restore::journal::Journal;
use crate::target::OtherSession;
use std::time::Duration;
use tokio::time::Instant;

/// How often is looked whether they have ended.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How many sessions a notice names.
const NAMED: usize = 5;

/// One wait, which may take many looks.
pub(super) struct Waiting {
    limit: Duration,
    deadline: Instant,
    told: bool,
}

impl Waiting {
    pub(super) fn up_to(limit: Duration) -> Self {
        Self { limit, deadline: Instant::now() + limit, told: false }
    }

    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// That these have stayed.
    pub(super) fn refusal(&self, database: &str, sessions: Vec<OtherSession>) -> Refusal {
        Refusal::InUse { database: database.to_owned(), sessions, waited: self.limit }
    }

    /// Tells, the first time, what these are waited for: `other sessions on the target to end`.
    pub(super) fn tell(&mut self, journal: &mut Journal, what: &str, sessions: &[OtherSession]) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let who: Vec<String> = sessions.iter().take(NAMED).map(ToString::to_string).collect();
        let more = if sessions.len() > NAMED { "; ..." } else { "" };
        let limit = self.limit.as_secs();
        journal.notice(format!("waiting up to {limit} s for {what}: {}{more}", who.join("; ")));
    }

    /// Until the next look.
    pub(super) async fn pause(&self) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
