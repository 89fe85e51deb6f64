//! Copies the target database's own properties to its successor: privileges, settings, connection limit, comment,
//! security labels. The statements run inside the swap's transaction. A rehearsal at the creation of the staging
//! database shows whether they work.

use crate::error::Result;
use crate::restore::preflight::strategy::cannot_carry_over;
use crate::restore::refusal::Refusal;
use crate::restore::state::properties::{Statement, statements};
use crate::server::TargetError;
use crate::server::catalog::DatabaseFacts;
use crate::server::session::Session;

/// Gives the database `successor` the properties of `target`, in the transaction that the caller has begun.
///
/// # Errors
///
/// The server refuses a statement; the error names the property.
pub(crate) async fn run(
    control: &mut Session,
    target: &DatabaseFacts,
    successor: &str,
) -> Result<(), TargetError> {
    for Statement { what, sql } in statements(control, target, successor).await? {
        control.execute(&sql, &format!("carry over {what}")).await?;
    }
    Ok(())
}

/// Tries whether [`run`] will work, and changes nothing. It is better to learn before the load which rights
/// `su_username` does not have.
///
/// # Errors
///
/// [`Refusal::CannotSwap`] with the properties that cannot be copied.
pub(crate) async fn rehearse(control: &mut Session, target: &DatabaseFacts, successor: &str) -> Result<()> {
    let doing = "try to carry over what belongs to the target database";
    control.begin(doing).await?;
    let tried = run(control, target, successor).await;
    let undone = control.rollback(doing).await;
    match tried {
        Err(error) if error.is_lasting() => {
            let reasons = vec![cannot_carry_over(&error)];
            Err(Refusal::CannotSwap { database: target.name.clone(), reasons }.into())
        }
        tried => Ok(tried.and(undone)?),
    }
}
