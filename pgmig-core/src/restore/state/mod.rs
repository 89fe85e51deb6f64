//! The state of the target database and of the role `username`: properties that no restore may change. Code of the
//! archive runs as `username`, which may alter its database and itself. So pgmig reads the state before the restore
//! and compares it afterwards.

pub(crate) mod properties;
pub(crate) mod put_back;

use crate::error::Result;
use crate::restore::error::RestoreError;
use crate::server::TargetError;
use crate::server::session::Session;
use crate::sql::{quote_ident, quote_literal};
use std::collections::BTreeMap;

/// The values of the state, by their names in messages. Passwords are stored as digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State(BTreeMap<String, String>);

/// The database and the role whose state is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// The OID of the target database.
    pub(crate) database: u32,
    pub(crate) username: &'a str,
    /// Whether the session may read passwords.
    pub(crate) is_superuser: bool,
}

/// Catalogs that all databases share, and the rows in them that a restore never changes.
const SHARED: [(&str, &str); 6] = [
    ("pg_authid", "a role: its password or another attribute"),
    ("pg_auth_members", "a role's membership in another one"),
    ("pg_database", "a database: its name, owner, privileges, connection limit or another attribute"),
    ("pg_db_role_setting", "a setting of a database or a role"),
    ("pg_shdescription", "the comment on a database or a role"),
    ("pg_tablespace", "a tablespace"),
];

impl State {
    /// Reads the state.
    ///
    /// # Errors
    ///
    /// The catalogs cannot be read.
    pub(crate) async fn read(session: &mut Session, subject: Subject<'_>) -> Result<Self, TargetError> {
        const DOING: &str = "read the state of the target database and of username";
        let queries = [
            attributes_of_database(subject.database),
            privileges_of_database(subject.database),
            settings(subject),
            attributes_of_role(subject),
            memberships(subject),
        ];
        let mut state = BTreeMap::new();
        for row in session.rows(&queries.join(" UNION ALL "), DOING).await? {
            state.insert(row.text(0).to_owned(), row.text(1).to_owned());
        }
        Ok(Self(state))
    }

    /// The names of the values that differ between `self` and `now`. The names contain no values.
    pub(crate) fn changes(&self, now: &Self) -> Vec<String> {
        let mut changes: Vec<String> = Vec::new();
        for (what, value) in &self.0 {
            match now.0.get(what) {
                None => changes.push(format!("{what} was removed")),
                Some(other) if other != value => changes.push(format!("{what} was changed")),
                Some(_) => {}
            }
        }
        let new = now.0.keys().filter(|what| !self.0.contains_key(*what));
        changes.extend(new.map(|what| format!("{what} was added")));
        changes
    }
}

/// Refuses if the session's open transaction would change the state with its commit. `before` was read in the same
/// transaction. The session's search_path must be empty.
///
/// # Errors
///
/// [`RestoreError::StateWouldChange`].
pub(crate) async fn require_unchanged(
    session: &mut Session,
    before: &State,
    subject: Subject<'_>,
) -> Result<()> {
    let mut changes = before.changes(&State::read(session, subject).await?);
    changes.extend(changed_in_transaction(session).await?);
    if changes.is_empty() { Ok(()) } else { Err(RestoreError::StateWouldChange(changes).into()) }
}

/// The shared catalogs that the session's open transaction has changed.
///
/// # Errors
///
/// The locks cannot be read.
async fn changed_in_transaction(session: &mut Session) -> Result<Vec<String>, TargetError> {
    let sql = "SELECT c.relname FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation \
               WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.database = 0 \
               AND l.mode = 'RowExclusiveLock' ORDER BY 1";
    let rows = session.rows(sql, "look for changes in shared catalogs").await?;
    let names = |catalog: &str| SHARED.iter().find(|(name, _)| *name == catalog).map(|(_, what)| *what);
    Ok(rows.iter().filter_map(|row| names(row.text(0))).map(|what| format!("{what} was changed")).collect())
}

