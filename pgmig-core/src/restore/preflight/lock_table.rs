//! Finds out whether the server's lock table has room for a whole restore in one transaction.
//!
//! A transaction holds every lock until its end. It locks each object that it drops, with all parts, and each relation
//! that it makes. The lock table is in shared memory, whose size is fixed when the server starts.

use crate::error::Result;
use crate::migrations::{MigrationFile, MigrationSet};
use crate::restore::clearing::Clearing;
use crate::restore::preflight::Known;
use crate::restore::preflight::upgrade_path::Upgrade;
use crate::restore::refusal::Refusal;
use crate::server::TargetError;
use crate::server::session::Session;
use crate::sql::{StandardStrings, split_statements};

/// Number of locks on the catalogs that the restore and its checks read.
const CATALOGS: u64 = 150;

/// The most locks that one statement of a migration needs: those of a new table with its key.
const STATEMENT: u64 = 4;

/// The server's lock table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LockTable {
    /// `max_locks_per_transaction`.
    per_transaction: u64,
    /// How many processes and prepared transactions the server admits.
    slots: u64,
    in_use: u64,
}

impl LockTable {
    /// How many locks one transaction can hold: a lower bound, 60 to 97 % of the number that PostgreSQL 15 was measured
    /// to grant.
    ///
    /// The server reserves room for two holders of each lock, 10 % for safety, and 100 kB. Thus it grants more locks
    /// than its settings name. Other parts of the server may use some of that memory (50 kB was seen).
    fn capacity(self) -> u64 {
        capacity(self.per_transaction, self.slots)
    }

    fn free(self) -> u64 {
        self.capacity().saturating_sub(self.in_use)
    }

    /// The smallest multiple of 64 for `max_locks_per_transaction` that leaves this many locks free.
    fn setting_for(self, needed: u64) -> u64 {
        let all = needed.saturating_add(self.in_use);
        let enough = |setting: &u64| capacity(*setting, self.slots) >= all;
        let mut setting = 64;
        while !enough(&setting) && setting < u64::from(u32::MAX) {
            setting += 64;
        }
        setting
    }
}

fn capacity(per_transaction: u64, slots: u64) -> u64 {
    per_transaction.saturating_mul(slots).saturating_mul(158).saturating_sub(10_000) / 100
}

/// Counts the locks that clearing, restore and upgrade will hold at the end of the transaction.
///
/// # Errors
///
/// [`Refusal::TooManyLocks`], with the setting that the restore needs.
pub(crate) async fn preflight(session: &mut Session, known: &Known, clearing: &Clearing) -> Result<()> {
    let upgrade = of_upgrade(&known.upgrade, known.migrations.as_ref());
    let needed = CATALOGS + clearing.going() + known.plan.locks + upgrade;
    let table = lock_table(session).await?;
    if needed <= table.free() {
        return Ok(());
    }
    let (free, current, setting) = (table.free(), table.per_transaction, table.setting_for(needed));
    Err(Refusal::TooManyLocks { needed, free, current, setting }.into())
}

async fn lock_table(session: &mut Session) -> Result<LockTable, TargetError> {
    // PostgreSQL 18 and later have `autovacuum_worker_slots`, which replaces `autovacuum_max_workers` in this sum.
    let sql = "SELECT current_setting('max_locks_per_transaction'), \
               (SELECT sum(setting::bigint) + 1 FROM pg_settings WHERE name IN ('max_connections', \
                   'max_prepared_transactions', 'max_worker_processes', 'max_wal_senders', \
                   COALESCE((SELECT name FROM pg_settings WHERE name = 'autovacuum_worker_slots'), \
                       'autovacuum_max_workers'))), \
               (SELECT count(*) FROM pg_locks WHERE NOT fastpath)";
    let rows = session.rows(sql, "read the size of the server's lock table").await?;
    let number = |column| rows.first().map_or(0, |row| row.number(column));
    Ok(LockTable { per_transaction: number(0), slots: number(1), in_use: number(2) })
}

fn of_upgrade(upgrade: &Upgrade, set: Option<&MigrationSet>) -> u64 {
    let statements = |file: &MigrationFile| {
        // If a migration cannot be split into statements, another check refuses it.
        split_statements(file.sql(), StandardStrings::On).map_or(0, |statements| statements.len() as u64)
    };
    let statements: u64 = match (upgrade, set) {
        (Upgrade::Planned { plan }, _) => plan.migrations().iter().map(statements).sum(),
        (Upgrade::Later { .. }, Some(set)) => set.files().map(statements).sum(),
        _ => 0,
    };
    statements * STATEMENT
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measured on PostgreSQL 15: `max_locks_per_transaction`, slots, and the number of locks granted.
    const MEASURED: [(u64, u64, u64); 7] = [
        (16, 52, 1952),
        (64, 52, 5623),
        (64, 122, 12_857),
        (64, 132, 14_400),
        (64, 222, 23_232),
        (128, 132, 27_648),
        (256, 132, 54_141),
    ];

    #[test]
    fn the_capacity_is_less_than_what_was_measured_but_not_much_less() {
        for (per_transaction, slots, measured) in MEASURED {
            let capacity = capacity(per_transaction, slots);
            assert!(capacity < measured, "{capacity} of {measured}");
            assert!(capacity * 10 > measured * 6, "{capacity} of {measured}");
        }
    }

    #[test]
    fn the_setting_is_enough_and_not_much_more() {
        let table = LockTable { per_transaction: 64, slots: 122, in_use: 1000 };
        let setting = table.setting_for(30_000);
        assert!(LockTable { per_transaction: setting, ..table }.free() >= 30_000);
        assert!(LockTable { per_transaction: setting - 64, ..table }.free() < 30_000);
    }
}
