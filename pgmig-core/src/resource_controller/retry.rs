//! Which failures may be tried again, and when.

use super::error::ResourceControllerError;
use super::limits::Limits;
use std::time::Duration;

/// A failed try.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: ResourceControllerError,
    pub(super) retry: Retry,
}

/// Whether another try may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// It cannot succeed.
    Never,
    /// After a wait that pgmig chooses.
    Backoff,
    /// After the wait that the server asks for.
    After(Duration),
}

impl Failure {
    pub(super) fn last(error: ResourceControllerError) -> Self {
        Self { error, retry: Retry::Never }
    }

    pub(super) fn passing(error: ResourceControllerError) -> Self {
        Self { error, retry: Retry::Backoff }
    }

    /// How long to wait after this failed try; `None` if it was the last one. `attempt` counts from 1.
    pub(super) fn wait(&self, limits: &Limits, attempt: u32) -> Option<Duration> {
        if attempt >= limits.attempts {
            return None;
        }
        match self.retry {
            Retry::Never => None,
            Retry::Backoff => Some(backoff(limits, attempt)),
            Retry::After(asked) => Some(asked.max(backoff(limits, attempt))),
        }
    }
}

fn backoff(limits: &Limits, attempt: u32) -> Duration {
    let factor = 2_u32.saturating_pow(attempt.saturating_sub(1));
    limits.backoff.saturating_mul(factor).min(limits.longest_wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let limits = Limits::default();
        let failure = |retry| Failure { error: ResourceControllerError::InvalidToken { position: 1 }, retry };
        let wait = |retry, attempt| failure(retry).wait(&limits, attempt);
        assert_eq!(wait(Retry::Backoff, 1), Some(Duration::from_millis(500)));
        assert_eq!(wait(Retry::Backoff, 2), Some(Duration::from_secs(1)));
        assert_eq!(wait(Retry::Backoff, 3), None);
        assert_eq!(wait(Retry::After(Duration::from_secs(7)), 1), Some(Duration::from_secs(7)));
        assert_eq!(wait(Retry::After(Duration::ZERO), 2), Some(Duration::from_secs(1)));
        assert_eq!(wait(Retry::Never, 1), None);
    }
}
