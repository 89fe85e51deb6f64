//! Have two databases the same schema? Asked for stores whose history pgmig does not know: they can only be
//! replaced by one that looks the same.

use crate::error::Result;
use crate::target::session::Session;
use std::collections::BTreeMap;
use std::fmt;

/// An object that is not the same in two databases: a table, column, constraint, index, trigger, view, sequence, type
/// or function.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchemaDifference {
    /// What it is, and its name as SQL: `column store.tenant.region`.
    pub object: String,
    /// Its definition in the archive; `None` where the archive has no such object.
    pub archive: Option<String>,
    /// Its definition in the target; `None` where the target has no such object.
    pub target: Option<String>,
}

impl fmt::Display for SchemaDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, archive, target } = self;
        match (archive, target) {
            (Some(archive), Some(target)) => {
                write!(f, "{object}: {archive} in the archive, {target} in the target")
            }
            (Some(definition), None) => write!(f, "only in the archive: {object} {definition}"),
            (None, Some(definition)) => write!(f, "only in the target: {object} {definition}"),
            (None, None) => f.write_str(object),
        }
    }
}

/// Every object with its definition. IDs in literals differ by nature and are left out.
const OBJECTS: &str = "\
    SELECT object, pg_catalog.regexp_replace(definition, '[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}', 'ID', 'g') \
    FROM ( \
    SELECT 'column ' || c.oid::pg_catalog.regclass || '.' || pg_catalog.quote_ident(a.attname) AS object, \
        pg_catalog.format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END || \
        COALESCE(CASE WHEN a.attgenerated <> '' THEN ' GENERATED AS ' ELSE ' DEFAULT ' END || \
            pg_catalog.pg_get_expr(d.adbin, d.adrelid), '') || \
        CASE a.attidentity WHEN 'a' THEN ' IDENTITY ALWAYS' WHEN 'd' THEN ' IDENTITY' ELSE '' END AS definition \
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
    JOIN user_schema n ON n.oid = c.relnamespace \
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c') AND a.attnum > 0 AND NOT a.attisdropped \
    UNION ALL SELECT CASE c.relkind WHEN 'S' THEN 'sequence ' WHEN 'v' THEN 'view ' WHEN 'm' THEN \
        'materialized view ' ELSE 'table ' END || c.oid::pg_catalog.regclass, \
        CASE WHEN c.relkind IN ('v', 'm') THEN 'AS ' || pg_catalog.pg_get_viewdef(c.oid) ELSE '' END \
    FROM pg_catalog.pg_class c JOIN user_schema n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') \
    UNION ALL SELECT 'constraint ' || pg_catalog.quote_ident(k.conname) || ' of ' || k.conrelid::pg_catalog.regclass, \
        pg_catalog.pg_get_constraintdef(k.oid) \
    FROM pg_catalog.pg_constraint k JOIN user_schema n ON n.oid = k.connamespace WHERE k.conrelid <> 0 \
        AND k.contype <> 't' \
    UNION ALL SELECT 'index ' || i.indexrelid::pg_catalog.regclass, pg_catalog.pg_get_indexdef(i.indexrelid) \
    FROM pg_catalog.pg_index i \
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN user_schema n ON n.oid = c.relnamespace \
    UNION ALL SELECT 'trigger ' || pg_catalog.quote_ident(g.tgname) || ' of ' || g.tgrelid::pg_catalog.regclass, \
        pg_catalog.pg_get_triggerdef(g.oid) || \
        CASE g.tgenabled WHEN 'D' THEN ' (off)' WHEN 'A' THEN ' (always)' WHEN 'R' THEN ' (replica)' ELSE '' END \
    FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid \
    JOIN user_schema n ON n.oid = c.relnamespace WHERE NOT g.tgisinternal \
    UNION ALL SELECT 'function ' || p.oid::pg_catalog.regprocedure, pg_catalog.md5(p.prosrc) \
    FROM pg_catalog.pg_proc p JOIN user_schema n ON n.oid = p.pronamespace \
    WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.deptype = 'e' AND d.objid = p.oid \
        AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass) \
    UNION ALL SELECT 'type ' || t.oid::pg_catalog.regtype, COALESCE((SELECT \
        pg_catalog.string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) \
        FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid), '') \
    FROM pg_catalog.pg_type t JOIN user_schema n ON n.oid = t.typnamespace WHERE t.typtype IN ('e', 'd', 'r') \
    ) o";

/// The schemas of users.
const USER_SCHEMAS: &str = "\
    WITH user_schema AS (SELECT oid FROM pg_catalog.pg_namespace \
    WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname !~ '^pg_(toast|temp)') ";

/// The objects of a database, each with its definition.
pub(super) type Objects = BTreeMap<String, String>;

/// The differences between the schemas of two databases, by object; none if they are the same.
pub(super) async fn differences(
    archive: &mut Session,
    target: &mut Session,
) -> Result<Vec<SchemaDifference>> {
    Ok(between(objects(archive).await?, objects(target).await?))
}

/// The differences between the objects of two databases.
pub(super) fn between(ours: Objects, mut theirs: Objects) -> Vec<SchemaDifference> {
    let mut differences = Vec::new();
    for (object, definition) in ours {
        let target = theirs.remove(&object);
        if target.as_ref() != Some(&definition) {
            differences.push(SchemaDifference { object, archive: Some(definition), target });
        }
    }
    let only_theirs = theirs.into_iter();
    differences.extend(only_theirs.map(|(object, target)| SchemaDifference {
        object,
        archive: None,
        target: Some(target),
    }));
    differences.sort();
    differences
}

/// Reads the objects of a database.
pub(super) async fn objects(session: &mut Session) -> Result<Objects> {
    let doing = "describe the schema";
    // Names are written with their schema only where search_path does not find them.
    session.execute("SET search_path = ''", doing).await?;
    let rows = session.rows(&format!("{USER_SCHEMAS}{OBJECTS}"), doing).await?;
    Ok(rows.iter().map(|row| (row.text(0).to_owned(), row.text(1).to_owned())).collect())
}
