//! Deferred constraints within a transaction that goes on: checked now, and deferred again.

use crate::target::TargetError;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

const DOING: &str = "check deferred constraints";

/// Checks what waits for the commit, as a commit would, and leaves constraints as a new transaction finds them: those
/// that are initially deferred wait again, as the next migration may need it.
pub(super) async fn settle(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("SET CONSTRAINTS ALL IMMEDIATE").execute(&mut *connection).await?;
    // SET CONSTRAINTS names all constraints of a name, and is refused if one of them cannot be deferred.
    let deferred: Option<String> = sqlx::query_scalar(
        "SELECT pg_catalog.string_agg(name, ', ') FROM (
             SELECT pg_catalog.format('%I.%I', n.nspname, k.conname) AS name
             FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace
             WHERE k.conrelid <> 0
             GROUP BY n.nspname, k.conname
             HAVING pg_catalog.bool_or(k.condeferred) AND pg_catalog.bool_and(k.condeferrable)) AS names",
    )
    .fetch_one(&mut *connection)
    .await?;
    if let Some(names) = deferred {
        // The server itself has quoted the names.
        let sql = AssertSqlSafe(format!("SET CONSTRAINTS {names} DEFERRED"));
        sqlx::raw_sql(sql).execute(connection).await?;
    }
    Ok(())
}

/// [`settle`] between steps of a restore.
///
/// # Errors
///
/// The server refuses a row; its message is cut, as it can hold values.
pub(crate) async fn settle_constraints(connection: &mut PgConnection) -> Result<(), TargetError> {
    settle(connection).await.map_err(TargetError::doing(DOING)).map_err(TargetError::without_message)
}
