//! Lifts FORCE ROW LEVEL SECURITY while a migration runs, since it hides rows from the owner of their table.

use crate::server::TargetError;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

/// Tables whose FORCE ROW LEVEL SECURITY was lifted. They are stored by OID, since a migration may rename them.
#[derive(Debug)]
#[must_use = "the tables' rows are open to their owner until set_back()"]
pub(super) struct Lifted(Vec<i64>);

impl Lifted {
    /// Lifts it from every table that the current role owns.
    pub(super) async fn lift(connection: &mut PgConnection) -> Result<Self, TargetError> {
        let tables: Vec<(i64, String)> = sqlx::query_as(
            "SELECT c.oid::bigint, pg_catalog.format('ALTER TABLE %I.%I NO FORCE ROW LEVEL SECURITY', n.nspname, c.relname)
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relforcerowsecurity AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
             ORDER BY c.oid",
        )
        .fetch_all(&mut *connection)
        .await
        .map_err(TargetError::doing("list the tables with FORCE ROW LEVEL SECURITY"))?;
        let (oids, statements): (Vec<_>, Vec<_>) = tables.into_iter().unzip();
        execute_all(connection, statements, "lift FORCE ROW LEVEL SECURITY").await?;
        Ok(Self(oids))
    }

    /// Sets it again on those tables that still exist.
    pub(super) async fn set_back(self, connection: &mut PgConnection) -> Result<(), TargetError> {
        let statements: Vec<String> = sqlx::query_scalar(
            "SELECT pg_catalog.format('ALTER TABLE %I.%I FORCE ROW LEVEL SECURITY', n.nspname, c.relname)
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE c.oid::bigint = ANY ($1) AND NOT c.relforcerowsecurity
             ORDER BY c.oid",
        )
        .bind(self.0)
        .fetch_all(&mut *connection)
        .await
        .map_err(TargetError::doing("list the tables with FORCE ROW LEVEL SECURITY"))?;
        execute_all(connection, statements, "set FORCE ROW LEVEL SECURITY back").await
    }
}

async fn execute_all(
    connection: &mut PgConnection,
    statements: Vec<String>,
    doing: &str,
) -> Result<(), TargetError> {
    for statement in statements {
        // The server has quoted the names.
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await
            .map_err(TargetError::doing(doing))?;
    }
    Ok(())
}

/// Whether a migration removes FORCE itself. Setting it again would undo that, so pgmig leaves it alone then.
pub(super) fn is_handled_by(sql: &str) -> bool {
    let words: Vec<String> = sql.split_whitespace().map(str::to_ascii_uppercase).collect();
    words
        .windows(3)
        .any(|words| matches!(words, [no, force, row] if no == "NO" && force == "FORCE" && row == "ROW"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_that_takes_force_away_is_recognised() {
        assert!(is_handled_by("ALTER TABLE t\n  no force\trow LEVEL security;"));
        assert!(!is_handled_by("ALTER TABLE t FORCE ROW LEVEL SECURITY;"));
    }
}
