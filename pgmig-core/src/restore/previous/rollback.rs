//! Puts a previous database back in the place of the target, which becomes a previous database itself.

use super::Call;
use super::found::{Found, Previous, PreviousDatabase};
use super::opened::Opened;
use crate::error::Result;
use crate::lines::inline;
use crate::progress::{Event, Notice, NoticeCode, Step};
use crate::restore::error::RestoreError;
use crate::restore::journal::Journal;
use crate::restore::refusal::Refusal;
use crate::restore::refusal::previous::PreviousRefusal;
use crate::restore::staging::names::previous_name;
use crate::restore::state::{State, Subject};
use crate::restore::swap::carry_over;
use crate::restore::swap::rename::Swap;
use crate::serialized::seconds;
use crate::server::TargetConfig;
use crate::server::catalog::{self, database_with_oid, is_superuser};
use crate::server::lock::lock_holder;
use crate::sql::{quote_ident, quote_literal};
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A rollback that has been prepared: everything is checked, and nothing has been changed.
///
/// It can be dropped at any time, and so can the future of [`run`](Self::run): both databases are then renamed, or
/// neither is.
#[must_use = "nothing is changed until run() is called"]
pub struct Rollback {
    opened: Opened,
    call: Call,
    previous: Previous,
    notices: Vec<Notice>,
    started: Instant,
}

impl std::fmt::Debug for Rollback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rollback").field("previous", &self.previous.shown).finish_non_exhaustive()
    }
}

/// A finished rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RollbackReport {
    /// The target's database name.
    pub database: String,
    /// The database that is the target again, under the name that it had until now.
    pub restored: PreviousDatabase,
    /// The name of the database that was the target until now. It is a previous database, and can be put back.
    #[serde(rename = "previous_database")]
    pub previous: String,
    /// Notices and warnings, in the order in which they occurred.
    pub notices: Vec<Notice>,
    /// How long it took.
    #[serde(rename = "took_seconds", serialize_with = "seconds")]
    pub took: Duration,
}

impl Rollback {
    pub(super) async fn prepare(config: TargetConfig, call: Call, name: Option<&str>) -> Result<Self> {
        let started = Instant::now();
        let mut opened = Opened::new(config).await?;
        let found = Found::read(&mut opened.control, &opened.target).await?;
        let mut previous = found.choose(name, &opened.target)?;
        if previous.is_invalid {
            return Err(PreviousRefusal::Invalid { database: previous.shown.name }.into());
        }
        if let Some(holder) = lock_holder(&mut opened.control, &opened.target.name).await? {
            return Err(Refusal::Locked { database: opened.target.name.clone(), holder }.into());
        }
        previous.shown.obstacles = opened.obstacles(&previous).await?;
        if previous.shown.obstacles.is_empty() {
            let refused = carry_over::try_out(&mut opened.control, &opened.target, previous.oid).await?;
            let advice = "use a superuser as su_username, or take it from the target";
            previous.shown.obstacles.extend(refused.map(|error| format!("{error}; {advice}")));
        }
        if !previous.shown.obstacles.is_empty() {
            let (database, target) = (previous.shown.name, opened.target.name.clone());
            return Err(PreviousRefusal::CannotPutBack {
                database,
                target,
                reasons: previous.shown.obstacles,
            }
            .into());
        }
        call.failpoints.pass(Step::Preflight)?;
        let mut rollback = Self { opened, call, previous, notices: Vec::new(), started };
        for refusal in found.doubtful {
            rollback.note(Notice::warning(NoticeCode::DoubtfulDatabase, refusal.to_string()));
        }
        rollback.foretell().await?;
        Ok(rollback)
    }

    /// The name of the target database.
    pub fn database(&self) -> &str {
        &self.opened.target.name
    }

    /// The size of the database that is the target now.
    pub fn database_bytes(&self) -> u64 {
        self.opened.target.bytes
    }

    /// The database that [`run`](Self::run) puts back.
    pub fn previous(&self) -> &PreviousDatabase {
        &self.previous.shown
    }

    /// Notices and warnings so far.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Closes the connection to the server without a rollback.
    pub async fn close(self) {
        self.opened.control.close().await;
    }

    /// Puts the previous database back: one transaction gives it the target's own properties and renames both databases.
    /// The database that was the target becomes a previous database. If this returns an error, nothing has changed.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if another run holds the lock, or sessions stay connected, or one of the
    /// databases has changed; [`RestoreError::SwapOutcomeUnknown`] if the connection was lost in the commit.
    pub async fn run(mut self) -> Result<RollbackReport> {
        self.step(Step::Lock);
        let cancel = self.call.cancel.clone();
        tokio::select! {
            locked = self.opened.lock() => locked?,
            () = cancel.cancelled() => return Err(RestoreError::Interrupted.into()),
        }
        self.call.failpoints.pass(Step::Lock)?;
        self.step(Step::Swap);
        let previous = previous_name(&self.opened.target.name, &self.opened.run_id);
        let target = self.opened.target.clone();
        let successor = self.previous.shown.name.clone();
        let mut journal = Journal::new(Arc::clone(&self.call.progress));
        let sessions = self.opened.sessions(&successor, &self.call);
        let commit = self.opened.commit_wait(&self.call.cancel);
        let swap = Swap {
            sessions,
            target: &target,
            successor: &successor,
            successor_oid: self.previous.oid,
            is_way_back: true,
            previous: &previous,
            run_id: &self.opened.run_id,
            keep_previous: true,
            failpoints: self.call.failpoints,
            commit,
        };
        swap.run(&mut self.opened.control, &mut journal).await?;
        self.notices.append(&mut journal.report.notices);
        self.step(Step::Swapped);
        self.call.failpoints.pass(Step::Swapped)?;
        self.opened.control.close().await;
        Ok(RollbackReport {
            database: target.name,
            restored: self.previous.shown,
            previous,
            notices: self.notices,
            took: self.started.elapsed(),
        })
    }

