//! That a run which did not succeed has changed nothing, left nothing and told nothing.

use super::database::Database;
use super::pgmig::Outcome;
use super::store::ROW_VALUE;

/// A database as it was.
#[derive(Debug)]
pub(crate) struct Before<'a> {
    database: &'a Database,
    dump: String,
    facts: String,
}

impl<'a> Before<'a> {
    /// Takes it down.
    #[track_caller]
    pub(crate) fn of(database: &'a Database) -> Self {
        Self { database, dump: database.dump(&["--create"]), facts: facts(database) }
    }

    /// Checks that it is the same database with the same contents, that nothing is left beside it, and that the run
    /// has shown neither the password nor a row's value.
    #[track_caller]
    pub(crate) fn is_now(&self, outcome: Outcome) -> Outcome {
        self.is_unchanged();
        assert_eq!(databases_beside(self.database), "", "left behind\n{outcome}");
        outcome.keeps_secret(&self.database.server.password).keeps_secret(ROW_VALUE)
    }

    /// Checks the database alone.
    #[track_caller]
    pub(crate) fn is_unchanged(&self) {
        assert_eq!(self.facts, facts(self.database), "the target is another database");
        assert!(self.dump == self.database.dump(&["--create"]), "pg_dump of the target has changed");
    }
}

/// What pg_dump does not show.
fn facts(database: &Database) -> String {
    database.psql("SELECT oid, datacl, datconnlimit FROM pg_database WHERE datname = current_database()")
}

/// The databases that pgmig made for a target: those with a marker that names it, and those that are called as it
/// calls them, which have no marker at first.
pub(crate) fn databases_beside(target: &Database) -> String {
    let literal = target.name.replace('\'', "''");
    target.server.psql(
        "postgres",
        &format!(
            "SELECT d.datname FROM pg_database d, shobj_description(d.oid, 'pg_database') c
             WHERE d.datname <> '{literal}' AND (
               (c LIKE 'pgmig-marker-1 %' AND substr(c, 16)::json ->> 'target' = '{literal}')
               OR d.datname ~ '_[0-9a-f]{{8}}_(staging|previous)$' AND c IS NULL
                 AND starts_with('{literal}', regexp_replace(d.datname, '_[0-9a-f]{{8}}_(staging|previous)$', '')))"
        ),
    )
}
