//! Detects a load that cannot continue.
//!
//! sqlx does not read the socket while it sends COPY data. Messages of the server can then fill the socket, until
//! both sides wait for each other for ever. (No setting turns off RAISE INFO in a constraint's function.)

use crate::server::TargetConfig;
use crate::server::session::Session;
use crate::sql::quote_literal;
use std::time::Duration;
use tokio::time::sleep;

/// How long sending one message may take before pgmig asks the server for the reason.
const PATIENCE: Duration = Duration::from_secs(20);

/// The connection settings with which pgmig asks about its loading sessions: those of `su_username`, to which the server shows them.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) config: TargetConfig,
    pub(crate) database: String,
    pub(crate) application: String,
}

impl Watch {
    /// Returns when the server process `pid` waits for us to read, which we never do. Keeps waiting through slow
    /// disks and locks.
    pub(crate) async fn stuck(&self, pid: i32) {
        loop {
            sleep(PATIENCE).await;
            if self.asks(pid, "wait_event = 'ClientWrite'").await {
                return;
            }
        }
    }

    /// Terminates the server process: nothing else frees its session.
    pub(crate) async fn end(&self, pid: i32) {
        self.asks(pid, "pg_catalog.pg_terminate_backend(pid)").await;
    }

    /// Asks about the server process of a loading session. If the question fails, the answer is no.
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
