//! Whether the server's lock table has room for all of a restore in one transaction.

use super::clearing::Clearing;
use crate::error::Result;
use crate::restore::plan::Plan;
use crate::target::session::Session;

/// Counts the locks that clearing, restore and upgrade will hold at the end of the transaction.
///
/// # Errors
///
/// [`Refusal::TooManyLocks`](crate::restore::Refusal) with the setting that is needed.
#[expect(dead_code, clippy::unused_async, reason = "the strategy is being built")]
pub(in crate::restore) async fn preflight(
    _session: &mut Session,
    _plan: &Plan,
    _clearing: &Clearing,
) -> Result<()> {
    Ok(())
}
