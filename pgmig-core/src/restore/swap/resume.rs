//! Goes on with the staging database of an interrupted run.

use crate::error::Result;
use crate::progress::NoticeCode;
use crate::restore::build::Build;
use crate::restore::error::RestoreError;
use crate::restore::load::resumed::Resumed as Rows;
use crate::restore::plan::Plan;
use crate::restore::record::{Fingerprint, Record};
use crate::restore::refusal::Refusal;
use crate::restore::refusal::resume::ResumeRefusal;
use crate::restore::report::planned::PlannedResume;
use crate::restore::report::restored::{MappedInstance, ResumedWork};
use crate::restore::staging;
use crate::restore::staging::LeftStaging;
use crate::restore::staging::marker::{Built, State};
use crate::restore::staging::names::staging_name;
use crate::restore::swap::SwapRestore;
use crate::restore::swap::carry_over;
use crate::retrain::Training;
use crate::server::catalog::DatabaseFacts;
use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};
use crate::sql::{quote_ident, quote_literal};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long pgmig waits for the sessions of the interrupted run to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A staging database with which a run can go on.
#[derive(Debug)]
pub(crate) struct Resumed {
    oid: u32,
    work: Work,
}

#[derive(Debug)]
enum Work {
    /// What is complete is in its record.
    Recorded(Record),
    /// Everything is done but the swap.
    Built(Box<Built>),
}

impl SwapRestore {
    /// Finds the staging database of an interrupted run of the same restore. Changes nothing but to end that run's sessions.
    ///
    /// # Errors
    ///
    /// [`ResumeRefusal::OtherRestore`] if the staging database belongs to another restore.
    pub(super) async fn find_resumable(&mut self) -> Result<Option<Resumed>> {
        let left = staging::find_left(&mut self.run.control, &self.run.target).await?;
        let Some(LeftStaging { oid, marker }) = left else {
            self.run.journal.notice(
                NoticeCode::BeginsAnew,
                "there is no interrupted restore to go on with; this one begins anew".to_owned(),
            );
            return Ok(None);
        };
        // A server process that is still at work could commit after the record has been read.
        self.end_sessions().await?;
        let mut session = Session::open(&self.run.config, &self.staging, &self.run.application).await?;
        let fingerprint = self.fingerprint.clone().unwrap_or_default();
        let built = marker.and_then(|marker| marker.built);
        let found = look_inside(&mut session, &self.staging, &fingerprint, built).await;
        session.close().await;
        let work = found?;
        if work.is_none() {
            self.run.journal.notice(NoticeCode::BeginsAnew, format!(
                "the staging database {} of an interrupted restore cannot be gone on with, as that run was at its very beginning; \
                 this one begins anew",
                quote_ident(&self.staging)
            ));
        }
        Ok(work.map(|work| Resumed { oid, work }))
    }

