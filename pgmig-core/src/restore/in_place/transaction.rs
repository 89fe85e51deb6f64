//! The one transaction: is it still open?

use crate::error::Result;
use crate::restore::error::RestoreError;
use crate::server::session::Session;

/// Makes sure, where one transaction is to hold everything, that `culprit` has not ended it.
///
/// # Errors
///
/// [`RestoreError::TransactionEnded`].
pub(crate) async fn require(session: &mut Session, culprit: &str) -> Result<()> {
    if !session.is_one_transaction() || session.is_same_transaction().await? {
        return Ok(());
    }
    Err(RestoreError::TransactionEnded(culprit.to_owned()).into())
}
