//! Builds the staging database: everything between its creation and the swap.

mod analyze;
mod binary_ids;
pub(crate) mod commit_guard;
mod data;
mod empty;
mod into_target_schema;
mod late_instances;
pub(crate) mod lifted;
mod only_in_target;
mod script_stream;
pub(crate) mod tool_locks;
mod upgrade;
mod verify;

use crate::archive::Archive;
use crate::error::Result;
use crate::instance::{Instance, InstanceId, Resolution};
use crate::migrations::{self, MigrationSet};
use crate::profile::{ColumnRef, Profile};
use crate::progress::Step;
use crate::restore::build::commit_guard::Guard;
use crate::restore::catalogs::schema::Objects;
use crate::restore::catalogs::{instances, schema};
use crate::restore::error::RestoreError;
use crate::restore::executor::Executor;
use crate::restore::failpoint::Failpoints;
use crate::restore::journal::Journal;
use crate::restore::load::crew::Loaded;
use crate::restore::load::sessions::{Setup, Workers};
use crate::restore::options::{Instances, SchemaMode, ToastCompression};
use crate::restore::plan::{Facts, Plan, RunAs, Task};
use crate::restore::preflight::instances::LateInstances;
use crate::restore::preflight::upgrade_path::Upgrade;
use crate::restore::report::restored::MappedInstance;
use crate::restore::target_schema::TargetSchema;
use crate::rewrite::{ColumnSelector, Rules};
use crate::server::TargetConfig;
use crate::server::contents::Extras;
use crate::server::session::Session;
use crate::sql::{StandardStrings, quote_ident, quote_literal};
use analyze::analyze;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// How many entries are run before the progress is told of the next.
const TASKS_TOLD: usize = 256;

/// Everything that it takes to build the staging database.
pub(crate) struct Build {
    pub(crate) config: TargetConfig,
    /// The staging database.
    pub(crate) database: String,
    pub(crate) target: String,
    pub(crate) target_is_empty: bool,
    pub(crate) application: String,
    pub(crate) failpoints: Failpoints,
    /// Until the reading thread takes it.
    pub(crate) archive: Option<Archive>,
    pub(crate) plan: Plan,
    pub(crate) facts: Facts,
    pub(crate) profile: Option<Profile>,
    pub(crate) migrations: Option<MigrationSet>,
    pub(crate) upgrade: Upgrade,
    pub(crate) resolution: Option<Resolution>,
    pub(crate) late: Option<LateInstances>,
    pub(crate) instances: Instances,
    pub(crate) schema: SchemaMode,
    /// The target's own schema, where it is the authority.
    pub(crate) target_schema: Option<TargetSchema>,
    pub(crate) extras: Extras,
    pub(crate) jobs: NonZeroUsize,
    pub(crate) toast_compression: ToastCompression,
    /// In place: the target's objects before they were dropped, where they have to be compared with the archive's.
    pub(crate) target_objects: Option<Objects>,
    /// In place: what makes a commit fail until all of the archive has been restored.
    pub(crate) guard: Option<Guard>,
}

impl Build {
    /// Builds it. When this returns, all is in the staging database and no session of ours is.
    pub(crate) async fn run(mut self, journal: &mut Journal) -> Result<()> {
        let Some(archive) = self.archive.take() else { return Ok(()) };
        if let Some(schema) = self.target_schema.take() {
            return self.run_in_target_schema(archive, schema, journal).await;
        }
        let strings =
            if archive.standard_conforming_strings() { StandardStrings::On } else { StandardStrings::Off };
        let setup = self.setup(&archive, strings);
        let mut workers = Workers::open(&setup).await?;
        self.fill(archive, &setup, &mut workers, journal).await?;
        workers.close().await;
        Ok(())
    }

    /// Restores everything over one session, in the transaction that it has open and that stays open.
    pub(crate) async fn run_in(mut self, session: Session, journal: &mut Journal) -> Result<Session> {
        let Some(archive) = self.archive.take() else { return Ok(session) };
        let strings =
            if archive.standard_conforming_strings() { StandardStrings::On } else { StandardStrings::Off };
        let setup = self.setup(&archive, strings);
        let mut workers = Workers::of(session, &setup).await?;
        self.fill(archive, &setup, &mut workers, journal).await?;
        Ok(workers.into_lead())
    }

