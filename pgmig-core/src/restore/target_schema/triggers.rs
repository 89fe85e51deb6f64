//! The target's triggers.

use crate::error::Result;
use crate::server::session::{Session, TextRow};
use crate::sql::QualifiedName;

/// User tables (FROM and WHERE clause of the query below).
pub(crate) const USER_TABLES: &str = "\
    pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' \
    AND n.nspname !~ '^pg_' AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend e \
        WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.objid = c.oid AND e.deptype = 'e')";

/// A trigger of a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TableTrigger {
    pub(crate) table: QualifiedName,
    pub(crate) name: String,
}

/// A trigger, and whether it fires on INSERT.
#[derive(Debug, Clone)]
pub(crate) struct Trigger {
    pub(crate) of: TableTrigger,
    pub(crate) is_for_insert: bool,
}

/// The enabled triggers of the session's database.
pub(crate) async fn triggers(session: &mut Session) -> Result<Vec<Trigger>> {
    // In `tgtype`, 4 is TRIGGER_TYPE_INSERT.
    let sql = format!(
        "SELECT n.nspname, c.relname, g.tgname, g.tgtype & 4 <> 0 FROM pg_catalog.pg_trigger g \
         JOIN (SELECT c.oid, c.relname, c.relnamespace FROM {USER_TABLES}) c ON c.oid = g.tgrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE g.tgenabled IN ('O', 'A') AND (NOT g.tgisinternal OR g.tgconstraint = 0) \
         ORDER BY 1, 2, 3"
    );
    let rows = session.rows(&sql, "list the target's triggers").await?;
    let trigger = |row: &TextRow| {
        let of = TableTrigger {
            table: QualifiedName::new(row.text(0), row.text(1)),
            name: row.text(2).to_owned(),
        };
        Trigger { of, is_for_insert: row.is_true(3) }
    };
    Ok(rows.iter().map(trigger).collect())
}
