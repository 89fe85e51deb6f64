//! Facts from the catalogs about the cluster, the target and its roles.

use crate::server::TargetError;
use crate::server::session::{Session, TextRow};
use crate::sql::quote_literal;
use serde::Serialize;

/// The server's version and address, as the server reports them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ServerFacts {
    /// Its version, as `SHOW server_version` says it.
    pub(crate) version: String,
    /// TLS version and cipher of this session; `None` without TLS.
    pub(crate) tls: Option<String>,
}

/// A database's locale, as CREATE DATABASE takes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Locale {
    /// `libc`, `icu` or `builtin`: said even where it is libc, since the default is the template's. `None` on servers
    /// that know libc only.
    pub(crate) provider: Option<&'static str>,
    pub(crate) collate: String,
    pub(crate) ctype: String,
    pub(crate) icu_locale: Option<String>,
    pub(crate) icu_rules: Option<String>,
    pub(crate) builtin_locale: Option<String>,
}

/// A database, as it has to be made again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DatabaseFacts {
    pub(crate) name: String,
    pub(crate) oid: u32,
    pub(crate) owner: String,
    pub(crate) encoding: String,
    /// `None` where it is `template0`'s: to name even that one takes a right on it that hardly anybody has.
    pub(crate) tablespace: Option<String>,
    pub(crate) locale: Locale,
    pub(crate) is_template: bool,
    pub(crate) allows_connections: bool,
    pub(crate) connection_limit: i32,
    pub(crate) comment: Option<String>,
    pub(crate) bytes: u64,
}

/// The rights of `su_username` and `username`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RoleFacts {
    /// `su_username`, as the server knows it.
    pub(crate) login: String,
    pub(crate) is_superuser: bool,
    pub(crate) may_create_databases: bool,
    /// Whether the role `username` exists.
    pub(crate) owner_exists: bool,
    /// Whether it is a superuser.
    pub(crate) owner_is_superuser: bool,
    /// Whether `su_username` can become `username`.
    pub(crate) may_become_owner: bool,
    /// Whether `su_username` can become the target's owner.
    pub(crate) may_become_database_owner: bool,
}

/// A session on a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OtherSession {
    /// The server process.
    pub pid: i32,
    /// Its role.
    pub role: String,
    /// Its application name.
    pub application: String,
    /// Its state: `active`, `idle`, ...
    pub state: String,
    /// Whether `su_username` may end it.
    #[serde(skip)]
    pub can_be_ended: bool,
}

impl std::fmt::Display for OtherSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { pid, role, application, state, .. } = self;
        write!(f, "server process {pid}: role {role}, application {application:?}, {state}")
    }
}

/// Reads the server's own information.
pub(crate) async fn server_facts(control: &mut Session) -> Result<ServerFacts, TargetError> {
    let version = control.value("SHOW server_version", "read the server's version").await?;
    let sql = "SELECT version || ' ' || cipher FROM pg_catalog.pg_stat_ssl \
               WHERE pid = pg_catalog.pg_backend_pid() AND ssl";
    let tls = control.optional(sql, "read whether the connection has TLS").await?;
    Ok(ServerFacts { version, tls })
}

