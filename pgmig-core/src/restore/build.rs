//! Builds the staging database: everything between its creation and the swap.

use super::error::{Refusal, RestoreError};
use super::execute::Executor;
use super::failpoint::Failpoints;
use super::journal::Journal;
use super::load::{Loaded, Loader};
use super::options::Instances;
use super::plan::{Facts, Plan, RowForm, RunAs, TableLoad, Task};
use super::preflight::{self, LateInstances, Upgrade};
use super::report::{MappedInstance, MigrationReport};
use super::step::Step;
use super::stream::{self, Discovery, Reading, Resolve, Rewriting, Root};
use super::{compare, discover, tables, verify};
use crate::archive::{Archive, BytesRead, DumpId};
use crate::error::Result;
use crate::instance::{Instance, InstanceId, Mapping, Resolution};
use crate::profile::{ColumnRef, Profile};
use crate::rewrite::{ColumnKind, ColumnRule, ColumnSelector, LeftoverCounter, Rules};
use crate::schema::{self, History, MigrationSet, UpgradePlan};
use crate::sql::{QualifiedName, StandardStrings, quote_ident};
use crate::target::TargetConfig;
use crate::target::contents::{Extras, create_extension};
use crate::target::session::Session;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

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

/// What the thread that reads a stream found out about its instances.
type LateResolution = Arc<Mutex<Option<Resolution>>>;

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
        self.open_public(&mut executor, true).await?;

        journal.step(Step::PreData);
        self.tasks(&mut executor, journal, &self.plan.pre_data, Step::PreData).await?;
        for task in &self.plan.data_first {
            executor.run(task).await?;
        }
        journal.step(Step::Data);
        let late = LateResolution::default();
        let loaded = self.load(archive, &mut executor, journal, strings, rules, &late).await?;
        self.note_late(&mut executor, &late, &loaded).await?;
        for task in &self.plan.data_last {
            executor.run(task).await?;
        }
        journal.step(Step::PostData);
        self.tasks(&mut executor, journal, &self.plan.post_data, Step::PostData).await?;
        self.open_public(&mut executor, false).await?;
        journal.step(Step::Privileges);
        self.tasks(&mut executor, journal, &self.plan.privileges, Step::Privileges).await?;
        self.last(&mut executor).await?;
        self.extras(&mut executor, journal).await?;
        journal.report.ddl_replacements = executor.replaced;

        executor.become_role(&RunAs::Superuser).await?;
        verify::objects(&mut executor.session, &self.plan.expected).await?;
        self.upgrade(&mut executor, journal).await?;

        journal.step(Step::Verify);
        self.verify(&mut executor, journal, &loaded).await?;
        journal.report.tables = loaded.tables;
        self.failpoints.pass(Step::Verify)?;

        journal.step(Step::Analyze);
        // Who is no superuser may analyze only what is its own, and that is `username`'s.
        let run_as = if self.facts.is_superuser { RunAs::Superuser } else { RunAs::Owner };
        executor.become_role(&run_as).await?;
        executor.session.execute("ANALYZE", "gather statistics (ANALYZE)").await?;
        self.failpoints.pass(Step::Analyze)?;
        executor.session.close().await;
        Ok(())
    }

    fn rules(&self) -> Option<Arc<Rules>> {
        let resolution = self.resolution.as_ref().filter(|_| !matches!(self.instances, Instances::Keep))?;
        Some(Arc::new(rules_of(resolution, self.profile.as_ref())))
    }

    /// From PostgreSQL 15 on only the database's owner may create objects in schema public. Where `username` is
    /// somebody else, it gets the right for the time of the restore; the archive's own grants come after.
    async fn open_public(&self, executor: &mut Executor, open: bool) -> Result<()> {
        if self.facts.owner_owns_public || self.facts.server_version < 150_000 || !self.facts.is_superuser {
            return Ok(());
        }
        executor.become_role(&RunAs::Superuser).await?;
        let owner = quote_ident(self.config.username());
        let sql = if open {
            format!("GRANT CREATE ON SCHEMA public TO {owner}")
        } else {
            format!("REVOKE CREATE ON SCHEMA public FROM {owner}")
        };
        executor.session.execute(&sql, "let username create objects in schema public").await?;
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
            let columns = self.column_rules(&archive, executor, &rules).await?;
            roots = tables::partition_roots(&mut executor.session).await?;
            let insert_roots = self.insert_roots(&archive, &roots);
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
        let mut loader = Loader {
            executor,
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
        archive: &Archive,
        roots: &HashMap<QualifiedName, QualifiedName>,
    ) -> HashMap<DumpId, Root> {
        let inserts = self.plan.tables.iter().filter(|load| matches!(load.form, RowForm::Inserts { .. }));
        let root = |load: &TableLoad| {
            let table = roots.get(&load.table)?.clone();
            let columns = discover::columns(archive, archive.entry(load.dump_id)?);
            Some((load.dump_id, Root { table, columns }))
        };
        inserts.filter_map(root).collect()
    }

    /// The rule of each column of each table, by the types that the columns have in the staging database.
    async fn column_rules(
        &self,
        archive: &Archive,
        executor: &mut Executor,
        rules: &Rules,
    ) -> Result<HashMap<DumpId, Vec<ColumnRule>>> {
        let json = tables::json_columns(&mut executor.session).await?;
        let mut all = HashMap::new();
        for load in &self.plan.tables {
            let Some(entry) = archive.entry(load.dump_id) else { continue };
            let schema = load.table.schema.clone().unwrap_or_default();
            let rule = |column: String| {
                let is_json = json.contains(&(schema.clone(), load.table.name.clone(), column.clone()));
                let kind = if is_json { ColumnKind::Json } else { ColumnKind::Other };
                rules.column_rule(&load.table, &column, kind)
            };
            all.insert(load.dump_id, discover::columns(archive, entry).into_iter().map(rule).collect());
        }
        Ok(all)
    }
}