    /// Notes what the target's objects are, if they will have to be compared with the archive's.
    pub(crate) async fn remember_target(&mut self, session: &mut Session) -> Result<()> {
        if !self.target_is_empty && !matches!(self.upgrade, Upgrade::Planned { .. }) {
            self.target_objects = Some(schema::objects(session).await?);
        }
        Ok(())
    }

    async fn fill(
        &mut self,
        mut archive: Archive,
        setup: &Setup,
        workers: &mut Workers,
        journal: &mut Journal,
    ) -> Result<()> {
        // What is planned need not be kept twice: of many thousand tables it is many MiB.
        if archive.has_all_entries() {
            archive.forget_statements();
        }
        let opened = self.open_public(&mut workers.lead).await?;

        journal.step(Step::PreData);
        self.tasks(&mut workers.lead, journal, &self.plan.pre_data, Step::PreData).await?;
        workers.lead.run_all(&self.plan.data_first.iter().collect::<Vec<_>>()).await?;
        self.more_workers(workers, setup, journal).await?;
        journal.step(Step::Data);
        let loaded = self.rows_and_post_data(archive, workers, journal, setup).await?;
        workers.dismiss_others().await;

        let executor = &mut workers.lead;
        // Before the archive's own grants, which may give the same right.
        self.close_public(executor, opened).await?;
        journal.step(Step::Privileges);
        self.tasks(executor, journal, &self.plan.privileges, Step::Privileges).await?;
        self.last(executor).await?;
        self.extras(executor, journal).await?;

        executor.become_role(&RunAs::Superuser).await?;
        verify::objects(&mut executor.session, &self.plan.expected).await?;
        for task in &self.plan.event_triggers {
            executor.run(task).await?;
        }
        journal.report.ddl_replacements = workers.replaced();
        let executor = &mut workers.lead;
        self.settle(executor).await?;
        let opened = self.open_public(executor).await?;
        self.upgrade(executor, journal).await?;
        self.close_public(executor, opened).await?;
        self.release_stale_locks(executor, journal).await?;

        journal.step(Step::Verify);
        self.verify(executor, journal, &loaded).await?;
        journal.report.tables = loaded.tables;
        self.failpoints.pass(Step::Verify)?;

        journal.step(Step::Analyze);
        workers.open_others(setup).await?;
        analyze(workers.all(), self.strongest()).await?;
        self.failpoints.pass(Step::Analyze)?;
        Ok(())
    }

    /// Where one transaction holds everything: all of the archive has been restored, so checks that wait for the commit
    /// are made now, and nothing of the archive runs any more that could commit early.
    async fn settle(&mut self, executor: &mut Executor) -> Result<()> {
        let Some(guard) = self.guard.take() else { return Ok(()) };
        executor.become_role(&RunAs::Owner).await?;
        guard.lift(&mut executor.session).await?;
        Ok(migrations::settle_constraints(executor.session.conn()).await?)
    }

    pub(crate) fn setup(&self, archive: &Archive, strings: StandardStrings) -> Setup {
        Setup {
            config: self.config.clone(),
            database: self.database.clone(),
            application: self.application.clone(),
            strings,
            unqualified: archive.search_path_statement().is_none(),
            jobs: self.jobs,
            toast_compression: self.toast_compression,
            rules: self.rules(),
        }
    }

    /// The other sessions. Fewer than were asked for are only slower.
    pub(crate) async fn more_workers(
        &self,
        workers: &mut Workers,
        setup: &Setup,
        journal: &mut Journal,
    ) -> Result<()> {
        let admitted = workers.open_others(setup).await?;
        let wanted = setup.jobs.get();
        if admitted < wanted {
            journal.notice(format!(
                "the server admits {admitted} of the {wanted} connections that --jobs asks for (max_connections, or \
                 the connection limit of {}); the restore goes on with {admitted}",
                quote_ident(self.config.su_username())
            ));
        }
        Ok(())
    }

