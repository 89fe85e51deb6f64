//! Runs a whole restore with strategy `in-place`.

use super::commit::{commit, make_ready, xact_status};
use super::readers::Relations;
use crate::archive::Archive;
use crate::error::Result;
use crate::progress::{NoticeCode, Step};
use crate::restore::backup_first::back_up;
use crate::restore::build::Build;
use crate::restore::build::commit_guard::Guard;
use crate::restore::build::hand_over;
use crate::restore::clearing::{self, Clearing};
use crate::restore::error::RestoreError;
use crate::restore::executor::require_same_transaction;
use crate::restore::interruption::{NO_ANSWER, or_interrupted};
use crate::restore::options::Erase;
use crate::restore::refusal::Refusal;
use crate::restore::report::contents::TargetContents;
use crate::restore::report::restored::RestoreReport;
use crate::restore::run::{Run, keep_alive, stalled};
use crate::restore::sessions::Waiting;
use crate::restore::state::{State, Subject, require_unchanged};
use crate::server::contents::{self, Holdings};
use crate::server::session::Session;
use crate::server::{TargetError, catalog};
use crate::sql::quote_literal;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Settings of the session that does the whole restore.
///
/// A waiter on a lock blocks everyone behind it, so `lock_timeout` is short. Compiling the catalog queries takes
/// longer than running them, so `jit` is off.
const SETTINGS: &str = "SET lock_timeout = '5s'; SET jit = off";

/// SQLSTATEs that show that another session is in the way: lock not available in time, deadlock.
const IN_THE_WAY: [&str; 2] = ["55P03", "40P01"];

/// How long pgmig waits for the server process of a failed run to end.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct InPlaceRestore {
    run: Run,
    /// The names of the relations and functions that the target held.
    relations: Relations,
    /// The ID of the transaction.
    transaction: Option<String>,
    /// The state of the target database and of `username` at the beginning.
    state: Option<State>,
}

impl InPlaceRestore {
    pub(crate) fn new(run: Run) -> Self {
        Self { run, relations: Relations::default(), transaction: None, state: None }
    }

    pub(crate) async fn execute(mut self, build: Build, archive: Archive) -> Result<RestoreReport> {
        let restored = match self.lock_and_restore(build, archive).await {
            Err(error) => Err(self.run.with_changes(error).await),
            restored => restored,
        };
        self.run.end_login().await;
        restored?;
        Ok(self.run.report())
    }

    async fn lock_and_restore(&mut self, build: Build, archive: Archive) -> Result<()> {
        let cancel = self.run.cancel.clone();
        or_interrupted(&cancel, self.begin()).await?;
        // An interruption ends it by itself, and waits until nothing of it is left.
        Box::pin(back_up(&mut self.run)).await?;
        let session = or_interrupted(&cancel, self.open()).await?;
        let pid = session.backend_pid();
        let session = match or_interrupted(&cancel, self.up_to_commit(session, build, archive)).await {
            Ok(session) => session,
            Err(error) => {
                self.end(pid).await;
                return Err(self.look_after(error).await);
            }
        };
        // From here on it is too late to interrupt the restore.
        let committed = commit(&mut self.run, session).await;
        if !matches!(
            committed,
            Ok(()) | Err(crate::Error::Restore(RestoreError::InPlaceOutcomeUnknown { .. }))
        ) {
            self.end(pid).await;
        }
        committed
    }

    /// Takes the lock.
    async fn begin(&mut self) -> Result<()> {
        self.run.lock().await?;
        // Left by runs with strategy `swap`.
        self.run.journal.step(Step::CleanLeftovers);
        self.run.clean_leftovers(None).await?;
        self.run.failpoints.pass(Step::CleanLeftovers)?;
        Ok(())
    }

    /// Does everything except the commit, and returns the session for it.
    async fn up_to_commit(&mut self, session: Session, build: Build, archive: Archive) -> Result<Session> {
        let session = self.restore(session, build, archive).await?;
        let session = self.require_same_state(session).await?;
        make_ready(&mut self.run, session, &self.relations).await
    }

