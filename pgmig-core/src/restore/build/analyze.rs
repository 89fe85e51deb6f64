//! Gathers statistics for the planner, on all sessions at the same time.
//!
//! pg_restore gathers none, so no table whose ANALYZE fails may end a restore: code of the archive runs in it, such as the
//! function of an index.

use crate::error::Result;
use crate::restore::executor::Executor;
use crate::restore::plan::RunAs;
use crate::server::TargetError;
use crate::server::session::Session;
use futures_util::future::try_join_all;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// The tables that ANALYZE without a table goes through, the largest first: ordinary tables, those of the system too,
/// materialized views, and partitioned tables, with which go their partitions.
///
/// ANALYZE of a table with a foreign table below it reads that one from its server, which a restore must not do. Such a
/// table is marked, and its own partitions are tables of the list.
const TABLES: &str = "\
    WITH RECURSIVE below AS (SELECT i.inhparent AS top, i.inhrelid AS child FROM pg_catalog.pg_inherits i \
        UNION SELECT b.top, i.inhrelid FROM below b JOIN pg_catalog.pg_inherits i ON i.inhparent = b.child), \
    over_foreign AS (SELECT DISTINCT b.top FROM below b JOIN pg_catalog.pg_class f ON f.oid = b.child \
        WHERE f.relkind = 'f') \
    SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), \
    CASE c.relkind WHEN 'p' THEN 9223372036854775807 ELSE pg_catalog.pg_relation_size(c.oid) END AS size, \
    c.oid IN (SELECT top FROM over_foreign) \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't' \
    AND (NOT c.relispartition OR EXISTS (SELECT FROM pg_catalog.pg_inherits i JOIN over_foreign o ON o.top = i.inhparent \
        WHERE i.inhrelid = c.oid)) AND (";

/// SQL: no table of the system, and none of the record.
const NOT_OF_SYSTEM: &str = "n.nspname NOT IN ('pg_catalog', 'information_schema', 'pgmig_resume')";

/// SQL: the system's own tables are worth it. They take longer than a small restore, and change little in it: they are left
/// to autovacuum until the catalog of relations has a megabyte (some thousand relations).
const SYSTEM_HAS_GROWN: &str = "pg_catalog.pg_relation_size('pg_catalog.pg_class') > 1048576";

/// SQL: `username` owns the table. In place, tables of other roles that stay are left out. So are those of the system:
/// ANALYZE would lock autovacuum out of them until the commit.
const RESTORED: &str = "pg_catalog.pg_has_role(c.relowner, 'USAGE')";

/// Tables up to this size are analyzed several at a time, from PostgreSQL 11 on.
const SMALL_BYTES: u64 = 1024 * 1024;

/// The number of small tables in one ANALYZE.
const TABLES_AT_ONCE: usize = 50;

const DOING: &str = "gather statistics (ANALYZE)";

/// Analyzes every table of the database, as the role with the most rights. Returns a text for each table without
/// statistics.
pub(crate) async fn analyze(mut executors: Vec<&mut Executor>, run_as: &RunAs) -> Result<Vec<String>> {
    let Some(lead) = executors.first_mut() else { return Ok(Vec::new()) };
    lead.become_role(run_as).await?;
    let most = if lead.session.server_version() >= 110_000 { TABLES_AT_ONCE } else { 1 };
    let is_one = lead.session.is_one_transaction();
    let which = if is_one {
        format!("{NOT_OF_SYSTEM} AND {RESTORED}")
    } else {
        format!("{NOT_OF_SYSTEM} OR {SYSTEM_HAS_GROWN}")
    };
    let sql = format!("{TABLES}{which}) ORDER BY size DESC");
    let (mut tables, mut texts) = (VecDeque::new(), Vec::new());
    lead.session
        .each_row(&sql, DOING, |row| {
            if row.is_true(2) {
                let table = row.text(0);
                texts.push(format!(
                    "table {table} has no statistics: ANALYZE would read the foreign table below it; run ANALYZE \
                     {table} when its server is there"
                ));
            } else {
                tables.push_back((row.text(0).to_owned(), row.number(1)));
            }
        })
        .await?;
    let left = Mutex::new(Tables { left: tables, most, connections: executors.len() });
    let work = executors.into_iter().map(|executor| async {
        executor.become_role(run_as).await?;
        let mut refused = Vec::new();
        loop {
            let some = left.lock().unwrap_or_else(PoisonError::into_inner).take();
            if some.is_empty() {
                return Ok::<_, crate::Error>(refused);
            }
            refused.extend(some_tables(&mut executor.session, &some).await?);
        }
    });
    texts.extend(try_join_all(work).await?.into_iter().flatten());
    Ok(texts)
}

/// Analyzes these tables; where that fails, each of them alone. Returns a text for each refused table.
async fn some_tables(session: &mut Session, tables: &[String]) -> Result<Vec<String>, TargetError> {
    if tables.len() > 1 && attempt(session, &tables.join(", ")).await?.is_none() {
        return Ok(Vec::new());
    }
    let mut texts = Vec::new();
    for table in tables {
        if let Some(error) = attempt(session, table).await? {
            texts.push(format!(
                "table {table} has no statistics ({error}); mend the cause, and run ANALYZE {table}"
            ));
        }
    }
    Ok(texts)
}

/// Tries an ANALYZE. Returns the error if the server refuses it and the session can go on.
async fn attempt(session: &mut Session, tables: &str) -> Result<Option<TargetError>, TargetError> {
    const CANCELLED: &str = "57014";
    let is_one = session.is_one_transaction();
    if is_one {
        session.execute("SAVEPOINT before_analyze", DOING).await?;
    }
    let done = session.execute(&format!("ANALYZE {tables}"), DOING).await;
    let refused = match done {
        Ok(_) => None,
        Err(error) if error.sqlstate().is_some_and(|state| !ends_session(state) && state != CANCELLED) => {
            Some(error)
        }
        Err(error) => return Err(error),
    };
    if is_one {
        let end = if refused.is_some() {
            "ROLLBACK TO before_analyze; RELEASE before_analyze"
        } else {
            "RELEASE before_analyze"
        };
        session.execute(end, DOING).await?;
    }
    Ok(refused)
}

/// Whether an error of this class (connection, operator intervention, system) is not the table's.
fn ends_session(state: &str) -> bool {
    ["08", "57", "58", "53", "XX"].iter().any(|class| state.starts_with(class))
}

/// Tables that still have to be analyzed, the largest first, with their sizes in bytes.
struct Tables {
    left: VecDeque<(String, u64)>,
    most: usize,
    connections: usize,
}

impl Tables {
    /// The next large table, or several small ones. They are at most one connection's share, so that all connections
    /// end together.
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
