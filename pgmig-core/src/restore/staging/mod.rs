//! The databases beside the target: creates the staging database, and finds and removes those of earlier runs.

pub(crate) mod copy;
pub(crate) mod dropping;
pub(crate) mod marker;
pub(crate) mod names;

use crate::restore::staging::dropping::INVALID;
use crate::restore::staging::marker::{Marker, STAGING_CONNECTION_LIMIT, State};
use crate::restore::staging::names::{previous_name, staging_name};
use crate::server::TargetError;
use crate::server::catalog::DatabaseFacts;
use crate::server::session::{Session, TextRow};
use crate::sql::{quote_ident, quote_literal};

/// The databases found beside the target.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Beside {
    /// Databases of ended runs of this target, to be removed, by name.
    pub(crate) leftovers: Vec<String>,
    /// Whether a database that is not ours has the staging database's name.
    pub(crate) name_taken: bool,
}

/// A database of the cluster, which may be one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Database {
    name: String,
    oid: u32,
    connection_limit: i32,
    comment: Option<String>,
    /// Whether it belongs to the target's owner, to `su_username` or to a superuser. Anybody who may create databases can give
    /// one our name and our marker.
    is_owners: bool,
}

/// Looks for databases that earlier runs for this target left. Kept previous databases are not leftovers.
pub(crate) async fn look_beside(
    control: &mut Session,
    target: &DatabaseFacts,
) -> Result<Beside, TargetError> {
    let staging = staging_name(&target.name);
    let mut beside = Beside::default();
    let databases = databases(control, &target.name).await?;
    for database in databases.into_iter().filter(|database| database.oid != target.oid) {
        if database.is_leftover_of(&target.name) {
            beside.leftovers.push(database.name);
        } else if database.name == staging {
            beside.name_taken = true;
        }
    }
    Ok(beside)
}

/// A staging database that an ended run left.
#[derive(Debug)]
pub(crate) struct LeftStaging {
    pub(crate) oid: u32,
    /// `None` if it has none yet, or code of the archive has replaced it.
    pub(crate) marker: Option<Marker>,
}

/// Finds the staging database of an ended run for this target, if another run could go on with it.
pub(crate) async fn find_left(
    control: &mut Session,
    target: &DatabaseFacts,
) -> Result<Option<LeftStaging>, TargetError> {
    let staging = staging_name(&target.name);
    let found = databases(control, &target.name).await?.into_iter().find(|database| {
        database.name == staging
            && database.oid != target.oid
            && database.connection_limit != INVALID
            && database.is_leftover_of(&target.name)
    });
    Ok(found.map(|database| {
        let marker = database.comment.as_deref().and_then(Marker::from_comment);
        LeftStaging { oid: database.oid, marker }
    }))
}

/// Whether run `run_id` made the target's staging database, and so may drop it.
pub(crate) async fn is_of_run(
    control: &mut Session,
    target: &str,
    run_id: &str,
) -> Result<bool, TargetError> {
    let staging = staging_name(target);
    let database = databases(control, target).await?.into_iter().find(|database| database.name == staging);
    let Some(database) = database else { return Ok(false) };
    Ok(match database.comment.as_deref().map(Marker::from_comment) {
        Some(Some(marker)) => marker.run == run_id,
        Some(None) => false,
        // It has no marker yet. Only the run that holds the lock can have made it.
        None => database.connection_limit == STAGING_CONNECTION_LIMIT,
    })
}

/// The databases of the server.
async fn databases(control: &mut Session, target: &str) -> Result<Vec<Database>, TargetError> {
    let sql = format!(
        "SELECT d.datname, d.oid, d.datconnlimit, \
             {comment}, \
             r.rolsuper OR r.rolname = current_user OR d.datdba = (SELECT t.datdba FROM pg_catalog.pg_database t WHERE t.datname = {target}) \
         FROM pg_catalog.pg_database d JOIN pg_catalog.pg_roles r ON r.oid = d.datdba, \
         LATERAL (SELECT pg_catalog.shobj_description(d.oid, 'pg_database') AS comment) c ORDER BY d.datname",
        comment = marker::without_others("c.comment"),
        target = quote_literal(target)
    );
    let rows = control.rows(&sql, "list the databases").await?;
    Ok(rows.iter().map(Database::read).collect())
}

