//! Settings of the server, of roles and of the database that would hurt a restore if they were obeyed.

use super::room::{Room, Target};
use crate::hostile::world::{APP, CREATOR};
use crate::support::database::quoted;
use crate::support::random::Random;

/// Settings, with a value that hurts.
const HURTING: [(&str, &str); 34] = [
    ("statement_timeout", "'1ms'"),
    ("lock_timeout", "'1ms'"),
    ("idle_in_transaction_session_timeout", "'1ms'"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_isolation", "'serializable'"),
    ("default_transaction_isolation", "'repeatable read'"),
    ("default_transaction_deferrable", "on"),
    ("search_path", "'nowhere'"),
    ("search_path", "'public, pg_catalog'"),
    ("datestyle", "'SQL, DMY'"),
    ("intervalstyle", "'sql_standard'"),
    ("timezone", "'Asia/Kathmandu'"),
    ("bytea_output", "'escape'"),
    ("extra_float_digits", "-15"),
    ("standard_conforming_strings", "off"),
    ("backslash_quote", "off"),
    ("client_encoding", "'LATIN1'"),
    ("client_min_messages", "'debug1'"),
    ("client_min_messages", "'error'"),
    ("row_security", "off"),
    ("check_function_bodies", "on"),
    ("synchronous_commit", "off"),
    ("quote_all_identifiers", "on"),
    ("array_nulls", "off"),
    ("xmloption", "'document'"),
    ("transform_null_equals", "on"),
    ("work_mem", "'64kB'"),
    ("maintenance_work_mem", "'1MB'"),
    ("enable_seqscan", "off"),
    ("enable_indexscan", "off"),
    ("lo_compat_privileges", "on"),
    ("vacuum_cost_delay", "10"),
    ("password_encryption", "'md5'"),
    ("role", "'other'"),
];

/// Settings that have been made, and the statements that reset them.
pub(super) struct Settings {
    how: String,
    reset: String,
}

impl Settings {
    /// Makes one to four of them.
    pub(super) fn set(room: &Room, target: &Target, random: &mut Random) -> Self {
        let (mut how, mut set, mut reset) = (Vec::new(), String::new(), String::new());
        for _ in 0..=random.below(4) {
            let (name, value) = *random.pick(&HURTING);
            let database = quoted(&target.database.name);
            let login = room.file(target).su_username;
            let whose = random
                .pick(&[
                    "SYSTEM".to_owned(),
                    format!("DATABASE {database}"),
                    format!("ROLE {login}"),
                    format!("ROLE {APP}"),
                    format!("ROLE {CREATOR}"),
                    format!("ROLE {APP} IN DATABASE {database}"),
                    format!("ROLE {login} IN DATABASE {database}"),
                    "ROLE ALL".to_owned(),
                ])
                .clone();
            // A server has no role of its own.
            if name == "role" && matches!(whose.as_str(), "SYSTEM" | "ROLE ALL") {
                continue;
            }
            set += &format!("ALTER {whose} SET {name} = {value};\n");
            reset += &format!("ALTER {whose} RESET {name};\n");
            how.push(format!("{name} = {value} of {whose}"));
        }
        apply(room, &set);
        Self { how: how.join(", "), reset }
    }

    /// Resets them. Returns what they were.
    pub(super) fn reset(self, room: &Room) -> String {
        apply(room, &self.reset);
        self.how
    }
}

/// Runs statements in a session that obeys none of these settings.
#[track_caller]
fn apply(room: &Room, sql: &str) {
    let own = [
        "-c role=none -c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0",
        "-c default_transaction_read_only=off -c search_path=public -c client_encoding=UTF8",
    ];
    let mut psql = room.server().program("psql");
    psql.env("PGOPTIONS", own.join(" ")).args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres"]);
    for statement in sql.lines().chain(["SELECT pg_catalog.pg_reload_conf()"]) {
        psql.args(["-c", statement]);
    }
    let output = psql.output().expect("psql runs");
    assert!(output.status.success(), "{sql}\n{}", String::from_utf8_lossy(&output.stderr));
}
