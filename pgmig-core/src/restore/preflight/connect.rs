//! Connections for looking: to the maintenance database, and into the target.

use crate::error::Result;
use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};
use crate::sql::quote_literal;

/// Connects to the maintenance database: `postgres`, else `template1`. Where `su_username` may connect to neither, to
/// the target itself, which then cannot be renamed.
pub(crate) async fn open_control(config: &TargetConfig, application: &str) -> Result<(Session, String)> {
    for database in config.maintenance_databases() {
        match Session::open(config, database, application).await {
            Err(error) if is_closed(&error) => {}
            session => {
                let mut session = session?;
                session.expect_answers(true);
                refuse_pooler(&mut session, config, database, application).await?;
                return Ok((session, database.to_owned()));
            }
        }
    }
    let mut session = Session::open(config, config.database(), application).await?;
    session.expect_answers(true);
    refuse_pooler(&mut session, config, config.database(), application).await?;
    Ok((session, config.database().to_owned()))
}

/// How often pgmig looks whether two sessions share their server processes.
const LOOKS: usize = 5;

/// Refuses a pooler that gives each transaction of a session to any server process: the lock on the target would stay with
/// a process, and settings of a session would get lost.
async fn refuse_pooler(
    session: &mut Session,
    config: &TargetConfig,
    database: &str,
    application: &str,
) -> Result<(), TargetError> {
    if !session.is_through_proxy() {
        return Ok(());
    }
    let mut other = Session::open(config, database, application).await?;
    let (sql, doing) = ("SELECT pg_catalog.pg_backend_pid()", "look whether a pooler stands between");
    let mut is_shared = false;
    for _ in 0..LOOKS {
        let process = session.value(sql, doing).await?;
        is_shared |=
            process != session.backend_pid().to_string() || process == other.value(sql, doing).await?;
    }
    other.close().await;
    if !is_shared {
        return Ok(());
    }
    let sql = "SELECT pg_catalog.host(pg_catalog.inet_server_addr()) || ':' || pg_catalog.inet_server_port()";
    let server = config.server();
    Err(TargetError::Pooler { server, behind: session.optional(sql, doing).await? })
}

/// Connects to the target, to look into it: as `username` where `su_username` does not inherit its rights.
pub(crate) async fn open_inside(config: &TargetConfig, application: &str) -> Result<Session> {
    let mut session = Session::open(config, config.database(), application).await?;
    session.expect_answers(true);
    // Compiling the queries of the catalogs takes longer than running them.
    session.execute("SET jit = off", "set up the session").await?;
    let owner = config.username();
    let inherits = format!("SELECT pg_catalog.pg_has_role(session_user, {}, 'USAGE')", quote_literal(owner));
    // From 16 on, membership alone does not allow SET ROLE.
    let right = if session.server_version() >= 160_000 { "SET" } else { "MEMBER" };
    let becomes = format!("SELECT pg_catalog.pg_has_role(session_user, {}, '{right}')", quote_literal(owner));
    let doing = "read whether su_username has the rights of username";
    if !session.holds(&inherits, doing).await? && session.holds(&becomes, doing).await? {
        session.become_role(Some(owner)).await?;
    }
    Ok(session)
}

/// Whether another database may be open to us where this one is not.
fn is_closed(error: &TargetError) -> bool {
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    matches!(error, TargetError::UnknownDatabase { .. } | TargetError::NotAdmitted { .. })
        || error.sqlstate() == Some(INSUFFICIENT_PRIVILEGE)
}
