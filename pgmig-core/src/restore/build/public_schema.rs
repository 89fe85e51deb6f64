//! Schema public, while definitions are made in it.

use super::Build;
use crate::error::Result;
use crate::restore::executor::Executor;
use crate::restore::record::Unit;
use crate::sql::{quote_ident, quote_literal};

impl Build {
    /// Lets `username` create objects in schema public, where it may not: from PostgreSQL 15 on only the
    /// database's owner may, and an archive may take the right away. Returns whether that took a grant, which
    /// [`Build::close_public`] takes back.
    ///
    /// `when` names the call in the record: a run that goes on must know whether the grant is there.
    pub(super) async fn open_public(&self, executor: &mut Executor, when: &str) -> Result<bool> {
        if self.known.facts.owner_owns_public || !self.known.facts.is_superuser {
            return Ok(false);
        }
        let unit = Unit::StepOf("open public", when);
        if let Some(was_closed) = executor.record.body(unit) {
            return Ok(was_closed == "closed");
        }
        let doing = "let username create objects in schema public";
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'public' \
             AND NOT pg_catalog.has_schema_privilege({}, oid, 'CREATE'))",
            quote_literal(self.config.username())
        );
        let record = executor.record.clone();
        let session = executor.superusers().await?;
        let is_closed = session.holds(&sql, doing).await?;
        let grant = match is_closed {
            true => format!("GRANT CREATE ON SCHEMA public TO {}", quote_ident(self.config.username())),
            false => String::new(),
        };
        let sql = record.noted(&grant, unit, if is_closed { "closed" } else { "open" });
        if !sql.is_empty() {
            session.execute(&sql, doing).await?;
        }
        Ok(is_closed)
    }

    /// Takes back what [`Build::open_public`] granted.
    pub(super) async fn close_public(
        &self,
        executor: &mut Executor,
        was_granted: bool,
        when: &str,
    ) -> Result<()> {
        let unit = Unit::StepOf("close public", when);
        if was_granted && !executor.record.has(unit) {
            let sql = format!("REVOKE CREATE ON SCHEMA public FROM {}", quote_ident(self.config.username()));
            let sql = executor.record.noted(&sql, unit, "");
            executor.superusers().await?.execute(&sql, "close schema public again").await?;
        }
        Ok(())
    }
}
