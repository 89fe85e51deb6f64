//! Builds the staging database: everything between its creation and the swap.

use super::error::RestoreError;
use super::execute::Executor;
use super::failpoint::Failpoints;
use super::journal::Journal;
use super::late::{LateResolution, resolve_late};
use super::load::{Loaded, Loader};
use super::options::Instances;
use super::plan::{Facts, Plan, RowForm, RunAs, TableLoad, Task};
use super::report::MappedInstance;
use super::resolution::LateInstances;
use super::step::Step;
use super::stream::{self, Discovery, Reading, Rewriting, Root, TableColumns};
use super::upgrade_path::Upgrade;
use super::watch::Watch;
use super::{binary, tables, tenants, verify};
use crate::archive::{Archive, BytesRead, DumpId};
use crate::error::Result;
use crate::instance::{Instance, InstanceId, Resolution};
use crate::profile::{ColumnRef, Profile};
use crate::rewrite::{ColumnSelector, Rules, Shape};
use crate::schema::MigrationSet;
use crate::sql::{QualifiedName, StandardStrings, quote_ident, quote_literal};
use crate::target::TargetConfig;
use crate::target::contents::Extras;
use crate::target::session::Session;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Everything that it takes to build the staging database.
pub(super) struct Build {
    pub(super) config: TargetConfig,
    /// The staging database.
    pub(super) database: String,
    pub(super) target: String,
    pub(super) target_is_empty: bool,
    pub(super) application: String,
    pub(super) failpoints: Failpoints,
    /// Until the reading thread takes it.
    pub(super) archive: Option<Archive>,
    pub(super) plan: Plan,
    pub(super) facts: Facts,
    pub(super) profile: Option<Profile>,
    pub(super) migrations: Option<MigrationSet>,
    pub(super) upgrade: Upgrade,
    pub(super) resolution: Option<Resolution>,
    pub(super) late: Option<LateInstances>,
    pub(super) instances: Instances,
    pub(super) extras: Extras,
}

impl Build {
    /// Builds it. When this returns, all is in the staging database and no session of ours is.
    pub(super) async fn run(mut self, journal: &mut Journal) -> Result<()> {
        let Some(archive) = self.archive.take() else { return Ok(()) };
        let strings =
            if archive.standard_conforming_strings() { StandardStrings::On } else { StandardStrings::Off };
        let rules = self.rules();
        let session = Session::open(&self.config, &self.database, &self.application).await?;
        let mut executor = Executor::new(session, self.config.username(), strings, rules.clone()).await?;
        if archive.search_path_statement().is_none() {
            executor.session.execute("SET search_path = public, pg_catalog", "set search_path").await?;
        }
        let opened = self.open_public(&mut executor).await?;

        journal.step(Step::PreData);
        self.tasks(&mut executor, journal, &self.plan.pre_data, Step::PreData).await?;
        for task in &self.plan.data_first {
            executor.run(task).await?;
        }
        journal.step(Step::Data);
        let late = LateResolution::default();
        let loaded = self.load(archive, &mut executor, journal, strings, rules, &late).await?;
        self.note_late(&mut executor, &late, &loaded).await?;
        if let Some(rules) = &executor.rules {
            binary::note(journal, &loaded, rules.large_objects());
        }
        for task in &self.plan.data_last {
            executor.run(task).await?;
        }
        journal.step(Step::PostData);
        self.tasks(&mut executor, journal, &self.plan.post_data, Step::PostData).await?;
        // Before the archive's own grants, which may give the same right.
        self.close_public(&mut executor, opened).await?;
        journal.step(Step::Privileges);
        self.tasks(&mut executor, journal, &self.plan.privileges, Step::Privileges).await?;
        self.last(&mut executor).await?;
        self.extras(&mut executor, journal).await?;

        executor.become_role(&RunAs::Superuser).await?;
        verify::objects(&mut executor.session, &self.plan.expected).await?;
        for task in &self.plan.event_triggers {
            executor.run(task).await?;
        }
        journal.report.ddl_replacements = executor.replaced;
        let opened = self.open_public(&mut executor).await?;
        self.upgrade(&mut executor, journal).await?;
        self.close_public(&mut executor, opened).await?;

        journal.step(Step::Verify);
        self.verify(&mut executor, journal, &loaded).await?;
        journal.report.tables = loaded.tables;
        self.failpoints.pass(Step::Verify)?;

        journal.step(Step::Analyze);
        executor.become_role(self.strongest()).await?;
        executor.session.execute("ANALYZE", "gather statistics (ANALYZE)").await?;
        self.failpoints.pass(Step::Analyze)?;
        executor.session.close().await;
        Ok(())
    }

