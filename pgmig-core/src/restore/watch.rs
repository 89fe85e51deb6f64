//! Watches for a load that cannot go on.
//!
//! sqlx does not read the socket while it sends COPY data. Messages of the server (RAISE INFO in a constraint's
//! function, which no setting turns off) then fill the socket until both sides wait for each other for ever.

use crate::sql::quote_literal;
use crate::target::TargetConfig;
use crate::target::session::Session;
use std::time::Duration;
use tokio::time::sleep;

/// How long one message may take before the server is asked why.
const PATIENCE: Duration = Duration::from_secs(20);

/// Knows whom to ask about a loading session.
pub(super) struct Watch {
    pub(super) config: TargetConfig,
    pub(super) database: String,
    pub(super) application: String,
    /// The loading session's server process.
    pub(super) pid: i32,
}

impl Watch {
    /// Returns when the server process waits for us to read, which we never will. The server process is ended
    /// then, since nothing else gets its session free. Slow disks and locks are waited for.
    pub(super) async fn stuck(&self) {
        loop {
            sleep(PATIENCE).await;
            let Ok(mut session) = Session::open(&self.config, &self.database, &self.application).await else {
                continue;
            };
            let sql = format!(
                "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
                 WHERE pid = {} AND datname = {} AND wait_event = 'ClientWrite'",
                self.pid,
                quote_literal(&self.database)
            );
            let ended = session.rows(&sql, "look after the load").await.is_ok_and(|rows| !rows.is_empty());
            session.close().await;
            if ended {
                return;
            }
        }
    }
}
