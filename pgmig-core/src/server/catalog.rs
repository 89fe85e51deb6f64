//! Facts from the catalogs about the cluster, the target and its roles.

use crate::server::TargetError;
use crate::server::session::{Session, TextRow};
use crate::sql::quote_literal;
use serde::Serialize;

/// The server's version and address, as the server reports them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ServerFacts {
    /// The version, as `SHOW server_version` shows it.
    pub(crate) version: String,
    /// TLS version and cipher of this session; `None` without TLS.
    pub(crate) tls: Option<String>,
}

/// A database's locale, as options of CREATE DATABASE.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Locale {
    /// `libc`, `icu` or `builtin`. The provider is always stated, because its default is the template's. `None` on
    /// servers that have `libc` only.
    pub(crate) provider: Option<&'static str>,
    pub(crate) collate: String,
    pub(crate) ctype: String,
    pub(crate) icu_locale: Option<String>,
    pub(crate) icu_rules: Option<String>,
    pub(crate) builtin_locale: Option<String>,
}

/// The facts that are needed to create the database again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DatabaseFacts {
    pub(crate) name: String,
    pub(crate) oid: u32,
    pub(crate) owner: String,
    pub(crate) encoding: String,
    /// `None` if it is the tablespace of `template0`: naming a tablespace, even this one, requires a right on it that
    /// few roles have.
    pub(crate) tablespace: Option<String>,
    pub(crate) locale: Locale,
    pub(crate) is_template: bool,
    pub(crate) allows_connections: bool,
    pub(crate) connection_limit: i32,
    pub(crate) comment: Option<String>,
    pub(crate) bytes: u64,
}

/// The rights of `su_username` and of `username`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RoleFacts {
    /// The name of `su_username` on the server.
    pub(crate) login: String,
    pub(crate) is_superuser: bool,
    pub(crate) may_create_databases: bool,
    /// Whether the role `username` exists.
    pub(crate) owner_exists: bool,
    /// Whether `username` is a superuser.
    pub(crate) owner_is_superuser: bool,
    /// Whether `su_username` can run SET ROLE to `username`.
    pub(crate) may_become_owner: bool,
    /// Whether `su_username` can run SET ROLE to the target's owner.
    pub(crate) may_become_database_owner: bool,
    /// Whether `su_username` has the rights of the target's owner without becoming it.
    pub(crate) inherits_database_owner: bool,
}

/// A session on a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OtherSession {
    /// The ID of the server process.
    pub pid: i32,
    /// Its role.
    pub role: String,
    /// Its application name.
    pub application: String,
    /// Its state: `active`, `idle`, ...
    pub state: String,
    /// Whether `su_username` may terminate it.
    #[serde(skip)]
    pub can_be_ended: bool,
}

impl std::fmt::Display for OtherSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { pid, role, application, state, .. } = self;
        write!(f, "server process {pid}: role {role}, application {application:?}, {state}")
    }
}

/// Reads facts about the server.
pub(crate) async fn server_facts(control: &mut Session) -> Result<ServerFacts, TargetError> {
    let version = control.value("SHOW server_version", "read the server's version").await?;
    let sql = "SELECT version || ' ' || cipher FROM pg_catalog.pg_stat_ssl \
               WHERE pid = pg_catalog.pg_backend_pid() AND ssl";
    let tls = control.optional(sql, "read whether the connection has TLS").await?;
    Ok(ServerFacts { version, tls })
}

/// Reads the facts of a database. Returns `None` if the database does not exist.
///
/// Later versions have more columns: ICU since 15, its rules since 16, `datlocale` since 17. They are read through
/// `to_jsonb`, which gives NULL for a column that the server does not have.
pub(crate) async fn database_facts(
    control: &mut Session,
    name: &str,
) -> Result<Option<DatabaseFacts>, TargetError> {
    facts_where(control, &format!("d.datname = {}", quote_literal(name))).await
}

/// The facts about the database with this OID; `None` if it does not exist.
pub(crate) async fn database_with_oid(
    control: &mut Session,
    oid: u32,
) -> Result<Option<DatabaseFacts>, TargetError> {
    facts_where(control, &format!("d.oid = {oid}")).await
}