    /// Who may do the most with what was restored: who is no superuser only with what is its own, and that is
    /// `username`'s.
    fn strongest(&self) -> &'static RunAs {
        if self.facts.is_superuser { &RunAs::Superuser } else { &RunAs::Owner }
    }

    fn rules(&self) -> Option<Arc<Rules>> {
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
        for (done, task) in tasks.iter().enumerate() {
            journal.progress.object(&task.label, done, tasks.len());
            if done == tasks.len() / 2 {
                self.failpoints.pass(step)?;
            }
            executor.run(task).await?;
        }
        if tasks.is_empty() {
            self.failpoints.pass(step)?;
        }
        Ok(())
    }

    async fn load(
        &mut self,
        archive: Archive,
        executor: &mut Executor,
        journal: &mut Journal,
        strings: StandardStrings,
        rules: Option<Arc<Rules>>,
        late: &LateResolution,
    ) -> Result<Loaded> {
        executor.become_role(&RunAs::Superuser).await?;
        let mut reading = Reading::of(&self.plan, strings);
        let mut roots = HashMap::new();
        if let Some(rules) = rules {
            let columns = self.column_rules(executor, &rules).await?;
            roots = tables::partition_roots(&mut executor.session).await?;
            let insert_roots = self.insert_roots(&columns, &roots);
            reading.rewriting = Some(Rewriting { rules, columns, roots: insert_roots });
        }
        reading.discovery = self.late.take().map(|found| Discovery {
            dump_id: found.dump_id,
            columns: found.columns,
            resolve: resolve_late(&self.instances, self.profile.clone(), Arc::clone(late)),
        });
        let encoding = archive.encoding().filter(|encoding| *encoding != "UTF8").map(str::to_owned);
        let (counter, size) = (archive.bytes_read(), archive.size());
        let progress = Arc::clone(&journal.progress);
        let on_bytes = move || report_bytes(&counter, size, progress.as_ref());
        let pieces = stream::start(archive, reading)?;
        let pid = executor.session.value("SELECT pg_catalog.pg_backend_pid()", "set up the session").await?;
        let watch = Watch {
            config: self.config.clone(),
            database: self.database.clone(),
            application: self.application.clone(),
            pid: pid.parse().unwrap_or_default(),
        };
        let mut loader = Loader {
            executor,
            watch: &watch,
            tables: &self.plan.tables,
            roots: &roots,
            encoding,
            create_large_objects: self.plan.large_objects_made == 0,
            failpoints: self.failpoints,
            progress: journal.progress.as_ref(),
            on_bytes: &on_bytes,
        };
        let loaded = loader.run(pieces).await?;
        on_bytes();
        journal.step(Step::LargeObjects);
        journal.report.large_objects = (loaded.large_objects.objects, loaded.large_objects.bytes);
        Ok(loaded)
    }

    /// Partitions whose rows are INSERT statements and have to go to the root of their tree.
    fn insert_roots(
        &self,
        columns: &HashMap<DumpId, TableColumns>,
        roots: &HashMap<QualifiedName, QualifiedName>,
    ) -> HashMap<DumpId, Root> {
        let inserts = self.plan.tables.iter().filter(|load| matches!(load.form, RowForm::Inserts { .. }));
        let root = |load: &TableLoad| {
            let table = roots.get(&load.table)?.clone();
            Some((load.dump_id, Root { table, columns: columns.get(&load.dump_id)?.names.clone() }))
        };
        inserts.filter_map(root).collect()
    }

    /// The columns of each table's rows, in their order, and the rule of each by its type in the staging database.
    async fn column_rules(
        &self,
        executor: &mut Executor,
        rules: &Rules,
    ) -> Result<HashMap<DumpId, TableColumns>> {
        let catalog = tables::columns(&mut executor.session).await?;
        let columns = |load: &TableLoad| {
            let table = (load.table.schema.clone().unwrap_or_default(), load.table.name.clone());
            let known = catalog.get(&table).map(Vec::as_slice).unwrap_or_default();
            let copied = match &load.form {
                RowForm::Copy(copy) => copy.columns.clone(),
                RowForm::Inserts { .. } => None,
            };
            let names = copied.unwrap_or_else(|| known.iter().map(|(name, _)| name.clone()).collect());
            let rule = |column: &String| {
                let shape = known.iter().find(|(name, _)| name == column).map(|(_, shape)| shape);
                rules.column_rule(&load.table, column, shape.unwrap_or(&Shape::Text))
            };
            let rules = names.iter().map(rule).collect();
            (load.dump_id, TableColumns { names, rules })
        };
        Ok(self.plan.tables.iter().map(columns).collect())
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
        executor.session.execute("BEGIN", doing).await?;
        executor.session.execute(&alter("NO FORCE"), doing).await?;
        for task in &self.plan.last {
            executor.run(task).await?;
        }
        executor.become_role(&RunAs::Owner).await?;
        executor.session.execute(&alter("FORCE"), doing).await?;
        executor.session.execute("COMMIT", doing).await?;
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

    async fn verify(&self, executor: &mut Executor, journal: &mut Journal, loaded: &Loaded) -> Result<()> {
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
            return tenants::instances_of(&mut executor.session, profile).await;
        }
        let doing = "read the restored instances";
        let forced = self.forced_tables(executor).await?;
        executor.session.execute("BEGIN", doing).await?;
        for table in &forced {
            let lift = format!("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY");
            executor.session.execute(&lift, doing).await?;
        }
        let found = tenants::instances_of(&mut executor.session, profile).await?;
        executor.session.execute("ROLLBACK", doing).await?;
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
pub(super) fn rules_of(resolution: &Resolution, profile: Option<&Profile>) -> Rules {
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

fn report_bytes(counter: &BytesRead, size: Option<u64>, progress: &dyn crate::progress::Progress) {
    progress.archive_bytes(counter.get(), size);
}
