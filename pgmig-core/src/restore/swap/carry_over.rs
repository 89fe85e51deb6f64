//! Copies the target database's own properties to its successor: privileges, settings, connection limit, comment,
//! security labels. The statements run inside the swap's transaction. A rehearsal at the creation of the staging
//! database shows whether they work.

use crate::error::Result;
use crate::restore::preflight::strategy::cannot_carry_over;
use crate::restore::refusal::Refusal;
use crate::restore::state::properties;
use crate::server::TargetError;
use crate::server::catalog::{DatabaseFacts, database_with_oid};
use crate::server::session::Session;
use crate::sql::quote_ident;

/// Gives the database with OID `successor` the properties of `target`, in the transaction that the caller has begun.
///
/// # Errors
///
/// The server refuses a statement; the error names the property.
pub(crate) async fn run(
    control: &mut Session,
    target: &DatabaseFacts,
    successor: u32,
) -> Result<(), TargetError> {
    let Some(successor) = database_with_oid(control, successor).await? else { return Ok(()) };
    if successor.owner != target.owner {
        // First, since it changes whose grants the privileges are.
        let (database, owner) = (quote_ident(&successor.name), quote_ident(&target.owner));
        let sql = format!("ALTER DATABASE {database} OWNER TO {owner}");
        control.execute(&sql, "carry over the owner").await?;
    }
    let statements = properties::statements(control, target, &successor).await?;
    properties::run(control, statements).await
}

/// Tries whether [`run`] will work, and changes nothing. It is better to learn before the load which rights
/// `su_username` does not have.
///
/// # Errors
///
/// [`Refusal::CannotSwap`] with the properties that cannot be copied.
pub(crate) async fn rehearse(control: &mut Session, target: &DatabaseFacts, successor: u32) -> Result<()> {
    match try_out(control, target, successor).await? {
        Some(error) => {
            let reasons = vec![cannot_carry_over(&error)];
            Err(Refusal::CannotSwap { database: target.name.clone(), reasons }.into())
        }
        None => Ok(()),
    }
}

/// The server's answer if [`run`] will not work; `None` if it will. Changes nothing.
///
/// # Errors
///
/// The server cannot be asked.
pub(crate) async fn try_out(
    control: &mut Session,
    target: &DatabaseFacts,
    successor: u32,
) -> Result<Option<TargetError>, TargetError> {
    let doing = "try to carry over what belongs to the target database";
    control.begin(doing).await?;
    control.execute("SET LOCAL lock_timeout = '10s'", doing).await?;
    let tried = run(control, target, successor).await;
    let undone = control.rollback(doing).await;
    match tried {
        Err(error) if error.is_lasting() => Ok(Some(error)),
        tried => tried.and(undone).map(|()| None),
    }
}
