//! Statistics for the planner, gathered on all sessions at the same time.

use crate::error::Result;
use crate::restore::executor::Executor;
use crate::restore::plan::RunAs;
use crate::server::session::Session;
use futures_util::future::try_join_all;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// What ANALYZE without a table goes through, the largest first: ordinary tables, those of the system too,
/// materialized views, and partitioned tables, with which go their partitions.
const TABLES: &str = "\
    SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), \
    CASE c.relkind WHEN 'p' THEN 9223372036854775807 ELSE pg_catalog.pg_relation_size(c.oid) END AS size \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'm', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' ORDER BY size DESC";

/// In the target itself the system's tables are left to autovacuum: they would be locked against it until the commit. So
/// are those of others that stay.
const RESTORED: &str = "WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') \
    AND pg_catalog.pg_has_role(c.relowner, 'USAGE') AND";

/// Tables up to this size are analyzed together, from PostgreSQL 11 on.
const SMALL_BYTES: u64 = 1024 * 1024;

/// How many of them.
const TABLES_AT_ONCE: usize = 50;

/// SQLSTATE.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

const DOING: &str = "gather statistics (ANALYZE)";

/// Analyzes every table of the database, as whoever may do most.
pub(crate) async fn analyze(mut executors: Vec<&mut Executor>, run_as: &RunAs) -> Result<()> {
    let Some(lead) = executors.first_mut() else { return Ok(()) };
    lead.become_role(run_as).await?;
    let most = if lead.session.server_version() >= 110_000 { TABLES_AT_ONCE } else { 1 };
    let is_one = lead.session.is_one_transaction();
    let sql = if is_one { TABLES.replace("WHERE", RESTORED) } else { TABLES.to_owned() };
    let mut tables = VecDeque::new();
    lead.session
        .each_row(&sql, DOING, |row| tables.push_back((row.text(0).to_owned(), row.number(1))))
        .await?;
    let left = Mutex::new(Tables { left: tables, most, connections: executors.len() });
    let work = executors.into_iter().map(|executor| async {
        executor.become_role(run_as).await?;
        loop {
            let some = left.lock().unwrap_or_else(PoisonError::into_inner).take();
            if some.is_empty() {
                return Result::Ok(());
            }
            analyze_some(&mut executor.session, &some).await?;
        }
    });
    try_join_all(work).await.map(drop)
}

/// Analyzes these tables. An expression of an index or of extended statistics is computed as the table's owner, who may
/// not be allowed to call what it calls. Such a table is left without statistics, as autovacuum leaves it.
async fn analyze_some(session: &mut Session, tables: &[String]) -> Result<()> {
    session.begin(DOING).await?;
    let analyzed = session.execute(&format!("ANALYZE {}", tables.join(", ")), DOING).await;
    match session.end(analyzed, DOING).await {
        Err(error) if error.sqlstate() == Some(INSUFFICIENT_PRIVILEGE) => {}
        analyzed => return Ok(analyzed.map(|_| ())?),
    }
    if let [_] = tables {
        return Ok(());
    }
    for table in tables {
        Box::pin(analyze_some(session, std::slice::from_ref(table))).await?;
    }
    Ok(())
}

/// Tables that are left to be analyzed, the largest first, with their sizes in bytes.
struct Tables {
    left: VecDeque<(String, u64)>,
    most: usize,
    connections: usize,
}

impl Tables {
    /// The next large table, or some small ones: but a share of them, so that all connections end together.
    fn take(&mut self) -> Vec<String> {
        let small = self.left.front().is_some_and(|(_, size)| *size <= SMALL_BYTES);
        let share = self.left.len().div_ceil(self.connections.saturating_mul(2).max(1));
        let count = if small { share.min(self.most) } else { 1 };
        let some = self.left.drain(..count.min(self.left.len()));
        some.map(|(table, _)| table).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_tables_one_by_one_then_small_ones_together() {
        let sizes = [9 << 20, 2 << 20, 5, 4, 3, 2, 1];
        let left = sizes.iter().map(|size| (format!("t{size}"), *size)).collect();
        let mut tables = Tables { left, most: 50, connections: 1 };
        let taken: Vec<usize> = std::iter::repeat_with(|| tables.take().len()).take(6).collect();
        assert_eq!(taken, [1, 1, 3, 1, 1, 0]);
    }
}
