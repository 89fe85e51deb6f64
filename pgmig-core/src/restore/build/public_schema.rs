//! Schema public, while definitions are made in it.

use super::Build;
use crate::error::Result;
use crate::restore::executor::Executor;
use crate::sql::{quote_ident, quote_literal};

impl Build {
    /// Lets `username` create objects in schema public, where it may not: from PostgreSQL 15 on only the
    /// database's owner may, and an archive may take the right away. Returns whether that took a grant, which
    /// [`Build::close_public`] takes back.
    pub(super) async fn open_public(&self, executor: &mut Executor) -> Result<bool> {
        if self.known.facts.owner_owns_public || !self.known.facts.is_superuser {
            return Ok(false);
        }
        let doing = "let username create objects in schema public";
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'public' \
             AND NOT pg_catalog.has_schema_privilege({}, oid, 'CREATE'))",
            quote_literal(self.config.username())
        );
        let session = executor.superusers().await?;
        let is_closed = session.holds(&sql, doing).await?;
        if is_closed {
            let owner = quote_ident(self.config.username());
            session.execute(&format!("GRANT CREATE ON SCHEMA public TO {owner}"), doing).await?;
        }
        Ok(is_closed)
    }

    /// Takes back what [`Build::open_public`] granted.
    pub(super) async fn close_public(&self, executor: &mut Executor, was_granted: bool) -> Result<()> {
        if was_granted {
            let sql = format!("REVOKE CREATE ON SCHEMA public FROM {}", quote_ident(self.config.username()));
            executor.superusers().await?.execute(&sql, "close schema public again").await?;
        }
        Ok(())
    }
}
