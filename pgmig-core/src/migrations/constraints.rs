//! Deferred constraints within a transaction that goes on after each step.
//!
//! Rows that the same transaction has inserted are checked again by every UPDATE, whether the key has changed or not,
//! and a table with checks that wait cannot be altered. So in such a transaction they do not wait, unless a migration
//! turns out to need that.

use crate::server::TargetError;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

/// Checks what waits for the commit, as a commit would. From now on nothing waits, until [`defer`].
pub(super) async fn set_immediate(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("SET CONSTRAINTS ALL IMMEDIATE").execute(connection).await.map(drop)
}

/// Lets those constraints wait that do so in a new transaction. False if there are none.
pub(super) async fn defer(connection: &mut PgConnection) -> Result<bool, TargetError> {
    let doing = "defer constraints";
    // SET CONSTRAINTS means all constraints of a name, and is refused if one of them cannot be deferred.
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
    // The server itself has quoted the names.
    let sql = AssertSqlSafe(format!("SET CONSTRAINTS {names} DEFERRED"));
    sqlx::raw_sql(sql).execute(connection).await.map_err(TargetError::doing(doing))?;
    Ok(true)
}

/// [`set_immediate`] after the rows of a restore.
///
/// # Errors
///
/// The server refuses a row; its message is cut, as it can hold values.
pub(crate) async fn settle_constraints(connection: &mut PgConnection) -> Result<(), TargetError> {
    let checked = set_immediate(connection).await.map_err(TargetError::doing("check deferred constraints"));
    checked.map_err(TargetError::without_message)
}
