//! The parts of a running restore that both strategies share.

use crate::backup::Input;
use crate::error::Result;
use crate::progress::{Event, Notice, NoticeCode, Progress, Step};
use crate::restore::archive_login::ArchiveLogin;
use crate::restore::commit::CommitWait;
use crate::restore::error::RestoreError;
use crate::restore::failpoint::Failpoints;
use crate::restore::interruption::{CleanUp, NO_ANSWER};
use crate::restore::journal::Journal;
use crate::restore::options::RestoreOptions;
use crate::restore::refusal::Refusal;
use crate::restore::report::restored::RestoreReport;
use crate::restore::sessions::TargetSessions;
use crate::restore::staging;
use crate::restore::staging::dropping::{Holder, Sessions};
use crate::restore::state::put_back::Snapshot;
use crate::restore::state::{State, Subject};
use crate::server::archive_role;
use crate::server::catalog::{self, DatabaseFacts};
use crate::server::lock::lock_target;
use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};
use crate::sql::quote_ident;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How often the connection that holds the lock is used while a database is filled.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How often pgmig looks whether the backup's stream has stalled, and after how long it says so.
const LOOK_AT_INPUT: Duration = Duration::from_secs(1);
const LONG_WAIT: Duration = Duration::from_secs(10);

/// How long a connection that works may take to answer before it is opened anew to clean up.
const MOMENT: Duration = Duration::from_secs(1);

/// How often the temporary role is renewed.
const RENEW: Duration = Duration::from_secs(30 * 60);

/// The state that both strategies need around the filling of a database.
pub(crate) struct Run {
    pub(crate) config: TargetConfig,
    pub(crate) options: RestoreOptions,
    pub(crate) cancel: CancellationToken,
    pub(crate) clean_up: CleanUp,
    /// Of a backup that is a stream: whether it is being waited for.
    pub(crate) input: Option<Input>,
    pub(crate) application: String,
    pub(crate) run_id: String,
    pub(crate) failpoints: Failpoints,
    pub(crate) started: Instant,
    /// Holds the lock on the target's name; connected to the database `maintenance`.
    pub(crate) control: Session,
    pub(crate) maintenance: String,
    pub(crate) target: DatabaseFacts,
    /// The login that runs code of the archive and of the target.
    pub(crate) login: ArchiveLogin,
    /// Whether `su_username` is a superuser.
    pub(crate) is_superuser: bool,
    /// The state of the target database and of `username` before the restore.
    pub(crate) state: Option<State>,
    /// What of that state can be put back. Only a swap commits before it is complete, so only a swap needs it.
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) journal: Journal,
}

impl Run {
    /// The sessions on the target, as the options want them treated.
    pub(crate) fn target_sessions(&self) -> TargetSessions {
        TargetSessions {
            config: self.config.clone(),
            maintenance: self.maintenance.clone(),
            application: self.application.clone(),
            databases: vec![self.target.name.clone()],
            wait: self.options.swap_wait,
            terminate: self.options.terminate_sessions,
            cancel: self.cancel.clone(),
        }
    }

    /// How to wait for the commit of the restore.
    pub(crate) fn commit_wait(&self) -> CommitWait {
        CommitWait {
            config: self.config.clone(),
            database: self.maintenance.clone(),
            application: self.application.clone(),
            cancel: self.cancel.clone(),
            clean_up: self.clean_up.clone(),
            limit: self.options.commit_wait,
        }
    }

    /// Takes the lock on the target's name, and checks that the target is still the database that the preflight
    /// examined.
    pub(crate) async fn lock(&mut self) -> Result<()> {
        self.journal.step(Step::Lock);
        if let Some(holder) = lock_target(&mut self.control, &self.target.name).await? {
            return Err(Refusal::Locked { database: self.target.name.clone(), holder }.into());
        }
        // Another restore may have swapped since the preflight.
        let now = catalog::database_facts(&mut self.control, &self.target.name).await?;
        if now.is_none_or(|now| now.oid != self.target.oid) {
            return Err(Refusal::Changed { database: self.target.name.clone() }.into());
        }
        let subject = subject(&self.target, &self.config, self.is_superuser);
        self.state = Some(State::read(&mut self.control, subject).await?);
        self.failpoints.pass(Step::Lock)?;
        Ok(())
    }

