//! Settings for a session that loads many rows. They apply to the session only, so none of them remains.

use crate::restore::options::ToastCompression;
use crate::server::TargetError;
use crate::server::session::Session;
use std::num::NonZeroUsize;

/// A higher value builds no index faster.
const MAINTENANCE_WORK_MEM_MAX_KB: u64 = 1024 * 1024;

/// Settings for a bulk load on this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BulkSettings {
    maintenance_work_mem_kb: u64,
    lz4: bool,
}

impl BulkSettings {
    /// Reads the server's settings.
    pub(crate) async fn of_server(
        session: &mut Session,
        jobs: NonZeroUsize,
        toast: ToastCompression,
    ) -> Result<Self, TargetError> {
        // `shared_buffers` is in blocks, `maintenance_work_mem` in kB.
        let sql = "SELECT pg_catalog.max(setting) FILTER (WHERE name = 'maintenance_work_mem'), \
                   pg_catalog.max(setting::pg_catalog.int8 * pg_catalog.current_setting('block_size')::pg_catalog.int8 / 1024) \
                   FILTER (WHERE name = 'shared_buffers'), \
                   pg_catalog.bool_or('lz4' = ANY (enumvals)) FILTER (WHERE name = 'default_toast_compression') \
                   FROM pg_catalog.pg_settings \
                   WHERE name IN ('maintenance_work_mem', 'shared_buffers', 'default_toast_compression')";
        let rows = session.rows(sql, "read the server's settings").await?;
        let Some(row) = rows.first() else { return Ok(Self::new(0, 0, jobs, false)) };
        let lz4 = row.is_true(2) && toast == ToastCompression::Lz4;
        Ok(Self::new(row.number(0), row.number(1), jobs, lz4))
    }

    /// Divides as much memory as `shared_buffers` among the sessions. The server does not report its memory, but an
    /// administrator sets `shared_buffers` to about a quarter of it. A session never gets less than the server's own
    /// setting.
    fn new(own_kb: u64, shared_buffers_kb: u64, jobs: NonZeroUsize, lz4: bool) -> Self {
        let jobs = u64::try_from(jobs.get()).unwrap_or(u64::MAX);
        let share = (shared_buffers_kb / jobs).min(MAINTENANCE_WORK_MEM_MAX_KB);
        Self { maintenance_work_mem_kb: own_kb.max(share), lz4 }
    }

    pub(crate) fn to_sql(&self) -> String {
        // No commit before the swap has to wait for the disk: the swap's commit makes the staging database durable.
        let mut sql = "SET synchronous_commit = off;".to_owned();
        if self.maintenance_work_mem_kb > 0 {
            sql.push_str(&format!("SET maintenance_work_mem = {};", self.maintenance_work_mem_kb));
        }
        // Only the default, for columns without a method of their own; no definition contains it.
        if self.lz4 {
            sql.push_str("SET default_toast_compression = lz4;");
        }
        sql
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn memory_is_shared_and_never_less_than_the_servers_own_setting() {
        let of = |own, buffers, jobs| {
            let jobs = NonZeroUsize::new(jobs).unwrap();
            BulkSettings::new(own, buffers, jobs, false).maintenance_work_mem_kb
        };
        assert_eq!(of(65_536, 131_072, 2), 65_536);
        assert_eq!(of(65_536, 131_072, 1), 131_072);
        assert_eq!(of(65_536, 64 * 1024 * 1024, 8), 1024 * 1024);
        assert_eq!(of(2 * 1024 * 1024, 131_072, 1), 2 * 1024 * 1024);
    }

    #[test]
    fn settings_are_the_sessions() {
        let jobs = NonZeroUsize::MIN;
        assert_eq!(
            BulkSettings::new(1, 0, jobs, true).to_sql(),
            "SET synchronous_commit = off;SET maintenance_work_mem = 1;SET default_toast_compression = lz4;"
        );
        assert!(!BulkSettings::new(1, 0, jobs, false).to_sql().contains("toast"));
    }
}
