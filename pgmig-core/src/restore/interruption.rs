//! Ends work on an interruption, and limits what is cleaned up after it.

use crate::error::Result;
use crate::restore::error::RestoreError;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// How long cleaning up after a failure may take.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// How long it may take after an interruption. The manual promises that the program ends within 5 s.
const AFTER_INTERRUPTION: Duration = Duration::from_secs(3);

/// Does the work, unless it is interrupted.
///
/// # Errors
///
/// [`RestoreError::Interrupted`], or that of the work.
pub(crate) async fn or_interrupted<T>(
    cancel: &CancellationToken,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    // The future of a whole restore is large, and a thread's stack may be small.
    let work = Box::pin(work);
    tokio::select! {
        done = work => done,
        () = cancel.cancelled() => Err(RestoreError::Interrupted.into()),
    }
}

/// The time limit of cleaning up after a restore that failed: one for all its steps together.
#[derive(Debug, Clone)]
pub(crate) struct CleanUp {
    cancel: CancellationToken,
    limits: Arc<Limits>,
}

#[derive(Debug)]
struct Limits {
    after_failure: Limit,
    after_interruption: Limit,
}

/// A limit that begins to run when it is first asked for.
#[derive(Debug)]
struct Limit {
    time: Duration,
    end: OnceLock<Instant>,
}

impl Limit {
    fn of(time: Duration) -> Self {
        Self { time, end: OnceLock::new() }
    }

    fn end(&self) -> Instant {
        *self.end.get_or_init(|| Instant::now() + self.time)
    }
}

impl CleanUp {
    /// The time runs from the first step on, and from the interruption on.
    pub(crate) fn new(cancel: &CancellationToken) -> Self {
        Self::within(cancel, AFTER_FAILURE, AFTER_INTERRUPTION)
    }

    fn within(cancel: &CancellationToken, after_failure: Duration, after_interruption: Duration) -> Self {
        let (after_failure, after_interruption) = (Limit::of(after_failure), Limit::of(after_interruption));
        Self { cancel: cancel.clone(), limits: Arc::new(Limits { after_failure, after_interruption }) }
    }

    /// Does a step. `None` if there was no time left for it.
    pub(crate) async fn step<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let end = self.limits.after_failure.end();
        let work = Box::pin(work);
        tokio::select! {
            biased;
            done = work => Some(done),
            () = sleep_until(end) => None,
            () = self.interrupted() => None,
        }
    }

    /// Lets the time after the interruption end this much later, unless it runs already.
    pub(crate) fn end_within(&self, time: Duration) {
        self.limits.after_interruption.end.get_or_init(|| Instant::now() + time);
    }

    async fn interrupted(&self) {
        self.cancel.cancelled().await;
        sleep_until(self.limits.after_interruption.end()).await;
    }
}

/// Returns when the time for cleaning up after an interruption is over.
pub(crate) async fn after_interruption(cancel: &CancellationToken) {
    cancel.cancelled().await;
    tokio::time::sleep(AFTER_INTERRUPTION).await;
}

/// Why a step of cleaning up was given up.
pub(crate) const NO_ANSWER: &str = "the server did not answer in time";

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test]
    async fn all_steps_share_one_limit() {
        let (cancel, begun) = (CancellationToken::new(), Instant::now());
        let limit = Duration::from_millis(200);
        let clean_up = CleanUp::within(&cancel, limit, Duration::from_secs(600));
        assert_eq!(clean_up.step(async { 7 }).await, Some(7));
        assert_eq!(clean_up.step(pending::<()>()).await, None);
        assert!(begun.elapsed() >= limit);
        // No time is left, but what needs none is still done.
        assert_eq!(clean_up.step(pending::<()>()).await, None);
        assert_eq!(clean_up.step(async { 8 }).await, Some(8));
    }

    #[tokio::test]
    async fn an_interruption_shortens_it() {
        let cancel = CancellationToken::new();
        let clean_up = CleanUp::within(&cancel, Duration::from_secs(600), Duration::from_millis(100));
        let stop = cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            stop.cancel();
        });
        assert_eq!(clean_up.step(pending::<()>()).await, None);
        assert_eq!(clean_up.step(pending::<()>()).await, None);
    }
}