async fn facts_where(control: &mut Session, condition: &str) -> Result<Option<DatabaseFacts>, TargetError> {
    let sql = format!(
        "SELECT d.oid, pg_catalog.pg_get_userbyid(d.datdba), pg_catalog.pg_encoding_to_char(d.encoding), \
         CASE WHEN d.dattablespace IS DISTINCT FROM (SELECT dattablespace FROM pg_catalog.pg_database \
         WHERE datname = 'template0') THEN t.spcname END, d.datcollate, d.datctype, j ->> 'datlocprovider', \
         COALESCE(j ->> 'datlocale', j ->> 'daticulocale'), j ->> 'daticurules', d.datistemplate, \
         d.datallowconn, d.datconnlimit, pg_catalog.shobj_description(d.oid, 'pg_database'), \
         CASE WHEN pg_catalog.has_database_privilege(d.oid, 'CONNECT') \
              THEN pg_catalog.pg_database_size(d.oid) END, d.datname \
         FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace, \
         pg_catalog.to_jsonb(d) j WHERE {condition}"
    );
    let rows = control.rows(&sql, "read the target's row in pg_database").await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let locale = |wanted: &str| (row.text(6) == wanted).then(|| row.text(7).to_owned());
    Ok(Some(DatabaseFacts {
        name: row.text(14).to_owned(),
        oid: row.number(0),
        owner: row.text(1).to_owned(),
        encoding: row.text(2).to_owned(),
        tablespace: row.get(3).map(str::to_owned),
        locale: Locale {
            provider: match row.text(6) {
                "i" => Some("icu"),
                "b" => Some("builtin"),
                "c" => Some("libc"),
                _ => None,
            },
            collate: row.text(4).to_owned(),
            ctype: row.text(5).to_owned(),
            icu_locale: locale("i"),
            icu_rules: row.get(8).map(str::to_owned),
            builtin_locale: locale("b"),
        },
        is_template: row.is_true(9),
        allows_connections: row.is_true(10),
        connection_limit: row.number(11),
        comment: row.get(12).map(str::to_owned),
        bytes: row.number(13),
    }))
}

/// The server's clock, in milliseconds since 1970.
pub(crate) async fn server_clock_ms(control: &mut Session) -> Result<u64, TargetError> {
    let sql = "SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::pg_catalog.int8";
    Ok(control.value(sql, "read the server's clock").await?.parse().unwrap_or_default())
}

/// Reads the rights that the roles have on a database of this owner.
pub(crate) async fn role_facts(
    control: &mut Session,
    owner: &str,
    database_owner: &str,
) -> Result<RoleFacts, TargetError> {
    // Since PostgreSQL 16, membership alone does not allow SET ROLE.
    let right = if control.server_version() >= 160_000 { "SET" } else { "MEMBER" };
    let (owner, database_owner) = (quote_literal(owner), quote_literal(database_owner));
    let may_become = |role: &str| {
        format!(
            "COALESCE((SELECT pg_catalog.pg_has_role(session_user, oid, '{right}') \
             FROM pg_catalog.pg_roles WHERE rolname = {role}), false)"
        )
    };
    let sql = format!(
        "SELECT r.rolname, r.rolsuper, r.rolcreatedb, \
         EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = {owner}), {}, {}, \
         EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = {owner} AND rolsuper), \
         COALESCE((SELECT pg_catalog.pg_has_role(session_user, oid, 'USAGE') \
             FROM pg_catalog.pg_roles WHERE rolname = {database_owner}), false) \
         FROM pg_catalog.pg_roles r WHERE r.rolname = session_user",
        may_become(&owner),
        may_become(&database_owner),
    );
    let rows = control.rows(&sql, "read what su_username may do").await?;
    let Some(row) = rows.first() else { return Ok(RoleFacts::default()) };
    Ok(RoleFacts {
        login: row.text(0).to_owned(),
        is_superuser: row.is_true(1),
        may_create_databases: row.is_true(1) || row.is_true(2),
        owner_exists: row.is_true(3),
        owner_is_superuser: row.is_true(6),
        may_become_owner: row.is_true(4),
        may_become_database_owner: row.is_true(5),
        inherits_database_owner: row.is_true(7),
    })
}

/// SQL: the process serves neither a replication slot nor a subscription. Its `backend_type` cannot be used: the server
/// hides it for processes of other roles.
pub(crate) const IS_NO_REPLICATION: &str = "\
    a.pid NOT IN (SELECT active_pid FROM pg_catalog.pg_replication_slots WHERE active_pid IS NOT NULL) \
    AND a.pid NOT IN (SELECT s.pid FROM pg_catalog.pg_stat_subscription s WHERE s.pid IS NOT NULL)";