    /// Who may do the most with what was restored: who is no superuser only with what is its own, and that is
    /// `username`'s.
    pub(crate) fn strongest(&self) -> &'static RunAs {
        if self.facts.is_superuser { &RunAs::Superuser } else { &RunAs::Owner }
    }

    pub(crate) fn rules(&self) -> Option<Arc<Rules>> {
        let resolution = self.resolution.as_ref().filter(|_| !matches!(self.instances, Instances::Keep))?;
        Some(Arc::new(rules_of(resolution, self.profile.as_ref())))
    }

    /// Lets `username` create objects in schema public, where it may not: from PostgreSQL 15 on only the
    /// database's owner may, and an archive may take the right away. Returns whether that took a grant, which
    /// [`Build::close_public`] takes back.
    async fn open_public(&self, executor: &mut Executor) -> Result<bool> {
        if self.facts.owner_owns_public || !self.facts.is_superuser {
            return Ok(false);
        }
        let doing = "let username create objects in schema public";
        executor.become_role(&RunAs::Superuser).await?;
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'public' \
             AND NOT pg_catalog.has_schema_privilege({}, oid, 'CREATE'))",
            quote_literal(self.config.username())
        );
        let is_closed = executor.session.holds(&sql, doing).await?;
        if is_closed {
            let owner = quote_ident(self.config.username());
            executor.session.execute(&format!("GRANT CREATE ON SCHEMA public TO {owner}"), doing).await?;
        }
        Ok(is_closed)
    }

    /// Takes back what [`Build::open_public`] granted.
    async fn close_public(&self, executor: &mut Executor, was_granted: bool) -> Result<()> {
        if was_granted {
            executor.become_role(&RunAs::Superuser).await?;
            let sql = format!("REVOKE CREATE ON SCHEMA public FROM {}", quote_ident(self.config.username()));
            executor.session.execute(&sql, "close schema public again").await?;
        }
        Ok(())
    }

    /// Runs tasks; passes the step's failpoint in their middle.
    async fn tasks(
        &self,
        executor: &mut Executor,
        journal: &Journal,
        tasks: &[Task],
        step: Step,
    ) -> Result<()> {
        let middle = tasks.len() / 2;
        let (first, second) = tasks.split_at_checked(middle).unwrap_or((tasks, &[]));
        self.some_tasks(executor, journal, first, (0, tasks.len())).await?;
        self.failpoints.pass(step)?;
        self.some_tasks(executor, journal, second, (middle, tasks.len())).await
    }

    /// Runs tasks that come after `done` ones of `total`.
    async fn some_tasks(
        &self,
        executor: &mut Executor,
        journal: &Journal,
        tasks: &[Task],
        (mut done, total): (usize, usize),
    ) -> Result<()> {
        for some in tasks.chunks(TASKS_TOLD) {
            if let Some(task) = some.first() {
                journal.progress.object(&task.label, done, total);
            }
            executor.run_all(&some.iter().collect::<Vec<_>>()).await?;
            done += some.len();
        }
        Ok(())
    }
}

impl Build {
    /// The last pass. Filling a materialized view reads tables as its owner, which FORCE ROW LEVEL SECURITY
    /// would forbid; it is lifted for that and set back in the same transaction.
    async fn last(&self, executor: &mut Executor) -> Result<()> {
        let forced = self.forced_tables(executor).await?;
        if forced.is_empty() {
            for task in &self.plan.last {
                executor.run(task).await?;
            }
            return Ok(());
        }
        let doing = "lift FORCE ROW LEVEL SECURITY while materialized views are filled";
        let alter = |how: &str| -> String {
            forced.iter().map(|table| format!("ALTER TABLE {table} {how} ROW LEVEL SECURITY;")).collect()
        };
        executor.become_role(&RunAs::Owner).await?;
        executor.session.begin(doing).await?;
        executor.session.execute(&alter("NO FORCE"), doing).await?;
        for task in &self.plan.last {
            executor.run(task).await?;
        }
        executor.become_role(&RunAs::Owner).await?;
        executor.session.execute(&alter("FORCE"), doing).await?;
        executor.session.commit(doing).await?;
        Ok(())
    }

