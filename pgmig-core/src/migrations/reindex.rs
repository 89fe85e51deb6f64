//! REINDEX in a transaction. The server refuses it there for a partitioned table or index, but not for its parts.

use crate::migrations::transaction_block::Words;
use crate::server::TargetError;
use sqlx::postgres::PgConnection;

/// The statements that rebuild the parts of the partitioned table or index in `sql`. `None` if it is another
/// statement, or if its table or index has no parts.
///
/// # Errors
///
/// The catalogs cannot be read.
pub(super) async fn of_parts(
    connection: &mut PgConnection,
    sql: &str,
) -> Result<Option<Vec<String>>, TargetError> {
    let words = Words::of(sql);
    for kind in ["TABLE", "INDEX"] {
        let Some(name) = words.name_after(&["reindex", &kind.to_lowercase()]) else { continue };
        let parts: Option<Vec<String>> = sqlx::query_scalar(
            "SELECT ARRAY(SELECT pg_catalog.format('REINDEX %s %I.%I', $2, n.nspname, c.relname)
                 FROM pg_catalog.pg_partition_tree(whole.oid) t JOIN pg_catalog.pg_class c ON c.oid = t.relid
                 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                 WHERE c.relkind IN ('r', 'i') ORDER BY c.oid)
             FROM pg_catalog.pg_class whole
             WHERE whole.oid = pg_catalog.to_regclass($1) AND whole.relkind IN ('p', 'I')",
        )
        .bind(name)
        .bind(kind)
        .fetch_optional(connection)
        .await
        .map_err(TargetError::doing("look for the parts of what is reindexed"))?;
        return Ok(parts);
    }
    Ok(None)
}
