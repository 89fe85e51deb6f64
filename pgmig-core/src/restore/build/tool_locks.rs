//! Releases the locks of migration tools that travelled inside the dump: their holders are on the source's side.

use crate::error::Result;
use crate::progress::NoticeCode;
use crate::restore::build::Build;
use crate::restore::catalogs::tool_locks::LOCKS;
use crate::restore::executor::Executor;
use crate::restore::journal::Journal;

impl Build {
    /// Releases the locks of migration tools in the restored store, with a notice.
    pub(crate) async fn release_stale_locks(
        &self,
        executor: &mut Executor,
        journal: &mut Journal,
    ) -> Result<()> {
        executor.become_role(self.strongest()).await?;
        for lock in &LOCKS {
            for (table, columns) in lock.tables(&mut executor.session).await? {
                let sql = lock.release(&table, &columns);
                if executor.session.execute(&sql, "release a migration tool's lock").await? > 0 {
                    journal.notice(NoticeCode::MigrationToolLock, format!(
                        "the backup was taken while a migration tool held its lock in {table}: it was released in the \
                         restored database"
                    ));
                }
            }
        }
        Ok(())
    }
}