impl Build {
    /// Takes over what the reading of a stream found out, and makes sure that nothing of it came too late.
    async fn note_late(
        &mut self,
        executor: &mut Executor,
        late: &LateResolution,
        loaded: &Loaded,
    ) -> Result<()> {
        let Some(resolution) = late.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Ok(());
        };
        let Instances::Map(mapping) = &self.instances else { return Ok(()) };
        let known: BTreeSet<InstanceId> = mapping.pairs().iter().map(|(source, _)| *source).collect();
        let new: Vec<_> =
            resolution.pairs.iter().filter(|(source, _)| !known.contains(source)).copied().collect();
        executor.rules = Some(Arc::new(rules_of(&resolution, self.profile.as_ref())));
        if !new.is_empty() {
            executor.become_role(&RunAs::Superuser).await?;
            self.refuse_late_aliases(executor, &new, loaded).await?;
        }
        self.resolution = Some(resolution);
        Ok(())
    }

    /// Tables that were loaded before the table of instances must not refer to aliases that only it tells.
    async fn refuse_late_aliases(
        &self,
        executor: &mut Executor,
        new: &[(InstanceId, InstanceId)],
        loaded: &Loaded,
    ) -> Result<()> {
        let rules = Rules::new(new.iter().copied());
        let tenant = self.profile.as_ref().map(Profile::tenant);
        let roots = tables::partition_roots(&mut executor.session).await?;
        for report in &loaded.tables {
            let is_load = |load: &&TableLoad| load.table.to_string() == report.table;
            let Some(load) = self.plan.tables.iter().find(is_load) else { continue };
            let schema = load.table.schema.as_deref().unwrap_or_default();
            if tenant.is_some_and(|tenant| tenant.is(schema, &load.table.name)) {
                break;
            }
            let mut counter = LeftoverCounter::new(&rules, Vec::new());
            let mut count = |rows: &[u8]| counter.count(rows);
            // Rows of a partition may have gone to another one of its tree.
            let table = roots.get(&load.table).unwrap_or(&load.table);
            let found = tables::count_in_table(&mut executor.session, table, &mut count).await?;
            if let (true, Some((alias, _))) = (found > 0, new.first()) {
                let place = report.table.clone();
                return Err(Refusal::LateAlias { alias: alias.to_string(), place }.into());
            }
        }
        Ok(())
    }

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
        let sql = "SELECT c.oid::pg_catalog.regclass FROM pg_catalog.pg_class c \
                   WHERE c.relforcerowsecurity AND pg_catalog.pg_get_userbyid(c.relowner) = current_user";
        executor.become_role(&RunAs::Owner).await?;
        let rows = executor.session.rows(sql, "list the tables with FORCE ROW LEVEL SECURITY").await?;
        Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
    }

    /// What the target has and the archive lacks: extensions are made again, the rest is a warning.
    async fn extras(&self, executor: &mut Executor, journal: &mut Journal) -> Result<()> {
        executor.become_role(&RunAs::Superuser).await?;
        let sql = "SELECT extname FROM pg_catalog.pg_extension";
        let rows = executor.session.rows(sql, "list the restored extensions").await?;
        let present: BTreeSet<&str> = rows.iter().map(|row| row.text(0)).collect();
        for (name, schema) in
            self.extras.extensions.iter().filter(|(name, _)| !present.contains(name.as_str()))
        {
            let everyone =
                self.facts.fresh.available.get(name).is_some_and(|extension| extension.for_everyone);
            executor.become_role(if everyone { &RunAs::Owner } else { &RunAs::Superuser }).await?;
            let made = executor.session.execute(&create_extension(name, schema), "create an extension").await;
            match made {
                Ok(_) => journal.notice(format!(
                    "extension {}, which the target has and the archive lacks, was created again",
                    quote_ident(name)
                )),
                Err(error) => journal.warn(format!(
                    "the target has the extension {}, which the archive lacks: {error}",
                    quote_ident(name)
                )),
            }
        }
        self.warn_of_lost(executor, journal).await
    }

    async fn warn_of_lost(&self, executor: &mut Executor, journal: &mut Journal) -> Result<()> {
        executor.become_role(&RunAs::Superuser).await?;
        let sql = "SELECT pubname FROM pg_catalog.pg_publication";
        let rows = executor.session.rows(sql, "list the restored publications").await?;
        let present: BTreeSet<&str> = rows.iter().map(|row| row.text(0)).collect();
        let lost: Vec<&str> = self
            .extras
            .publications
            .iter()
            .map(String::as_str)
            .filter(|name| !present.contains(name))
            .collect();
        if !lost.is_empty() {
            journal.warn(format!("the target has publications that the archive lacks: {}", lost.join(", ")));
        }
        let others = &self.extras.of_others;
        if !others.is_empty() {
            let some: Vec<&str> = others.iter().take(10).map(String::as_str).collect();
            let more = if others.len() > some.len() { ", ..." } else { "" };
            journal.warn(format!(
                "the target has {} relations that do not belong to {}, and they are replaced too: {}{more}",
                others.len(),
                quote_ident(self.config.username()),
                some.join(", ")
            ));
        }
        Ok(())
    }

    async fn upgrade(&mut self, executor: &mut Executor, journal: &mut Journal) -> Result<()> {
        journal.step(Step::Upgrade);
        let Some(profile) = self.profile.clone() else { return Ok(self.failpoints.pass(Step::Upgrade)?) };
        let upgrade = std::mem::replace(&mut self.upgrade, Upgrade::NotAStore);
        let upgrade = match upgrade {
            Upgrade::Later { goal } => {
                executor.become_role(&RunAs::Owner).await?;
                let history = History::read(executor.session.conn(), &profile).await?;
                preflight::upgrade(history, goal, &profile, self.migrations.as_ref())?
            }
            known => known,
        };
        match upgrade {
            Upgrade::Planned { plan } => self.migrate(&profile, &plan, journal).await,
            Upgrade::AsItIs { history } => {
                self.failpoints.pass(Step::Upgrade)?;
                self.take_as_it_is(executor, journal, history).await
            }
            Upgrade::NotAStore | Upgrade::Later { .. } => Ok(self.failpoints.pass(Step::Upgrade)?),
        }
    }

    /// Applies the migrations, on a connection of their own, as `username`.
    async fn migrate(&self, profile: &Profile, plan: &UpgradePlan, journal: &mut Journal) -> Result<()> {
        let describe = |version: i64| profile.releases().describe(version);
        journal.report.source_release = plan.from().map(describe);
        journal.report.target_release = Some(describe(plan.to()));
        let mut session = Session::open(&self.config, &self.database, &self.application).await?;
        session
            .execute("SET synchronous_commit = off; SET check_function_bodies = on", "set up the session")
            .await?;
        session.become_role(Some(self.config.username())).await?;
        let mut upgrade =
            schema::Upgrade::begin(session.conn(), profile, plan, preflight::split_migration).await?;
        while let Some(done) = upgrade.next().await? {
            journal.progress.migrated(done.version, &done.description, done.took);
            let (version, description, took) = (done.version, done.description, done.took);
            journal.report.migrations.push(MigrationReport { version, description, took });
            self.failpoints.pass(Step::Upgrade)?;
        }
        upgrade.finish().await?;
        session.close().await;
        if plan.is_empty() {
            self.failpoints.pass(Step::Upgrade)?;
        }
        Ok(())
    }

    /// A store whose history is unknown replaces an empty target, or one that looks the same.
    async fn take_as_it_is(
        &self,
        executor: &mut Executor,
        journal: &mut Journal,
        history: String,
    ) -> Result<()> {
        if !self.target_is_empty {
            let mut target = Session::open(&self.config, &self.target, &self.application).await?;
            executor.become_role(&RunAs::Superuser).await?;
            let differences = compare::differences(&mut executor.session, &mut target).await;
            target.close().await;
            let differences = differences?;
            if !differences.is_empty() {
                return Err(Refusal::UnknownHistory { history, differences }.into());
            }
        }
        journal.notice(format!(
            "the archive's schema history is unknown{history}: its schema was restored as it is, without an upgrade"
        ));
        Ok(())
    }

    async fn verify(&self, executor: &mut Executor, journal: &mut Journal, loaded: &Loaded) -> Result<()> {
        executor.become_role(&RunAs::Owner).await?;
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

    /// Reads the table of instances as its owner, whom FORCE ROW LEVEL SECURITY would hide rows from: it is
    /// lifted in a transaction that is rolled back.
    async fn instances_in_staging(
        &self,
        executor: &mut Executor,
        profile: &Profile,
    ) -> Result<Vec<Instance>> {
        let doing = "read the restored instances";
        let forced = self.forced_tables(executor).await?;
        executor.session.execute("BEGIN", doing).await?;
        for table in &forced {
            let lift = format!("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY");
            executor.session.execute(&lift, doing).await?;
        }
        let found = preflight::instances_of(&mut executor.session, profile).await?;
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
fn rules_of(resolution: &Resolution, profile: Option<&Profile>) -> Rules {
    let rules = Rules::from_resolution(resolution);
    match profile {
        Some(profile) => {
            let excluded = profile.excluded_columns().iter().cloned().map(selector);
            rules.with_excluded(excluded).with_alias_columns(profile.alias_columns().map(selector))
        }
        None => rules,
    }
}

fn selector(column: ColumnRef) -> ColumnSelector {
    ColumnSelector { schema: column.schema, table: column.table, column: column.column }
}

/// Resolves the instances of a stream on the reading thread, and leaves the result where the build finds it.
fn resolve_late(instances: &Instances, profile: Option<Profile>, late: LateResolution) -> Resolve {
    let mapping = match instances {
        Instances::Map(mapping) => mapping.clone(),
        Instances::Keep => Mapping::default(),
    };
    Box::new(move |instances| {
        let resolution = preflight::resolve(&mapping, &instances, profile.as_ref(), &mut Vec::new())?;
        let rules = Arc::new(rules_of(&resolution, profile.as_ref()));
        *late.lock().unwrap_or_else(PoisonError::into_inner) = Some(resolution);
        Ok(rules)
    })
}

fn report_bytes(counter: &BytesRead, size: Option<u64>, progress: &dyn crate::progress::Progress) {
    progress.archive_bytes(counter.get(), size);
}
