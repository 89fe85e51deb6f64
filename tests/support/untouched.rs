//! Checks that a failed run has changed nothing, left nothing behind, and shown no secret.

use super::database::Database;
use super::pgmig::Outcome;
use super::store::ROW_VALUE;

/// A database before a run.
#[derive(Debug)]
pub(crate) struct Before {
    database: Database,
    dump: String,
    facts: String,
}

impl Before {
    /// Records the database's state.
    #[track_caller]
    pub(crate) fn of(database: &Database) -> Self {
        let dump = database.dump(&["--create"]);
        Self { database: Database::shared(&database.server, &database.name), dump, facts: facts(database) }
    }

    /// Checks that it is the same database with the same contents, that nothing is left beside it, and that the output
    /// contains neither the password nor a row's value.
    #[track_caller]
    pub(crate) fn is_now(&self, outcome: Outcome) -> Outcome {
        self.is_unchanged();
        nothing_left(&self.database, outcome)
    }

    /// Checks the database alone.
    #[track_caller]
    pub(crate) fn is_unchanged(&self) {
        assert_eq!(self.facts, facts(&self.database), "the target is another database");
        assert!(self.dump == self.database.dump(&["--create"]), "pg_dump of the target has changed");
    }
}

/// Checks a run's output, and that nothing is left beside the target.
#[track_caller]
pub(crate) fn nothing_left(target: &Database, outcome: Outcome) -> Outcome {
    assert_eq!(databases_beside(target), "", "left behind\n{outcome}");
    outcome.keeps_secret(&target.server.password).keeps_secret(ROW_VALUE)
}

/// Facts that pg_dump does not show.
fn facts(database: &Database) -> String {
    database.psql("SELECT oid, datacl, datconnlimit FROM pg_database WHERE datname = current_database()")
}

/// The databases that pgmig made for a target: those whose marker names the target, and those with names of pgmig's
/// form. The latter have no marker at first.
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
