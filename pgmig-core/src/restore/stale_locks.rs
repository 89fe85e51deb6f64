//! Locks of migration tools that travelled inside the dump: whoever held them is on the source's side.

use super::build::Build;
use super::execute::Executor;
use super::journal::Journal;
use crate::error::Result;
use crate::sql::{QualifiedName, quote_literal};

/// Table and column of each tool's lock, what it is when it is held, and what releases it.
const LOCKS: [(&str, &str, &str, &str); 2] = [
    ("databasechangeloglock", "locked", "locked", "locked = false, lockgranted = NULL, lockedby = NULL"),
    ("knex_migrations_lock", "is_locked", "is_locked <> 0", "is_locked = 0"),
];

impl Build {
    /// Releases the locks of migration tools in the restored store, with a notice.
    pub(super) async fn release_stale_locks(
        &self,
        executor: &mut Executor,
        journal: &mut Journal,
    ) -> Result<()> {
        executor.become_role(self.strongest()).await?;
        for (name, column, is_held, release) in LOCKS {
            let sql = format!(
                "SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = {} AND NOT a.attisdropped \
                 WHERE c.relkind = 'r' AND c.relname = {}",
                quote_literal(column),
                quote_literal(name)
            );
            for row in executor.session.rows(&sql, "look for locks of migration tools").await? {
                let table = QualifiedName::new(row.text(0), name);
                let sql = format!("UPDATE {table} SET {release} WHERE {is_held}");
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
