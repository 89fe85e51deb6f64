//! sqlx's advisory lock on a database's migrations, with a time limit.

use super::error::SchemaError;
use crate::server::TargetError;
use flate2::Crc;
use sqlx::postgres::PgConnection;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const WAIT: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(200);
/// From sqlx-postgres, `generate_lock_id`.
const SQLX_FACTOR: i64 = 0x3d32_ad9e;

/// The lock, held by a session. It ends with the session if it is not released.
#[derive(Debug)]
#[must_use = "the session keeps the lock until release() or its end"]
pub(super) struct MigrationLock {
    id: i64,
}

impl MigrationLock {
    /// Takes the lock of the connected database. Waits at most 30 seconds.
    ///
    /// # Errors
    ///
    /// [`SchemaError::Locked`], with the session that holds it.
    pub(super) async fn acquire(connection: &mut PgConnection) -> Result<Self, SchemaError> {
        let database: String = sqlx::query_scalar("SELECT pg_catalog.current_database()::text")
            .fetch_one(&mut *connection)
            .await
            .map_err(TargetError::doing("name the database"))?;
        let id = lock_id(&database);
        let give_up = Instant::now() + WAIT;
        loop {
            let taken: bool = sqlx::query_scalar("SELECT pg_catalog.pg_try_advisory_lock($1)")
                .bind(id)
                .fetch_one(&mut *connection)
                .await
                .map_err(TargetError::doing("lock the database for migrations"))?;
            if taken {
                return Ok(Self { id });
            }
            if Instant::now() >= give_up {
                return Err(SchemaError::Locked { holder: holder(connection, id).await? });
            }
            sleep(INTERVAL).await;
        }
    }

    pub(super) async fn release(self, connection: &mut PgConnection) -> Result<(), TargetError> {
        sqlx::query("SELECT pg_catalog.pg_advisory_unlock($1)")
            .bind(self.id)
            .execute(connection)
            .await
            .map_err(TargetError::doing("unlock the database for migrations"))?;
        Ok(())
    }
}

async fn holder(connection: &mut PgConnection, id: i64) -> Result<String, TargetError> {
    // `pg_locks` shows a 64-bit key in two halves. A plain role does not see the application of other roles'
    // sessions.
    let holder: Option<String> = sqlx::query_scalar(
        "SELECT pg_catalog.format('process %s%s%s', l.pid, ', application ' || nullif(a.application_name, ''),
                                  ', role ' || a.usename)
         FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
           AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
           AND (l.classid::bigint << 32) | l.objid::bigint = $1
         LIMIT 1",
    )
    .bind(id)
    .fetch_optional(connection)
    .await
    .map_err(TargetError::doing("find out who migrates the database"))?;
    Ok(holder.unwrap_or_else(|| "a session that has just ended".to_owned()))
}

fn lock_id(database: &str) -> i64 {
    let mut crc = Crc::new();
    crc.update(database.as_bytes());
    SQLX_FACTOR * i64::from(crc.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_sqlx_s() {
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(lock_id("123456789"), 0x3d32_ad9e * 0xcbf4_3926);
    }
}