    async fn forced_tables(&self, executor: &mut Executor) -> Result<Vec<String>> {
        // With the schema, whatever search_path is.
        let sql = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c \
                   JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                   WHERE c.relforcerowsecurity AND pg_catalog.pg_get_userbyid(c.relowner) = current_user";
        executor.become_role(&RunAs::Owner).await?;
        let rows = executor.session.rows(sql, "list the tables with FORCE ROW LEVEL SECURITY").await?;
        Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
    }

    pub(crate) async fn verify(
        &self,
        executor: &mut Executor,
        journal: &mut Journal,
        loaded: &Loaded,
    ) -> Result<()> {
        // The archive may have taken their owner's right to read large objects.
        executor.become_role(self.strongest()).await?;
        let objects = loaded.large_objects;
        // A dump of definitions only makes large objects, and has nothing to fill them with.
        let has_contents = !self.plan.large_objects.is_empty();
        let count = if has_contents { objects.objects } else { self.plan.large_objects_made };
        verify::large_objects(&mut executor.session, count, objects.bytes).await?;
        if !loaded.leftovers.is_empty() {
            let fault = |(table, count): &(String, u64)| {
                format!("table {table}: {count} instance IDs were left that should have been replaced")
            };
            let faults = loaded.leftovers.iter().map(fault).collect();
            return Err(RestoreError::Verification(faults).into());
        }
        self.verify_instances(executor, journal).await
    }

    /// Reads the table of instances. A superuser sees all rows; from its owner FORCE ROW LEVEL SECURITY would hide
    /// some, so for an owner it is lifted in a transaction that is rolled back.
    async fn instances_in_staging(
        &self,
        executor: &mut Executor,
        profile: &Profile,
    ) -> Result<Vec<Instance>> {
        if self.facts.is_superuser {
            executor.become_role(&RunAs::Superuser).await?;
            return instances::instances_of(&mut executor.session, profile).await;
        }
        let doing = "read the restored instances";
        let forced = self.forced_tables(executor).await?;
        executor.session.begin(doing).await?;
        for table in &forced {
            let lift = format!("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY");
            executor.session.execute(&lift, doing).await?;
        }
        let found = instances::instances_of(&mut executor.session, profile).await?;
        executor.session.rollback(doing).await?;
        Ok(found)
    }

    /// The instances in staging are the mapped ones' targets and those that needed no mapping.
    async fn verify_instances(&self, executor: &mut Executor, journal: &mut Journal) -> Result<()> {
        let (Some(resolution), Some(profile)) = (&self.resolution, &self.profile) else { return Ok(()) };
        let found = self.instances_in_staging(executor, profile).await?;
        let found: BTreeSet<InstanceId> = found.into_iter().map(|instance| instance.id).collect();
        let wanted: BTreeSet<InstanceId> =
            resolution.instances.iter().map(|instance| instance.target).collect();
        let mut faults: Vec<String> =
            wanted.difference(&found).map(|id| format!("instance {id} is missing")).collect();
        faults.extend(found.difference(&wanted).map(|id| format!("instance {id} should not be there")));
        if !faults.is_empty() {
            return Err(RestoreError::Verification(faults).into());
        }
        let mapped = resolution.instances.iter();
        journal.report.instances = mapped
            .map(|instance| MappedInstance { source: instance.source.clone(), target: instance.target })
            .collect();
        Ok(())
    }
}

/// The rules that a mapping amounts to in a store of this profile.
pub(crate) fn rules_of(resolution: &Resolution, profile: Option<&Profile>) -> Rules {
    let rules = Rules::from_resolution(resolution);
    match profile {
        Some(profile) => {
            let excluded = profile.excluded_columns().iter().cloned().map(selector);
            let bytea = profile.bytea_columns().iter();
            let bytea = bytea.map(|column| (selector(column.column_ref()), column.ids));
            rules
                .with_excluded(excluded)
                .with_alias_columns(profile.alias_columns().map(selector))
                .with_bytea(profile.bytea(), bytea)
                .with_large_objects(profile.large_objects())
        }
        None => rules,
    }
}

fn selector(column: ColumnRef) -> ColumnSelector {
    ColumnSelector { schema: column.schema, table: column.table, column: column.column }
}
