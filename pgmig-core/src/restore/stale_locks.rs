//! Locks of migration tools that travelled inside the dump: whoever held them is on the source's side.

use super::build::Build;
use super::execute::Executor;
use super::journal::Journal;
use crate::error::Result;
use crate::sql::{QualifiedName, quote_ident, quote_literal};

/// A tool's lock.
struct Lock {
    table: &'static str,
    /// The column that tells whether it is held, what the column is then, and what it is otherwise.
    column: &'static str,
    held: &'static str,
    free: &'static str,
    /// Columns that say who holds it.
    holder: &'static [&'static str],
}

/// Names are in whichever case.
const LOCKS: [Lock; 2] = [
    Lock {
        table: "databasechangeloglock",
        column: "locked",
        held: "true",
        free: "false",
        holder: &["lockgranted", "lockedby"],
    },
    Lock { table: "knex_migrations_lock", column: "is_locked", held: "1", free: "0", holder: &[] },
];

impl Build {
    /// Releases the locks of migration tools in the restored store, with a notice.
    pub(super) async fn release_stale_locks(
        &self,
        executor: &mut Executor,
        journal: &mut Journal,
    ) -> Result<()> {
        executor.become_role(self.strongest()).await?;
        for lock in &LOCKS {
            for (table, columns) in lock.tables(executor).await? {
                let sql = lock.release(&table, &columns);
                if executor.session.execute(&sql, "release a migration tool's lock").await? > 0 {
                    journal.notice(format!(
                        "the backup was taken while a migration tool held its lock in {table}: it was released in the \
                         restored database"
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Lock {
    /// The tables that are such a lock, each with its columns.
    async fn tables(&self, executor: &mut Executor) -> Result<Vec<(QualifiedName, Vec<String>)>> {
        let sql = format!(
            "SELECT n.nspname, c.relname, a.attname
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             WHERE c.relkind = 'r' AND pg_catalog.lower(c.relname) = {} ORDER BY c.oid, a.attnum",
            quote_literal(self.table)
        );
        let mut tables: Vec<(QualifiedName, Vec<String>)> = Vec::new();
        for row in executor.session.rows(&sql, "look for locks of migration tools").await? {
            let (table, column) = (QualifiedName::new(row.text(0), row.text(1)), row.text(2).to_owned());
            match tables.last_mut().filter(|(last, _)| *last == table) {
                Some((_, columns)) => columns.push(column),
                None => tables.push((table, vec![column])),
            }
        }
        tables.retain(|(_, columns)| columns.iter().any(|column| column.eq_ignore_ascii_case(self.column)));
        Ok(tables)
    }

    fn release(&self, table: &QualifiedName, columns: &[String]) -> String {
        let is = |column: &String, name: &str| column.eq_ignore_ascii_case(name);
        let locked = columns.iter().find(|column| is(column, self.column)).map(String::as_str);
        let locked = quote_ident(locked.unwrap_or(self.column));
        let holder = columns.iter().filter(|column| self.holder.iter().any(|name| is(column, name)));
        let holder: String = holder.map(|column| format!(", {} = NULL", quote_ident(column))).collect();
        format!("UPDATE {table} SET {locked} = {}{holder} WHERE {locked} = {}", self.free, self.held)
    }
}