    async fn end_sessions(&mut self) -> Result<()> {
        let doing = "end the sessions of the interrupted run";
        let deadline = Instant::now() + PATIENCE;
        let sql = format!(
            "SELECT pid FROM pg_catalog.pg_stat_activity WHERE datname = {} \
             AND COALESCE(backend_type, '') NOT LIKE 'autovacuum%' AND pid <> pg_catalog.pg_backend_pid()",
            quote_literal(&self.staging)
        );
        loop {
            let sessions = self.run.control.rows(&sql, doing).await?;
            if sessions.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let (database, sessions) = (self.staging.clone(), sessions.len());
                return Err(ResumeRefusal::StagingInUse { database, sessions }.into());
            }
            for session in &sessions {
                let end = format!("SELECT pg_catalog.pg_terminate_backend({})", session.number::<i32>(0));
                // A superuser's session may not be ended by others; it may end by itself.
                let _ = self.run.control.rows(&end, doing).await;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Makes the staging database this run's own. Returns its OID, and whether only the swap is left.
    pub(super) async fn take_over(&mut self, resumed: Resumed, build: &mut Build) -> Result<(u32, bool)> {
        let Resumed { oid, work } = resumed;
        self.staging_oid = Some(oid);
        let mut marker = self.marker(State::Staging);
        if let Work::Built(built) = &work {
            marker.built = Some(Built::clone(built));
        }
        let connects = [self.run.config.su_username(), self.run.config.username()];
        let opened = staging::open_to(&mut self.run.control, &self.staging, &marker, &connects).await?;
        if opened != oid {
            return Err(Refusal::Changed { database: self.run.target.name.clone() }.into());
        }
        carry_over::rehearse(&mut self.run.control, &self.run.target, oid).await?;
        match work {
            Work::Recorded(record) => {
                build.recording.record = record;
                Ok((oid, false))
            }
            Work::Built(built) => {
                self.report_built(built, build);
                Ok((oid, true))
            }
        }
    }

    fn report_built(&mut self, built: Box<Built>, build: &Build) {
        let journal = &mut self.run.journal;
        journal.notice(NoticeCode::Resumed, format!(
            "going on with an interrupted restore, of which only the swap is left: {} tables with {} rows",
            built.tables, built.rows
        ));
        if built.warnings > 0 {
            journal.warn(
                NoticeCode::InterruptedRunHadWarnings,
                format!(
                    "the interrupted run gave warnings, {} in all, which only its own output shows",
                    built.warnings
                ),
            );
        }
        let report = &mut journal.report;
        report.large_objects = built.large_objects;
        report.counts.clone_from(&built.counts);
        report.training = built.workspaces.map(Training::of);
        report.resumed = Some(Work::Built(built).describe(&build.known.plan));
        let instances = build.known.resolution.iter().flat_map(|resolution| &resolution.instances);
        report.instances = instances
            .map(|instance| MappedInstance { source: instance.source.clone(), target: instance.target })
            .collect();
        (report.source_version, report.target_version) = build.versions();
    }
}

/// Finds what is complete in a staging database.
async fn look_inside(
    session: &mut Session,
    staging: &str,
    fingerprint: &Fingerprint,
    built: Option<Built>,
) -> Result<Option<Work>> {
    let Some(owner) = Record::owner(session).await? else {
        let Some(built) = built else { return Ok(None) };
        require_same(staging, fingerprint, &built.fingerprint)?;
        return Ok(Some(Work::Built(Box::new(built))));
    };
    let own = session.value("SELECT current_user", "read the session's role").await?;
    if owner != own {
        let differences = vec![format!("su_username: {owner}, and now {own}")];
        return Err(ResumeRefusal::OtherRestore { database: staging.to_owned(), differences }.into());
    }
    let Some(earlier) = Record::fingerprint(session).await? else { return Ok(None) };
    require_same(staging, fingerprint, &earlier)?;
    Ok(Some(Work::Recorded(Record::read(session, staging).await?)))
}

fn require_same(staging: &str, fingerprint: &Fingerprint, earlier: &Fingerprint) -> Result<()> {
    let differences = fingerprint.differences(earlier);
    if differences.is_empty() {
        return Ok(());
    }
    Err(ResumeRefusal::OtherRestore { database: staging.to_owned(), differences }.into())
}

/// What a run with these facts would go on with. Changes nothing, and ends no session.
pub(crate) async fn foresee(
    control: &mut Session,
    (config, application): (&TargetConfig, &str),
    target: &DatabaseFacts,
    fingerprint: &Fingerprint,
    plan: &Plan,
) -> Result<PlannedResume> {
    let Some(LeftStaging { marker, .. }) = staging::find_left(control, target).await? else {
        return Ok(PlannedResume::default());
    };
    let staging = staging_name(&target.name);
    let mut session = Session::open(config, &staging, application).await?;
    let built = marker.and_then(|marker| marker.built);
    let found = look_inside(&mut session, &staging, fingerprint, built).await;
    session.close().await;
    match found {
        Ok(work) => {
            Ok(PlannedResume { work: work.map(|work| work.describe(plan)), ..PlannedResume::default() })
        }
        Err(crate::Error::Restore(RestoreError::Refused(Refusal::Resume(refusal)))) => {
            let differences = match refusal {
                ResumeRefusal::OtherRestore { differences, .. } => differences,
                refusal => vec![refusal.to_string()],
            };
            Ok(PlannedResume { differences, ..PlannedResume::default() })
        }
        Err(error) => Err(error),
    }
}

impl Work {
    fn describe(&self, plan: &Plan) -> ResumedWork {
        match self {
            Self::Recorded(record) => {
                Rows::of(record, &plan.tables, &plan.large_objects).work(record, &plan.tables)
            }
            Self::Built(built) => ResumedWork {
                entries: plan.tasks().count(),
                rows: built.rows,
                tables: built.tables,
                large_objects: built.large_objects.0,
                migrations: built.migrations,
                is_built: true,
            },
        }
    }
}

/// Whether a restore failed because of what code of the archive did to the session or to the target. Another run would not see
/// it again.
pub(super) fn is_by_hostile_code(error: &crate::Error) -> bool {
    use RestoreError::{SessionChanged, StateChanged, StatePutBack};
    matches!(
        error,
        crate::Error::Restore(SessionChanged { .. } | StateChanged { .. } | StatePutBack { .. })
            | crate::Error::Target(TargetError::WrongPassword { .. })
    )
}
