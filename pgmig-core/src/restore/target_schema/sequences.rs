//! Sets sequences: to the archive's values, and beyond the rows that were loaded.

use super::matching::Matcher;
use crate::archive::{Archive, DumpId, EntryKind};
use crate::error::Result;
use crate::restore::plan::RunAs;
use crate::restore::plan::planner::qualified_name;
use crate::server::session::Session;
use crate::sql::{QualifiedName, quote_ident, quote_literal};
use std::collections::HashMap;

/// Which sequence of the target takes the value of one of the archive's.
pub(crate) struct SequenceValue {
    pub(crate) dump_id: DumpId,
    /// The archive's.
    pub(crate) name: QualifiedName,
    /// The target's; `None` if it has none for that.
    pub(crate) sequence: Option<QualifiedName>,
    /// The table that the target's belongs to.
    pub(crate) owner: Option<QualifiedName>,
}

impl SequenceValue {
    /// Has the target's sequence set instead of the archive's.
    pub(crate) fn redirect(&self, statements: &mut [(RunAs, String)]) {
        let Some(sequence) = self.sequence.as_ref().filter(|sequence| **sequence != self.name) else {
            return;
        };
        let to = quote_literal(&sequence.to_string());
        // Archives of PostgreSQL 10 and older name it without its schema.
        for from in [self.name.to_string(), quote_ident(&self.name.name)] {
            for (_, sql) in &mut *statements {
                *sql = sql.replacen(&quote_literal(&from), &to, 1);
            }
        }
    }
}

/// Finds the target's sequence for each value that the archive sets: that of the same name, else that of the column
/// which the archive's fills, whatever the target calls it.
pub(crate) async fn set_by_archive(
    target: &mut Session,
    archive: &Archive,
    matcher: &Matcher<'_>,
) -> Result<Vec<SequenceValue>> {
    let sql = "\
        SELECT n.nspname, s.relname, cn.nspname, c.relname, a.attname FROM pg_catalog.pg_class s \
        JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace \
        LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
            AND d.objid = s.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
            AND d.deptype IN ('a', 'i') \
        LEFT JOIN pg_catalog.pg_class c ON c.oid = d.refobjid \
        LEFT JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace \
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid \
        WHERE s.relkind = 'S'";
    let (mut owners, mut by_column) = (HashMap::new(), HashMap::new());
    for row in target.rows(sql, "list the target's sequences").await? {
        let sequence = QualifiedName::new(row.text(0), row.text(1));
        let owner = row.get(3).map(|table| QualifiedName::new(row.text(2), table));
        if let Some(owner) = &owner {
            by_column.insert((owner.clone(), row.text(4).to_owned()), sequence.clone());
        }
        owners.insert(sequence, owner);
    }
    let values = archive.entries().iter().filter(|entry| entry.kind == EntryKind::SequenceSet);
    let value = |entry: &crate::archive::Entry| {
        let name = qualified_name(entry);
        let of_column = || {
            let (table, column) = matcher.definitions.filled_by(&name)?;
            let (own, _) = matcher.destination(table)?;
            by_column.get(&(own.clone(), matcher.name_in_target(table, column).to_owned())).cloned()
        };
        let sequence = owners.contains_key(&name).then(|| name.clone()).or_else(of_column);
        let owner = sequence.as_ref().and_then(|sequence| owners.get(sequence).cloned().flatten());
        SequenceValue { dump_id: entry.dump_id, name, sequence, owner }
    };
    Ok(values.map(value).collect())
}

/// Moves every sequence that fills a column of numbers past the values that the column has. What the archive says of
/// a sequence may be missing, or be of a table that has another name here.
pub(crate) async fn advance(staging: &mut Session) -> Result<()> {
    let doing = "set the sequences beyond the rows";
    let sql = "\
        WITH RECURSIVE base(type, at) AS ( \
            SELECT oid, oid FROM pg_catalog.pg_type \
            UNION ALL SELECT base.type, t.typbasetype FROM base \
            JOIN pg_catalog.pg_type t ON t.oid = base.at AND t.typtype = 'd'), \
        used AS ( \
            SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS attribute FROM pg_catalog.pg_depend d \
            WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
            AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0 \
            UNION SELECT d.refobjid, f.adrelid, f.adnum FROM pg_catalog.pg_depend d \
            JOIN pg_catalog.pg_attrdef f ON f.oid = d.objid \
            WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass \
            AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass) \
        SELECT DISTINCT pg_catalog.format('%I.%I', sn.nspname, s.relname), pg_catalog.format('%I.%I', n.nspname, c.relname), \
            pg_catalog.quote_ident(a.attname), q.seqincrement > 0, q.seqmin, q.seqmax \
        FROM used JOIN pg_catalog.pg_sequence q ON q.seqrelid = used.sequence \
        JOIN pg_catalog.pg_class s ON s.oid = used.sequence JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace \
        JOIN pg_catalog.pg_class c ON c.oid = used.relation AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = used.attribute \
            AND EXISTS (SELECT 1 FROM base WHERE base.type = a.atttypid AND base.at IN ( \
                'pg_catalog.int2'::pg_catalog.regtype, 'pg_catalog.int4'::pg_catalog.regtype, \
                'pg_catalog.int8'::pg_catalog.regtype, 'pg_catalog.numeric'::pg_catalog.regtype)) \
        WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend e \
            WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.objid = s.oid AND e.deptype = 'e')";
    for row in staging.rows(sql, "list the sequences and their columns").await? {
        let (sequence, table, column) = (row.text(0), row.text(1), row.text(2));
        let (furthest, beyond) = if row.is_true(3) { ("max", ">") } else { ("min", "<") };
        let (least, most) = (row.text(4), row.text(5));
        // The name is a value here.
        let name = quote_literal(sequence);
        let sql = format!(
            "SELECT pg_catalog.setval({name}, last.value) \
             FROM (SELECT {furthest}({column})::bigint AS value FROM {table} \
                 WHERE {column} BETWEEN {least} AND {most}) last, {sequence} s \
             WHERE (last.value {beyond} s.last_value OR last.value = s.last_value AND NOT s.is_called)"
        );
        staging.rows(&sql, doing).await?;
    }
    Ok(())
}
