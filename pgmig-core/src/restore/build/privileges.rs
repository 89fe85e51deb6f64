//! The pass that comes after the rows and before the grants.

use super::Build;
use crate::error::Result;
use crate::restore::executor::Executor;
use crate::restore::plan::RunAs;

impl Build {
    /// The last pass. Filling a materialized view reads tables as its owner, which FORCE ROW LEVEL SECURITY
    /// would forbid; it is lifted for that and set back in the same transaction.
    pub(super) async fn last(&self, executor: &mut Executor) -> Result<()> {
        let forced = self.forced_tables(executor).await?;
        if forced.is_empty() {
            for task in &self.known.plan.last {
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
        for task in &self.known.plan.last {
            executor.run(task).await?;
        }
        executor.become_role(&RunAs::Owner).await?;
        executor.session.execute(&alter("FORCE"), doing).await?;
        executor.session.commit(doing).await?;
        Ok(())
    }

    pub(super) async fn forced_tables(&self, executor: &mut Executor) -> Result<Vec<String>> {
        // With the schema, whatever search_path is.
        let sql = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c \
                   JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                   WHERE c.relforcerowsecurity AND pg_catalog.pg_get_userbyid(c.relowner) = current_user";
        executor.become_role(&RunAs::Owner).await?;
        let rows = executor.session.rows(sql, "list the tables with FORCE ROW LEVEL SECURITY").await?;
        Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
    }
}
