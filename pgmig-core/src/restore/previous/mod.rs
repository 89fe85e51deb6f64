//! The way back: lists the databases that a target had before a swap, puts one of them back, and drops them.

mod found;
mod opened;
mod removal;
mod rollback;

pub use found::PreviousDatabase;
pub use removal::{Removal, RemovalReport, ToDrop};
pub use rollback::{Rollback, RollbackReport};

use self::opened::Opened;
use crate::error::Result;
use crate::progress::{Failpoint, NoProgress, Notice, Progress, Reporter};
use crate::restore::error::RestoreError;
use crate::restore::failpoint::Failpoints;
use crate::server::TargetConfig;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How the sessions on a database are treated that is to be renamed or dropped.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PreviousOptions {
    /// How long a rollback waits for other sessions on both databases to end.
    pub session_wait: Duration,
    /// Whether to terminate these sessions instead.
    pub terminate_sessions: bool,
    /// Test builds only: the step at which a rollback stops or dies.
    pub failpoint: Option<Failpoint>,
}

/// The previous databases of a target: those that a swap replaced and [`keep_previous`](super::RestoreOptions::keep_previous)
/// kept.
///
/// pgmig knows them by the comment that it has written. A database counts only if that comment names the target and the
/// database's own OID, if it has the name that pgmig gave it, and if it belongs to the target's owner or to a superuser.
///
/// ```no_run
/// use pgmig_core::restore::{PreviousDatabases, PreviousOptions};
/// # async fn back(target: pgmig_core::server::TargetConfig) -> pgmig_core::Result<()> {
/// for previous in PreviousDatabases::of(target.clone()).list().await?.previous {
///     println!("{} was replaced at {:?}", previous.name, previous.replaced_at);
/// }
/// let rollback = PreviousDatabases::of(target).rollback(None, PreviousOptions::default()).await?;
/// println!("the present data is kept as {}", rollback.run().await?.previous);
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is looked at until list(), rollback() or removal() is called"]
pub struct PreviousDatabases {
    config: TargetConfig,
    progress: Arc<dyn Progress>,
    cancel: CancellationToken,
}

impl std::fmt::Debug for PreviousDatabases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreviousDatabases").field("target", &self.config.database()).finish_non_exhaustive()
    }
}

/// The previous databases of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PreviousList {
    /// The target's database name.
    pub database: String,
    /// The newest first.
    pub previous: Vec<PreviousDatabase>,
    /// Databases that have a marker of this target, but are none of its previous ones.
    pub notices: Vec<Notice>,
}

/// What each of the three calls needs.
struct Call {
    progress: Arc<dyn Progress>,
    cancel: CancellationToken,
    options: PreviousOptions,
    failpoints: Failpoints,
}

impl PreviousDatabases {
    /// The previous databases of the target that `config` describes.
    pub fn of(config: TargetConfig) -> Self {
        Self { config, progress: Arc::new(NoProgress), cancel: CancellationToken::new() }
    }

    /// Sends the events of a rollback or of a removal to `progress`.
    pub fn progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = Arc::new(Reporter::new(progress));
        self
    }

    /// Ends the call soon after `cancel` is cancelled. A rollback then has changed nothing.
    pub fn cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Lists them. Changes nothing.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or the target does not exist.
    pub async fn list(self) -> Result<PreviousList> {
        let Self { config, cancel, .. } = self;
        let listing = async {
            let mut opened = Opened::new(config).await?;
            let list = opened.list().await;
            opened.control.close().await;
            list
        };
        interruptible(&cancel, listing).await
    }

    /// Prepares to put back the previous database `name`, or the newest. Changes nothing.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or a [`Refusal`](super::Refusal): there is no such previous database, or it or the
    /// target cannot be renamed.
    pub async fn rollback(self, name: Option<&str>, options: PreviousOptions) -> Result<Rollback> {
        let (config, call) = self.into_parts(options);
        let cancel = call.cancel.clone();
        interruptible(&cancel, Rollback::prepare(config, call, name)).await
    }

    /// Prepares to drop previous databases. Changes nothing.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or a [`Refusal`](super::Refusal): one of them is none of the target's, or cannot be
    /// dropped, or sessions are connected to it and are not to be terminated.
    pub async fn removal(self, which: ToDrop, options: PreviousOptions) -> Result<Removal> {
        let (config, call) = self.into_parts(options);
        let cancel = call.cancel.clone();
        interruptible(&cancel, Removal::prepare(config, call, which)).await
    }

    fn into_parts(self, options: PreviousOptions) -> (TargetConfig, Call) {
        let failpoints = Failpoints::new(options.failpoint);
        (self.config, Call { progress: self.progress, cancel: self.cancel, options, failpoints })
    }
}

async fn interruptible<T>(cancel: &CancellationToken, call: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = call => done,
        () = cancel.cancelled() => Err(RestoreError::Interrupted.into()),
    }
}
