//! What is refused before anything is dropped.

use super::clearing::Clearing;
use super::locks;
use crate::error::Result;
use crate::progress::Notice;
use crate::restore::plan::Plan;
use crate::restore::preflight::Inside;
use crate::target::session::Session;

/// Looks for everything that would fail in the one transaction, and needs no try to be known.
///
/// # Errors
///
/// A [`Refusal`](crate::restore::Refusal).
pub(in crate::restore) async fn preflight(
    session: &mut Session,
    plan: &Plan,
    inside: &Inside,
    clearing: &Clearing,
) -> Result<()> {
    locks::preflight(session, plan, inside, clearing).await
}

/// What is said of a restore in place beforehand.
pub(in crate::restore) fn notices(clearing: &Clearing) -> Vec<Notice> {
    clearing.notices()
}
