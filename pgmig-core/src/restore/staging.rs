//! The databases beside the target: making the staging database, finding and removing what is left of others.

use super::marker::{Marker, STAGING_CONNECTION_LIMIT, State};
use super::names::staging_name;
use crate::sql::{quote_ident, quote_literal};
use crate::target::TargetError;
use crate::target::catalog::DatabaseFacts;
use crate::target::session::{Session, TextRow};

/// A database that a run made or set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leftover {
    pub(super) name: String,
    pub(super) oid: u32,
}

/// What stands beside the target.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Databases of ended runs of this target: to be removed.
    pub(super) leftovers: Vec<Leftover>,
    /// A database with the staging database's name that is not ours.
    pub(super) name_taken: bool,
}

/// Looks for what earlier runs for `target` left. Kept previous databases are not leftovers.
pub(super) async fn look_beside(control: &mut Session, target: &str) -> Result<Beside, TargetError> {
    let sql = "SELECT d.datname, d.oid, d.datconnlimit, pg_catalog.shobj_description(d.oid, 'pg_database') \
               FROM pg_catalog.pg_database d ORDER BY d.datname";
    let rows = control.rows(sql, "list the databases").await?;
    let staging = staging_name(target);
    let mut beside = Beside::default();
    for row in &rows {
        if is_leftover(row, target, &staging) {
            beside.leftovers.push(Leftover { name: row.text(0).to_owned(), oid: row.number(1) });
        } else if row.text(0) == staging {
            beside.name_taken = true;
        }
    }
    Ok(beside)
}

fn is_leftover(row: &TextRow, target: &str, staging: &str) -> bool {
    match row.get(3) {
        Some(comment) => Marker::from_comment(comment)
            .is_some_and(|marker| marker.target == target && marker.state != State::Kept),
        None => row.text(0) == staging && row.number::<i32>(2) == STAGING_CONNECTION_LIMIT,
    }
}

/// Drops a database that carries our marker, and ends the sessions of the dead run that are still in it.
pub(super) async fn drop_leftover(control: &mut Session, name: &str) -> Result<(), TargetError> {
    let database = quote_ident(name);
    let doing = format!("drop database {database}");
    if control.server_version() >= 130_000 {
        let sql = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
        return control.execute(&sql, &doing).await.map(drop);
    }
    let end = format!(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = {}",
        quote_literal(name)
    );
    control.rows(&end, &doing).await?;
    control.execute(&format!("DROP DATABASE IF EXISTS {database}"), &doing).await.map(drop)
}

/// Makes the staging database like the target: encoding, locale, tablespace, owner.
pub(super) async fn create(
    control: &mut Session,
    target: &DatabaseFacts,
    name: &str,
) -> Result<(), TargetError> {
    let doing = format!("create the staging database {}", quote_ident(name));
    control.execute(&create_statement(target, name), &doing).await.map(drop)
}

/// Marks the staging database and lets only its owner and these roles connect to it. Returns its OID.
pub(super) async fn open_to(
    control: &mut Session,
    name: &str,
    marker: &Marker,
    roles: &[&str],
) -> Result<u32, TargetError> {
    let database = quote_ident(name);
    let doing = format!("mark the staging database {database}");
    let mut sql = format!("{}; REVOKE ALL ON DATABASE {database} FROM PUBLIC;", mark_statement(name, marker));
    for role in roles {
        sql.push_str(&format!("GRANT ALL ON DATABASE {database} TO {};", quote_ident(role)));
    }
    control.execute(&sql, &doing).await?;
    let oid = format!("SELECT oid FROM pg_catalog.pg_database WHERE datname = {}", quote_literal(name));
    Ok(control.value(&oid, &doing).await?.parse().unwrap_or_default())
}

/// The statement that writes a marker.
pub(super) fn mark_statement(name: &str, marker: &Marker) -> String {
    format!("COMMENT ON DATABASE {} IS {}", quote_ident(name), quote_literal(&marker.to_comment()))
}

/// CREATE DATABASE from the target's row in pg_database. `template0`, because only from it another encoding or
/// locale than the template's can be taken, and because nothing of the site's `template1` belongs into a store.
fn create_statement(target: &DatabaseFacts, name: &str) -> String {
    let mut sql = format!(
        "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING {} CONNECTION LIMIT {}",
        quote_ident(name),
        quote_ident(&target.owner),
        quote_literal(&target.encoding),
        STAGING_CONNECTION_LIMIT,
    );
    if let Some(tablespace) = &target.tablespace {
        sql.push_str(&format!(" TABLESPACE {}", quote_ident(tablespace)));
    }
    let locale = &target.locale;
    for (option, value) in [
        ("LC_COLLATE", Some(&locale.collate)),
        ("LC_CTYPE", Some(&locale.ctype)),
        ("ICU_LOCALE", locale.icu_locale.as_ref()),
        ("BUILTIN_LOCALE", locale.builtin_locale.as_ref()),
        ("ICU_RULES", locale.icu_rules.as_ref()),
    ] {
        if let Some(value) = value {
            sql.push_str(&format!(" {option} {}", quote_literal(value)));
        }
    }
    if let Some(provider) = locale.provider {
        sql.push_str(&format!(" LOCALE_PROVIDER {provider}"));
    }
    sql
}
