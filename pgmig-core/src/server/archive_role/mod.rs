//! A temporary role: the login of every session that runs code of the archive or of the target.
//!
//! The role is a member of `username` and of no other role. So no statement can gain rights beyond those of
//! `username`: `RESET ROLE` leads to `username`, and `SET ROLE NONE` to a role without rights of its own. The role
//! inherits the rights of `username`, because the server requires the right to connect of the role that logs in.

mod admission;
mod marker;

pub(crate) use admission::Admission;

use crate::server::lock::{is_role_in_use, keep_role_in_use, let_go_of_role};
use crate::server::login::Login;
use crate::server::scram::Credentials;
use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};
use crate::sql::{quote_ident, quote_literal};
use marker::Marker;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the role can log in unless it is [renewed](ArchiveRole::renew). A run that was killed leaves its role
/// behind.
const LIFETIME: &str = "6 hours";

/// The digest of a password, as SQL.
const PASSWORD: &str =
    "COALESCE(pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(rolpassword, 'UTF8')), 'hex'), '')";

/// Connections of the role other than those that load rows: for migrations and for comparisons with the target.
const OTHER_CONNECTIONS: usize = 4;

/// How long pgmig waits for the role's sessions to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A role that pgmig has created for one run.
#[derive(Debug, Clone)]
pub(crate) struct ArchiveRole {
    name: String,
    oid: u32,
    /// The digest of the password that pgmig gave it; `None` for a role of an earlier run.
    password: Option<String>,
}

/// The run that a role is created for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purpose<'a> {
    /// The run's ID: 32 hexadecimal digits.
    pub(crate) run: &'a str,
    /// The target database.
    pub(crate) target: &'a str,
    /// The role that it is a member of.
    pub(crate) username: &'a str,
    /// How many sessions load rows.
    pub(crate) jobs: usize,
}

impl ArchiveRole {
    /// Creates the role in one transaction. `control` must be a superuser's session. While it is open, no other run
    /// treats the role as a leftover.
    ///
    /// # Errors
    ///
    /// The server refuses.
    pub(crate) async fn create(
        control: &mut Session,
        purpose: Purpose<'_>,
    ) -> Result<(Self, Login), TargetError> {
        const DOING: &str = "make a temporary role for the code of the backup";
        let name = name(purpose.run);
        let credentials = Credentials::random()?;
        keep_role_in_use(control, &name).await?;
        let until = lifetime(control, DOING).await?;
        control.begin(DOING).await?;
        let mut made = Ok(0);
        for sql in statements(control.server_version(), &name, purpose, &credentials.verifier, &until) {
            made = control.execute(&sql, DOING).await;
            if made.is_err() {
                break;
            }
        }
        control.end(made, DOING).await?;
        let sql = format!(
            "SELECT oid, {PASSWORD} FROM pg_catalog.pg_authid WHERE rolname = {}",
            quote_literal(&name)
        );
        let rows = control.rows(&sql, DOING).await?;
        let (oid, password) =
            rows.first().map(|row| (row.number(0), row.text(1).to_owned())).unwrap_or_default();
        let login = Login::new(&name, Some(credentials.password));
        Ok((Self { name, oid, password: Some(password) }, login))
    }

    /// The role's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Extends the time during which the role can log in.
    ///
    /// # Errors
    ///
    /// The server refuses.
    pub(crate) async fn renew(&self, control: &mut Session) -> Result<(), TargetError> {
        const DOING: &str = "extend the life of the temporary role";
        let until = lifetime(control, DOING).await?;
        let sql = format!("ALTER ROLE {} VALID UNTIL {}", quote_ident(&self.name), quote_literal(&until));
        control.execute(&sql, DOING).await.map(drop)
    }

