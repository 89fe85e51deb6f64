//! Drops previous databases: by their names, or those that were replaced long ago.

use super::Call;
use super::found::{Found, Previous, PreviousDatabase};
use super::opened::Opened;
use crate::error::Result;
use crate::progress::{Event, Notice, NoticeCode, Step};
use crate::restore::error::RestoreError;
use crate::restore::refusal::Refusal;
use crate::restore::refusal::previous::PreviousRefusal;
use crate::restore::staging::dropping::Sessions;
use crate::serialized::seconds;
use crate::server::TargetConfig;
use crate::server::catalog;
use crate::sql::quote_ident;
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The previous databases that are to be dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToDrop {
    /// Those of these names.
    Named(Vec<String>),
    /// Those that were replaced at least so long ago. A database whose marker does not say when is not dropped.
    OlderThan(Duration),
}

/// A removal that has been prepared: everything is checked, and nothing has been dropped.
#[must_use = "nothing is dropped until run() is called"]
pub struct Removal {
    opened: Opened,
    call: Call,
    previous: Vec<Previous>,
    notices: Vec<Notice>,
    started: Instant,
}

impl std::fmt::Debug for Removal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.previous().map(|previous| previous.name.as_str()).collect();
        f.debug_struct("Removal").field("previous", &names).finish_non_exhaustive()
    }
}

/// A finished removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RemovalReport {
    /// The target's database name.
    pub database: String,
    /// The databases that were dropped.
    pub dropped: Vec<PreviousDatabase>,
    /// Notices and warnings, in the order in which they occurred.
    pub notices: Vec<Notice>,
    /// How long it took.
    #[serde(rename = "took_seconds", serialize_with = "seconds")]
    pub took: Duration,
}

impl Removal {
    pub(super) async fn prepare(config: TargetConfig, call: Call, which: ToDrop) -> Result<Self> {
        let started = Instant::now();
        let mut opened = Opened::new(config).await?;
        let found = Found::read(&mut opened.control, &opened.target).await?;
        let mut notices: Vec<Notice> = opened
            .control
            .trust()
            .warning()
            .map(|text| Notice::warning(NoticeCode::ServerNotVerified, text))
            .into_iter()
            .collect();
        let previous = match which {
            ToDrop::Named(names) => named(&found, &opened, names)?,
            ToDrop::OlderThan(age) => {
                notices.extend(undated(&found));
                let is_old = |previous: &&Previous| previous.shown.age.is_some_and(|its| its >= age);
                found.previous.iter().filter(is_old).cloned().collect()
            }
        };
        for each in &previous {
            check(&mut opened, &call, each).await?;
        }
        notices.iter().for_each(|notice| call.progress.event(&Event::Notice(notice)));
        Ok(Self { opened, call, previous, notices, started })
    }

    /// The name of the target database.
    pub fn database(&self) -> &str {
        &self.opened.target.name
    }

    /// The databases that [`run`](Self::run) drops.
    pub fn previous(&self) -> impl ExactSizeIterator<Item = &PreviousDatabase> {
        self.previous.iter().map(|previous| &previous.shown)
    }

    /// Notices and warnings so far.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Closes the connection to the server without dropping anything.
    pub async fn close(self) {
        self.opened.control.close().await;
    }

