//! The record of a restore by swap, from its beginning to its end.

use super::Build;
use crate::error::Result;
use crate::progress::{Notice, NoticeCode, Severity};
use crate::restore::executor::Executor;
use crate::restore::journal::Journal;
use crate::restore::load::resumed::Resumed;
use crate::restore::load::sessions::Setup;
use crate::restore::plan::{RunAs, Task};
use crate::restore::record::{self, Fingerprint, Record, Unit};
use crate::restore::staging::mark_statement;
use crate::restore::staging::marker::{Built, Marker};
use crate::server::TargetError;
use crate::server::session::Session;
use std::sync::Arc;

/// The unit of the archive's part: everything but the upgrade.
const ARCHIVE: Unit<'static> = Unit::Step("archive");

/// The unit of the rights that were lent to `username`: all of them are taken back.
const LENDING: Unit<'static> = Unit::Step("end of lending");

/// The unit of keys and foreign keys that are made in two steps, which depends on the number of connections.
const TWO_STEPS: Unit<'static> = Unit::Step("two steps");

const DOING: &str = "keep the record of what is complete";

/// What is complete, and what decides whether another run may go on with it.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    /// The record of an interrupted run, with which this one goes on.
    pub(crate) record: Record,
    /// `None` if no other run can go on with this one: nothing is noted.
    pub(crate) fingerprint: Option<Fingerprint>,
    /// The rows and large objects of that run.
    pub(crate) resumed: Arc<Resumed>,
    /// The marker of the staging database.
    pub(crate) marker: Option<Marker>,
    /// How many notices there were before the build.
    pub(crate) notices_before: usize,
    /// Whether sessions log in as `username` itself, and not as `su_username` or as a role beside which is a superuser.
    pub(crate) logs_in_as_username: bool,
}

impl Build {
    /// Creates the record, before any statement of the archive runs; or goes on with that of an interrupted run.
    pub(super) async fn begin_record(
        &mut self,
        setup: &mut Setup,
        lead: &mut Executor,
        journal: &mut Journal,
    ) -> Result<()> {
        let Some(fingerprint) = self.recording.fingerprint.take() else { return Ok(()) };
        self.recording.notices_before = journal.report.notices.len();
        if self.recording.record.is_resumed() {
            let plan = &self.known.plan;
            let resumed = Resumed::of(&self.recording.record, &plan.tables, &plan.large_objects);
            resumed.found().for_each(|found| self.found.add(found));
            let work = resumed.work(&self.recording.record, &plan.tables);
            self.recording.resumed = Arc::new(resumed);
            journal.notice(
                NoticeCode::Resumed,
                format!(
                    "going on with an interrupted restore: {} entries and {} rows are there already",
                    work.entries, work.rows
                ),
            );
            journal.report.resumed = Some(work);
        } else {
            let mut own = self.own_session().await?;
            let session = match &mut own {
                Some(session) => session,
                None => lead.superusers().await?,
            };
            let record = Record::create(session, &fingerprint, self.config.username()).await?;
            self.recording.record = record;
            close(own).await;
        }
        self.recording.fingerprint = Some(fingerprint);
        lead.record = self.recording.record.clone();
        setup.record = self.recording.record.clone();
        Ok(())
    }

    /// A session of `su_username`, if no session of the build is one.
    async fn own_session(&self) -> Result<Option<Session>, TargetError> {
        if !self.recording.logs_in_as_username {
            return Ok(None);
        }
        Session::open(&self.admin, &self.database, &self.application).await.map(Some)
    }

    /// Makes the archive's event triggers, which would fire on statements of ours, and removes the record. The marker then says
    /// that only the swap is left. All of that is one transaction.
    pub(super) async fn end_record(&mut self, lead: &mut Executor, journal: &Journal) -> Result<()> {
        let tasks = std::mem::take(&mut self.known.plan.event_triggers);
        let Some(end) = self.end_statement(journal) else { return run_all(lead, &tasks).await };
        lead.record = Record::default();
        if let Some(mut session) = self.own_session().await? {
            // Without a superuser there are no event triggers.
            run_all(lead, &tasks).await?;
            session.execute(&end, DOING).await?;
            session.close().await;
            return Ok(());
        }
        let session = lead.superusers().await?;
        session.begin(DOING).await?;
        session.execute(&end, DOING).await?;
        run_all(lead, &tasks).await?;
        lead.superusers().await?.commit(DOING).await?;
        Ok(())
    }

