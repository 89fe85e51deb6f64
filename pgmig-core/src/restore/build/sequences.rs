//! Sets the target's sequences beyond the rows that were loaded.

use crate::error::Result;
use crate::server::session::Session;
use crate::sql::quote_literal;

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