/// Reads a database's facts; `None` if there is none of that name.
///
/// Columns of later versions (ICU since 15, rules since 16, `datlocale` since 17) are read through `to_jsonb`,
/// which is silent about those that a server lacks.
pub(crate) async fn database_facts(
    control: &mut Session,
    name: &str,
) -> Result<Option<DatabaseFacts>, TargetError> {
    let sql = format!(
        "SELECT d.oid, pg_catalog.pg_get_userbyid(d.datdba), pg_catalog.pg_encoding_to_char(d.encoding), \
         CASE WHEN d.dattablespace IS DISTINCT FROM (SELECT dattablespace FROM pg_catalog.pg_database \
         WHERE datname = 'template0') THEN t.spcname END, d.datcollate, d.datctype, j ->> 'datlocprovider', \
         COALESCE(j ->> 'datlocale', j ->> 'daticulocale'), j ->> 'daticurules', d.datistemplate, \
         d.datallowconn, d.datconnlimit, pg_catalog.shobj_description(d.oid, 'pg_database'), \
         CASE WHEN pg_catalog.has_database_privilege(d.oid, 'CONNECT') \
              THEN pg_catalog.pg_database_size(d.oid) END \
         FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace, \
         pg_catalog.to_jsonb(d) j WHERE d.datname = {}",
        quote_literal(name)
    );
    let rows = control.rows(&sql, "read the target's row in pg_database").await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let locale = |wanted: &str| (row.text(6) == wanted).then(|| row.text(7).to_owned());
    Ok(Some(DatabaseFacts {
        name: name.to_owned(),
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

/// Reads what the roles may do with a database of this owner.
pub(crate) async fn role_facts(
    control: &mut Session,
    owner: &str,
    database_owner: &str,
) -> Result<RoleFacts, TargetError> {
    // From 16 on, membership alone does not allow SET ROLE.
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
         EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = {owner} AND rolsuper) \
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
    })
}

/// That a process does not serve a replication slot or a subscription: what it is, the server does not show of other
/// roles' processes.
pub(crate) const IS_NO_REPLICATION: &str = "\
    a.pid NOT IN (SELECT active_pid FROM pg_catalog.pg_replication_slots WHERE active_pid IS NOT NULL) \
    AND a.pid NOT IN (SELECT s.pid FROM pg_catalog.pg_stat_subscription s WHERE s.pid IS NOT NULL)";

/// That the session `a` is a client's: no process that the server or an extension has begun.
///
/// The server shows the kind of another role's process only to members of `pg_read_all_stats`. Without it, the workers of
/// well-known extensions are told by their names and by the role that the server gives to workers, the first superuser.
const IS_CLIENT: &str = "\
    (a.backend_type = 'client backend' OR a.backend_type IS NULL AND NOT (a.usesysid = 10 AND \
     a.application_name ~ '^(pg_cron |pg_net |pg_squeeze |pglogical |TimescaleDB |Citus |POWA |pg_partman)'))";

/// That `su_username` may end the session `a`: superusers' only as a superuser.
pub(crate) const CAN_BE_ENDED: &str = "\
    (SELECT bool_or(m.rolsuper OR NOT o.rolsuper AND (pg_catalog.pg_has_role(m.oid, o.oid, 'USAGE') \
         OR pg_catalog.pg_has_role(m.oid, 'pg_signal_backend', 'USAGE'))) \
     FROM pg_catalog.pg_roles m, pg_catalog.pg_roles o WHERE m.rolname = session_user AND o.oid = a.usesysid)";

/// The sessions on a database, our own of `application` left out.
///
/// Of those of roles that `su_username` does not belong to, the server shows neither kind nor state. Processes of the
/// server's own, such as autovacuum's, have no role.
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

/// A session from a row that begins with process, role, application, state, and [`CAN_BE_ENDED`].
pub(crate) fn session(row: &TextRow) -> OtherSession {
    OtherSession {
        pid: row.number(0),
        role: row.text(1).to_owned(),
        application: row.text(2).to_owned(),
        state: row.text(3).to_owned(),
        can_be_ended: row.is_true(4),
    }
}

/// What stands in the way of restoring in a database itself, as `username`: each line says what, and what to do about
/// it.
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

/// Prepared transactions hold their locks, and a database with one cannot be dropped.
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

/// Ends sessions. One by one: whoever may not be ended (a superuser's session) must not save the others, and is found
/// out by staying.
pub(crate) async fn end_sessions(control: &mut Session, pids: impl IntoIterator<Item = i32>) {
    for pid in pids {
        let sql = format!("SELECT pg_catalog.pg_terminate_backend({pid})");
        let _ = control.execute(&sql, "end a session on the target").await;
    }
}

/// Cancels the present statement of a session, if that is allowed. Returns whether it did.
pub(crate) async fn cancel_statement(control: &mut Session, pid: i32) -> bool {
    let sql = format!("SELECT pg_catalog.pg_cancel_backend({pid})");
    control.holds(&sql, "cancel a statement on the target").await.unwrap_or(false)
}

/// That the process `a` is a worker that an extension has begun, and that stays. The server ends its own workers itself.
const IS_WORKER: &str = "\
    a.backend_type !~ '^(client backend|walsender|parallel worker|autovacuum|autoprewarm|logical replication|slotsync)' \
    AND a.pid NOT IN (SELECT active_pid FROM pg_catalog.pg_replication_slots WHERE active_pid IS NOT NULL)";

/// What stands in the way of swapping a database: each line says what, and what to do about it.
pub(crate) async fn swap_obstacles(
    control: &mut Session,
    database: &DatabaseFacts,
) -> Result<Vec<String>, TargetError> {
    let name = quote_literal(&database.name);
    let sql = format!(
        "SELECT 'logical replication slot ' || quote_ident(slot_name::text) || ' belongs to it (drop it with \
         pg_drop_replication_slot, and make it again afterwards)' \
         FROM pg_catalog.pg_replication_slots WHERE database = {name} \
         UNION ALL SELECT 'background worker ' || backend_type || ' is connected to it, and the server begins it again when \
         it ends (restore in place)' \
         FROM pg_catalog.pg_stat_activity a WHERE datname = {name} AND {IS_WORKER} GROUP BY backend_type \
         UNION ALL {} UNION ALL SELECT 'subscription with OID ' || oid || ' belongs to it (drop it, and make it again \
         afterwards)' FROM (SELECT oid FROM pg_catalog.pg_subscription WHERE subdbid = {}) s",
        prepared_transactions(&database.name),
        database.oid
    );
    let rows = control.rows(&sql, "look for what stands in the way of a swap").await?;
    let mut obstacles: Vec<String> = rows.iter().map(|row| row.text(0).to_owned()).collect();
    if let Some(tablespace) = &database.tablespace {
        let tablespace = quote_literal(tablespace);
        let sql = format!(
            "SELECT 'su_username ' || session_user || ' may not create in its tablespace (GRANT CREATE ON TABLESPACE ' \
             || pg_catalog.quote_ident({tablespace}) || ')' \
             WHERE NOT pg_catalog.has_tablespace_privilege({tablespace}, 'CREATE')"
        );
        obstacles.extend(control.optional(&sql, "read the rights on the target's tablespace").await?);
    }
    if database.is_template {
        obstacles.push("it is marked as a template (ALTER DATABASE ... IS_TEMPLATE false)".to_owned());
    }
    Ok(obstacles)
}