    /// The statements that remove the record and mark the database as built.
    fn end_statement(&self, journal: &Journal) -> Option<String> {
        let Recording { record, fingerprint, marker, .. } = &self.recording;
        let (remove, marker) = (record.remove()?, marker.clone()?);
        let tables = &journal.report.tables;
        let built = Built {
            fingerprint: fingerprint.clone()?,
            tables: tables.len(),
            rows: tables.iter().map(|table| table.rows).sum(),
            large_objects: journal.report.large_objects,
            migrations: journal.report.migrations.len(),
            warnings: self.warnings(journal).count(),
            counts: journal.report.counts.clone(),
            workspaces: journal.report.training.as_ref().map(|training| training.workspaces),
        };
        let marker = Marker { built: Some(built), ..marker };
        Some(format!("{remove}; {}", mark_statement(&self.database, &marker)))
    }

    /// Whether an interrupted run has restored everything of the archive. Its warnings are given again, and its replacements
    /// counted.
    pub(super) fn is_restored(&self, executor: &mut Executor, journal: &mut Journal) -> bool {
        let Some(body) = executor.record.body(ARCHIVE) else { return false };
        let warnings: Vec<(NoticeCode, String)> = serde_json::from_str(body).unwrap_or_default();
        warnings.into_iter().for_each(|(code, text)| journal.warn(code, text));
        executor.count_again(self.known.plan.last.iter().chain(&self.known.plan.privileges));
        true
    }

    /// Notes that everything of the archive is there, and the warnings about it.
    pub(super) async fn note_restored(&self, executor: &mut Executor, journal: &Journal) -> Result<()> {
        let warnings: Vec<_> = self.warnings(journal).map(|notice| (notice.code, &notice.text)).collect();
        note(executor, ARCHIVE, record::json(&warnings)).await
    }

    /// The warnings of the build. Those of the preflight are given by every run.
    fn warnings<'j>(&self, journal: &'j Journal) -> impl Iterator<Item = &'j Notice> {
        let notices = journal.report.notices.iter().skip(self.recording.notices_before);
        notices.filter(|notice| notice.severity == Severity::Warning)
    }

    /// Takes back the rights that an interrupted run has lent to `username` and not taken back.
    pub(super) async fn take_back_lent(&self, executor: &mut Executor) -> Result<()> {
        if executor.record.is_resumed() && !executor.record.has(LENDING) {
            let lent = self.known.plan.tables.iter().filter(|load| load.run_as == RunAs::Superuser);
            let lent = lent.map(|load| load.table.clone()).collect();
            executor.take_back_from(lent).await?;
        }
        Ok(())
    }

    /// Notes that no right is lent any more: the archive may grant the same rights from now on.
    pub(super) async fn note_taken_back(&self, executor: &mut Executor) -> Result<()> {
        if executor.record.has(LENDING) {
            return Ok(());
        }
        note(executor, LENDING, String::new()).await
    }

    /// Whether keys and foreign keys of big tables are made in two steps: if several connections can make them. An interrupted
    /// run may have made the first ones.
    pub(super) async fn makes_two_steps(&self, executor: &mut Executor, jobs: usize) -> Result<bool> {
        if let Some(body) = executor.record.body(TWO_STEPS) {
            return Ok(body == "yes");
        }
        let is_split = jobs > 1;
        note(executor, TWO_STEPS, if is_split { "yes" } else { "no" }.to_owned()).await?;
        Ok(is_split)
    }
}

/// Notes a unit that was done before.
pub(super) async fn note(executor: &mut Executor, unit: Unit<'_>, body: String) -> Result<()> {
    if let Some(note) = executor.record.note([(unit, body)]) {
        executor.become_role(&RunAs::Owner).await?;
        executor.session.execute(&note, DOING).await?;
    }
    Ok(())
}

async fn run_all(lead: &mut Executor, tasks: &[Task]) -> Result<()> {
    for task in tasks {
        lead.run(task).await?;
    }
    Ok(())
}

async fn close(session: Option<Session>) {
    if let Some(session) = session {
        session.close().await;
    }
}
