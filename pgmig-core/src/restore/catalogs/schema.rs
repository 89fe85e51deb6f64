//! Compares the schemas of two databases.
//!
//! pgmig does this for stores whose migration history it does not know: only a store with the same schema may replace
//! them.

use crate::error::Result;
use crate::restore::report::difference::SchemaDifference;
use crate::server::session::Session;
use std::collections::BTreeMap;

/// Every object with its definition. IDs in literals are left out: they differ between stores.
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
        pg_catalog.concat_ws(' ', \
            CASE WHEN c.relkind IN ('v', 'm') THEN 'AS ' || pg_catalog.pg_get_viewdef(c.oid) END, \
            CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED' END, \
            'PARTITION BY ' || pg_catalog.pg_get_partkeydef(c.oid), \
            (SELECT CASE WHEN c.relispartition THEN 'PARTITION OF ' ELSE 'INHERITS ' END || \
                pg_catalog.string_agg(i.inhparent::pg_catalog.regclass::text, ', ' ORDER BY i.inhseqno) \
                FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid), \
            pg_catalog.pg_get_expr(c.relpartbound, c.oid), \
            CASE WHEN c.relrowsecurity THEN 'ROW LEVEL SECURITY' END, \
            CASE WHEN c.relforcerowsecurity THEN 'FORCE ROW LEVEL SECURITY' END, \
            (SELECT pg_catalog.format('AS %s START %s INCREMENT %s MINVALUE %s MAXVALUE %s CACHE %s CYCLE %s', \
                pg_catalog.format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, \
                q.seqcycle) FROM pg_catalog.pg_sequence q WHERE q.seqrelid = c.oid)) \
    FROM pg_catalog.pg_class c JOIN user_schema n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') \
    UNION ALL SELECT 'policy ' || pg_catalog.quote_ident(l.polname) || ' of ' || l.polrelid::pg_catalog.regclass, \
        pg_catalog.concat_ws(' ', CASE WHEN l.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, \
            'FOR ' || l.polcmd::text, \
            'TO ' || (SELECT pg_catalog.string_agg(CASE WHEN r = 0 THEN 'public' ELSE pg_catalog.pg_get_userbyid(r)::text END, \
                ', ' ORDER BY r) FROM pg_catalog.unnest(l.polroles) r), \
            'USING ' || pg_catalog.pg_get_expr(l.polqual, l.polrelid), \
            'WITH CHECK ' || pg_catalog.pg_get_expr(l.polwithcheck, l.polrelid)) \
    FROM pg_catalog.pg_policy l JOIN pg_catalog.pg_class c ON c.oid = l.polrelid \
    JOIN user_schema n ON n.oid = c.relnamespace \
    UNION ALL SELECT 'rule ' || pg_catalog.quote_ident(r.rulename) || ' of ' || r.ev_class::pg_catalog.regclass, \
        pg_catalog.pg_get_ruledef(r.oid) || CASE r.ev_enabled WHEN 'O' THEN '' ELSE ' (' || r.ev_enabled::text || ')' END \
    FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class \
    JOIN user_schema n ON n.oid = c.relnamespace WHERE r.rulename <> '_RETURN' \
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
    UNION ALL SELECT 'function ' || p.oid::pg_catalog.regprocedure, \
        'RETURNS ' || COALESCE(pg_catalog.pg_get_function_result(p.oid), 'nothing') || CASE p.prokind WHEN 'a' THEN \
        (SELECT pg_catalog.concat_ws(', ', ' AGGREGATE ' || a.aggtransfn, a.aggtranstype::pg_catalog.regtype, a.aggfinalfn, \
            a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn, a.aggkind, \
            a.aggsortop::pg_catalog.regoperator, a.agginitval, a.aggminitval) \
            FROM pg_catalog.pg_aggregate a WHERE a.aggfnoid = p.oid) \
        ELSE ' LANGUAGE ' || (SELECT l.lanname FROM pg_catalog.pg_language l WHERE l.oid = p.prolang) || \
            CASE p.provolatile WHEN 'i' THEN ' IMMUTABLE' WHEN 's' THEN ' STABLE' ELSE '' END || \
            CASE WHEN p.prosecdef THEN ' SECURITY DEFINER' ELSE '' END || ' of MD5 ' || \
            pg_catalog.md5(pg_catalog.regexp_replace(pg_catalog.pg_get_functiondef(p.oid), \
                '[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}', 'ID', 'g')) END \
    FROM pg_catalog.pg_proc p JOIN user_schema n ON n.oid = p.pronamespace \
    WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.deptype IN ('e', 'i') AND d.objid = p.oid \
        AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass) \
    UNION ALL SELECT 'type ' || t.oid::pg_catalog.regtype, pg_catalog.concat_ws(' ', \
        (SELECT pg_catalog.string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) \
            FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid), \
        CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END, \
        CASE WHEN t.typtype = 'd' AND t.typnotnull THEN 'NOT NULL' END, \
        CASE WHEN t.typtype = 'd' THEN 'DEFAULT ' || t.typdefault END, \
        (SELECT pg_catalog.string_agg(pg_catalog.pg_get_constraintdef(k.oid), ' ' ORDER BY k.conname) \
            FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'), \
        (SELECT pg_catalog.format('RANGE OF %s %s %s', r.rngsubtype::pg_catalog.regtype, \
                r.rngcollation::pg_catalog.regcollation, r.rngsubdiff) \
            FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid)) \
    FROM pg_catalog.pg_type t JOIN user_schema n ON n.oid = t.typnamespace WHERE t.typtype IN ('e', 'd', 'r') \
        AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.deptype = 'e' AND d.objid = t.oid \
        AND d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass) \
    ) o";

/// Schemas of users. One holds the record of a restore.
const USER_SCHEMAS: &str = "\
    WITH user_schema AS (SELECT oid FROM pg_catalog.pg_namespace \
    WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pgmig_resume') AND nspname !~ '^pg_(toast|temp)') ";

pub(crate) type Objects = BTreeMap<String, String>;

/// The differences between the schemas of two databases, by object; empty if they are the same.
pub(crate) async fn differences(
    archive: &mut Session,
    target: &mut Session,
) -> Result<Vec<SchemaDifference>> {
    Ok(between(objects(archive).await?, objects(target).await?))
}

/// The differences between the objects of two databases.
pub(crate) fn between(ours: Objects, mut theirs: Objects) -> Vec<SchemaDifference> {
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
pub(crate) async fn objects(session: &mut Session) -> Result<Objects> {
    let doing = "describe the schema";
    // The server writes a name with its schema only if `search_path` does not find it.
    session.execute("SET search_path = ''", doing).await?;
    let rows = session.rows(&format!("{USER_SCHEMAS}{OBJECTS}"), doing).await?;
    Ok(rows.iter().map(|row| (row.text(0).to_owned(), row.text(1).to_owned())).collect())
}
