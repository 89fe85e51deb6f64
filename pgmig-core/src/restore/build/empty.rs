//! Takes the target's data out of its copy.

use crate::error::Result;
use crate::restore::target_schema::own::OwnTables;
use crate::server::TargetError;
use crate::server::session::Session;
use crate::sql::QualifiedName;

/// How many large objects are removed by one statement: each takes a lock until its end.
const LARGE_OBJECTS_AT_ONCE: u32 = 1000;

/// Empties these tables, starts their sequences anew, and removes the large objects. No foreign key may be left, and
/// no trigger on.
pub(crate) async fn empty(staging: &mut Session, tables: &OwnTables) -> Result<()> {
    // ONLY: what inherits from a table is another table, which can keep its rows, or have them in another database.
    let names: Vec<String> = tables
        .iter()
        .filter(|(_, table)| !table.is_partitioned)
        .map(|(name, _)| format!("ONLY {name}"))
        .collect();
    if !names.is_empty() {
        let sql = format!("TRUNCATE {}", names.join(", "));
        staging.execute(&sql, "empty the copy of the target").await?;
    }
    restart_sequences(staging, tables).await?;
    let doing = "remove the large objects of the copy of the target";
    let sql = format!(
        "SELECT count(pg_catalog.lo_unlink(o.oid)) \
         FROM (SELECT oid FROM pg_catalog.pg_largeobject_metadata LIMIT {LARGE_OBJECTS_AT_ONCE}) o"
    );
    while staging.value(&sql, doing).await? != "0" {}
    Ok(())
}

/// As RESTART IDENTITY does, whose TRUNCATE of partitions leaves out what belongs to their root.
async fn restart_sequences(staging: &mut Session, tables: &OwnTables) -> Result<()> {
    let sql = "\
        SELECT pg_catalog.format('ALTER SEQUENCE %I.%I RESTART', sn.nspname, s.relname), n.nspname, c.relname \
        FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S' \
        JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace \
        JOIN pg_catalog.pg_class c ON c.oid = d.refobjid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')";
    for row in staging.rows(sql, "list the sequences of tables").await? {
        if tables.contains_key(&QualifiedName::new(row.text(1), row.text(2))) {
            staging.execute(row.text(0), "start a sequence of the copy of the target anew").await?;
        }
    }
    Ok(())
}

/// Fills the materialized views that hold the target's old rows, those that others are made from first.
pub(crate) async fn refresh_materialized_views(staging: &mut Session) -> Result<()> {
    let sql = "\
        WITH RECURSIVE uses AS ( \
            SELECT DISTINCT r.ev_class AS view, d.refobjid AS used FROM pg_catalog.pg_rewrite r \
            JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
                AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
            WHERE d.refobjid <> r.ev_class), \
        depth(oid, level) AS ( \
            SELECT c.oid, 0 FROM pg_catalog.pg_class c WHERE c.relkind = 'm' \
            UNION SELECT uses.view, depth.level + 1 FROM depth JOIN uses ON uses.used = depth.oid) \
        SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM depth \
        JOIN pg_catalog.pg_class c ON c.oid = depth.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relkind = 'm' AND c.relispopulated GROUP BY c.oid, n.nspname, c.relname ORDER BY max(depth.level), 1";
    for row in staging.rows(sql, "list the materialized views").await? {
        let view = row.text(0);
        let (sql, doing) = (format!("REFRESH MATERIALIZED VIEW {view}"), format!("refresh {view}"));
        // The message may contain values that the view computes from rows.
        staging.execute(&sql, &doing).await.map_err(TargetError::without_message)?;
    }
    Ok(())
}
