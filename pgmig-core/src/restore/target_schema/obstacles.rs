//! Obstacles in the target: reasons why a copy of it cannot be emptied and loaded.

use super::own::OwnTables;
use crate::error::Result;
use crate::restore::plan::Facts;
use crate::server::session::Session;
use crate::sql::{QualifiedName, quote_ident};
use std::collections::HashSet;

/// All obstacles, each with a remedy.
pub(crate) async fn obstacles(
    target: &mut Session,
    own: &OwnTables,
    kept: &HashSet<QualifiedName>,
    facts: &Facts,
) -> Result<Vec<String>> {
    if own.values().all(|table| table.of_extension) {
        let text = "it has no tables: let the product install its schema there first; or do without SchemaSource::Target, and \
                    an empty target gets the archive's schema";
        return Ok(vec![text.to_owned()]);
    }
    let mut found = kept_partitions(own, kept);
    found.extend(foreign_rows(target, own, kept).await?);
    found.extend(large_objects_of_kept_tables(target, kept).await?);
    if !facts.is_superuser {
        found.extend(tables_of_others(own, &facts.roles.owner));
    }
    Ok(found)
}

/// A partition that keeps its rows would get new rows as well when its root is loaded.
fn kept_partitions(own: &OwnTables, kept: &HashSet<QualifiedName>) -> Vec<String> {
    let partitions = own.iter().filter(|(name, _)| kept.contains(*name));
    let of_others = partitions.filter_map(|(name, table)| {
        let root = table.root.as_ref().filter(|root| !kept.contains(*root))?;
        Some(format!(
            "table {name} keeps its rows, but {root}, whose partition it is, does not: name {root} in the profile's \
             global_tables instead"
        ))
    });
    of_others.collect()
}

/// The rows of a foreign table are in another database, which is not copied. The restore would remove rows there, or
/// add rows before it is complete.
async fn foreign_rows(
    target: &mut Session,
    own: &OwnTables,
    kept: &HashSet<QualifiedName>,
) -> Result<Vec<String>> {
    let sql = "\
        WITH RECURSIVE down AS ( \
            SELECT inhparent AS root, inhrelid AS node FROM pg_catalog.pg_inherits \
            UNION SELECT down.root, i.inhrelid FROM down JOIN pg_catalog.pg_inherits i ON i.inhparent = down.node) \
        SELECT n.nspname, r.relname, pg_catalog.min(pg_catalog.format('%I.%I', fn.nspname, f.relname)) FROM down \
        JOIN pg_catalog.pg_class f ON f.oid = down.node AND f.relkind = 'f' \
        JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace \
        JOIN pg_catalog.pg_class r ON r.oid = down.root JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace \
        GROUP BY 1, 2 ORDER BY 1, 2";
    let rows = target.rows(sql, "look for foreign tables that are parts of others").await?;
    let obstacle = rows.iter().filter_map(|row| {
        let name = QualifiedName::new(row.text(0), row.text(1));
        let is_emptied = own.contains_key(&name) && !kept.contains(&name);
        is_emptied.then(|| {
            format!(
                "rows of table {name} can be in another database, through the foreign table {}: detach that while the \
                 restore runs, or name {name} in the profile's global_tables",
                row.text(2)
            )
        })
    });
    Ok(obstacle.collect())
}

/// After the restore, all large objects are the archive's, so tables that keep their rows must not refer to any.
async fn large_objects_of_kept_tables(
    target: &mut Session,
    kept: &HashSet<QualifiedName>,
) -> Result<Vec<String>> {
    let sql = "\
        WITH RECURSIVE base(type, at) AS ( \
            SELECT oid, oid FROM pg_catalog.pg_type \
            UNION ALL SELECT base.type, t.typbasetype FROM base \
            JOIN pg_catalog.pg_type t ON t.oid = base.at AND t.typtype = 'd') \
        SELECT n.nspname, c.relname, a.attname FROM pg_catalog.pg_attribute a \
        JOIN base ON base.type = a.atttypid AND base.at = 'pg_catalog.oid'::pg_catalog.regtype \
        JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind = 'r' \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE a.attnum > 0 AND NOT a.attisdropped AND EXISTS (SELECT 1 FROM pg_catalog.pg_largeobject_metadata) \
        ORDER BY 1, 2, 3";
    let mut found = Vec::new();
    for row in target.rows(sql, "look for columns that refer to large objects").await? {
        let (table, column) = (QualifiedName::new(row.text(0), row.text(1)), quote_ident(row.text(2)));
        if !kept.contains(&table) {
            continue;
        }
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM ONLY {table} t JOIN pg_catalog.pg_largeobject_metadata o ON o.oid = t.{column})"
        );
        if target.holds(&sql, "look for large objects that a table refers to").await? {
            found.push(format!(
                "table {table} keeps its rows, and its column {column} refers to large objects of the target, which a \
                 restore removes: put them into a bytea column, or do without the table in the profile's global_tables"
            ));
        }
    }
    Ok(found)
}

/// A role that is not a superuser can empty and alter only its own tables.
fn tables_of_others(own: &OwnTables, username: &str) -> Vec<String> {
    let others = own.iter().filter(|(_, table)| !table.is_owned && !table.of_extension);
    let username = quote_ident(username);
    others
        .map(|(name, _)| {
            format!(
                "table {name} does not belong to username {username}, who is to empty it: ALTER TABLE {name} OWNER TO \
                 {username}, or give a superuser as su_username, and RestoreOptions::trust_archive"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::own::OwnTable;
    use super::*;

    #[test]
    fn a_partition_alone_keeps_no_rows() {
        let (root, part) = (QualifiedName::new("s", "p"), QualifiedName::new("s", "p1"));
        let partition = OwnTable { root: Some(root.clone()), ..OwnTable::default() };
        let own = OwnTables::from([(root.clone(), OwnTable::default()), (part.clone(), partition)]);
        assert_eq!(kept_partitions(&own, &HashSet::from([part.clone()])).len(), 1);
        assert!(kept_partitions(&own, &HashSet::from([root, part])).is_empty());
        assert!(kept_partitions(&own, &HashSet::new()).is_empty());
    }
}
