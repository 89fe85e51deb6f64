//! Builds the staging database from a copy of the target.

use crate::archive::Archive;
use crate::error::Result;
use crate::migrations::newest_finished;
use crate::profile::Profile;
use crate::progress::Step;
use crate::restore::build::Build;
use crate::restore::build::empty;
use crate::restore::build::lifted::Lifted;
use crate::restore::catalogs::schema;
use crate::restore::error::RestoreError;
use crate::restore::executor::Executor;
use crate::restore::journal::Journal;
use crate::restore::load::crew::Loaded;
use crate::restore::load::sessions::Workers;
use crate::restore::target_schema::find::TargetSchema;
use crate::restore::target_schema::{own, sequences};
use crate::server::session::Session;
use crate::sql::{QualifiedName, StandardStrings, quote_literal};

impl Build {
    /// Empties the copy of the target and loads the archive's rows into it. When this returns, all is in the staging
    /// database and no session of ours is.
    pub(crate) async fn run_in_target_schema(
        mut self,
        archive: Archive,
        schema: TargetSchema,
        journal: &mut Journal,
    ) -> Result<()> {
        let strings =
            if archive.standard_conforming_strings() { StandardStrings::On } else { StandardStrings::Off };
        let setup = self.setup(&archive, strings);
        let mut workers = Workers::open(&setup).await?;

        journal.step(Step::PreData);
        let executor = &mut workers.lead;
        executor.become_role(self.strongest()).await?;
        let lifted = Lifted::lift(&mut executor.session, self.facts.is_superuser, &schema).await?;
        self.empty(executor, &schema).await?;
        // Sequences have the archive's values before the rows come: triggers that fire for these may take more.
        let values = std::mem::take(&mut self.plan.data_last);
        for task in self.plan.pre_data.iter().chain(&self.plan.data_first).chain(&values) {
            executor.run(task).await?;
        }
        self.failpoints.pass(Step::PreData)?;
        self.more_workers(&mut workers, &setup, journal).await?;

        journal.step(Step::Data);
        let set_search_path = format!("SET search_path = {}", schema.search_path);
        let time_zone = quote_literal(&schema.time_zone);
        for executor in workers.all() {
            let sql = format!("{set_search_path}; SET TimeZone = {time_zone}");
            executor.session.execute(&sql, "set up the session").await?;
        }
        let loaded = self.rows_and_post_data(archive, &mut workers, journal, &setup).await?;

        journal.step(Step::PostData);
        let executor = &mut workers.lead;
        executor.become_role(self.strongest()).await?;
        executor.session.execute("SET search_path = ''", "set search_path").await?;
        sequences::advance(&mut executor.session).await?;
        self.failpoints.pass(Step::PostData)?;
        lifted.set_back(&mut executor.session).await?;
        // As the target's functions find their tables, and without the row level security of whose rows they are.
        executor.session.execute(&set_search_path, "set search_path").await?;
        empty::refresh_materialized_views(&mut executor.session).await?;
        executor.session.execute("SET search_path = ''", "set search_path").await?;
        journal.step(Step::Privileges);
        for task in &self.plan.privileges {
            executor.run(task).await?;
        }
        executor.become_role(self.strongest()).await?;
        lifted.finish(&mut executor.session).await?;
        self.failpoints.pass(Step::Privileges)?;
        self.finish_in_target_schema(executor, journal, &schema, loaded).await?;
        workers.close().await;
        Ok(())
    }

    async fn finish_in_target_schema(
        &mut self,
        executor: &mut Executor,
        journal: &mut Journal,
        schema: &TargetSchema,
        loaded: Loaded,
    ) -> Result<()> {
        journal.step(Step::Verify);
        self.compare_with_target(executor).await?;
        journal.report.differences.clone_from(&schema.differences);
        if let Some(profile) = &self.profile {
            let version = newest_finished(executor.session.conn(), profile).await?;
            journal.report.target_version = version.map(|version| profile.releases().schema_version(version));
        }
        // Instances are where the target has them; where these are the target's own, there is nothing to compare.
        self.profile = self.profile.take().map(Profile::in_target);
        let tenant = self.profile.as_ref().and_then(Profile::tenant);
        let is_tenant = |table: &QualifiedName| {
            let schema = table.schema.as_deref().unwrap_or_default();
            tenant.is_some_and(|tenant| tenant.is(schema, &table.name))
        };
        if schema.kept.iter().any(is_tenant) {
            self.profile = None;
        }
        self.verify(executor, journal, &loaded).await?;
        journal.report.tables = loaded.tables;
        self.failpoints.pass(Step::Verify)?;

        journal.step(Step::Analyze);
        executor.become_role(self.strongest()).await?;
        executor.session.execute("ANALYZE", "gather statistics (ANALYZE)").await?;
        self.failpoints.pass(Step::Analyze)?;
        Ok(())
    }

    async fn empty(&self, executor: &mut Executor, schema: &TargetSchema) -> Result<()> {
        let mut tables = own::tables(&mut executor.session, self.config.username()).await?;
        tables.retain(|name, _| !schema.keeps(name));
        empty::empty(&mut executor.session, &tables).await
    }

    /// What is built must be the target's schema to the last constraint and trigger.
    async fn compare_with_target(&self, executor: &mut Executor) -> Result<()> {
        executor.become_role(self.strongest()).await?;
        let mut target = Session::open(&self.config, &self.target, &self.application).await?;
        let differences = schema::differences(&mut executor.session, &mut target).await;
        target.close().await;
        let faults: Vec<String> = differences?.iter().map(|difference| difference.to_string()).collect();
        if faults.is_empty() { Ok(()) } else { Err(RestoreError::SchemaChanged(faults).into()) }
    }
}
