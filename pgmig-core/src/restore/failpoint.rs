//! Places where a test build can stop or die.

use super::error::RestoreError;
use crate::progress::{Failpoint, Step};

/// The failpoint of this run; builds without the feature `failpoints` never have one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Failpoints(Option<Failpoint>);

impl Failpoints {
    pub(crate) fn new(failpoint: Option<Failpoint>) -> Self {
        Self(failpoint.filter(|_| cfg!(feature = "failpoints")))
    }

    /// Passes the place `step`. Returns an error or kills the process, if a test has asked for that.
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

/// Dies as by `kill -9`: no destructor runs, and no buffer is flushed.
#[cfg(feature = "failpoints")]
fn kill() {
    let pid = std::process::id().to_string();
    // This crate contains no `unsafe`, so another program sends the signal.
    let _ = std::process::Command::new("kill").args(["-9", &pid]).status();
    std::process::abort();
}

#[cfg(not(feature = "failpoints"))]
fn kill() {}
