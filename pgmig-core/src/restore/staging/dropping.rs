//! Drops databases with our marker. A DROP that another session or a timeout has stopped is tried again.

use crate::server::lock::lock_target;
use crate::server::session::Session;
use crate::server::{LockHolder, TargetConfig, TargetError};
use crate::sql::{quote_ident, quote_literal};
use std::time::Duration;
use tokio::time::sleep;

/// How often a DROP is tried before the database is left behind.
const ATTEMPTS: usize = 5;

/// The time between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// What happens to the sessions in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sessions {
    /// They are terminated.
    End,
    /// They keep the database from being dropped.
    Respect,
}

/// SQLSTATEs of a DROP that can succeed at the next attempt: a session is in the database, or is a superuser's that
/// `su_username` may not end; somebody cancelled the statement; a lock is held; the server shuts down or is full.
const PASSING: [&str; 9] =
    ["55006", INSUFFICIENT_PRIVILEGE, "57014", "55P03", "40P01", "57P01", "57P02", "57P03", "53300"];

const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// The connection limit of a database whose DROP was stopped after the server had begun to remove its files.
pub(crate) const INVALID: i32 = -2;

/// The session that holds the lock on a target's name, and what it takes to open it again.
pub(crate) struct Holder<'a> {
    /// Connected to `maintenance`.
    pub(crate) control: &'a mut Session,
    pub(crate) config: &'a TargetConfig,
    pub(crate) maintenance: &'a str,
    pub(crate) application: &'a str,
    /// The target's name.
    pub(crate) target: &'a str,
}

impl Holder<'_> {
    /// Connects again if the connection is lost, and with it the lock. Returns the session that holds the lock meanwhile.
    pub(crate) async fn hold(&mut self) -> Result<Option<LockHolder>, TargetError> {
        if self.control.execute("SELECT 1", "reach the server").await.is_ok() {
            return Ok(None);
        }
        let mut again = Session::open(self.config, self.maintenance, self.application).await?;
        let holder = lock_target(&mut again, self.target).await?;
        if holder.is_none() {
            *self.control = again;
        }
        Ok(holder)
    }

    /// Drops a database with our marker, under the lock. Tries again for some seconds if somebody stops the DROP, and tells
    /// so. Returns the session of another run that has taken the lock meanwhile: nothing is dropped then.
    pub(crate) async fn drop_database(
        &mut self,
        name: &str,
        sessions: Sessions,
        tell: &mut (dyn FnMut(String) + Send),
    ) -> Result<Option<LockHolder>, TargetError> {
        for attempt in 1..ATTEMPTS {
            match self.try_to_drop(name, sessions).await {
                Err(error) if is_passing(&error) => {
                    tell(again(name, &error, attempt));
                    sleep(PAUSE).await;
                }
                ended => return ended,
            }
        }
        self.try_to_drop(name, sessions).await
    }

    async fn try_to_drop(
        &mut self,
        name: &str,
        sessions: Sessions,
    ) -> Result<Option<LockHolder>, TargetError> {
        let holder = self.hold().await?;
        if holder.is_none() {
            drop_database(self.control, name, sessions).await?;
        }
        Ok(holder)
    }
}

/// Whether a DROP that failed in this way can succeed at the next attempt.
fn is_passing(error: &TargetError) -> bool {
    !error.is_answer() || error.sqlstate().is_some_and(|state| PASSING.contains(&state))
}

/// The notice about a DROP that will be tried again.
fn again(name: &str, error: &TargetError, attempt: usize) -> String {
    format!(
        "dropping database {} failed, and is tried again, attempt {} of {ATTEMPTS}: {error}",
        quote_ident(name),
        attempt + 1
    )
}

/// Drops a database with our marker, once.
///
/// A membership without INHERIT gives the rights of the owner only to a session that becomes the owner.
async fn drop_database(control: &mut Session, name: &str, sessions: Sessions) -> Result<(), TargetError> {
    match drop_as_present_role(control, name, sessions).await {
        Err(error) if error.sqlstate() == Some(INSUFFICIENT_PRIVILEGE) => {
            let sql = format!(
                "SELECT pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database WHERE datname = {}",
                quote_literal(name)
            );
            let owner = control.value(&sql, "read who owns a database of an earlier run").await?;
            control.become_role(Some(&owner)).await?;
            let dropped = drop_as_present_role(control, name, sessions).await;
            control.become_role(None).await?;
            dropped
        }
        dropped => dropped,
    }
}

async fn drop_as_present_role(
    control: &mut Session,
    name: &str,
    sessions: Sessions,
) -> Result<(), TargetError> {
    let database = quote_ident(name);
    let doing = format!("drop database {database}");
    // Code of the archive can make it a template, which cannot be dropped. An invalid database cannot be altered: the
    // server ends a session that tries.
    let is_template = format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = {} AND datistemplate \
         AND datconnlimit <> {INVALID})",
        quote_literal(name)
    );
    if control.holds(&is_template, &doing).await? {
        control.execute(&format!("ALTER DATABASE {database} IS_TEMPLATE false"), &doing).await?;
    }
    if sessions == Sessions::End && control.server_version() >= 130_000 {
        let sql = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
        return control.execute(&sql, &doing).await.map(drop);
    }
    if sessions == Sessions::End {
        let end = format!(
            "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = {}",
            quote_literal(name)
        );
        control.rows(&end, &doing).await?;
    }
    control.execute(&format!("DROP DATABASE IF EXISTS {database}"), &doing).await.map(drop)
}
