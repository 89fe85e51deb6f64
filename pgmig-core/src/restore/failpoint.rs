//! Where a test build stops or dies.

use super::error::RestoreError;
use crate::progress::{Failpoint, Step};

/// The failpoint of this run; in builds without the feature `failpoints` there is never one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Failpoints(Option<Failpoint>);

impl Failpoints {
    pub(crate) fn new(failpoint: Option<Failpoint>) -> Self {
        Self(failpoint.filter(|_| cfg!(feature = "failpoints")))
    }

    /// Passes the place that is called `step`: returns an error, or kills the process, if a test asked for it.
    pub(crate) fn pass(&self, step: Step) -> Result<(), RestoreError> {
        match self.0 {
            Some(failpoint) if failpoint.step == step => {
                if failpoint.kill {
                    kill();
                }
                Err(RestoreError::Failpoint(step))
            }
            _ => Ok(()),
        }
    }
}

/// Dies as under `kill -9`: no destructor runs, no buffer is flushed.
#[cfg(feature = "failpoints")]
fn kill() {
    let pid = std::process::id().to_string();
    // No `unsafe` in this crate, so the signal comes from outside.
    let _ = std::process::Command::new("kill").args(["-9", &pid]).status();
    std::process::abort();
}

#[cfg(not(feature = "failpoints"))]
fn kill() {}
