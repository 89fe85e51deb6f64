//! Deferred constraints in a transaction that continues after each migration.
//!
//! Every UPDATE of a row that the same transaction has inserted queues its deferred checks again, whether the key has
//! changed or not. A table with pending checks cannot be altered. So in such a transaction constraints are checked at
//! once, unless a migration turns out to need deferred ones.

use crate::server::TargetError;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

/// Runs the pending checks, as a commit would. From now on all constraints are checked at once, until [`defer`].
pub(super) async fn set_immediate(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("SET CONSTRAINTS ALL IMMEDIATE").execute(connection).await.map(drop)
}

/// Defers the constraints that are initially deferred in a new transaction. Returns false if there are none.
pub(super) async fn defer(connection: &mut PgConnection) -> Result<bool, TargetError> {
    let doing = "defer constraints";
    // SET CONSTRAINTS applies to all constraints of a name, and fails if one of them cannot be deferred.
    let deferred: Option<String> = sqlx::query_scalar(
        "SELECT pg_catalog.string_agg(name, ', ') FROM (
             SELECT pg_catalog.format('%I.%I', n.nspname, k.conname) AS name
             FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace
             WHERE k.conrelid <> 0 AND n.nspname !~ '^pg_temp'
             GROUP BY n.nspname, k.conname
             HAVING pg_catalog.bool_or(k.condeferred) AND pg_catalog.bool_and(k.condeferrable)) AS names",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(TargetError::doing(doing))?;
    let Some(names) = deferred else { return Ok(false) };
    // The server has quoted the names.
    let sql = AssertSqlSafe(format!("SET CONSTRAINTS {names} DEFERRED"));
    sqlx::raw_sql(sql).execute(connection).await.map_err(TargetError::doing(doing))?;
    Ok(true)
}

/// Like [`set_immediate`], after the rows of a restore.
///
/// # Errors
///
/// The server refuses a row. The error has no message text, since that can contain values.
pub(crate) async fn settle_constraints(connection: &mut PgConnection) -> Result<(), TargetError> {
    let checked = set_immediate(connection).await.map_err(TargetError::doing("check deferred constraints"));
    checked.map_err(TargetError::without_message)
}
