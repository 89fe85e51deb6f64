//! Properties of a database that are not a part of its contents, and the statements that give them to a database.

use crate::server::TargetError;
use crate::server::catalog::DatabaseFacts;
use crate::server::session::{Session, TextRow};
use crate::sql::{quote_ident, quote_literal};
use std::collections::BTreeSet;

/// Settings whose value is a list of names. Each element is quoted by itself, as pg_dump does (GUC_LIST_QUOTE in
/// PostgreSQL's sources). Quoted as a whole, the list would be one name.
const LIST_SETTINGS: [&str; 8] = [
    "createrole_self_grant",
    "local_preload_libraries",
    "restrict_nonsystem_relation_kind",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// One privilege of one role on the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    grantor: String,
    /// `None` is PUBLIC.
    grantee: Option<String>,
    privilege: String,
    with_grant_option: bool,
}

/// One statement, and the property that it copies, as a noun phrase.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) what: String,
    pub(crate) sql: String,
}

impl Statement {
    fn new(what: impl Into<String>, sql: String) -> Self {
        Self { what: what.into(), sql }
    }
}

/// The statements that give the database `successor` the properties of `target`, to be run in one transaction. Properties
/// that both have alike need none, and so no right to set them.
///
/// # Errors
///
/// The catalogs cannot be read.
pub(crate) async fn statements(
    control: &mut Session,
    target: &DatabaseFacts,
    successor: &DatabaseFacts,
) -> Result<Vec<Statement>, TargetError> {
    let database = quote_ident(&successor.name);
    let mut statements = privileges(control, target, successor).await?;
    statements.extend(settings(control, target.oid, successor).await?);
    statements.extend(security_labels(control, target.oid, successor).await?);
    if successor.connection_limit != target.connection_limit {
        let limit = format!("ALTER DATABASE {database} CONNECTION LIMIT {}", target.connection_limit);
        statements.push(Statement::new("the connection limit", limit));
    }
    if successor.allows_connections != target.allows_connections {
        let allowed = target.allows_connections;
        let sql = format!("ALTER DATABASE {database} ALLOW_CONNECTIONS {allowed}");
        statements.push(Statement::new("whether connections are allowed", sql));
    }
    let comment = target.comment.as_deref().map_or("NULL".to_owned(), quote_literal);
    statements.push(Statement::new("the comment", format!("COMMENT ON DATABASE {database} IS {comment}")));
    Ok(statements)
}

/// Runs statements that carry properties over.
///
/// # Errors
///
/// The server refuses one; the error names the property.
pub(crate) async fn run(control: &mut Session, statements: Vec<Statement>) -> Result<(), TargetError> {
    for Statement { what, sql } in statements {
        control.execute(&sql, &format!("carry over {what}")).await?;
    }
    Ok(())
}

/// No database has this OID.
const NO_DATABASE: u32 = u32::MAX;

/// The statements that give the target its own properties once more. They change nothing, and show which of them the server
/// refuses. It refuses a superuser settings and labels only.
///
/// # Errors
///
/// The catalogs cannot be read.
pub(crate) async fn additions(
    control: &mut Session,
    target: &DatabaseFacts,
    is_superuser: bool,
) -> Result<Vec<Statement>, TargetError> {
    let name = target.name.clone();
    // As if it had none of them.
    let bare = DatabaseFacts { name, oid: NO_DATABASE, allows_connections: true, ..DatabaseFacts::default() };
    if !is_superuser {
        return statements(control, target, &bare).await;
    }
    let mut statements = settings(control, target.oid, &bare).await?;
    statements.extend(security_labels(control, target.oid, &bare).await?);
    Ok(statements)
}

/// The privileges on a database.
pub(super) async fn grants(control: &mut Session, oid: u32) -> Result<Vec<Grant>, TargetError> {
    let sql = format!(
        "SELECT pg_catalog.pg_get_userbyid(a.grantor), \
         CASE WHEN a.grantee <> 0 THEN pg_catalog.pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable \
         FROM pg_catalog.pg_database d, \
         pg_catalog.aclexplode(COALESCE(d.datacl, pg_catalog.acldefault('d', d.datdba))) a WHERE d.oid = {oid}"
    );
    let rows = control.rows(&sql, "read the target's privileges").await?;
    Ok(rows.iter().map(Grant::read).collect())
}

async fn privileges(
    control: &mut Session,
    target: &DatabaseFacts,
    successor: &DatabaseFacts,
) -> Result<Vec<Statement>, TargetError> {
    let wanted = grants(control, target.oid).await?;
    let held = grants(control, successor.oid).await?;
    if wanted.len() == held.len() && wanted.iter().all(|grant| held.contains(grant)) {
        return Ok(Vec::new());
    }
    let database = quote_ident(&successor.name);
    // First revokes the privileges that it has, those of PUBLIC included.
    let grantees: BTreeSet<Option<&str>> = held.iter().map(|grant| grant.grantee.as_deref()).collect();
    let revoke = |grantee: &Option<&str>| {
        let sql = format!("REVOKE ALL ON DATABASE {database} FROM {} CASCADE", role(*grantee));
        Statement::new("the privileges", sql)
    };
    let mut statements: Vec<Statement> = grantees.iter().map(revoke).collect();
    let granted = in_order(wanted, &target.owner);
    statements.extend(granted.iter().flat_map(|grant| grant.statements(&database, &target.owner)));
    Ok(statements)
}

