//! The parts of a running restore that both strategies share.

use crate::error::Result;
use crate::progress::Step;
use crate::restore::error::RestoreError;
use crate::restore::failpoint::Failpoints;
use crate::restore::journal::Journal;
use crate::restore::options::RestoreOptions;
use crate::restore::refusal::Refusal;
use crate::restore::report::restored::RestoreReport;
use crate::restore::staging;
use crate::server::catalog::{self, DatabaseFacts};
use crate::server::lock::lock_target;
use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};
use crate::sql::quote_ident;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How often the connection that holds the lock is used while a database is filled.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// The state that both strategies need around the filling of a database.
pub(crate) struct Run {
    pub(crate) config: TargetConfig,
    pub(crate) options: RestoreOptions,
    pub(crate) cancel: CancellationToken,
    pub(crate) application: String,
    pub(crate) run_id: String,
    pub(crate) failpoints: Failpoints,
    pub(crate) started: Instant,
    /// Holds the lock on the target's name; connected to the database `maintenance`.
    pub(crate) control: Session,
    pub(crate) maintenance: String,
    pub(crate) target: DatabaseFacts,
    pub(crate) journal: Journal,
}

impl Run {
    /// Takes the lock on the target's name, and checks that the target is still the database that the preflight
    /// examined.
    pub(crate) async fn lock(&mut self) -> Result<()> {
        self.journal.step(Step::Lock);
        let holder = tokio::select! {
            holder = lock_target(&mut self.control, &self.target.name) => holder?,
            () = self.cancel.cancelled() => return Err(RestoreError::Interrupted.into()),
        };
        if let Some(holder) = holder {
            return Err(Refusal::Locked { database: self.target.name.clone(), holder }.into());
        }
        // Another restore may have swapped since the preflight.
        let now = catalog::database_facts(&mut self.control, &self.target.name).await?;
        if now.is_none_or(|now| now.oid != self.target.oid) {
            return Err(Refusal::Changed { database: self.target.name.clone() }.into());
        }
        self.failpoints.pass(Step::Lock)?;
        Ok(())
    }

    /// Stops a strict restore that has given warnings.
    pub(crate) fn refuse_warnings(&self) -> Result<()> {
        let warnings = self.journal.warnings();
        if self.options.strict && warnings > 0 {
            return Err(RestoreError::Strict(warnings).into());
        }
        Ok(())
    }

    /// The report of a restore that is complete.
    pub(crate) fn report(&mut self) -> RestoreReport {
        let mut report = std::mem::take(&mut self.journal.report);
        report.took = self.started.elapsed();
        report
    }

    /// Removes databases that earlier runs left beside the target. Returns whether a database that is not ours has
    /// the staging database's name.
    pub(crate) async fn clean_leftovers(&mut self) -> Result<bool> {
        self.journal.step(Step::CleanLeftovers);
        let beside = staging::look_beside(&mut self.control, &self.target).await?;
        for leftover in &beside.leftovers {
            staging::drop_leftover(&mut self.control, leftover).await?;
            self.journal
                .notice(format!("removed database {}, left by an earlier run", quote_ident(leftover)));
        }
        Ok(beside.name_taken)
    }
}

/// Uses the connection that holds the lock from time to time, so that no firewall or proxy drops it as dead. Returns
/// only when the connection is lost, and the lock with it.
pub(crate) async fn keep_alive(control: &mut Session) -> TargetError {
    loop {
        tokio::time::sleep(KEEP_ALIVE).await;
        if let Err(error) = control.execute("SELECT 1", "keep the lock on the target").await {
            return error;
        }
    }
}