    /// Drops the databases, one after the other. Each is checked again, under the lock on the target's name. A DROP that
    /// somebody stops is tried again for some seconds.
    ///
    /// # Errors
    ///
    /// [`RestoreError::NotDropped`] with the databases that were dropped before; a [`Refusal`] if another run holds the
    /// lock, or one of the databases has changed.
    pub async fn run(mut self) -> Result<RemovalReport> {
        self.call.progress.event(&Event::StepBegan { step: Step::Lock });
        let cancel = self.call.cancel.clone();
        tokio::select! {
            locked = self.opened.lock() => locked?,
            () = cancel.cancelled() => return Err(RestoreError::Interrupted.into()),
        }
        let now = Found::read(&mut self.opened.control, &self.opened.target).await?;
        let is_same =
            |each: &Previous, now: &Previous| (each.oid, &each.shown.name) == (now.oid, &now.shown.name);
        for each in &self.previous {
            if !now.previous.iter().any(|now| is_same(each, now)) {
                return Err(PreviousRefusal::Changed { database: each.shown.name.clone() }.into());
            }
        }
        self.call.progress.event(&Event::StepBegan { step: Step::DropPrevious });
        let mut dropped: Vec<PreviousDatabase> = Vec::new();
        for each in std::mem::take(&mut self.previous) {
            if self.call.cancel.is_cancelled() {
                let reason = "interrupted".to_owned();
                return Err(not_dropped(each.shown.name, reason, &dropped));
            }
            self.drop_one(&each.shown.name, &dropped).await?;
            dropped.push(each.shown);
        }
        self.opened.control.close().await;
        Ok(RemovalReport {
            database: self.opened.target.name,
            dropped,
            notices: self.notices,
            took: self.started.elapsed(),
        })
    }

    async fn drop_one(&mut self, name: &str, dropped: &[PreviousDatabase]) -> Result<()> {
        let sessions = if self.call.options.terminate_sessions { Sessions::End } else { Sessions::Respect };
        let progress = Arc::clone(&self.call.progress);
        let notices = &mut self.notices;
        let mut tell = |text: String| {
            let notice = Notice::note(NoticeCode::Waiting, text);
            progress.event(&Event::Notice(&notice));
            notices.push(notice);
        };
        match self.opened.holder().drop_database(name, sessions, &mut tell).await {
            Ok(None) => Ok(()),
            Ok(Some(holder)) => {
                let refusal = Refusal::Locked { database: self.opened.target.name.clone(), holder };
                Err(not_dropped(name.to_owned(), refusal.to_string(), dropped))
            }
            Err(error) => Err(not_dropped(name.to_owned(), error.to_string(), dropped)),
        }
    }
}

fn not_dropped(database: String, reason: String, dropped: &[PreviousDatabase]) -> crate::Error {
    let dropped = dropped.iter().map(|dropped| dropped.name.clone()).collect();
    RestoreError::NotDropped { database, reason, dropped }.into()
}

/// The previous databases of these names, each once.
fn named(found: &Found, opened: &Opened, names: Vec<String>) -> Result<Vec<Previous>, PreviousRefusal> {
    let mut previous: Vec<Previous> = Vec::new();
    for name in names {
        let each = found.choose(Some(&name), &opened.target)?;
        if previous.iter().all(|other| other.oid != each.oid) {
            previous.push(each);
        }
    }
    Ok(previous)
}

/// The notice about previous databases of unknown age.
fn undated(found: &Found) -> Option<Notice> {
    let undated = found.previous.iter().filter(|previous| previous.shown.age.is_none());
    let names: Vec<String> = undated.map(|previous| quote_ident(&previous.shown.name)).collect();
    let text = format!(
        "an earlier release of pgmig did not write down when these were replaced; drop them by name: {}",
        names.join(", ")
    );
    (!names.is_empty()).then(|| Notice::note(NoticeCode::UndatedDatabase, text))
}

/// Refuses a database that cannot be dropped.
async fn check(opened: &mut Opened, call: &Call, previous: &Previous) -> Result<()> {
    let reasons = opened.obstacles_to_drop(previous).await?;
    let database = previous.shown.name.clone();
    if !reasons.is_empty() {
        return Err(PreviousRefusal::CannotDrop { database, reasons }.into());
    }
    let sessions = catalog::other_sessions(&mut opened.control, &database, &opened.application).await?;
    if !sessions.is_empty() && !call.options.terminate_sessions {
        return Err(PreviousRefusal::InUse { database, sessions }.into());
    }
    Ok(())
}
