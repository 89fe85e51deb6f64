//! The checks of the server. Each asks the catalogs for what it is about, and each row of the answer is a finding.

use super::finding::{Finding, Gravity};
use crate::server::TargetError;
use crate::server::session::{Session, TextRow};
use crate::sql::{quote_ident, quote_literal};

/// A check.
struct Check {
    code: &'static str,
    gravity: Gravity,
    /// The first version of the server that has what the query names.
    since: i32,
    /// The query. `{database}` stands for the target's name as a literal.
    sql: &'static str,
    /// What a row says.
    text: fn(&TextRow) -> String,
    /// What helps.
    help: fn(&TextRow) -> Option<String>,
}

const CHECKS: [Check; 10] = [
    Check {
        code: "standby",
        gravity: Gravity::StopsRestore,
        since: 0,
        sql: "SELECT 'x' WHERE pg_catalog.pg_is_in_recovery()",
        text: |_| "the server is a standby, which accepts no changes".to_owned(),
        help: |_| Some("name the primary as host in postgres.yaml".to_owned()),
    },
    Check {
        code: "no-synchronous-standby",
        gravity: Gravity::StopsRestore,
        since: 0,
        // The state of other roles' processes may be hidden: then it is not known.
        sql: "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'synchronous_standby_names' AND setting <> '' \
              AND NOT pg_catalog.pg_is_in_recovery() AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_replication \
              WHERE sync_state IS NULL OR sync_state <> 'async')",
        text: |row| {
            format!(
                "each commit waits for a synchronous standby (synchronous_standby_names = {}), and none is connected",
                quote_literal(row.text(0))
            )
        },
        help: |_| {
            Some("ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf();".to_owned())
        },
    },
    Check {
        code: "connections",
        gravity: Gravity::StopsRestore,
        since: 0,
        sql: "SELECT free FROM (SELECT pg_catalog.current_setting('max_connections')::int \
              - pg_catalog.current_setting('superuser_reserved_connections')::int \
              - (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datid IS NOT NULL) AS free) AS f WHERE free < 4",
        text: |row| {
            format!("the server has {} free connections, and a restore needs 4 at least", row.text(0))
        },
        help: |_| Some("end idle sessions, or raise max_connections".to_owned()),
    },
    Check {
        code: "inactive-slot",
        gravity: Gravity::CostsTime,
        since: 0,
        sql: "SELECT slot_name FROM pg_catalog.pg_replication_slots WHERE NOT active AND restart_lsn IS NOT NULL \
              ORDER BY 1",
        text: |row| {
            format!(
                "nobody reads replication slot {}, so the server keeps all WAL that the restore writes",
                quote_ident(row.text(0))
            )
        },
        help: |row| Some(format!("SELECT pg_drop_replication_slot({});", quote_literal(row.text(0)))),
    },
    Check {
        code: "archiving-fails",
        gravity: Gravity::CostsTime,
        since: 0,
        sql: "SELECT last_failed_wal FROM pg_catalog.pg_stat_archiver \
              WHERE last_failed_time > COALESCE(last_archived_time, '-infinity') \
              AND pg_catalog.current_setting('archive_mode') <> 'off'",
        text: |row| {
            format!(
                "archiving of WAL fails (last {}), so the server keeps all WAL that the restore writes",
                row.text(0)
            )
        },
        help: |_| Some("look at archive_command, and at the server's log".to_owned()),
    },
    Check {
        code: "maintenance-memory",
        gravity: Gravity::CostsTime,
        since: 0,
        sql: "SELECT pg_catalog.current_setting('maintenance_work_mem') FROM pg_catalog.pg_settings \
              WHERE name = 'maintenance_work_mem' AND setting::bigint < 65536",
        text: |row| format!("indexes are built with little memory: maintenance_work_mem is {}", row.text(0)),
        help: |_| {
            Some("ALTER SYSTEM SET maintenance_work_mem = '256MB'; SELECT pg_reload_conf();".to_owned())
        },
    },
    Check {
        code: "wal-size",
        gravity: Gravity::CostsTime,
        since: 0,
        sql: "SELECT pg_catalog.current_setting('max_wal_size') FROM pg_catalog.pg_settings \
              WHERE name = 'max_wal_size' AND setting::bigint < 1024",
        text: |row| format!("checkpoints come often while rows are loaded: max_wal_size is {}", row.text(0)),
        help: |_| Some("ALTER SYSTEM SET max_wal_size = '4GB'; SELECT pg_reload_conf();".to_owned()),
    },
    Check {
        code: "statements-logged",
        gravity: Gravity::CostsTime,
        since: 0,
        sql: "SELECT name, setting FROM pg_catalog.pg_settings WHERE name = 'log_statement' AND setting IN ('mod', 'all') \
              OR name = 'log_min_duration_statement' AND setting = '0'",
        text: |row| {
            format!("the server logs each statement of the restore: {} is {}", row.text(0), row.text(1))
        },
        help: |_| None,
    },
    Check {
        code: "collation-version",
        gravity: Gravity::Information,
        since: 150_000,
        sql: "SELECT datcollversion, actual FROM (SELECT datcollversion, \
              pg_catalog.pg_database_collation_actual_version(oid) AS actual FROM pg_catalog.pg_database \
              WHERE datname = {database}) AS d WHERE datcollversion <> actual",
        text: |row| {
            format!(
                "the target was made with version {} of its collation, and the system has {}: its present indexes may be \
                 wrong, those of a restored database are not",
                row.text(0),
                row.text(1)
            )
        },
        help: |_| None,
    },
    Check {
        code: "not-durable",
        gravity: Gravity::Information,
        since: 0,
        sql: "SELECT name FROM pg_catalog.pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'",
        text: |row| format!("{} is off: a crash of the machine can damage the whole cluster", row.text(0)),
        help: |row| Some(format!("ALTER SYSTEM SET {} = on; SELECT pg_reload_conf();", row.text(0))),
    },
];

/// Makes all checks of the server.
pub(super) async fn of_server(control: &mut Session, database: &str) -> Result<Vec<Finding>, TargetError> {
    let version = control.server_version();
    let mut findings = Vec::new();
    for check in CHECKS.iter().filter(|check| version >= check.since) {
        let sql = check.sql.replace("{database}", &quote_literal(database));
        let rows = control.rows(&sql, "look for what would stop or slow a restore").await?;
        findings.extend(rows.iter().map(|row| {
            let finding = Finding::new(check.gravity, check.code, (check.text)(row));
            match (check.help)(row) {
                Some(help) => finding.with_help(help),
                None => finding,
            }
        }));
    }
    Ok(findings)
}
