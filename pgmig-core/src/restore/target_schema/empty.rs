//! Takes the target's data out of its copy.

use crate::error::Result;
use crate::sql::QualifiedName;
use crate::target::TargetError;
use crate::target::session::Session;

/// How many large objects are removed by one statement: each takes a lock until its end.
const LARGE_OBJECTS_AT_ONCE: u32 = 1000;

/// Empties these tables, starts their sequences anew, and removes the large objects. No foreign key may be left, and
/// no trigger on.
pub(super) async fn empty(staging: &mut Session, tables: &[&QualifiedName]) -> Result<()> {
    if !tables.is_empty() {
        let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
        let sql = format!("TRUNCATE {} RESTART IDENTITY", names.join(", "));
        staging.execute(&sql, "empty the copy of the target").await?;
    }
    let doing = "remove the large objects of the copy of the target";
    let sql = format!(
        "SELECT count(pg_catalog.lo_unlink(o.oid)) \
         FROM (SELECT oid FROM pg_catalog.pg_largeobject_metadata LIMIT {LARGE_OBJECTS_AT_ONCE}) o"
    );
    while staging.value(&sql, doing).await? != "0" {}
    Ok(())
}

/// Fills the materialized views that hold the target's old rows, those that others are made from first.
pub(super) async fn refresh_materialized_views(staging: &mut Session) -> Result<()> {
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
        // What the view computes of rows may be in the message.
        staging.execute(&sql, &doing).await.map_err(TargetError::without_message)?;
    }
    Ok(())
}