/// SQL: the session `a` is a client's, not a process that the server or an extension has begun.
///
/// The server shows the kind of another role's process only to members of `pg_read_all_stats`. Without it, the workers of
/// well-known extensions are told by their names and by the role that the server gives to workers, the first superuser.
const IS_CLIENT: &str = "\
    (a.backend_type = 'client backend' OR a.backend_type IS NULL AND NOT (a.usesysid = 10 AND \
     a.application_name ~ '^(pg_cron |pg_net |pg_squeeze |pglogical |TimescaleDB |Citus |POWA |pg_partman)'))";

/// SQL: `su_username` may terminate session `a`. Only a superuser may terminate a superuser's session.
pub(crate) const CAN_BE_ENDED: &str = "\
    (SELECT bool_or(m.rolsuper OR NOT o.rolsuper AND (pg_catalog.pg_has_role(m.oid, o.oid, 'USAGE') \
         OR pg_catalog.pg_has_role(m.oid, 'pg_signal_backend', 'USAGE'))) \
     FROM pg_catalog.pg_roles m, pg_catalog.pg_roles o WHERE m.rolname = session_user AND o.oid = a.usesysid)";

/// The sessions on a database, except those of `application`, which are our own.
///
/// The server hides the kind and the state of a session if `su_username` is not a member of its role. Processes of the
/// server itself, such as autovacuum, have no role.
pub(crate) async fn other_sessions(
    control: &mut Session,
    database: &str,
    application: &str,
) -> Result<Vec<OtherSession>, TargetError> {
    let sql = format!(
        "SELECT a.pid, COALESCE(a.usename, ''), a.application_name, \
             COALESCE(a.state, 'state not shown to su_username'), {CAN_BE_ENDED} \
         FROM pg_catalog.pg_stat_activity a WHERE a.datname = {} AND a.usesysid IS NOT NULL \
         AND {IS_CLIENT} AND a.application_name <> {} \
         AND {IS_NO_REPLICATION} ORDER BY a.pid",
        quote_literal(database),
        quote_literal(application),
    );
    let rows = control.rows(&sql, "list the sessions on the target").await?;
    Ok(rows.iter().map(session).collect())
}

/// Reads a session from a row that begins with process, role, application, state and [`CAN_BE_ENDED`].
pub(crate) fn session(row: &TextRow) -> OtherSession {
    OtherSession {
        pid: row.number(0),
        role: row.text(1).to_owned(),
        application: row.text(2).to_owned(),
        state: row.text(3).to_owned(),
        can_be_ended: row.is_true(4),
    }
}

/// The obstacles to a restore in this database itself, as `username`. Each line names an obstacle and its remedy.
pub(crate) async fn in_place_obstacles(
    control: &mut Session,
    database: &DatabaseFacts,
    username: &str,
) -> Result<Vec<String>, TargetError> {
    let user = quote_literal(username);
    let sql = format!(
        "SELECT 'username ' || {user} || ' may not create schemas in it (GRANT CREATE ON DATABASE, or make it \
         the owner)' WHERE NOT pg_catalog.has_database_privilege({user}, {}::pg_catalog.oid, 'CREATE') UNION ALL {}",
        database.oid,
        prepared_transactions(&database.name)
    );
    let rows = control.rows(&sql, "look for what stands in the way of a restore in place").await?;
    Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
}

/// A prepared transaction keeps its locks, and the server does not drop a database that has one.
fn prepared_transactions(database: &str) -> String {
    format!(
        "SELECT 'prepared transaction ' || quote_literal(gid) || ' is open in it (COMMIT PREPARED or ROLLBACK PREPARED it)' \
         FROM pg_catalog.pg_prepared_xacts WHERE database = {}",
        quote_literal(database)
    )
}

/// Whether `su_username`, the login role, is a superuser.
pub(crate) async fn is_superuser(session: &mut Session) -> Result<bool, TargetError> {
    let sql = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user";
    session.holds(sql, "read whether su_username is a superuser").await
}

/// Terminates sessions, each by a statement of its own. A session that `su_username` may not terminate (a superuser's)
/// must not protect the others. The caller notices that it is still there.
pub(crate) async fn end_sessions(control: &mut Session, pids: impl IntoIterator<Item = i32>) {
    for pid in pids {
        let sql = format!("SELECT pg_catalog.pg_terminate_backend({pid})");
        let _ = control.execute(&sql, "end a session on the target").await;
    }
}

