//! Looks after a session whose server is silent, over a connection of its own, and decides whether the wait can end.
//!
//! A server that computes is as silent as one that is gone. So pgmig asks a new connection about the server process:
//!
//! - Nothing answers for as long as [`WaitLimits::answer`]: the server is gone.
//! - The process has ended, or it waits for the session while the session waits for it: the network has lost something.
//! - It waits for a lock of another session: the operator is told, and the wait ends after [`WaitLimits::locks`].
//! - It waits for a synchronous standby: the operator is told.
//! - Else it is at work, and takes its time, unless the question was a short one.
//!
//! A process that was stopped in the middle of its work looks like a busy one.
//!
//! [`WaitLimits::answer`]: super::waits::WaitLimits::answer
//! [`WaitLimits::locks`]: super::waits::WaitLimits::locks

use crate::server::activity::Activity;
use crate::server::config::TargetConfig;
use crate::server::connect::{Bare, bare_session};
use crate::server::error::TargetError;
use crate::server::login::Login;
use crate::sql::quote_literal;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How often pgmig looks whether the server is silent.
const TICK: Duration = Duration::from_millis(500);

/// After how much silence pgmig asks about the server process.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// How often it asks again.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// After how much silence something counts as lost: a busy machine may let a process wait.
const LOST_AFTER: Duration = Duration::from_secs(20);

/// How soon it asks again where the first answer could have changed meanwhile, or where nothing answered.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// How long an answer about the server process may take.
const ANSWER: Duration = Duration::from_secs(10);

/// How a session that must end is told to.
#[derive(Debug)]
pub(super) struct Verdict(pub(super) String);

/// The SQLSTATE of all verdicts: connection failure.
pub(super) const CONNECTION_FAILURE: &str = "08006";

/// The session that is looked after.
pub(super) struct Watchdog {
    pub(super) config: TargetConfig,
    pub(super) login: Login,
    pub(super) database: String,
    pub(super) application_name: String,
    pub(super) activity: Arc<Activity>,
}

/// The state of the server process.
#[derive(Debug)]
enum Sight {
    /// The server does not let anybody in.
    NoAnswer,
    /// The server is there, and does not say more.
    Unknown,
    /// It has ended.
    Gone,
    /// It waits for the session.
    WaitsForUs,
    /// It waits for a lock that these sessions hold.
    Lock { holders: String, of_others: usize },
    /// It waits until a synchronous standby has confirmed a commit.
    Standby,
    /// It is at work.
    Busy,
}

/// One wait.
struct Wait {
    since: Instant,
    next_look: Duration,
    /// Whether the last look showed that something was lost.
    is_suspect: bool,
    is_told: bool,
}

impl Wait {
    fn new(since: Instant) -> Self {
        Self { since, next_look: FIRST_LOOK, is_suspect: false, is_told: false }
    }
}

impl Watchdog {
    /// Returns when the session must end.
    pub(super) async fn verdict(&self) -> Verdict {
        let mut wait: Option<Wait> = None;
        loop {
            sleep(TICK).await;
            let Some(since) = self.activity.silent_since() else {
                wait = None;
                continue;
            };
            let mut now = wait.take().filter(|wait| wait.since == since).unwrap_or_else(|| Wait::new(since));
            if let Some(verdict) = self.look_after(&mut now).await {
                // Otherwise the process goes on, and keeps its locks.
                let _ = timeout(ANSWER, self.end_process()).await;
                return verdict;
            }
            wait = Some(now);
        }
    }

    async fn look_after(&self, wait: &mut Wait) -> Option<Verdict> {
        let limits = self.config.waits.limits();
        let silence = wait.since.elapsed();
        if self.config.waits.is_unreachable() {
            return Some(no_answer(silence));
        }
        if self.activity.is_short() && silence >= limits.answer {
            return Some(no_answer(silence));
        }
        if silence < wait.next_look {
            return None;
        }
        let sight = self.look().await;
        if self.activity.silent_since() != Some(wait.since) {
            return None;
        }
        let silence = wait.since.elapsed();
        wait.next_look = silence + LOOK_EVERY;
        let was_suspect = std::mem::take(&mut wait.is_suspect);
        match sight {
            Sight::NoAnswer if silence >= limits.answer => {
                self.config.waits.note_unreachable();
                return Some(Verdict(format!(
                    "the server has been silent for {} s, and lets no new connection in",
                    silence.as_secs()
                )));
            }
            Sight::NoAnswer => {
                self.tell(wait, "the server to answer", 0, limits.answer, "");
                wait.next_look = silence + SECOND_LOOK;
            }
            Sight::Gone | Sight::WaitsForUs if was_suspect && silence >= LOST_AFTER.min(limits.answer) => {
                return Some(lost(&sight, silence));
            }
            Sight::Gone | Sight::WaitsForUs => {
                wait.is_suspect = true;
                wait.next_look = silence + SECOND_LOOK;
            }
            Sight::Lock { holders, of_others: 1.. } if silence >= limits.locks => {
                return Some(Verdict(format!(
                    "waited {} s for a lock that another session holds: {holders}",
                    silence.as_secs()
                )));
            }
            Sight::Lock { holders, of_others } => {
                let what = format!("a lock that another session holds: {holders}");
                if of_others > 0 {
                    self.tell(wait, &what, of_others, limits.locks, "");
                }
                wait.next_look = wait.next_look.min(limits.locks.max(silence + SECOND_LOOK));
            }
            Sight::Standby => self.tell(
                wait,
                "a synchronous standby to confirm the commit",
                0,
                limits.commit,
                "; start a standby that synchronous_standby_names names, or take it out of that setting and reload the \
                 configuration",
            ),
            Sight::Unknown | Sight::Busy => {}
        }
        None
    }

