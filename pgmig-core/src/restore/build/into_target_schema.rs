//! Builds the staging database from a copy of the target.

use crate::error::Result;
use crate::migrations::newest_finished;
use crate::profile::Profile;
use crate::progress::{NoticeCode, Step};
use crate::restore::build::large_object_defaults::LargeObjectDefaults;
use crate::restore::build::lifted::Lifted;
use crate::restore::build::{Build, Prepared};
use crate::restore::build::{empty, sequences};
use crate::restore::catalogs::schema;
use crate::restore::error::RestoreError;
use crate::restore::executor::Executor;
use crate::restore::journal::Journal;
use crate::restore::target_schema::find::TargetSchema;
use crate::restore::target_schema::own;
use crate::server::session::Session;
use crate::sql::{QualifiedName, quote_literal};

impl Build {
    /// Takes out of the way of the rows what would hinder them, and empties the copy of the target.
    pub(super) async fn prepare_target_schema(
        &mut self,
        schema: TargetSchema,
        executor: &mut Executor,
    ) -> Result<Prepared> {
        let is_superuser = self.known.facts.login_is_superuser;
        let mut lifted = Lifted::lift(executor, self.strongest(), is_superuser, &schema).await?;
        for (number, merged) in schema.merged.iter().enumerate() {
            executor.session.execute(&merged.set_aside(number), "set rows of the target aside").await?;
        }
        self.empty(executor, &schema).await?;
        let username = self.config.username();
        let defaults = LargeObjectDefaults::set_aside(executor, self.strongest(), username).await?;
        lifted.release(&mut executor.session).await?;
        // Sequences have the archive's values before the rows come: triggers that fire for these may take more.
        let values = std::mem::take(&mut self.known.plan.data_last);
        for task in self.known.plan.pre_data.iter().chain(&self.known.plan.data_first).chain(&values) {
            executor.run(task).await?;
        }
        self.failpoints.pass(Step::PreData)?;
        Ok(Prepared::TargetSchema { schema: Box::new(schema), lifted, defaults })
    }

    /// Everything between the rows and the verification, where the schema is the target's.
    pub(super) async fn finish_target_schema(
        &self,
        schema: &TargetSchema,
        (lifted, defaults): (Lifted, LargeObjectDefaults),
        executor: &mut Executor,
        journal: &mut Journal,
    ) -> Result<()> {
        journal.step(Step::PostData);
        executor.become_role(self.strongest()).await?;
        // The target's triggers and defaults may act on these rows, too.
        for (number, merged) in schema.merged.iter().enumerate() {
            let rows =
                executor.session.execute(&merged.put_back(number), "put rows of the target back").await?;
            let table = &merged.table;
            journal.notice(
                NoticeCode::RowsKept,
                format!("table {table} keeps {rows} rows of the target that the backup does not have"),
            );
            let drop = format!("DROP TABLE pg_temp.pgmig_rows_{number}");
            executor.session.execute(&drop, "drop a temporary table").await?;
        }
        executor.session.execute("SET search_path = ''", "set search_path").await?;
        sequences::advance(&mut executor.session).await?;
        self.failpoints.pass(Step::PostData)?;
        lifted.set_back(&mut executor.session).await?;
        // As the target's functions find their tables, and without the row level security of the rows' owner.
        executor.session.execute(&schema.set_search_path(), "set search_path").await?;
        empty::refresh_materialized_views(&mut executor.session).await?;
        executor.session.execute("SET search_path = ''", "set search_path").await?;
        journal.step(Step::Privileges);
        defaults.put_back(executor, self.strongest()).await?;
        for task in &self.known.plan.privileges {
            executor.run(task).await?;
        }
        lifted.finish(executor, self.strongest()).await?;
        self.failpoints.pass(Step::Privileges)?;
        Ok(())
    }

    /// Compares the filled schema with the target's, and decides how its instances are verified.
    pub(super) async fn verify_target_schema(
        &mut self,
        schema: &TargetSchema,
        executor: &mut Executor,
        journal: &mut Journal,
    ) -> Result<()> {
        self.compare_with_target(executor).await?;
        journal.report.differences.clone_from(&schema.differences);
        if let Some(profile) = &self.known.profile {
            let version = newest_finished(executor.session.conn(), profile).await?;
            journal.report.target_version = version.map(|version| profile.releases().schema_version(version));
        }
        // Instances are where the target has them; where these are the target's own, there is nothing to compare.
        self.known.profile = self.known.profile.take().map(Profile::in_target);
        let tenant = self.known.profile.as_ref().and_then(Profile::tenant);
        let is_tenant = |table: &QualifiedName| {
            let schema = table.schema.as_deref().unwrap_or_default();
            tenant.is_some_and(|tenant| tenant.is(schema, &table.name))
        };
        if schema.kept.iter().any(is_tenant) {
            self.known.profile = None;
        }
        Ok(())
    }

    async fn empty(&self, executor: &mut Executor, schema: &TargetSchema) -> Result<()> {
        let mut tables = own::tables(&mut executor.session, self.config.username()).await?;
        tables.retain(|name, _| !schema.keeps(name));
        empty::empty(&mut executor.session, &tables).await
    }

    /// The built database must have the target's schema, down to the last constraint and trigger.
    async fn compare_with_target(&self, executor: &mut Executor) -> Result<()> {
        executor.become_role(self.strongest()).await?;
        let mut target = Session::open(&self.config, &self.target, &self.application).await?;
        let differences = schema::differences(&mut executor.session, &mut target).await;
        target.close().await;
        let faults: Vec<String> = differences?.iter().map(|difference| difference.to_string()).collect();
        if faults.is_empty() { Ok(()) } else { Err(RestoreError::SchemaChanged(faults).into()) }
    }
}

/// Gives sessions the search path and the time zone that the target's own code expects.
pub(super) async fn set_up(executors: Vec<&mut Executor>, schema: &TargetSchema) -> Result<()> {
    let time_zone = quote_literal(&schema.time_zone);
    for executor in executors {
        let sql = format!("{}; SET TimeZone = {time_zone}", schema.set_search_path());
        executor.session.execute(&sql, "set up the session").await?;
    }
    Ok(())
}
