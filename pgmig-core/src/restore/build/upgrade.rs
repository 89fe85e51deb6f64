//! The schema upgrade of the staging database, or why there is none.

use crate::error::Result;
use crate::migrations::{self, History, UpgradePlan};
use crate::profile::{Profile, SchemaVersion};
use crate::progress::{Event, NoticeCode, Step};
use crate::restore::build::Build;
use crate::restore::catalogs::schema;
use crate::restore::executor::Executor;
use crate::restore::journal::Journal;
use crate::restore::plan::RunAs;
use crate::restore::preflight::upgrade_path::{self, Obstacle, Upgrade};
use crate::restore::record::{Record, Unit};
use crate::restore::refusal::Refusal;
use crate::restore::refusal::resume::ResumeRefusal;
use crate::restore::report::restored::MigrationReport;
use crate::server::TargetError;
use crate::server::session::Session;
use sqlx::AssertSqlSafe;
use std::time::Duration;

/// The unit of a migration that is not a transaction: an interrupted run has begun it.
struct Begun(String);

fn begun(version: i64) -> Begun {
    Begun(version.to_string())
}

impl Begun {
    fn unit(&self) -> Unit<'_> {
        Unit::StepOf("begin migration", &self.0)
    }
}

/// Notes that a migration that is not a transaction has begun.
async fn note_begun(
    record: &Record,
    upgrade: &mut migrations::Upgrade<'_>,
    version: i64,
) -> Result<(), TargetError> {
    let Some(note) = record.note([(begun(version).unit(), String::new())]) else { return Ok(()) };
    let noted = sqlx::raw_sql(AssertSqlSafe(note)).execute(upgrade.connection()).await;
    noted.map(drop).map_err(TargetError::doing("note a migration"))
}

impl Build {
    /// Brings the store to the target's release.
    pub(crate) async fn upgrade(&mut self, executor: &mut Executor, journal: &mut Journal) -> Result<()> {
        journal.step(Step::Upgrade);
        let upgrade = std::mem::replace(&mut self.known.upgrade, Upgrade::NotAStore);
        let Some(profile) = self.known.profile.clone() else {
            self.failpoints.pass(Step::Upgrade)?;
            if matches!(upgrade, Upgrade::NotWanted) {
                return Ok(());
            }
            return self.refuse_other_schema(executor, &Obstacle::NoStore).await;
        };
        let upgrade = match upgrade {
            Upgrade::Later { goal, own } => {
                executor.become_role(&RunAs::Owner).await?;
                let history = History::read(executor.session.conn(), &profile).await?;
                let upgrade = upgrade_path::decide(history, goal, &profile, self.known.migrations.as_ref())?;
                if let Upgrade::AsItIs { obstacle } = &upgrade {
                    let warnings =
                        upgrade_path::warnings(obstacle, self.known.migrations.as_ref(), own.as_ref());
                    warnings.into_iter().for_each(|notice| journal.note(notice));
                }
                upgrade
            }
            known => known,
        };
        if let Upgrade::NotWanted = upgrade {
            journal.notice(
                NoticeCode::SchemaNotUpgraded,
                "the archive's schema was restored as it is, without an upgrade (SchemaSource::Archive)"
                    .to_owned(),
            );
            return Ok(self.failpoints.pass(Step::Upgrade)?);
        }
        if let Upgrade::Planned { plan } = upgrade {
            if executor.session.is_one_transaction() {
                // Known only now, where the archive is a stream.
                let version = executor.session.server_version();
                migrations::check_in_one_transaction(&plan, upgrade_path::split_migration, version)?;
            }
            return self.migrate(executor, &profile, &plan, journal).await;
        }
        self.failpoints.pass(Step::Upgrade)?;
        let obstacle = match upgrade {
            Upgrade::AsItIs { obstacle } => obstacle,
            _ => Obstacle::NoHistory,
        };
        upgrade_path::require(self.options.schema, &obstacle)?;
        self.refuse_other_schema(executor, &obstacle).await?;
        journal.notice(
            NoticeCode::SchemaNotUpgraded,
            format!("the archive's schema was restored as it is, without an upgrade: {obstacle}"),
        );
        Ok(())
    }

    /// The schema versions of the backup and of the restored store, as far as they are known before the restore.
    pub(crate) fn versions(&self) -> (Option<SchemaVersion>, Option<SchemaVersion>) {
        let (Upgrade::Planned { plan }, Some(profile)) = (&self.known.upgrade, &self.known.profile) else {
            return (None, None);
        };
        let version = |version: i64| profile.releases().schema_version(version);
        (plan.from().map(version), Some(version(plan.to())))
    }

