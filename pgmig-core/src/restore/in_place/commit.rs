//! The commit, and how it ended when the connection was lost in it.

use super::transaction;
use crate::error::Result;
use crate::restore::context::Context;
use crate::restore::error::{Refusal, RestoreError};
use crate::restore::step::Step;
use crate::sql::quote_literal;
use crate::target::session::Session;
use crate::target::{TargetError, catalog};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const DOING: &str = "commit the restore";

/// How often the server is asked how a commit ended, a second apart.
const QUESTIONS: u32 = 10;

/// How often sessions with an old snapshot are looked for while they are waited for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Waits until nobody is in the way of a commit.
///
/// # Errors
///
/// [`Refusal::InUse`] if somebody stays.
pub(super) async fn make_ready(context: &mut Context, mut session: Session) -> Result<Session> {
    context.journal.step(Step::Commit);
    context.failpoints.pass(Step::Commit)?;
    session.become_role(None).await?;
    wait_for_snapshots(context, session.backend_pid()).await?;
    Ok(session)
}

/// Commits everything.
///
/// # Errors
///
/// [`RestoreError::CommitUnknown`] if the connection was lost in the commit and the server cannot be asked; with every
/// other error nothing has been committed.
pub(super) async fn commit(context: &mut Context, mut session: Session) -> Result<()> {
    // It must be on disk when it returns.
    session.execute("SET LOCAL synchronous_commit = on", DOING).await?;
    transaction::require(&mut session, "what was done last").await?;
    let outcome = Outcome::of(&session);
    let Err(error) = session.commit(DOING).await else {
        session.close().await;
        return Ok(());
    };
    if error.is_answer() {
        // It did not commit.
        return Err(error.into());
    }
    drop(session);
    outcome.find_out(context, error).await
}

/// Waits for transactions of other sessions on the target that go on to read from a snapshot of before the commit
/// (isolation level REPEATABLE READ, or an open cursor). Tables made since then would look empty to them. Of other roles'
/// sessions the server shows no more than that they have a snapshot.
///
/// A session that waits for our own lock is not waited for, as that would have no end: mostly it is a statement of
/// isolation level READ COMMITTED, which sees the new state when it goes on. Only of pg_dump it is known that its snapshot
/// is of before, and that it would make an empty backup of it.
async fn wait_for_snapshots(context: &mut Context, own_pid: i32) -> Result<()> {
    let Context { control, target, options, application, journal, .. } = context;
    let sql = format!(
        "SELECT pid FROM pg_catalog.pg_stat_activity WHERE datname = {} AND application_name <> {} \
         AND backend_xmin IS NOT NULL AND usesysid IS NOT NULL AND {} \
         AND (application_name LIKE 'pg_dump%' OR {own_pid} <> ALL (pg_catalog.pg_blocking_pids(pid)))",
        quote_literal(&target.name),
        quote_literal(application),
        catalog::IS_NO_REPLICATION,
    );
    let deadline = Instant::now() + options.swap_wait;
    let mut told = false;
    loop {
        let pids = control.rows(&sql, "look for sessions with an old snapshot").await?;
        if pids.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let mut sessions = catalog::other_sessions(control, &target.name, application).await?;
            sessions.retain(|session| pids.iter().any(|row| row.number::<i32>(0) == session.pid));
            let (database, waited) = (target.name.clone(), options.swap_wait);
            return Err(Refusal::InUse { database, sessions, waited }.into());
        }
        if !options.terminate_sessions && !std::mem::replace(&mut told, true) {
            let pids: Vec<&str> = pids.iter().map(|row| row.text(0)).collect();
            journal.notice(format!(
                "waiting up to {} s for transactions that read the target's old state to end: PID {}",
                options.swap_wait.as_secs(),
                pids.join(", ")
            ));
        }
        if options.terminate_sessions {
            catalog::end_sessions(control, pids.iter().map(|row| row.number(0))).await;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// What tells how the transaction ended.
struct Outcome {
    query: String,
    pid: i32,
}

impl Outcome {
    fn of(session: &Session) -> Self {
        let xid = session.one_transaction().unwrap_or_default();
        let function = if session.server_version() >= 130_000 { "pg_xact_status" } else { "txid_status" };
        Self { query: format!("SELECT pg_catalog.{function}('{xid}')"), pid: session.backend_pid() }
    }

    /// Asks until it is decided. A server process that waits for a commit which never came is ended: then it never
    /// comes.
    async fn find_out(&self, context: &mut Context, lost: TargetError) -> Result<()> {
        let Context { config, control, maintenance, application, .. } = context;
        for question in 0..QUESTIONS {
            if question > 0 {
                sleep(Duration::from_secs(1)).await;
            }
            let status = control.value(&self.query, "find out how the commit ended").await;
            match status.as_deref() {
                Ok("committed") => return Ok(()),
                Ok("aborted") => return Err(lost.into()),
                Ok(_) => {
                    let sql = format!(
                        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
                         WHERE pid = {} AND application_name = {} AND state = 'idle in transaction'",
                        self.pid,
                        quote_literal(application)
                    );
                    // Whether that helped, the next answer tells.
                    let _ = control.execute(&sql, "end the transaction").await;
                }
                Err(_) => {
                    if let Ok(again) = Session::open(config, maintenance, application).await {
                        *control = again;
                    }
                }
            }
        }
        Err(RestoreError::CommitUnknown { query: self.query.clone() }.into())
    }
}
