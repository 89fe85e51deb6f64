//! What the staging database's catalogs say of the tables that rows are loaded into.

use super::error::RestoreError;
use crate::error::Result;
use crate::rewrite::ColumnKind;
use crate::sql::QualifiedName;
use crate::target::session::Session;
use std::collections::HashMap;

/// The columns of each table, in their order, by schema and name of the table.
pub(super) type Columns = HashMap<(String, String), Vec<(String, ColumnKind)>>;

/// Finds the columns of all tables. The catalogs know them better than an archive does, whose definition of a
/// child table or of a partition need not list them.
pub(super) async fn columns(staging: &mut Session) -> Result<Columns> {
    let sql = "\
        WITH RECURSIVE json_type AS ( \
            SELECT 'pg_catalog.json'::pg_catalog.regtype::pg_catalog.oid AS oid \
            UNION SELECT 'pg_catalog.jsonb'::pg_catalog.regtype::pg_catalog.oid \
            UNION SELECT t.oid FROM pg_catalog.pg_type t JOIN json_type j ON t.typbasetype = j.oid) \
        SELECT n.nspname, c.relname, a.attname, j.oid IS NOT NULL FROM pg_catalog.pg_attribute a \
        JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        LEFT JOIN json_type j ON j.oid = a.atttypid \
        WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
        AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.oid, a.attnum";
    let rows = staging.rows(sql, "list the columns").await?;
    let mut columns = Columns::new();
    for row in &rows {
        let kind = if row.is_true(3) { ColumnKind::Json } else { ColumnKind::Other };
        let table = (row.text(0).to_owned(), row.text(1).to_owned());
        columns.entry(table).or_default().push((row.text(2).to_owned(), kind));
    }
    Ok(columns)
}

/// Finds the partitions whose rows may belong into another partition once IDs have been replaced, each with the
/// root of its tree. Only partitioning by types that cannot hold an ID keeps a row where it is; everything
/// else, expressions too, is routed anew.
pub(super) async fn partition_roots(staging: &mut Session) -> Result<HashMap<QualifiedName, QualifiedName>> {
    let sql = "\
        WITH RECURSIVE up AS ( \
            SELECT c.oid AS leaf, c.oid AS node FROM pg_catalog.pg_class c WHERE c.relispartition AND c.relkind = 'r' \
            UNION ALL SELECT up.leaf, i.inhparent FROM up JOIN pg_catalog.pg_class c ON c.oid = up.node \
            JOIN pg_catalog.pg_inherits i ON i.inhrelid = up.node WHERE c.relispartition), \
        moving AS ( \
            SELECT DISTINCT up.leaf FROM up JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = up.node \
            CROSS JOIN pg_catalog.unnest(p.partattrs::pg_catalog.int2[]) k \
            LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = k \
            WHERE k = 0 OR a.atttypid <> ALL ( \
                '{bool,int2,int4,int8,numeric,float4,float8,oid,date,time,timetz,timestamp,timestamptz,interval}' \
                ::pg_catalog.regtype[]::pg_catalog.oid[])) \
        SELECT ln.nspname, l.relname, rn.nspname, r.relname FROM moving \
        JOIN up ON up.leaf = moving.leaf JOIN pg_catalog.pg_class r ON r.oid = up.node AND NOT r.relispartition \
        JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace \
        JOIN pg_catalog.pg_class l ON l.oid = up.leaf JOIN pg_catalog.pg_namespace ln ON ln.oid = l.relnamespace";
    let rows = staging.rows(sql, "find the partitioned tables").await?;
    let pair = |row: &crate::target::session::TextRow| {
        let leaf = QualifiedName::new(row.text(0), row.text(1));
        (leaf, QualifiedName::new(row.text(2), row.text(3)))
    };
    Ok(rows.iter().map(pair).collect())
}

/// Counts the occurrences of these IDs in a loaded table, by asking for its rows as COPY text.
pub(super) async fn count_in_table(
    staging: &mut Session,
    table: &QualifiedName,
    counter: &mut dyn FnMut(&[u8]) -> u64,
) -> Result<u64> {
    use crate::copy::{EndMarker, RowSplitter};
    let mut splitter = RowSplitter::new(EndMarker::Optional);
    let mut out = Vec::new();
    let mut count = 0;
    let broken = |error: crate::copy::CopyError| RestoreError::Data {
        table: table.to_string(),
        reason: error.to_string(),
    };
    let mut stream = staging.copy_out(&format!("COPY (SELECT * FROM {table}) TO STDOUT")).await?;
    while let Some(chunk) = stream.next_chunk().await? {
        splitter.push(&chunk, &mut out).map_err(broken)?;
        count += counter(&out);
        out.clear();
    }
    splitter.finish(&mut out).map_err(broken)?;
    Ok(count + counter(&out))
}