    /// Notes the properties that [`after_putting_back`](Self::after_putting_back) puts back.
    pub(crate) async fn take_snapshot(&mut self) -> Result<()> {
        let subject = subject(&self.target, &self.config, self.is_superuser);
        self.snapshot = Snapshot::read(&mut self.control, subject).await?;
        Ok(())
    }

    /// The properties of the target database and of `username` that differ from the state before the restore.
    pub(crate) async fn changes(&mut self) -> Result<Vec<String>> {
        let Some(before) = &self.state else { return Ok(Vec::new()) };
        let subject = subject(&self.target, &self.config, self.is_superuser);
        let mut changes = before.changes(&State::read(&mut self.control, subject).await?);
        if self.own_password_is_wrong().await {
            changes.push(format!("the password of role {} was changed", quote_ident(self.config.username())));
        }
        if let Some(role) = self.login.role()
            && role.has_another_password(&mut self.control).await?
        {
            changes.push(format!("the password of the temporary role {} was changed", role.name()));
        }
        Ok(changes)
    }

    /// Whether `username` cannot log in any more with its password, where the archive's code logs in with it.
    async fn own_password_is_wrong(&self) -> bool {
        let ArchiveLogin::Username(config) = &self.login else { return false };
        match Session::open(config, &self.maintenance, &self.application).await {
            Ok(session) => {
                session.close().await;
                false
            }
            // Any other error: it may connect to the target only.
            Err(error) => matches!(error, TargetError::WrongPassword { .. }),
        }
    }

    /// The error of a restore that failed, with the properties that it has changed all the same.
    pub(crate) async fn with_changes(&mut self, error: crate::Error) -> crate::Error {
        if is_outcome_unknown(&error) {
            return error;
        }
        let clean_up = self.clean_up.clone();
        match clean_up.step(self.changes()).await {
            Some(Ok(changes)) if !changes.is_empty() => changed(error, changes),
            // If the state cannot be read, nothing is known to have changed.
            _ => error,
        }
    }

    /// The same where transactions of the archive's code were committed: puts the properties back first. No session may
    /// run such code any more.
    pub(crate) async fn after_putting_back(&mut self, error: crate::Error) -> crate::Error {
        if is_outcome_unknown(&error) {
            return error;
        }
        let clean_up = self.clean_up.clone();
        let Some(Ok(changes)) = clean_up.step(self.changes()).await else { return error };
        if changes.is_empty() {
            return error;
        }
        match clean_up.step(self.put_back()).await {
            Some(Ok(left)) if left.is_empty() => match error {
                crate::Error::Restore(RestoreError::StateChanged { because, changes }) => {
                    RestoreError::StatePutBack { because, changes }.into()
                }
                error => {
                    self.journal.warn(NoticeCode::StatePutBack, format!(
                        "during the restore, code in the backup or another session changed the target database's own \
                         properties, or those of its owner; pgmig has put them back: {}",
                        changes.join("; ")
                    ));
                    error
                }
            },
            Some(Ok(left)) => changed(error, left),
            Some(Err(_)) | None => changed(error, changes),
        }
    }

    /// Puts the properties back. Returns those that still differ.
    async fn put_back(&mut self) -> Result<Vec<String>> {
        if let Some(role) = self.login.role() {
            role.lock_out(&mut self.control).await?;
        }
        if let Some(snapshot) = self.snapshot.take() {
            let subject = subject(&self.target, &self.config, self.is_superuser);
            // The comparison afterwards tells what could not be put back.
            let _ = snapshot.put_back(&mut self.control, subject).await;
            if self.own_password_is_wrong().await
                && let Some(Ok(verifier)) = self.config.own_verifier()
            {
                let _ = snapshot.put_back_password(&mut self.control, &verifier).await;
            }
        }
        self.changes().await
    }