    fn step(&self, step: Step) {
        self.call.progress.event(&Event::StepBegan { step });
    }

    fn note(&mut self, notice: Notice) {
        self.call.progress.event(&Event::Notice(&notice));
        self.notices.push(notice);
    }

    /// Notes what the operator should know beforehand.
    async fn foretell(&mut self) -> Result<()> {
        let mut notices: Vec<Notice> = self
            .opened
            .control
            .trust()
            .warning()
            .map(|text| Notice::warning(NoticeCode::ServerNotVerified, text))
            .into_iter()
            .collect();
        notices.extend(self.of_properties().await?);
        notices.extend(self.of_slots().await?);
        notices.extend(self.of_sessions().await?);
        notices.into_iter().for_each(|notice| self.note(notice));
        Ok(())
    }

    /// The properties of the previous database that the target's replace, and the one that stays.
    async fn of_properties(&mut self) -> Result<Option<Notice>> {
        let control = &mut self.opened.control;
        let is_superuser = is_superuser(control).await?;
        let username = self.opened.config.username();
        let of = |database| Subject { database, username, is_superuser };
        let own = State::read(control, of(self.previous.oid)).await?;
        let target = State::read(control, of(self.opened.target.oid)).await?;
        // Renames do not move a database to another tablespace, and the comment is the marker.
        let is_told = |change: &String| {
            !["the name", "the tablespace", "the comment"].iter().any(|what| change.starts_with(what))
        };
        let mut changes: Vec<String> = own.changes(&target).into_iter().filter(is_told).collect();
        let comment = |comment: Option<&String>| comment.cloned().unwrap_or_default();
        if comment(self.previous.marker.comment.as_ref()) != comment(self.opened.target.comment.as_ref()) {
            changes.push("the comment on the database was changed".to_owned());
        }
        let text = format!(
            "the target's name keeps its owner, privileges, settings, connection limit and comment; since {} was the target, \
             these have changed: {}",
            quote_ident(&self.previous.shown.name),
            changes.join("; ")
        );
        let mut notices = (!changes.is_empty()).then(|| Notice::note(NoticeCode::PropertiesChanged, text));
        let facts = database_with_oid(control, self.previous.oid).await?;
        if let Some(facts) = facts.filter(|facts| facts.tablespace != self.opened.target.tablespace) {
            let name = |space: Option<String>| quote_ident(&space.unwrap_or_else(|| "pg_default".to_owned()));
            let text = format!(
                "database {} stays in tablespace {}, and the target is in {}; a rename moves no files",
                quote_ident(&self.previous.shown.name),
                name(facts.tablespace),
                name(self.opened.target.tablespace.clone())
            );
            match &mut notices {
                Some(notice) => notice.text = format!("{}; {text}", notice.text),
                None => notices = Some(Notice::note(NoticeCode::TablespaceKept, text)),
            }
        }
        Ok(notices)
    }

    /// Slots of the previous database that nobody uses: they come with it.
    async fn of_slots(&mut self) -> Result<Option<Notice>> {
        let sql = format!(
            "SELECT pg_catalog.string_agg(pg_catalog.quote_ident(slot_name::text), ', ' ORDER BY slot_name) \
             FROM pg_catalog.pg_replication_slots WHERE database = {}",
            quote_literal(&self.previous.shown.name)
        );
        let slots = self.opened.control.optional(&sql, "list the replication slots").await?;
        Ok(slots.map(|slots| {
            let text = format!("replication slots of the previous database come with it: {slots}");
            Notice::note(NoticeCode::ReplicationSlots, text)
        }))
    }

    async fn of_sessions(&mut self) -> Result<Vec<Notice>> {
        let mut notices = Vec::new();
        let wait = self.call.options.session_wait.as_secs();
        for database in [self.opened.target.name.clone(), self.previous.shown.name.clone()] {
            let sessions =
                catalog::other_sessions(&mut self.opened.control, &database, &self.opened.application)
                    .await?;
            if sessions.is_empty() {
                continue;
            }
            let (name, who) = (quote_ident(&database), inline(sessions.iter()));
            notices.push(if self.call.options.terminate_sessions {
                Notice::note(
                    NoticeCode::OtherSessions,
                    format!("sessions on database {name} are ended: {who}"),
                )
            } else {
                Notice::warning(
                    NoticeCode::OtherSessions,
                    format!("sessions on database {name} must end within {wait} s: {who}"),
                )
            });
        }
        Ok(notices)
    }
}