    fn tell(&self, wait: &mut Wait, what: &str, sessions: usize, limit: Duration, advice: &str) {
        if !std::mem::replace(&mut wait.is_told, true) {
            self.config.waits.tell(what, sessions, limit, advice);
        }
    }

    /// Asks about the server process.
    async fn look(&self) -> Sight {
        let _one = self.config.waits.one_look().await;
        let mut session = match self.session().await {
            Ok(session) => session,
            Err(TargetError::Timeout { .. } | TargetError::Unreachable { .. } | TargetError::Tls { .. }) => {
                return Sight::NoAnswer;
            }
            // A server that refuses is there.
            Err(_) => return Sight::Unknown,
        };
        let process = self.activity.process();
        if process == 0 {
            return Sight::Unknown;
        }
        match timeout(ANSWER, session.rows(&question(process, &self.application_name))).await {
            Err(_) => Sight::NoAnswer,
            Ok(Err(_)) => Sight::Unknown,
            Ok(Ok(rows)) => sight(rows.first()),
        }
    }

    async fn end_process(&self) -> Option<()> {
        let process = self.activity.process();
        if process == 0 || self.config.waits.is_unreachable() {
            return None;
        }
        let mut session = self.session().await.ok()?;
        session.rows(&format!("SELECT pg_catalog.pg_terminate_backend({process})")).await.ok().map(drop)
    }

    async fn session(&self) -> Result<Bare, TargetError> {
        bare_session(&self.config, &self.login, &self.database, &self.application_name).await
    }
}

fn no_answer(silence: Duration) -> Verdict {
    Verdict(format!("the server has not answered for {} s", silence.as_secs()))
}

fn lost(sight: &Sight, silence: Duration) -> Verdict {
    let why = match sight {
        Sight::Gone => "the server process has ended, and the end of its connection did not arrive",
        _ => "the server process waits for pgmig: the network between them has lost something",
    };
    Verdict(format!("the server has been silent for {} s: {why}", silence.as_secs()))
}

/// A session may see all of another session of its own login role, so it must be that role.
fn question(process: i32, application: &str) -> String {
    let application = quote_literal(application);
    format!(
        "SET ROLE NONE; \
         SELECT a.state, a.wait_event_type, a.wait_event, b.others, b.holders FROM pg_catalog.pg_stat_activity a, \
         LATERAL (SELECT pg_catalog.count(*) FILTER (WHERE h.application_name IS DISTINCT FROM {application}) AS others, \
             pg_catalog.string_agg(CASE WHEN h.pid IS NULL THEN 'a prepared transaction' ELSE 'process ' || h.pid || ', role ' \
                 || COALESCE(h.usename, '') || ', ' || COALESCE(NULLIF(h.application_name, ''), 'no application name') END, \
                 '; ') AS holders \
             FROM pg_catalog.unnest(CASE WHEN a.wait_event_type = 'Lock' THEN pg_catalog.pg_blocking_pids(a.pid) END) w(pid) \
             LEFT JOIN pg_catalog.pg_stat_activity h ON h.pid = w.pid) b \
         WHERE a.pid = {process}"
    )
}

/// Reads the answer to the [`question`].
fn sight(row: Option<&Vec<Option<String>>>) -> Sight {
    let Some(row) = row else { return Sight::Gone };
    let text = |column: usize| row.get(column).and_then(Option::as_deref);
    match (text(0), text(1), text(2)) {
        (Some(state), ..) if state.starts_with("idle") => Sight::WaitsForUs,
        (Some("active"), _, Some("ClientRead" | "ClientWrite")) => Sight::WaitsForUs,
        (Some("active"), Some("Lock"), _) => Sight::Lock {
            holders: text(4).unwrap_or("the server does not name it").to_owned(),
            of_others: text(3).and_then(|count| count.parse().ok()).unwrap_or(0),
        },
        (Some("active"), _, Some("SyncRep")) => Sight::Standby,
        (Some("active"), ..) => Sight::Busy,
        _ => Sight::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(row: [Option<&str>; 5]) -> String {
        format!("{:?}", sight(Some(&row.map(|text| text.map(str::to_owned)).to_vec())))
    }

    #[test]
    fn a_busy_process_is_told_from_one_that_waits() {
        assert_eq!(seen([Some("active"), None, None, Some("0"), None]), "Busy");
        assert_eq!(seen([Some("active"), Some("IO"), Some("DataFileRead"), Some("0"), None]), "Busy");
        assert_eq!(seen([Some("active"), Some("IPC"), Some("SyncRep"), Some("0"), None]), "Standby");
        for (state, event) in [("idle", "ClientRead"), ("active", "ClientRead"), ("active", "ClientWrite")] {
            assert_eq!(seen([Some(state), Some("Client"), Some(event), Some("0"), None]), "WaitsForUs");
        }
        let lock = seen([Some("active"), Some("Lock"), Some("relation"), Some("1"), Some("process 7")]);
        assert_eq!(lock, "Lock { holders: \"process 7\", of_others: 1 }");
        assert_eq!(seen([None, None, None, None, None]), "Unknown");
        assert!(matches!(sight(None), Sight::Gone));
    }
}
