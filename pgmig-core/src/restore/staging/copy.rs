//! Makes the staging database as a copy of the target, with CREATE DATABASE ... TEMPLATE.

use crate::error::Result;
use crate::restore::refusal::Refusal;
use crate::restore::sessions::{OBJECT_IN_USE, keep_ending};
use crate::restore::staging::marker::STAGING_CONNECTION_LIMIT;
use crate::server::catalog::{DatabaseFacts, other_sessions};
use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};
use crate::sql::quote_ident;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The database to copy, and how long to wait for its sessions.
pub(crate) struct CopyTarget<'a> {
    pub(crate) config: &'a TargetConfig,
    pub(crate) maintenance: &'a str,
    pub(crate) application: &'a str,
    pub(crate) target: &'a DatabaseFacts,
    pub(crate) staging: &'a str,
    pub(crate) wait: Duration,
    pub(crate) terminate_sessions: bool,
}

impl CopyTarget<'_> {
    /// Copies the target. Waits for other sessions on it to end, since the server does not copy a database that has
    /// sessions. New sessions wait until the copy is complete.
    ///
    /// # Errors
    ///
    /// [`Refusal::InUse`] if sessions did not leave in time, and any error of the server.
    pub(crate) async fn run(&self, control: &mut Session) -> Result<()> {
        let deadline = Instant::now() + self.wait;
        loop {
            match self.attempt(control).await {
                Ok(()) => return Ok(()),
                Err(error) if error.sqlstate() == Some(OBJECT_IN_USE) => {}
                Err(error) => return Err(error.into()),
            }
            if Instant::now() >= deadline {
                let sessions = other_sessions(control, &self.target.name, self.application).await?;
                let (database, waited) = (self.target.name.clone(), self.wait);
                return Err(Refusal::InUse { database, sessions, waited }.into());
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    async fn attempt(&self, control: &mut Session) -> Result<(), TargetError> {
        let doing = format!("copy the target as the staging database {}", quote_ident(self.staging));
        // Otherwise the server would also write the whole copy to the WAL, although the copy is then emptied.
        let strategy = if control.server_version() >= 150_000 { "STRATEGY FILE_COPY" } else { "" };
        let sql = format!(
            "CREATE DATABASE {} OWNER {} TEMPLATE {} {strategy} CONNECTION LIMIT {STAGING_CONNECTION_LIMIT}",
            quote_ident(self.staging),
            quote_ident(&self.target.owner),
            quote_ident(&self.target.name),
        );
        if !self.terminate_sessions {
            return control.execute(&sql, &doing).await.map(drop);
        }
        let mut helper = Session::open(self.config, self.maintenance, self.application).await?;
        let attempt = tokio::select! {
            attempt = control.execute(&sql, &doing) => attempt.map(drop),
            never = keep_ending(&mut helper, &self.target.name, self.application) => match never {},
        };
        helper.close().await;
        attempt
    }
}
