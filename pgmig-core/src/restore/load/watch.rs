//! Watches for a load that cannot go on.
//!
//! sqlx does not read the socket while it sends COPY data. Messages of the server (RAISE INFO in a constraint's
//! function, which no setting turns off) then fill the socket until both sides wait for each other for ever.

use crate::server::TargetConfig;
use crate::server::session::Session;
use crate::sql::quote_literal;
use std::time::Duration;
use tokio::time::sleep;

/// How long one message may take before the server is asked why.
const PATIENCE: Duration = Duration::from_secs(20);

/// Knows whom to ask about the loading sessions: as `su_username`, which sees them.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) config: TargetConfig,
    pub(crate) database: String,
    pub(crate) application: String,
}

impl Watch {
    /// Returns when the server process `pid` waits for us to read, which we never will. Slow disks and locks are waited
    /// for.
    pub(crate) async fn stuck(&self, pid: i32) {
        loop {
            sleep(PATIENCE).await;
            if self.asks(pid, "wait_event = 'ClientWrite'").await {
                return;
            }
        }
    }

    /// Ends the server process: nothing else gets its session free.
    pub(crate) async fn end(&self, pid: i32) {
        self.asks(pid, "pg_catalog.pg_terminate_backend(pid)").await;
    }

    /// Asks about a loading session's server process. Whoever cannot be asked says no.
    async fn asks(&self, pid: i32, condition: &str) -> bool {
        let Ok(mut session) = Session::open(&self.config, &self.database, &self.application).await else {
            return false;
        };
        let sql = format!(
            "SELECT {condition} FROM pg_catalog.pg_stat_activity WHERE pid = {pid} AND datname = {}",
            quote_literal(&self.database)
        );
        let answer = session.holds(&sql, "look after the load").await.unwrap_or(false);
        session.close().await;
        answer
    }
}
