//! Empties the target: what is dropped, in which order, and what is in the way.

use crate::error::Result;
use crate::progress::Notice;
use crate::restore::plan::Facts;
use crate::target::session::Session;

/// What is dropped from the target before it is restored, and what stays.
#[derive(Debug, Default)]
pub(in crate::restore) struct Clearing {
    /// What of others stays though a new database would not have it.
    notices: Vec<Notice>,
}

#[expect(dead_code, clippy::unused_async, reason = "the strategy is being built")]
impl Clearing {
    /// Reads the catalogs of the target and plans its clearing. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`Refusal::CannotClear`](crate::restore::Refusal), all reasons at once: objects of others that would be dropped
    /// with those of `owner`, or are in their way.
    pub(in crate::restore) async fn of(_session: &mut Session, _owner: &str) -> Result<Self> {
        Ok(Self::default())
    }

    /// Tells the planner what is there when all is cleared: before [`Plan::new`](crate::restore::plan::Plan::new).
    pub(in crate::restore) fn describe(&self, _facts: &mut Facts) {}

    /// What is said of objects that stay.
    pub(in crate::restore) fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Drops it, inside the transaction that is open. What has come since [`Clearing::of`] is found first, and refused.
    ///
    /// # Errors
    ///
    /// As [`Clearing::of`]; or the server refuses to drop something.
    pub(in crate::restore) async fn clear(&self, _session: &mut Session) -> Result<()> {
        Ok(())
    }
}