fn attributes_of_database(oid: u32) -> String {
    format!(
        "SELECT a.what, a.value FROM pg_catalog.pg_database d, LATERAL (VALUES \
         ('the name of the database', d.datname::pg_catalog.text), \
         ('the owner of the database', d.datdba::pg_catalog.text), \
         ('the connection limit of the database', d.datconnlimit::pg_catalog.text), \
         ('whether the database allows connections', d.datallowconn::pg_catalog.text), \
         ('whether the database is a template', d.datistemplate::pg_catalog.text), \
         ('the tablespace of the database', d.dattablespace::pg_catalog.text), \
         ('the comment on the database', COALESCE(pg_catalog.shobj_description(d.oid, 'pg_database'), ''))) \
         AS a(what, value) WHERE d.oid = {oid}"
    )
}

fn privileges_of_database(oid: u32) -> String {
    format!(
        "SELECT 'the privilege ' || a.privilege_type || ' of ' \
             || CASE WHEN a.grantee <> 0 THEN pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) \
                ELSE 'PUBLIC' END || ' on the database, granted by ' \
             || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantor)), a.is_grantable::pg_catalog.text \
         FROM pg_catalog.pg_database d, \
         pg_catalog.aclexplode(COALESCE(d.datacl, pg_catalog.acldefault('d', d.datdba))) a WHERE d.oid = {oid}"
    )
}

fn settings(subject: Subject<'_>) -> String {
    let (database, owner) = (subject.database, quote_literal(subject.username));
    format!(
        "SELECT 'the setting ' || pg_catalog.split_part(c, '=', 1) \
             || CASE WHEN s.setrole <> 0 THEN ' of role ' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(s.setrole)) \
                ELSE '' END \
             || CASE WHEN s.setdatabase <> 0 THEN ' in the database' ELSE '' END, c \
         FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) c \
         WHERE s.setdatabase = {database} OR s.setdatabase = 0 AND s.setrole = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = {owner})"
    )
}

fn attributes_of_role(subject: Subject<'_>) -> String {
    let (name, owner) = (quote_ident(subject.username), quote_literal(subject.username));
    let of = quote_literal(&format!(" of role {name}"));
    let (catalog, password) = if subject.is_superuser {
        let digest =
            "pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(r.rolpassword, 'UTF8')), 'hex')";
        ("pg_authid", format!("COALESCE({digest}, '')"))
    } else {
        ("pg_roles", "''".to_owned())
    };
    format!(
        "SELECT a.what || {of}, a.value FROM pg_catalog.{catalog} r, LATERAL (VALUES \
         ('the password', {password}), \
         ('the time until which the password is valid', COALESCE(r.rolvaliduntil, 'infinity')::pg_catalog.text), \
         ('the connection limit', r.rolconnlimit::pg_catalog.text), \
         ('the attributes', pg_catalog.concat(r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, \
             r.rolreplication, r.rolbypassrls)), \
         ('the comment', COALESCE(pg_catalog.shobj_description(r.oid, 'pg_authid'), ''))) AS a(what, value) \
         WHERE r.rolname = {owner}"
    )
}

/// The memberships that `username` has, that others have in it, and that it has granted: whoever may administer a role can
/// make others its members. A superuser grants in the name of the whole server.
fn memberships(subject: Subject<'_>) -> String {
    let owner = quote_literal(subject.username);
    format!(
        "SELECT 'the membership of role ' || pg_catalog.quote_ident(o.rolname) || ' in role ' \
             || pg_catalog.quote_ident(g.rolname), pg_catalog.bool_or(m.admin_option)::pg_catalog.text \
         FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles o ON o.oid = m.member \
         JOIN pg_catalog.pg_roles g ON g.oid = m.roleid LEFT JOIN pg_catalog.pg_roles r ON r.oid = m.grantor \
         WHERE (o.rolname = {owner} OR g.rolname = {owner} OR (r.rolname = {owner} AND NOT r.rolsuper)) AND o.rolname !~ '^pgmig_[0-9a-f]{{16}}$' GROUP BY o.rolname, g.rolname"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_named_without_values() {
        let state = |entries: &[(&str, &str)]| {
            State(entries.iter().map(|(what, value)| ((*what).to_owned(), (*value).to_owned())).collect())
        };
        let before = state(&[("the name", "a"), ("the comment", "s3cret"), ("the limit", "1")]);
        let after = state(&[("the name", "a"), ("the comment", "other"), ("the setting x", "y")]);
        assert_eq!(
            before.changes(&after),
            ["the comment was changed", "the limit was removed", "the setting x was added"]
        );
        assert!(before.changes(&before).is_empty());
    }
}
