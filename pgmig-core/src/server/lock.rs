//! The lock on a target's name: one restore of a database at a time, in the whole cluster.

use crate::server::TargetError;
use crate::server::session::{Session, TextRow};
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long pgmig tries to take a lock. The server process of a killed run releases it within moments.
const PATIENCE: Duration = Duration::from_secs(10);

/// A wait for a lock.
struct Patience {
    deadline: Instant,
}

impl Patience {
    fn begin() -> Self {
        Self { deadline: Instant::now() + PATIENCE }
    }

    /// Sleeps until the next attempt. Returns false if the time is over.
    async fn pause(&self) -> bool {
        if Instant::now() >= self.deadline {
            return false;
        }
        sleep(Duration::from_millis(200)).await;
        true
    }
}

/// The session that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LockHolder {
    /// The server process.
    pub pid: i32,
    /// Its application name.
    pub application: String,
    /// When its connection began.
    pub since: String,
}

/// Takes the advisory lock for `database` on this session, which must be connected to the maintenance database. The lock
/// is released when the session ends. If another session holds it, returns `Ok(Some(_))`.
pub(crate) async fn lock_target(
    session: &mut Session,
    database: &str,
) -> Result<Option<LockHolder>, TargetError> {
    let key = key_of(database);
    let sql = format!("SELECT pg_catalog.pg_try_advisory_lock({key})");
    let patience = Patience::begin();
    loop {
        if session.holds(&sql, "take the lock").await? {
            return Ok(None);
        }
        if !patience.pause().await {
            return Ok(Some(holder(session, key).await?.unwrap_or_default()));
        }
    }
}

/// The holder of the lock for `database`, if it stays locked for as long as [`lock_target`] would try. Does not take the
/// lock.
pub(crate) async fn lock_holder(
    session: &mut Session,
    database: &str,
) -> Result<Option<LockHolder>, TargetError> {
    let key = key_of(database);
    let patience = Patience::begin();
    loop {
        let held = holder(session, key).await?;
        if held.is_none() || !patience.pause().await {
            return Ok(held);
        }
    }
}

/// Marks a temporary role as in use for as long as this session is open.
pub(super) async fn keep_role_in_use(session: &mut Session, role: &str) -> Result<(), TargetError> {
    let sql = format!("SELECT pg_catalog.pg_advisory_lock({})", key_of_role(role));
    session.execute(&sql, "take the lock on the temporary role").await.map(drop)
}

/// Whether another session has marked a temporary role as in use. If none has, this session does.
pub(super) async fn is_role_in_use(session: &mut Session, role: &str) -> Result<bool, TargetError> {
    let sql = format!("SELECT NOT pg_catalog.pg_try_advisory_lock({})", key_of_role(role));
    session.holds(&sql, "check whether a temporary role is in use").await
}

/// Removes the mark.
pub(super) async fn let_go_of_role(session: &mut Session, role: &str) -> Result<(), TargetError> {
    let sql = format!("SELECT pg_catalog.pg_advisory_unlock({})", key_of_role(role));
    session.execute(&sql, "release the lock on the temporary role").await.map(drop)
}

/// The lock's key: 63 bits of a hash of the name, so that every tool shows it as a positive number.
fn key_of(database: &str) -> i64 {
    hash(b"pgmig restores the database ", database)
}

fn key_of_role(role: &str) -> i64 {
    hash(b"pgmig uses the role ", role)
}

fn hash(purpose: &[u8], name: &str) -> i64 {
    let mut hasher = Sha256::new();
    hasher.update(purpose);
    hasher.update(name.as_bytes());
    let digest = hasher.finalize();
    digest.iter().take(8).fold(0_i64, |key, byte| (key << 8 | i64::from(*byte)) & i64::MAX)
}

/// The present holder of a lock; `None` if the lock is free.
async fn holder(session: &mut Session, key: i64) -> Result<Option<LockHolder>, TargetError> {
    let sql = format!(
        "SELECT l.pid, a.application_name, a.backend_start::timestamp(0) FROM pg_catalog.pg_locks l \
         LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
         AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) \
         AND (l.classid::bigint << 32 | l.objid::bigint) = {key}"
    );
    let rows = session.rows(&sql, "find the holder of the lock").await?;
    let holder = |row: &TextRow| LockHolder {
        pid: row.number(0),
        application: row.text(1).to_owned(),
        since: row.text(2).to_owned(),
    };
    Ok(rows.first().map(holder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_positive_and_differ_by_name() {
        let keys: Vec<i64> = ["store", "store2", "", "é"].into_iter().map(key_of).collect();
        assert!(keys.iter().all(|key| *key >= 0), "{keys:?}");
        let mut unique = keys.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), keys.len());
    }
}
