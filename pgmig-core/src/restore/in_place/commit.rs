//! The commit, and how it ended when the connection was lost in it.

use super::transaction;
use crate::error::Result;
use crate::restore::context::Context;
use crate::restore::error::RestoreError;
use crate::restore::step::Step;
use crate::sql::quote_literal;
use crate::target::TargetError;
use crate::target::session::Session;
use std::time::Duration;
use tokio::time::sleep;

const DOING: &str = "commit the restore";

/// How often the server is asked how a commit ended, a second apart.
const QUESTIONS: u32 = 20;

/// Commits everything.
///
/// # Errors
///
/// [`RestoreError::CommitUnknown`] if the connection was lost in the commit and the server cannot be asked; with every
/// other error nothing has been committed.
pub(super) async fn commit(context: &mut Context, mut session: Session) -> Result<()> {
    context.journal.step(Step::Commit);
    context.failpoints.pass(Step::Commit)?;
    session.become_role(None).await?;
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
