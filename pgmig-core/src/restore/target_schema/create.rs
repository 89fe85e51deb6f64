//! The staging database as a copy of the target: CREATE DATABASE ... TEMPLATE, which takes everything with it.

use super::super::error::Refusal;
use super::super::marker::STAGING_CONNECTION_LIMIT;
use super::super::swap::{OBJECT_IN_USE, keep_ending};
use crate::error::Result;
use crate::sql::quote_ident;
use crate::target::catalog::{DatabaseFacts, other_sessions};
use crate::target::session::Session;
use crate::target::{TargetConfig, TargetError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What is copied, and how patiently.
pub(in crate::restore) struct CopyTarget<'a> {
    pub(in crate::restore) config: &'a TargetConfig,
    pub(in crate::restore) maintenance: &'a str,
    pub(in crate::restore) application: &'a str,
    pub(in crate::restore) target: &'a DatabaseFacts,
    pub(in crate::restore) staging: &'a str,
    pub(in crate::restore) wait: Duration,
    pub(in crate::restore) terminate_sessions: bool,
}

impl CopyTarget<'_> {
    /// Copies the target, waiting for other sessions on it to end: the server copies no database that somebody is
    /// connected to. New sessions wait until it is done.
    ///
    /// # Errors
    ///
    /// [`Refusal::InUse`] if sessions stayed, and whatever the server has against it.
    pub(in crate::restore) async fn run(&self, control: &mut Session) -> Result<()> {
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
        // Without this, all of it would be written to the log, too, only to be emptied.
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
