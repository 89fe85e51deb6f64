//! Tables whose rows the server may refuse, or compute differently, if rows of other tables are not there yet.

use crate::error::Result;
use crate::server::session::Session;
use crate::sql::QualifiedName;
use std::collections::HashSet;

/// Finds tables that call code of the database itself for each row: in a CHECK constraint, a generated column, a
/// partition key, or a domain that a column is made of.
///
/// Such a function can read any other table. Functions of extensions count as known: they read their own tables at most,
/// whose rows come first. Built-in functions are pinned, so `pg_depend` does not name them.
pub(crate) async fn tables_that_call_code(staging: &mut Session) -> Result<HashSet<QualifiedName>> {
    // 16384 is FirstNormalObjectId: the server's own objects are below it.
    let sql = "\
        WITH RECURSIVE code AS ( \
            SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid AS class, oid FROM pg_catalog.pg_proc \
            WHERE oid >= 16384 \
            UNION ALL SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass::pg_catalog.oid, oid FROM pg_catalog.pg_operator \
            WHERE oid >= 16384 \
            EXCEPT SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'), \
        calling AS ( \
            SELECT d.classid AS class, d.objid AS oid FROM code \
            JOIN pg_catalog.pg_depend d ON d.refclassid = code.class AND d.refobjid = code.oid), \
        made_of AS ( \
            SELECT k.contypid AS oid FROM calling JOIN pg_catalog.pg_constraint k ON k.oid = calling.oid \
            WHERE calling.class = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.contypid <> 0 \
            UNION SELECT COALESCE(c.reltype, d.objid) FROM made_of JOIN pg_catalog.pg_depend d ON d.refobjid = made_of.oid \
                AND d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass \
                AND d.classid IN ('pg_catalog.pg_type'::pg_catalog.regclass, 'pg_catalog.pg_class'::pg_catalog.regclass) \
            LEFT JOIN pg_catalog.pg_class c ON c.oid = d.objid \
                AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass), \
        expression AS ( \
            SELECT class, oid FROM calling \
            UNION SELECT d.classid, d.objid FROM made_of JOIN pg_catalog.pg_depend d ON d.refobjid = made_of.oid \
                AND d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass), \
        found AS ( \
            SELECT k.conrelid AS oid FROM expression e JOIN pg_catalog.pg_constraint k ON k.oid = e.oid \
            WHERE e.class = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.contype = 'c' \
            UNION SELECT v.adrelid FROM expression e JOIN pg_catalog.pg_attrdef v ON v.oid = e.oid \
                JOIN pg_catalog.pg_attribute a ON a.attrelid = v.adrelid AND a.attnum = v.adnum \
                WHERE e.class = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND a.attgenerated <> '' \
            UNION SELECT e.oid FROM expression e \
                WHERE e.class = 'pg_catalog.pg_class'::pg_catalog.regclass \
            UNION SELECT i.inhrelid FROM found JOIN pg_catalog.pg_inherits i ON i.inhparent = found.oid) \
        SELECT n.nspname, c.relname FROM found JOIN pg_catalog.pg_class c ON c.oid = found.oid \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')";
    let rows = staging.rows(sql, "find the tables that call functions for their rows").await?;
    Ok(rows.iter().map(|row| QualifiedName::new(row.text(0), row.text(1))).collect())
}