    /// Opens the session that does the whole restore.
    async fn open(&self) -> Result<Session> {
        let Run { target, application, .. } = &self.run;
        let mut session = Session::open(self.run.archive_config(), &target.name, application).await?;
        session.execute(SETTINGS, "set up the session").await?;
        Ok(session)
    }

    /// The commit must change nothing but the target's contents. Migrations, which are not the archive's, may change more.
    async fn require_same_state(&self, mut session: Session) -> Result<Session> {
        // Triggers that wait for the commit fire now.
        session.execute("SET CONSTRAINTS ALL IMMEDIATE", "check what waits for the commit").await?;
        let Some(state) = self.state.as_ref().filter(|_| self.run.journal.report.migrations.is_empty())
        else {
            return Ok(session);
        };
        session.execute("SET search_path = ''", "set search_path").await?;
        require_unchanged(&mut session, state, self.subject()).await?;
        Ok(session)
    }

    fn subject(&self) -> Subject<'_> {
        let username = self.run.config.username();
        Subject { database: self.run.target.oid, username, is_superuser: false }
    }

    /// Where a statement has ended the transaction: whether anything of it was committed, which only the server can tell.
    async fn look_after(&mut self, error: crate::Error) -> crate::Error {
        let crate::Error::Restore(RestoreError::TransactionEnded(culprit)) = error else { return error };
        let xid = self.transaction.as_deref().unwrap_or_default();
        let query = xact_status(self.run.control.server_version(), xid);
        let clean_up = self.run.clean_up.clone();
        let asked = self.run.control.value(&query, "find out how the transaction ended");
        let status = clean_up.step(asked).await;
        let what = match status.as_ref().map(|status| status.as_deref()) {
            Some(Ok("aborted")) => return RestoreError::TransactionEnded(culprit).into(),
            Some(Ok("committed")) => {
                "a part of the backup is in the target, and what the target held is gone".to_owned()
            }
            _ => format!(
                "whether anything of it was committed is not known; when the server can be reached, this tells: {query} -- \
                 \"aborted\" means that the target is untouched"
            ),
        };
        RestoreError::CommittedEarly { culprit, what }.into()
    }

    /// Clears the target, fills it, and returns the session.
    async fn restore(&mut self, mut session: Session, mut build: Build, archive: Archive) -> Result<Session> {
        self.clear(&mut session, &mut build).await?;
        let progress = Arc::clone(&self.run.journal.progress);
        let stalled = stalled(self.run.input.take(), self.run.options.source_wait, progress);
        let Run { control, journal, login, .. } = &mut self.run;
        let session = tokio::select! {
            stalled = stalled => return Err(stalled.into()),
            built = build.run_in(session, archive, journal) => built?,
            lost = keep_alive(control, login) => return Err(lost.into()),
        };
        self.run.refuse_warnings()?;
        Ok(session)
    }

    /// Begins the transaction and drops the objects of the target, as soon as no other session is in the target.
    async fn clear(&mut self, session: &mut Session, build: &mut Build) -> Result<()> {
        self.run.journal.step(Step::Clear);
        let mut waiting = Waiting::up_to(self.run.options.swap_wait);
        loop {
            let Run { control, target, application, .. } = &mut self.run;
            let sessions = catalog::other_sessions(control, &target.name, application).await?;
            if sessions.is_empty() && self.try_to_clear(session, build).await? {
                return Ok(());
            }
            let Run { control, target, options, journal, application, .. } = &mut self.run;
            if waiting.is_over() {
                let sessions = catalog::other_sessions(control, &target.name, application).await?;
                return Err(waiting.refusal(&target.name, sessions).into());
            }
            if options.terminate_sessions {
                catalog::end_sessions(control, sessions.iter().map(|session| session.pid)).await;
            } else {
                waiting.tell(journal, "other sessions on the target to end", &sessions);
            }
            waiting.pause().await;
        }
    }

    /// Returns false, with nothing changed, if another session is in the way.
    async fn try_to_clear(&mut self, session: &mut Session, build: &mut Build) -> Result<bool> {
        session.begin_one_transaction("begin the restore").await?;
        self.transaction = session.one_transaction().map(str::to_owned);
        let cleared = self.clear_now(session, build).await;
        match cleared {
            Err(crate::Error::Target(error))
                if error.sqlstate().is_some_and(|code| IN_THE_WAY.contains(&code)) =>
            {
                session.end_one_transaction("begin the restore anew").await?;
                Ok(false)
            }
            cleared => cleared.map(|()| true),
        }
    }

    async fn clear_now(&mut self, session: &mut Session, build: &mut Build) -> Result<()> {
        let owner = self.run.config.username().to_owned();
        // The login role may not inherit the rights of `username`.
        if !catalog::is_superuser(session).await? {
            session.become_role(Some(&owner)).await?;
        }
        clearing::lock_tables(session, &owner).await?;
        if self.run.options.erase == Erase::Refuse {
            self.refuse_filled(session).await?;
        }
        build.remember_target(session).await?;
        self.relations = Relations::of(session).await?;
        let clearing = Clearing::of(session, &owner).await?;
        clearing.clear(session).await?;
        require_same_transaction(session, "the clearing of the target").await?;
        if build.known.facts.builds_as_superuser {
            session.become_role(None).await?;
            build.superusers_before = hand_over::owned(session).await?;
        }
        session.become_role(Some(&owner)).await?;
        build.guard = Some(Guard::set(session).await?);
        let state = State::read(session, self.subject()).await?;
        build.state = Some(state.clone());
        self.state = Some(state);
        self.run.failpoints.pass(Step::Clear)?;
        Ok(())
    }

    /// Refuses a target that has been filled meanwhile. It was empty, and the user has not allowed pgmig to erase it.
    /// No other session can write to it now.
    async fn refuse_filled(&self, session: &mut Session) -> Result<()> {
        let doing = "look whether the target is still empty";
        session.begin(doing).await?;
        let holdings = contents::holdings(session, &HashSet::new()).await;
        session.rollback(doing).await?;
        let database = self.run.target.name.clone();
        let Holdings { tables, rows, large_objects } = match holdings {
            Err(error) if error.is_lasting() => {
                let contents = "rows that cannot be read".to_owned();
                return Err(Refusal::Filled { database, contents }.into());
            }
            holdings => holdings?,
        };
        let contents = TargetContents { tables, rows, large_objects, ..TargetContents::default() };
        if contents.is_empty() {
            return Ok(());
        }
        Err(Refusal::Filled { database, contents: contents.describe() }.into())
    }

    /// Terminates the server process that has the transaction open, so that the target is unlocked on return. The
    /// process may still be at work.
    async fn end(&mut self, pid: i32) {
        let clean_up = self.run.clean_up.clone();
        let left = match clean_up.step(self.try_to_end(pid)).await {
            Some(Ok(())) => return,
            Some(Err(error)) => error.to_string(),
            None => NO_ANSWER.to_owned(),
        };
        self.run.journal.notice(
            NoticeCode::LocksStillHeld,
            format!(
                "server process {pid} may hold its locks on the target until it has rolled back ({left})"
            ),
        );
    }

    async fn try_to_end(&mut self, pid: i32) -> Result<(), TargetError> {
        self.run.reach_server().await?;
        let Run { control, application, .. } = &mut self.run;
        // The process may have ended, and another process may have its ID by now.
        let ours = format!(
            "FROM pg_catalog.pg_stat_activity WHERE pid = {pid} AND application_name = {}",
            quote_literal(application)
        );
        let deadline = Instant::now() + PATIENCE;
        let end = format!("SELECT pg_catalog.pg_terminate_backend(pid) {ours}");
        while !control.rows(&end, "end the transaction").await?.is_empty() && Instant::now() < deadline {
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}