    /// Stops a strict restore that has given warnings.
    pub(crate) fn refuse_warnings(&self) -> Result<()> {
        let warnings = self.journal.warnings();
        if self.options.strict && warnings > 0 {
            return Err(RestoreError::Strict(warnings).into());
        }
        Ok(())
    }

    /// The report of a restore that is complete.
    pub(crate) fn report(&mut self) -> RestoreReport {
        let mut report = std::mem::take(&mut self.journal.report);
        report.took = self.started.elapsed();
        report
    }

    /// Roles that runs of this target have left behind. Only a superuser has made any, and can remove them.
    async fn remove_roles_of_earlier_runs(&mut self) -> Result<()> {
        if !self.is_superuser {
            return Ok(());
        }
        let own = self.login.role();
        for role in archive_role::leftovers(&mut self.control, &self.target.name, own).await? {
            // Staging databases of earlier runs are gone.
            let own = [self.target.name.as_str()];
            let removed = role.remove(&mut self.control, &self.config, &self.application, &own).await;
            let name = role.name();
            match removed {
                Ok(()) => self.journal.notice(
                    NoticeCode::LeftoverRemoved,
                    format!("removed role {name}, left by an earlier run"),
                ),
                Err(error) => {
                    self.journal.warn(
                        NoticeCode::LeftoverNotRemoved,
                        format!("role {name}, left by an earlier run, cannot be removed ({error})"),
                    );
                }
            }
        }
        Ok(())
    }

    /// The configuration of sessions that run code of the archive or of the target.
    pub(crate) fn archive_config(&self) -> &TargetConfig {
        self.login.config(&self.config)
    }

    /// Removes the temporary role, at the end of every restore. A failure changes nothing about the target, so it is only
    /// noted.
    pub(crate) async fn end_login(&mut self) {
        let Some(name) = self.login.role().map(|role| role.name().to_owned()) else { return };
        let clean_up = self.clean_up.clone();
        let left = match clean_up.step(self.try_to_end_login()).await {
            Some(Ok(())) => return,
            Some(Err(error)) => error.to_string(),
            None => NO_ANSWER.to_owned(),
        };
        self.journal.warn(
            NoticeCode::RoleLeftBehind,
            format!("the temporary role {name} is left behind ({left}); the next run removes it"),
        );
    }

    /// Makes sure that the connection `control` works: within a moment, since it may still wait for a statement that was
    /// given up, or for a server that is gone. Returns false if it was opened anew, without the lock on the target.
    ///
    /// # Errors
    ///
    /// The server cannot be reached.
    pub(crate) async fn reach_server(&mut self) -> Result<bool, TargetError> {
        let control = &mut self.control;
        let reaching = async {
            control.undo_all("undo what was interrupted").await?;
            control.execute("SELECT 1", "reach the server").await
        };
        if let Ok(Ok(_)) = timeout(MOMENT, reaching).await {
            return Ok(true);
        }
        let process = self.control.backend_pid();
        self.control = Session::open(&self.config, &self.maintenance, &self.application).await?;
        // The old process may be at work, and have the lock.
        catalog::end_sessions(&mut self.control, [process]).await;
        Ok(false)
    }

    async fn try_to_end_login(&mut self) -> Result<(), TargetError> {
        self.reach_server().await?;
        if let Some(role) = self.login.role()
            && role.has_another_password(&mut self.control).await?
        {
            let name = role.name().to_owned();
            self.journal.warn(NoticeCode::TemporaryPasswordChanged, format!(
                "code in the backup has changed the password of the temporary role {name}, so that others could log in as it \
                 during the restore; pgmig removes the role now. Look into the server's log for such logins"
            ));
        }
        self.login.end(&mut self.control, &self.config, &self.application).await
    }

    /// The session that holds the lock, for a database to be dropped, and the journal.
    pub(crate) fn holder(&mut self) -> (Holder<'_>, &mut Journal) {
        let holder = Holder {
            control: &mut self.control,
            config: &self.config,
            maintenance: &self.maintenance,
            application: &self.application,
            target: &self.target.name,
        };
        (holder, &mut self.journal)
    }

