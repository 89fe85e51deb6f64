//! Have two databases the same schema? Asked for stores whose history pgmig does not know: they can only be
//! replaced by one that looks the same.

use crate::error::Result;
use crate::target::session::Session;
use std::collections::BTreeSet;

/// A line per table, column, constraint, index, view, function and type. IDs in literals differ by nature and
/// are left out.
const LINES: &str = "\
    SELECT pg_catalog.regexp_replace(line, '[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}', 'ID', 'g') FROM ( \
    SELECT 'column ' || c.oid::pg_catalog.regclass || '.' || pg_catalog.quote_ident(a.attname) || ' ' || \
        pg_catalog.format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END || \
        COALESCE(' DEFAULT ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid), '') AS line \
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
    JOIN user_schema n ON n.oid = c.relnamespace \
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c') AND a.attnum > 0 AND NOT a.attisdropped \
    UNION ALL SELECT CASE c.relkind WHEN 'S' THEN 'sequence ' WHEN 'v' THEN 'view ' WHEN 'm' THEN \
        'materialized view ' ELSE 'table ' END || c.oid::pg_catalog.regclass || \
        CASE WHEN c.relkind IN ('v', 'm') THEN ' AS ' || pg_catalog.pg_get_viewdef(c.oid) ELSE '' END \
    FROM pg_catalog.pg_class c JOIN user_schema n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') \
    UNION ALL SELECT 'constraint ' || k.conname || ' of ' || k.conrelid::pg_catalog.regclass || ': ' || \
        pg_catalog.pg_get_constraintdef(k.oid) \
    FROM pg_catalog.pg_constraint k JOIN user_schema n ON n.oid = k.connamespace WHERE k.conrelid <> 0 \
    UNION ALL SELECT 'index ' || pg_catalog.pg_get_indexdef(i.indexrelid) FROM pg_catalog.pg_index i \
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN user_schema n ON n.oid = c.relnamespace \
    UNION ALL SELECT 'function ' || p.oid::pg_catalog.regprocedure || ' ' || pg_catalog.md5(p.prosrc) \
    FROM pg_catalog.pg_proc p JOIN user_schema n ON n.oid = p.pronamespace \
    WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.deptype = 'e' AND d.objid = p.oid \
        AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass) \
    UNION ALL SELECT 'type ' || t.oid::pg_catalog.regtype || ' ' || COALESCE((SELECT \
        pg_catalog.string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) \
        FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid), '') \
    FROM pg_catalog.pg_type t JOIN user_schema n ON n.oid = t.typnamespace WHERE t.typtype IN ('e', 'd', 'r') \
    ) l";

/// The schemas of users.
const USER_SCHEMAS: &str = "\
    WITH user_schema AS (SELECT oid FROM pg_catalog.pg_namespace \
    WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname !~ '^pg_(toast|temp)') ";

/// The differences between the schemas of two databases, a line each; none if they are the same.
pub(super) async fn differences(archive: &mut Session, target: &mut Session) -> Result<Vec<String>> {
    let (ours, theirs) = (lines(archive).await?, lines(target).await?);
    let mut differences: Vec<String> =
        theirs.difference(&ours).map(|line| format!("only in the target: {line}")).collect();
    differences.extend(ours.difference(&theirs).map(|line| format!("only in the archive: {line}")));
    Ok(differences)
}

async fn lines(session: &mut Session) -> Result<BTreeSet<String>> {
    let doing = "describe the schema";
    // Names are written with their schema only where search_path does not find them.
    session.execute("SET search_path = ''", doing).await?;
    let rows = session.rows(&format!("{USER_SCHEMAS}{LINES}"), doing).await?;
    Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
}