/// Puts the owner's grants first, then those of roles that hold a grant option by then. Grants that do not fit (a
/// chain that the catalogs should not contain) come last, so that the server decides.
pub(super) fn in_order(grants: Vec<Grant>, owner: &str) -> Vec<Grant> {
    let (mut ordered, mut left): (Vec<_>, Vec<_>) =
        grants.into_iter().partition(|grant| grant.grantor == owner);
    loop {
        let (ready, later): (Vec<_>, Vec<_>) = left.into_iter().partition(|grant: &Grant| {
            ordered.iter().any(|given| {
                given.with_grant_option
                    && given.privilege == grant.privilege
                    && given.grantee.as_deref() == Some(grant.grantor.as_str())
            })
        });
        if ready.is_empty() {
            ordered.extend(later);
            return ordered;
        }
        ordered.extend(ready);
        left = later;
    }
}

fn role(name: Option<&str>) -> String {
    name.map_or("PUBLIC".to_owned(), quote_ident)
}

impl Grant {
    fn read(row: &TextRow) -> Self {
        Self {
            grantor: row.text(0).to_owned(),
            grantee: row.get(1).map(str::to_owned),
            privilege: row.text(2).to_owned(),
            with_grant_option: row.is_true(3),
        }
    }

    /// The statements that take it away, with what the grantee has granted by it, to be run in one transaction.
    pub(super) fn revocation(&self, database: &str, owner: &str) -> Vec<String> {
        let revoke = format!(
            "REVOKE {} ON DATABASE {database} FROM {} CASCADE",
            self.privilege,
            role(self.grantee.as_deref())
        );
        if self.grantor == owner {
            return vec![revoke];
        }
        vec![format!("SET LOCAL ROLE {}", quote_ident(&self.grantor)), revoke, "RESET ROLE".to_owned()]
    }

    /// The statements that grant it again, to be run in one transaction.
    pub(super) fn statements(&self, database: &str, owner: &str) -> Vec<Statement> {
        let option = if self.with_grant_option { " WITH GRANT OPTION" } else { "" };
        let grantee = role(self.grantee.as_deref());
        let grant = format!("GRANT {} ON DATABASE {database} TO {grantee}{option}", self.privilege);
        let what = format!("the privilege {} of {grantee}", self.privilege);
        if self.grantor == owner {
            return vec![Statement::new(what, grant)];
        }
        let grantor = quote_ident(&self.grantor);
        let what = format!("{what}, which {grantor} granted");
        [format!("SET LOCAL ROLE {grantor}"), grant, "RESET ROLE".to_owned()]
            .map(|sql| Statement::new(what.clone(), sql))
            .into()
    }
}

/// One setting that a database or a role has of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// `None`: of every role in the database.
    role: Option<String>,
    /// Whether it is one of the database; otherwise the role has it in every database.
    in_database: bool,
    name: String,
    value: String,
}

/// The settings of a database. With a role, also those that the role has in every database.
pub(super) async fn settings_of(
    control: &mut Session,
    oid: u32,
    role: Option<&str>,
) -> Result<Vec<Setting>, TargetError> {
    let of_role = role.map_or(String::new(), |role| {
        format!(" OR s.setdatabase = 0 AND pg_catalog.pg_get_userbyid(s.setrole) = {}", quote_literal(role))
    });
    let sql = format!(
        "SELECT CASE WHEN s.setrole <> 0 THEN pg_catalog.pg_get_userbyid(s.setrole) END, s.setdatabase <> 0, c \
         FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) c WHERE s.setdatabase = {oid}{of_role}"
    );
    let rows = control.rows(&sql, "read the target's settings").await?;
    let setting = |row: &TextRow| {
        let (name, value) = row.text(2).split_once('=')?;
        let role = row.get(0).map(str::to_owned);
        Some(Setting { role, in_database: row.is_true(1), name: name.to_owned(), value: value.to_owned() })
    };
    Ok(rows.iter().filter_map(setting).collect())
}

impl Setting {
    fn alter(&self, database: &str) -> String {
        match self.role.as_deref().map(quote_ident) {
            Some(role) if self.in_database => format!("ALTER ROLE {role} IN DATABASE {database}"),
            Some(role) => format!("ALTER ROLE {role}"),
            None => format!("ALTER DATABASE {database}"),
        }
    }

    /// Whether both set the same for the same.
    pub(super) fn is_of_same(&self, other: &Self) -> bool {
        (&self.role, self.in_database, &self.name) == (&other.role, other.in_database, &other.name)
    }

    /// The role whose own setting it is, wherever the role connects.
    pub(super) fn is_of_role_alone(&self) -> bool {
        self.role.is_some() && !self.in_database
    }

