//! Commits the restore, and finds out how the commit ended if the connection was lost in it.

use super::readers::{Reader, Relations, Sight, readers};
use crate::error::Result;
use crate::progress::{Event, NoticeCode, Step};
use crate::restore::commit::{CommitEnd, CommitWait};
use crate::restore::error::RestoreError;
use crate::restore::executor::require_same_transaction;
use crate::restore::run::{Run, is_outcome_unknown};
use crate::restore::sessions::Waiting;
use crate::server::session::Session;
use crate::server::{OtherSession, catalog};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const DOING: &str = "commit the restore";

/// How many times pgmig asks the server how the commit ended, and how much longer it waits before each question.
const QUESTIONS: u32 = 8;
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(300);

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// How soon pgmig looks again for a session whose statement it has cancelled, or that it has terminated.
const AFTER_CANCELLING: Duration = Duration::from_millis(20);

/// Prepares the commit, and waits until no other session is in its way.
///
/// # Errors
///
/// [`Refusal::InUse`](crate::restore::Refusal::InUse) if a session does not leave in time.
pub(crate) async fn make_ready(
    run: &mut Run,
    mut session: Session,
    relations: &Relations,
) -> Result<Session> {
    run.journal.step(Step::Commit);
    run.failpoints.pass(Step::Commit)?;
    session.become_role(None).await?;
    // The restore must be on disk when the commit returns.
    session.execute("SET LOCAL synchronous_commit = on", DOING).await?;
    require_same_transaction(&mut session, "what was done last").await?;
    // This comes last, so that few sessions can appear between it and the commit.
    wait_for_snapshots(run, session.backend_pid(), relations).await?;
    Ok(session)
}

/// Commits the restore.
///
/// # Errors
///
/// [`RestoreError::InPlaceOutcomeUnknown`] if the connection was lost in the commit and the server does not answer either.
/// With every other error nothing has been committed.
pub(crate) async fn commit(run: &mut Run, mut session: Session) -> Result<()> {
    let outcome = Outcome::of(&session);
    run.journal.progress.event(&Event::Committing);
    let wait = run.commit_wait();
    let mut end = wait.run(&mut session, DOING).await;
    let committed = match end.answer.take() {
        Some(Ok(())) => {
            session.close().await;
            Ok(())
        }
        Some(Err(error)) if error.is_answer() => Err(end.refused(&wait, error)),
        Some(Err(_)) | None => {
            drop(session);
            outcome.find_out(run, &wait, &end).await
        }
    };
    if committed.is_ok() {
        run.journal.progress.event(&Event::Committed);
        end.note(&mut run.journal);
    } else if !committed.as_ref().is_err_and(is_outcome_unknown) {
        run.journal.progress.event(&Event::NotCommitted);
    }
    committed
}

/// Waits until no session on the target would see a state between the old one and the new one.
///
/// Sessions with an older snapshot are waited for, or terminated. Sessions blocked on our locks resume only when we
/// commit. pgmig cancels their statements, except those that are sure to see the new state. For some sessions of
/// other roles the server shows no statement. Of these, only pg_dump is known to keep one snapshot for its whole
/// transaction.
async fn wait_for_snapshots(run: &mut Run, own_pid: i32, relations: &Relations) -> Result<()> {
    let mut waiting = Waiting::up_to(run.options.swap_wait);
    let (mut cancelled, mut hidden) = (BTreeSet::new(), BTreeSet::new());
    let mut first = true;
    loop {
        let readers = readers(run, own_pid, relations).await?;
        let Run { control, target, options, journal, .. } = run;
        let (mut in_the_way, mut only_ended) = (Vec::new(), true);
        for Reader { session, sight } in readers {
            match sight {
                Sight::New => continue,
                Sight::Hidden => {
                    if hidden.insert(session.pid) {
                        journal.notice(NoticeCode::SessionNotEnded, going_on(&session));
                    }
                    continue;
                }
                _ if options.terminate_sessions && session.can_be_ended => {
                    catalog::end_sessions(control, [session.pid]).await;
                }
                Sight::MayBeOld if catalog::cancel_statement(control, session.pid).await => {
                    if cancelled.insert(session.pid) {
                        journal.notice(NoticeCode::StatementCancelled, format!(
                            "cancelled a statement that waited for the restore, and that could have seen neither the old \
                             state nor the new one: {session}"
                        ));
                    }
                }
                Sight::MayBeOld | Sight::ReadsOn => only_ended = false,
            }
            in_the_way.push(session);
        }
        if in_the_way.is_empty() {
            return Ok(());
        }
        // One more look after the time is over: sessions that were just cancelled or terminated may be gone.
        if waiting.is_over() && !(only_ended && first) {
            return Err(waiting.refusal(&target.name, in_the_way).into());
        }
        if only_ended {
            // Looks again at once, before the next session comes.
            first = false;
            sleep(AFTER_CANCELLING).await;
        } else {
            let what = "transactions that read the target's old state to end";
            waiting.tell(journal, what, &in_the_way);
            waiting.pause().await;
        }
    }
}

fn going_on(session: &OtherSession) -> String {
    format!(
        "a session waits for the restore of which the server shows su_username no more than this: {session}; in a \
         transaction of isolation level REPEATABLE READ it finds the tables empty (GRANT pg_read_all_stats shows which)"
    )
}

/// The query that shows how a transaction ended.
pub(super) fn xact_status(server_version: i32, xid: &str) -> String {
    let function = if server_version >= 130_000 { "pg_xact_status" } else { "txid_status" };
    format!("SELECT pg_catalog.{function}('{xid}')")
}

/// The query that reports how the transaction ended.
struct Outcome {
    query: String,
    pid: i32,
}

impl Outcome {
    fn of(session: &Session) -> Self {
        let xid = session.one_transaction().unwrap_or_default();
        Self { query: xact_status(session.server_version(), xid), pid: session.backend_pid() }
    }

    /// Asks until the transaction is committed or aborted. Ends the server process first, so that a COMMIT which the
    /// network has lost can no longer arrive.
    async fn find_out(&self, run: &mut Run, wait: &CommitWait, end: &CommitEnd) -> Result<()> {
        let asking = async {
            for question in 0..QUESTIONS {
                sleep(BETWEEN_QUESTIONS * question).await;
                let Ok(mut again) = wait.session().await else { continue };
                let _ = wait.end_process(&mut again, self.pid).await;
                let status = timeout(ANSWER, again.value(&self.query, "find out how the commit ended")).await;
                match status.as_ref().map(|status| status.as_deref()) {
                    Ok(Ok("committed")) => return Some((again, true)),
                    Ok(Ok("aborted")) => return Some((again, false)),
                    // Still in progress, until the process has ended.
                    _ => again.close().await,
                }
            }
            None
        };
        match wait.until_interrupted(asking).await.flatten() {
            // The connection that holds the lock may be lost, too. The lock is not needed any more.
            Some((again, is_committed)) => {
                run.control = again;
                if is_committed { Ok(()) } else { Err(end.not_committed(wait)) }
            }
            None => Err(RestoreError::InPlaceOutcomeUnknown { query: self.query.clone() }.into()),
        }
    }
}