    /// Removes databases that earlier runs left beside the target, except the one that this run goes on with. Returns
    /// whether a database that is not ours has the staging database's name.
    pub(crate) async fn clean_leftovers(&mut self, except: Option<&str>) -> Result<bool> {
        let beside = staging::look_beside(&mut self.control, &self.target).await?;
        let staging = staging::names::staging_name(&self.target.name);
        for leftover in beside.leftovers.iter().filter(|name| Some(name.as_str()) != except) {
            let (mut holder, journal) = self.holder();
            let mut tell = |text| journal.notice(NoticeCode::Waiting, text);
            let dropped = match holder.drop_database(leftover, Sessions::End, &mut tell).await {
                // Only the name of the staging database is needed.
                Err(error) if *leftover != staging => {
                    let database = quote_ident(leftover);
                    self.journal.warn(
                        NoticeCode::LeftoverNotRemoved,
                        format!("database {database}, left by an earlier run, cannot be dropped ({error})"),
                    );
                    continue;
                }
                dropped => dropped?,
            };
            if let Some(holder) = dropped {
                return Err(Refusal::Locked { database: self.target.name.clone(), holder }.into());
            }
            self.journal.notice(
                NoticeCode::LeftoverRemoved,
                format!("removed database {}, left by an earlier run", quote_ident(leftover)),
            );
        }
        self.remove_roles_of_earlier_runs().await?;
        Ok(beside.name_taken)
    }
}

/// The database and the role whose state a restore may not change.
fn subject<'a>(target: &DatabaseFacts, config: &'a TargetConfig, is_superuser: bool) -> Subject<'a> {
    Subject { database: target.oid, username: config.username(), is_superuser }
}

/// Whether the target may be in any state.
pub(crate) fn is_outcome_unknown(error: &crate::Error) -> bool {
    use RestoreError::{CommittedEarly, InPlaceOutcomeUnknown, SwapOutcomeUnknown};
    matches!(
        error,
        crate::Error::Restore(
            InPlaceOutcomeUnknown { .. } | CommittedEarly { .. } | SwapOutcomeUnknown { .. }
        )
    )
}

/// The error of a restore that has left these changes behind.
fn changed(error: crate::Error, changes: Vec<String>) -> crate::Error {
    let because = match error {
        crate::Error::Restore(RestoreError::StateChanged { because, .. }) => because,
        error => format!("{error}; "),
    };
    RestoreError::StateChanged { because, changes }.into()
}

/// Returns when the backup's stream has brought nothing for as long as `limit`, although the restore waits for it. Tells
/// of a wait that becomes long.
pub(crate) async fn stalled(
    input: Option<Input>,
    limit: Duration,
    progress: Arc<dyn Progress>,
) -> RestoreError {
    let Some(input) = input else { return std::future::pending().await };
    let mut is_told = false;
    loop {
        tokio::time::sleep(LOOK_AT_INPUT).await;
        let waits = input.waits_for().unwrap_or_default();
        if waits >= limit {
            return RestoreError::SourceStalled { seconds: limit.as_secs() };
        }
        if waits < LONG_WAIT {
            is_told = false;
        } else if !std::mem::replace(&mut is_told, true) {
            let what = "the backup's stream to go on";
            progress.event(&Event::Waiting { what, sessions: 0, limit });
            let text = format!("waiting up to {} s for {what}", limit.as_secs());
            progress.event(&Event::Notice(&Notice::note(NoticeCode::Waiting, text)));
        }
    }
}

/// Uses the connection that holds the lock from time to time, so that nothing between here and the server takes
/// it for dead, and lets the temporary role log in for as long. Returns only when the connection is lost: then so is the
/// lock.
pub(crate) async fn keep_alive(control: &mut Session, login: &ArchiveLogin) -> TargetError {
    let mut renewed = Instant::now();
    loop {
        tokio::time::sleep(KEEP_ALIVE).await;
        if let Err(error) = control.execute("SELECT 1", "keep the lock on the target").await {
            return error;
        }
        if let Some(role) = login.role().filter(|_| renewed.elapsed() > RENEW) {
            renewed = Instant::now();
            if let Err(error) = role.renew(control).await {
                return error;
            }
        }
    }
}