/// Cancels the present statement of a session if the server allows it. Returns whether it did.
pub(crate) async fn cancel_statement(control: &mut Session, pid: i32) -> bool {
    let sql = format!("SELECT pg_catalog.pg_cancel_backend({pid})");
    control.holds(&sql, "cancel a statement on the target").await.unwrap_or(false)
}

/// SQL: the process `a` is a worker that an extension has begun, and that stays. The server ends its own workers itself.
const IS_WORKER: &str = "\
    a.backend_type !~ '^(client backend|walsender|parallel worker|autovacuum|autoprewarm|logical replication|slotsync)' \
    AND a.pid NOT IN (SELECT active_pid FROM pg_catalog.pg_replication_slots WHERE active_pid IS NOT NULL)";

/// Whether `su_username` may read which database a subscription is in. Before PostgreSQL 14 only a superuser may. The server
/// itself refuses to drop a database that has one.
async fn sees_subscriptions(control: &mut Session) -> Result<bool, TargetError> {
    let sql = "SELECT pg_catalog.has_column_privilege('pg_catalog.pg_subscription', 'subdbid', 'SELECT') \
               AND pg_catalog.has_column_privilege('pg_catalog.pg_subscription', 'oid', 'SELECT')";
    control.holds(sql, "read whether subscriptions are shown").await
}

/// The replication slots of a database that are an obstacle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slots {
    /// Every slot: the database is replaced, and its slots with it.
    Every,
    /// Those in use: the server does not rename the database.
    InUse,
}

/// The obstacles to a swap of this database. Each line names an obstacle and its remedy.
pub(crate) async fn swap_obstacles(
    control: &mut Session,
    database: &DatabaseFacts,
) -> Result<Vec<String>, TargetError> {
    let mut obstacles = rename_obstacles(control, database, Slots::Every).await?;
    if let Some(tablespace) = &database.tablespace {
        let tablespace = quote_literal(tablespace);
        let sql = format!(
            "SELECT 'su_username ' || session_user || ' may not create in its tablespace (GRANT CREATE ON TABLESPACE ' \
             || pg_catalog.quote_ident({tablespace}) || ')' \
             WHERE NOT pg_catalog.has_tablespace_privilege({tablespace}, 'CREATE')"
        );
        obstacles.extend(control.optional(&sql, "read the rights on the target's tablespace").await?);
    }
    Ok(obstacles)
}

/// The obstacles to another database in the place of this one. Each line names an obstacle and its remedy.
pub(crate) async fn rename_obstacles(
    control: &mut Session,
    database: &DatabaseFacts,
    slots: Slots,
) -> Result<Vec<String>, TargetError> {
    let name = quote_literal(&database.name);
    let in_use = if slots == Slots::InUse { "AND active_pid IS NOT NULL" } else { "" };
    let mut sql = format!(
        "SELECT 'logical replication slot ' || quote_ident(slot_name::text) || ' belongs to it (drop it with \
         pg_drop_replication_slot, and make it again afterwards)' \
         FROM pg_catalog.pg_replication_slots WHERE database = {name} {in_use} \
         UNION ALL SELECT 'background worker ' || backend_type || ' is connected to it, and the server begins it again when \
         it ends (restore in place, or stop the worker)' \
         FROM pg_catalog.pg_stat_activity a WHERE datname = {name} AND {IS_WORKER} GROUP BY backend_type \
         UNION ALL {}",
        prepared_transactions(&database.name)
    );
    if sees_subscriptions(control).await? {
        sql.push_str(&format!(
            " UNION ALL SELECT 'subscription with OID ' || oid || ' belongs to it (drop it, and make it again afterwards)' \
             FROM (SELECT oid FROM pg_catalog.pg_subscription WHERE subdbid = {}) s",
            database.oid
        ));
    }
    let rows = control.rows(&sql, "look for what stands in the way of a swap").await?;
    let mut obstacles: Vec<String> = rows.iter().map(|row| row.text(0).to_owned()).collect();
    if database.is_template {
        obstacles.push("it is marked as a template (ALTER DATABASE ... IS_TEMPLATE false)".to_owned());
    }
    Ok(obstacles)
}