    /// The statement that sets it.
    pub(super) fn set(&self, database: &str) -> String {
        let value = setting_value(&self.name, &self.value);
        format!("{} SET {} TO {value}", self.alter(database), setting_name(&self.name))
    }

    /// The statement that takes it away.
    pub(super) fn reset(&self, database: &str) -> String {
        format!("{} RESET {}", self.alter(database), setting_name(&self.name))
    }
}

async fn settings(
    control: &mut Session,
    oid: u32,
    successor: &DatabaseFacts,
) -> Result<Vec<Statement>, TargetError> {
    let database = quote_ident(&successor.name);
    let wanted = settings_of(control, oid, None).await?;
    let held = settings_of(control, successor.oid, None).await?;
    let statement = |setting: &Setting, sql: String| {
        let whose =
            setting.role.as_deref().map_or(String::new(), |role| format!(" of role {}", quote_ident(role)));
        Statement::new(format!("the setting {}{whose}", setting.name), sql)
    };
    let lost = held.iter().filter(|held| !wanted.iter().any(|wanted| wanted.is_of_same(held)));
    let mut statements: Vec<Statement> =
        lost.map(|setting| statement(setting, setting.reset(&database))).collect();
    let new = wanted.iter().filter(|setting| !held.contains(setting));
    statements.extend(new.map(|setting| statement(setting, setting.set(&database))));
    Ok(statements)
}

/// A setting's name as SQL. An extension's setting has two parts, each an identifier.
fn setting_name(name: &str) -> String {
    name.split('.').map(quote_ident).collect::<Vec<_>>().join(".")
}

fn setting_value(name: &str, value: &str) -> String {
    if !LIST_SETTINGS.iter().any(|list| list.eq_ignore_ascii_case(name)) {
        return quote_literal(value);
    }
    let elements = list_elements(value);
    if elements.is_empty() {
        return "''".to_owned();
    }
    elements.iter().map(|element| quote_literal(element)).collect::<Vec<_>>().join(", ")
}

/// Splits a stored list (`"$user", public`) into its elements, and removes the quotes.
fn list_elements(value: &str) -> Vec<String> {
    let mut elements = Vec::new();
    let mut element = String::new();
    let mut quoted = false;
    let mut chars = value.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                element.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => elements.push(std::mem::take(&mut element)),
            char if char.is_whitespace() && !quoted => {}
            char => element.push(char),
        }
    }
    if !element.is_empty() || !elements.is_empty() {
        elements.push(element);
    }
    elements
}

async fn security_labels(
    control: &mut Session,
    oid: u32,
    successor: &DatabaseFacts,
) -> Result<Vec<Statement>, TargetError> {
    let wanted = labels(control, oid).await?;
    let held = labels(control, successor.oid).await?;
    let statement = |provider: &str, label: &str| {
        let (provider, database) = (quote_ident(provider), quote_ident(&successor.name));
        let sql = format!("SECURITY LABEL FOR {provider} ON DATABASE {database} IS {label}");
        Statement::new(format!("the security label of {provider}"), sql)
    };
    let lost = held.iter().filter(|(provider, _)| !wanted.iter().any(|(wanted, _)| wanted == provider));
    let mut statements: Vec<Statement> = lost.map(|(provider, _)| statement(provider, "NULL")).collect();
    let new = wanted.iter().filter(|label| !held.contains(label));
    statements.extend(new.map(|(provider, label)| statement(provider, &quote_literal(label))));
    Ok(statements)
}

/// The security labels of a database, each with its provider.
async fn labels(control: &mut Session, oid: u32) -> Result<Vec<(String, String)>, TargetError> {
    let sql = format!(
        "SELECT provider, label FROM pg_catalog.pg_shseclabel \
         WHERE classoid = 'pg_catalog.pg_database'::pg_catalog.regclass AND objoid = {oid}"
    );
    let rows = control.rows(&sql, "read the security labels of a database").await?;
    Ok(rows.iter().map(|row| (row.text(0).to_owned(), row.text(1).to_owned())).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    #[test]
    fn lists_are_quoted_by_element() {
        assert_eq!(
            setting_value("search_path", "store, \"we, ird\"\"x\", public"),
            "'store', 'we, ird\"x', 'public'"
        );
        assert_eq!(setting_value("Search_Path", "\"$user\""), "'$user'");
        assert_eq!(setting_value("search_path", ""), "''");
        assert_eq!(setting_value("work_mem", "4, MB"), "'4, MB'");
    }

    #[test]
    fn a_grant_follows_the_one_that_allows_it() {
        let grant = |grantor: &str, grantee: &str, option| Grant {
            grantor: grantor.into(),
            grantee: Some(grantee.into()),
            privilege: "CONNECT".into(),
            with_grant_option: option,
        };
        let ordered =
            in_order(vec![grant("b", "c", false), grant("a", "b", true), grant("o", "a", true)], "o");
        let grantees: Vec<_> = ordered.iter().map(|grant| grant.grantee.as_deref().unwrap()).collect();
        assert_eq!(grantees, ["a", "b", "c"]);
    }
}