    /// Whether somebody has changed the role's password: code of the archive may do so, to let others in.
    ///
    /// # Errors
    ///
    /// The server refuses.
    pub(crate) async fn has_another_password(&self, control: &mut Session) -> Result<bool, TargetError> {
        let Some(password) = &self.password else { return Ok(false) };
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_authid WHERE oid = {} AND rolcanlogin AND {PASSWORD} <> {})",
            self.oid,
            quote_literal(password)
        );
        control.holds(&sql, "look whether the temporary role is as it was").await
    }

    /// Lets nobody log in as this role any more. Sessions that are open stay.
    ///
    /// # Errors
    ///
    /// The server refuses.
    pub(crate) async fn lock_out(&self, control: &mut Session) -> Result<(), TargetError> {
        let sql = format!("ALTER ROLE {} NOLOGIN PASSWORD NULL", quote_ident(&self.name));
        control.execute(&sql, &format!("lock the temporary role {}", self.name)).await.map(drop)
    }

    /// Ends the role's sessions, and removes the role with all rights that it was given. Objects that were created as
    /// this role in the databases of this restore (`own`) go to `username`; what it owns elsewhere is dropped.
    ///
    /// Nobody can log in as the role from the first statement on, whatever fails later.
    ///
    /// # Errors
    ///
    /// The server refuses.
    pub(crate) async fn remove(
        &self,
        control: &mut Session,
        config: &TargetConfig,
        application: &str,
        own: &[&str],
    ) -> Result<(), TargetError> {
        let doing = format!("remove the temporary role {}", self.name);
        let role = quote_ident(&self.name);
        self.lock_out(control).await?;
        self.end_sessions(control, &doing).await?;
        for database in self.databases(control, &doing).await? {
            let mut session = Session::open(config, &database, application).await?;
            let owner = quote_ident(config.username());
            let hand_over = match own.contains(&database.as_str()) {
                true => format!("REASSIGN OWNED BY {role} TO {owner}; "),
                false => String::new(),
            };
            // Event triggers do not fire for it.
            let sql = format!("SET session_replication_role = replica; {hand_over}DROP OWNED BY {role}");
            let tidied = session.execute(&sql, &doing).await;
            session.close().await;
            tidied?;
        }
        // Also drops rights on databases, which are shared objects.
        let sql = format!("DROP OWNED BY {role}; DROP ROLE {role}");
        control.execute(&sql, &doing).await?;
        // One that logged in while it was locked out.
        self.end_sessions(control, &doing).await?;
        let_go_of_role(control, &self.name).await
    }

    async fn end_sessions(&self, control: &mut Session, doing: &str) -> Result<(), TargetError> {
        let deadline = Instant::now() + PATIENCE;
        let sql = format!(
            "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usesysid = {}",
            self.oid
        );
        while !control.rows(&sql, doing).await?.is_empty() && Instant::now() < deadline {
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The databases in which the role owns objects or has rights.
    async fn databases(&self, control: &mut Session, doing: &str) -> Result<Vec<String>, TargetError> {
        let sql = format!(
            "SELECT DISTINCT b.datname FROM pg_catalog.pg_shdepend d \
             JOIN pg_catalog.pg_database b ON b.oid = d.dbid \
             WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND d.refobjid = {} ORDER BY 1",
            self.oid
        );
        let rows = control.rows(&sql, doing).await?;
        Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
    }
}

/// What only a superuser can make: a role that is a member of others by a superuser's grants alone, and of which nobody is
/// a member. Name and comment can come from any role that may create roles; from PostgreSQL 16 on, it would be a member.
const IS_OURS: &str = "NOT EXISTS (SELECT 1 FROM pg_catalog.pg_auth_members m WHERE m.roleid = r.oid) \
    AND NOT r.rolsuper AND NOT r.rolcreaterole AND NOT r.rolcreatedb AND EXISTS (SELECT 1 FROM pg_catalog.pg_auth_members m \
        JOIN pg_catalog.pg_roles g ON g.oid = m.grantor WHERE m.member = r.oid AND g.rolsuper) \
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_auth_members m LEFT JOIN pg_catalog.pg_roles g ON g.oid = m.grantor \
        WHERE m.member = r.oid AND g.rolsuper IS NOT TRUE)";

/// The roles that earlier runs for this target left behind. `own` is the role of this run. Call this only under the
/// lock on the target.
pub(crate) async fn leftovers(
    control: &mut Session,
    target: &str,
    own: Option<&ArchiveRole>,
) -> Result<Vec<ArchiveRole>, TargetError> {
    let sql = format!(
        "SELECT r.rolname, r.oid, pg_catalog.shobj_description(r.oid, 'pg_authid') FROM pg_catalog.pg_roles r \
         WHERE r.rolname ~ '^pgmig_[0-9a-f]{{16}}$' AND {IS_OURS} ORDER BY r.rolname"
    );
    let mut left = Vec::new();
    for row in control.rows(&sql, "look for temporary roles of earlier runs").await? {
        let marker = row.get(2).and_then(Marker::from_comment);
        let is_of_target =
            marker.is_some_and(|marker| marker.target == target && name(&marker.run) == row.text(0));
        // The session that holds the advisory lock could take it again.
        let is_own = own.is_some_and(|own| own.name == row.text(0));
        if is_of_target && !is_own && !is_role_in_use(control, row.text(0)).await? {
            left.push(ArchiveRole { name: row.text(0).to_owned(), oid: row.number(1), password: None });
        }
    }
    Ok(left)
}

/// The role's name. It contains the run's ID, so it is unique.
fn name(run: &str) -> String {
    format!("pgmig_{}", run.get(..16).unwrap_or(run))
}

async fn lifetime(control: &mut Session, doing: &str) -> Result<String, TargetError> {
    let sql = format!(
        "SELECT pg_catalog.now() OPERATOR(pg_catalog.+) {}::pg_catalog.interval",
        quote_literal(LIFETIME)
    );
    control.value(&sql, doing).await
}

fn statements(
    server_version: i32,
    name: &str,
    purpose: Purpose<'_>,
    verifier: &str,
    until: &str,
) -> Vec<String> {
    let (role, owner) = (quote_ident(name), quote_ident(purpose.username));
    let limit = purpose.jobs.saturating_add(OTHER_CONNECTIONS);
    let marker = Marker { run: purpose.run.to_owned(), target: purpose.target.to_owned() };
    // Up to PostgreSQL 15 the role determines inheritance, from 16 on the membership does.
    let (inherits, options) = if server_version >= 160_000 {
        ("NOINHERIT", " WITH INHERIT TRUE, SET TRUE, ADMIN FALSE")
    } else {
        ("INHERIT", "")
    };
    // Settings of the database that only a superuser may change, and that would change what the role's sessions do.
    let mut settings = vec!["session_replication_role = origin"];
    if server_version >= 170_000 {
        settings.push("event_triggers = off");
    }
    let mut statements = vec![
        format!(
            "CREATE ROLE {role} LOGIN NOSUPERUSER {inherits} NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS \
             CONNECTION LIMIT {limit} PASSWORD {} VALID UNTIL {}",
            quote_literal(verifier),
            quote_literal(until)
        ),
        format!("COMMENT ON ROLE {role} IS {}", quote_literal(&marker.to_comment())),
        format!("GRANT {owner} TO {role}{options}"),
        format!("ALTER ROLE {role} SET role = {}", quote_literal(purpose.username)),
    ];
    statements.extend(settings.iter().map(|setting| format!("ALTER ROLE {role} SET {setting}")));
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURPOSE: Purpose<'static> = Purpose {
        run: "0123456789abcdef0123456789abcdef",
        target: "store",
        username: "Store \"app\"",
        jobs: 2,
    };

    #[test]
    fn the_role_is_a_member_of_username_and_nothing_more() {
        let all = |version| statements(version, "pgmig_0", PURPOSE, "SCRAM", "tomorrow");
        let [create, marker, grant, set, origin] = &all(160_000)[..] else { panic!("five statements") };
        assert_eq!(origin, "ALTER ROLE pgmig_0 SET session_replication_role = origin");
        assert!(all(170_000).contains(&"ALTER ROLE pgmig_0 SET event_triggers = off".to_owned()));
        assert_eq!(
            create,
            "CREATE ROLE pgmig_0 LOGIN NOSUPERUSER NOINHERIT NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS \
             CONNECTION LIMIT 6 PASSWORD 'SCRAM' VALID UNTIL 'tomorrow'"
        );
        assert!(marker.starts_with("COMMENT ON ROLE pgmig_0 IS 'pgmig-role-1 {"), "{marker}");
        assert_eq!(grant, "GRANT \"Store \"\"app\"\"\" TO pgmig_0 WITH INHERIT TRUE, SET TRUE, ADMIN FALSE");
        assert_eq!(set, "ALTER ROLE pgmig_0 SET role = 'Store \"app\"'");
        let [create, _, grant, ..] = &all(150_000)[..] else { panic!("five statements") };
        assert!(create.contains(" NOSUPERUSER INHERIT "), "{create}");
        assert_eq!(grant, "GRANT \"Store \"\"app\"\"\" TO pgmig_0");
    }

    #[test]
    fn the_name_is_the_runs() {
        assert_eq!(name(PURPOSE.run), "pgmig_0123456789abcdef");
    }
}
