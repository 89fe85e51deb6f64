//! The target's own tables, read from its catalogs.

use crate::error::Result;
use crate::migrations;
use crate::server::session::Session;
use crate::sql::{QualifiedName, quote_literal};
use std::collections::{BTreeMap, HashMap};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OwnTable {
    /// The root of its partition tree, if it is a partition.
    pub(crate) root: Option<QualifiedName>,
    /// Whether it belongs to an extension.
    pub(crate) of_extension: bool,
    /// Whether its rows are in partitions.
    pub(crate) is_partitioned: bool,
    /// Whether `username` owns it, directly or through a role.
    pub(crate) is_owned: bool,
    pub(crate) columns: Vec<OwnColumn>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnColumn {
    pub(crate) name: String,
    /// As `format_type` writes it, with the schema unless that is `pg_catalog`.
    pub(crate) type_name: String,
    /// Whether the column or its domain is NOT NULL.
    pub(crate) is_not_null: bool,
    /// Whether the server fills it in if no value is given: by a default of the column or its domain, or as an
    /// identity.
    pub(crate) has_default: bool,
    pub(crate) is_generated: bool,
}

impl OwnTable {
    /// Whether a migration tool records in this table what it has done.
    pub(crate) fn is_of_tool(&self, name: &QualifiedName) -> bool {
        let columns: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        migrations::tool_of(&name.name, &columns).is_some()
    }

    pub(crate) fn column(&self, name: &str) -> Option<&OwnColumn> {
        self.columns.iter().find(|column| column.name == name)
    }
}

pub(crate) type OwnTables = BTreeMap<QualifiedName, OwnTable>;

/// Reads all tables of users and extensions, including partitioned ones. Ownership is as seen by `username`.
pub(crate) async fn tables(target: &mut Session, username: &str) -> Result<OwnTables> {
    let roots = roots(target).await?;
    let sql = format!(
        "\
        SELECT n.nspname, c.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), \
            a.attnotnull OR t.typnotnull, \
            a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL, \
            a.attgenerated <> '', \
            EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                AND d.objid = c.oid AND d.deptype = 'e'), \
            c.relkind = 'p', pg_catalog.pg_has_role({}, c.relowner, 'USAGE') \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
        LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
        WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' \
            AND n.nspname !~ '^pg_' ORDER BY n.nspname, c.relname, a.attnum",
        quote_literal(username)
    );
    let rows = target.rows(&sql, "list the target's tables").await?;
    let mut tables = OwnTables::new();
    for row in &rows {
        let name = QualifiedName::new(row.text(0), row.text(1));
        let table = tables.entry(name.clone()).or_insert_with(|| OwnTable {
            root: roots.get(&name).cloned(),
            of_extension: row.is_true(7),
            is_partitioned: row.is_true(8),
            is_owned: row.is_true(9),
            columns: Vec::new(),
        });
        let Some(column) = row.get(2) else { continue };
        let is_generated = row.is_true(6);
        table.columns.push(OwnColumn {
            name: column.to_owned(),
            type_name: row.text(3).to_owned(),
            is_not_null: row.is_true(4),
            has_default: row.is_true(5) && !is_generated,
            is_generated,
        });
    }
    Ok(tables)
}

/// Every partition, with the root of its tree.
async fn roots(target: &mut Session) -> Result<HashMap<QualifiedName, QualifiedName>> {
    let sql = "\
        WITH RECURSIVE up AS ( \
            SELECT c.oid AS leaf, i.inhparent AS node FROM pg_catalog.pg_class c \
            JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid WHERE c.relispartition AND c.relkind IN ('r', 'p') \
            UNION ALL SELECT up.leaf, i.inhparent FROM up JOIN pg_catalog.pg_class c ON c.oid = up.node \
            JOIN pg_catalog.pg_inherits i ON i.inhrelid = up.node WHERE c.relispartition) \
        SELECT ln.nspname, l.relname, rn.nspname, r.relname FROM up \
        JOIN pg_catalog.pg_class l ON l.oid = up.leaf JOIN pg_catalog.pg_namespace ln ON ln.oid = l.relnamespace \
        JOIN pg_catalog.pg_class r ON r.oid = up.node AND NOT r.relispartition \
        JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace";
    let rows = target.rows(sql, "list the target's partitions").await?;
    let pair = |row: &crate::server::session::TextRow| {
        (QualifiedName::new(row.text(0), row.text(1)), QualifiedName::new(row.text(2), row.text(3)))
    };
    Ok(rows.iter().map(pair).collect())
}