    /// Applies the migrations, as `username`: on a connection of their own, or in the one transaction.
    async fn migrate(
        &self,
        executor: &mut Executor,
        profile: &Profile,
        plan: &UpgradePlan,
        journal: &mut Journal,
    ) -> Result<()> {
        let version = |version: i64| profile.releases().schema_version(version);
        journal.report.source_version = plan.from().map(version);
        journal.report.target_version = Some(version(plan.to()));
        let rest = self.without_applied(executor, profile, plan, journal).await?;
        let plan = &rest;
        if executor.session.is_one_transaction() {
            self.migrate_in(&mut executor.session, profile, plan, journal).await?;
        } else {
            let mut session = Session::open(&self.config, &self.database, &self.application).await?;
            session.execute("SET synchronous_commit = off", "set up the session").await?;
            self.migrate_in(&mut session, profile, plan, journal).await?;
            session.close().await;
        }
        if plan.is_empty() {
            self.failpoints.pass(Step::Upgrade)?;
        }
        Ok(())
    }

    /// The plan without the migrations that an interrupted run has applied, which are reported.
    async fn without_applied(
        &self,
        executor: &mut Executor,
        profile: &Profile,
        plan: &UpgradePlan,
        journal: &mut Journal,
    ) -> Result<UpgradePlan> {
        if !executor.record.is_resumed() {
            return Ok(plan.clone());
        }
        executor.become_role(&RunAs::Owner).await?;
        let newest = migrations::newest_finished(executor.session.conn(), profile).await?;
        let rest = newest.map_or_else(|| plan.clone(), |newest| plan.after(newest));
        for file in plan.migrations() {
            if rest.migrations().iter().any(|left| left.version() == file.version()) {
                if executor.record.has(begun(file.version()).unit()) {
                    return Err(ResumeRefusal::HalfMigrated { file: file.name().to_owned() }.into());
                }
                continue;
            }
            let (version, description) = (file.version(), file.description().to_owned());
            journal.report.migrations.push(MigrationReport { version, description, took: Duration::ZERO });
        }
        if let Some(resumed) = &mut journal.report.resumed {
            resumed.migrations = journal.report.migrations.len();
        }
        Ok(rest)
    }

    async fn migrate_in(
        &self,
        session: &mut Session,
        profile: &Profile,
        plan: &UpgradePlan,
        journal: &mut Journal,
    ) -> Result<()> {
        let record = &self.recording.record;
        session.execute("SET check_function_bodies = on", "set up the session").await?;
        session.become_role(Some(self.config.username())).await?;
        let mut upgrade =
            migrations::Upgrade::begin(session.conn(), profile, plan, upgrade_path::split_migration).await?;
        let total = plan.migrations().len();
        let mut number = 0;
        while let Some(next) = upgrade.upcoming() {
            number += 1;
            let (version, description) = (next.version(), next.description());
            journal.progress.event(&Event::MigrationBegan { version, description, number, total });
            // One that is not a transaction could be half done when the run dies, and no other run could go on.
            let is_at_risk = next.is_no_transaction() && record.is_kept();
            let whole = if is_at_risk { upgrade.next_as_whole().await? } else { None };
            let done = match whole {
                Some(done) => done,
                None => {
                    if is_at_risk {
                        note_begun(record, &mut upgrade, version).await?;
                    }
                    let Some(done) = upgrade.next().await? else { break };
                    done
                }
            };
            let (version, description, took) = (done.version, &*done.description, done.took);
            journal.progress.event(&Event::MigrationEnded { version, description, took });
            let (version, description, took) = (done.version, done.description, done.took);
            journal.report.migrations.push(MigrationReport { version, description, took });
            self.failpoints.pass(Step::Upgrade)?;
        }
        upgrade.finish().await?;
        session.execute("SET check_function_bodies = off", "set the session up again").await?;
        Ok(())
    }

    /// Refuses a backup without a store or with an unknown history, unless the target is empty or has the same
    /// schema.
    async fn refuse_other_schema(&mut self, executor: &mut Executor, obstacle: &Obstacle) -> Result<()> {
        if self.known.contents.is_empty() {
            return Ok(());
        }
        executor.become_role(&RunAs::Superuser).await?;
        let differences = match self.target_objects.take() {
            Some(before) => schema::between(schema::objects(&mut executor.session).await?, before),
            None => {
                let mut target = Session::open(&self.config, &self.target, &self.application).await?;
                let differences = schema::differences(&mut executor.session, &mut target).await;
                target.close().await;
                differences?
            }
        };
        if differences.is_empty() {
            return Ok(());
        }
        let (history, remedy) = (obstacle.in_brackets(), obstacle.remedy());
        Err(Refusal::UnknownHistory { history, remedy, differences, is_foreseen: false }.into())
    }
}
