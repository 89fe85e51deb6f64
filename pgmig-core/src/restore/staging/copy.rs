//! Makes the staging database as a copy of the target, with CREATE DATABASE ... TEMPLATE.

use crate::error::Result;
use crate::restore::sessions::{OBJECT_IN_USE, TargetSessions};
use crate::restore::staging::marker::STAGING_CONNECTION_LIMIT;
use crate::server::TargetError;
use crate::server::catalog::DatabaseFacts;
use crate::server::session::Session;
use crate::sql::quote_ident;

/// Copies the target as the database `staging`. Waits for other sessions on the target to end, since the server does not
/// copy a database that has sessions. New sessions wait until the copy is complete.
///
/// # Errors
///
/// [`Refusal::InUse`](crate::restore::Refusal::InUse) if sessions did not leave in time, and any error of the server.
pub(crate) async fn copy_target(
    control: &mut Session,
    target: &DatabaseFacts,
    staging: &str,
    sessions: &TargetSessions,
) -> Result<()> {
    let waiting = sessions.waiting();
    loop {
        match sessions.attempt(copy(control, target, staging)).await? {
            Ok(()) => return Ok(()),
            Err(error) if error.sqlstate() == Some(OBJECT_IN_USE) => {}
            Err(error) => return Err(error.into()),
        }
        if waiting.is_over() {
            return Err(sessions.refusal(control, &waiting).await?.into());
        }
        waiting.pause().await;
    }
}

async fn copy(control: &mut Session, target: &DatabaseFacts, staging: &str) -> Result<(), TargetError> {
    let doing = format!("copy the target as the staging database {}", quote_ident(staging));
    // Otherwise the server would also write the whole copy to the WAL, although the copy is then emptied.
    let strategy = if control.server_version() >= 150_000 { "STRATEGY FILE_COPY" } else { "" };
    let sql = format!(
        "CREATE DATABASE {} OWNER {} TEMPLATE {} {strategy} CONNECTION LIMIT {STAGING_CONNECTION_LIMIT}",
        quote_ident(staging),
        quote_ident(&target.owner),
        quote_ident(&target.name),
    );
    control.execute(&sql, &doing).await.map(drop)
}
