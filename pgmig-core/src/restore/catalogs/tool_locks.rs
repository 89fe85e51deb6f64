//! Locks of other migration tools, each a row in a table of the tool.

use crate::error::Result;
use crate::server::session::Session;
use crate::sql::{QualifiedName, quote_ident, quote_literal};

/// The lock of a migration tool.
pub(crate) struct Lock {
    table: &'static str,
    /// The column that shows whether the lock is held, with its values for held and free.
    column: &'static str,
    held: &'static str,
    free: &'static str,
    /// Columns that name the lock's holder.
    holder: &'static [&'static str],
}

/// Names are compared without regard to case.
pub(crate) const LOCKS: [Lock; 2] = [
    Lock {
        table: "databasechangeloglock",
        column: "locked",
        held: "true",
        free: "false",
        holder: &["lockgranted", "lockedby"],
    },
    Lock { table: "knex_migrations_lock", column: "is_locked", held: "1", free: "0", holder: &[] },
];

/// The tables of migration tools' locks that are held in the session's database.
pub(crate) async fn held(session: &mut Session) -> Result<Vec<QualifiedName>> {
    let mut held = Vec::new();
    for lock in &LOCKS {
        for (table, columns) in lock.tables(session).await? {
            let sql = format!(
                "SELECT EXISTS (SELECT 1 FROM {table} WHERE {} = {})",
                lock.state(&columns),
                lock.held
            );
            if session.holds(&sql, "look whether a migration tool holds its lock").await? {
                held.push(table);
            }
        }
    }
    Ok(held)
}

impl Lock {
    /// The tables that hold this lock, each with its columns.
    pub(crate) async fn tables(&self, session: &mut Session) -> Result<Vec<(QualifiedName, Vec<String>)>> {
        let sql = format!(
            "SELECT n.nspname, c.relname, a.attname
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             WHERE c.relkind = 'r' AND pg_catalog.lower(c.relname) = {} ORDER BY c.oid, a.attnum",
            quote_literal(self.table)
        );
        let mut tables: Vec<(QualifiedName, Vec<String>)> = Vec::new();
        for row in session.rows(&sql, "look for locks of migration tools").await? {
            let (table, column) = (QualifiedName::new(row.text(0), row.text(1)), row.text(2).to_owned());
            match tables.last_mut().filter(|(last, _)| *last == table) {
                Some((_, columns)) => columns.push(column),
                None => tables.push((table, vec![column])),
            }
        }
        tables.retain(|(_, columns)| columns.iter().any(|column| column.eq_ignore_ascii_case(self.column)));
        Ok(tables)
    }

    /// The column that shows whether the lock is held, as SQL.
    fn state(&self, columns: &[String]) -> String {
        let locked = columns.iter().find(|column| column.eq_ignore_ascii_case(self.column));
        quote_ident(locked.map_or(self.column, String::as_str))
    }

    /// The statement that releases the lock.
    pub(crate) fn release(&self, table: &QualifiedName, columns: &[String]) -> String {
        let is = |column: &String, name: &str| column.eq_ignore_ascii_case(name);
        let locked = self.state(columns);
        let holder = columns.iter().filter(|column| self.holder.iter().any(|name| is(column, name)));
        let holder: String = holder.map(|column| format!(", {} = NULL", quote_ident(column))).collect();
        format!("UPDATE {table} SET {locked} = {}{holder} WHERE {locked} = {}", self.free, self.held)
    }
}