impl Database {
    fn read(row: &TextRow) -> Self {
        Self {
            name: row.text(0).to_owned(),
            oid: row.number(1),
            connection_limit: row.number(2),
            comment: row.get(3).map(str::to_owned),
            is_owners: row.is_true(4),
        }
    }

    /// Whether an ended run for `target` left this database. It must have both our marker and the name that we gave
    /// it. If a user has renamed it, perhaps back to the target's name, it is the user's.
    fn is_leftover_of(&self, target: &str) -> bool {
        if !self.is_owners {
            return false;
        }
        let marker = self.comment.as_deref().and_then(Marker::from_comment);
        let Some(marker) = marker else {
            // No marker yet, or code of the archive has replaced it.
            return self.name == staging_name(target) && self.connection_limit == STAGING_CONNECTION_LIMIT;
        };
        if marker.target != target {
            return false;
        }
        match marker.state {
            State::Staging => self.name == staging_name(target),
            State::Previous => {
                self.name == previous_name(target, &marker.run) && self.oid == marker.target_oid
            }
            State::Kept => false,
        }
    }
}

/// Creates the staging database with the target's encoding, locale, tablespace and owner.
pub(crate) async fn create(
    control: &mut Session,
    target: &DatabaseFacts,
    name: &str,
) -> Result<(), TargetError> {
    let doing = format!("create the staging database {}", quote_ident(name));
    control.execute(&create_statement(target, name), &doing).await.map(drop)
}

/// Marks the staging database, and allows only its owner and these roles to connect. Returns its OID.
pub(crate) async fn open_to(
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

pub(crate) fn mark_statement(name: &str, marker: &Marker) -> String {
    format!("COMMENT ON DATABASE {} IS {}", quote_ident(name), quote_literal(&marker.to_comment()))
}

/// CREATE DATABASE from the target's row in `pg_database`. Only `template0` allows another encoding or locale than
/// the template's, and a store should not inherit objects of the site's `template1`.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(name: &str, oid: u32, state: State) -> Database {
        let marker = Marker {
            run: "r".to_owned(),
            target: "store".to_owned(),
            target_oid: 7,
            state,
            replaced_ms: None,
            built: None,
            comment: None,
        };
        let comment = Some(marker.to_comment());
        Database { name: name.to_owned(), oid, connection_limit: -1, comment, is_owners: true }
    }

    #[test]
    fn leftovers_have_our_marker_and_our_name() {
        let (staging, previous) = (staging_name("store"), previous_name("store", "r"));
        assert!(marked(&staging, 9, State::Staging).is_leftover_of("store"));
        assert!(marked(&previous, 7, State::Previous).is_leftover_of("store"));
        assert!(!marked(&previous, 7, State::Kept).is_leftover_of("store"));
        assert!(!marked(&previous, 8, State::Previous).is_leftover_of("store"), "another database by now");
        assert!(!marked("store", 7, State::Previous).is_leftover_of("store"), "put back by hand");
        assert!(!marked("my_archive", 7, State::Previous).is_leftover_of("store"), "renamed");
        assert!(!marked(&staging, 9, State::Staging).is_leftover_of("other"));
        let of_a_stranger = Database { is_owners: false, ..marked(&staging, 9, State::Staging) };
        assert!(!of_a_stranger.is_leftover_of("store"));
    }

    #[test]
    fn without_a_marker_only_the_limit_and_the_name_together_count() {
        let database = |name: String, connection_limit| Database {
            name,
            oid: 9,
            connection_limit,
            comment: None,
            is_owners: true,
        };
        let staging = staging_name("store");
        assert!(database(staging.clone(), STAGING_CONNECTION_LIMIT).is_leftover_of("store"));
        assert!(!database(staging.clone(), -1).is_leftover_of("store"));
        let mut renamed = database(staging, STAGING_CONNECTION_LIMIT);
        renamed.comment = Some("by code of the archive".to_owned());
        assert!(renamed.is_leftover_of("store"));
        assert!(!database("store".to_owned(), STAGING_CONNECTION_LIMIT).is_leftover_of("store"));
    }
}
