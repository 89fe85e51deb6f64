//! Why a previous database is not put back, or not dropped.

use super::shown::{Sessions, who_ends};
use crate::lines::{AllLines, count};
use crate::restore::error::RestoreError;
use crate::restore::refusal::Refusal;
use crate::server::OtherSession;
use crate::sql::quote_ident;
use thiserror::Error;

/// Why a previous database is not put back, or not dropped. Nothing was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PreviousRefusal {
    /// The target has no previous database.
    #[error(
        "database {target} has no previous database; a swap keeps one with RestoreOptions::keep_previous"
    )]
    NoneKept {
        /// The target.
        target: String,
    },
    /// There is no database of this name.
    #[error("database {database} does not exist; {}", known(target, previous))]
    Unknown {
        /// The name.
        database: String,
        /// The target.
        target: String,
        /// The names of the target's previous databases.
        previous: Vec<String>,
    },
    /// The database does not have pgmig's marker.
    #[error(
        "database {database} is not one that pgmig has kept: it does not have pgmig's marker; {}",
        known(target, previous)
    )]
    NotMarked {
        /// The database.
        database: String,
        /// The target.
        target: String,
        /// The names of the target's previous databases.
        previous: Vec<String>,
    },
    /// It is the target itself.
    #[error(
        "database {database} is the target itself, and not a previous one; {}",
        known(database, previous)
    )]
    IsTarget {
        /// The target.
        database: String,
        /// The names of the target's previous databases.
        previous: Vec<String>,
    },
    /// The marker names another target.
    #[error(
        "database {database} is a previous one of database {target}, and not of this target; use the configuration file of \
         {target}"
    )]
    OfAnotherTarget {
        /// The database.
        database: String,
        /// The target that its marker names.
        target: String,
    },
    /// The marker was made for another database.
    #[error(
        "database {database} has a marker that pgmig made for another database (OID {marked}, and this one has OID {oid}): it is \
         a copy, or somebody has written the comment; pgmig does not touch it"
    )]
    Copied {
        /// The database.
        database: String,
        /// Its OID.
        oid: u32,
        /// The OID in its marker.
        marked: u32,
    },
    /// It is a staging database.
    #[error(
        "database {database} is a staging database of a restore, and never was the target; the next restore removes it"
    )]
    Staging {
        /// The database.
        database: String,
    },
    /// The database does not have the name that pgmig gave it.
    #[error(
        "database {database} has the marker of a previous database, but not the name that pgmig gave it; if it is one, run: \
         ALTER DATABASE {} RENAME TO {}",
        quote_ident(database),
        quote_ident(given)
    )]
    Renamed {
        /// The database.
        database: String,
        /// The name that pgmig gave it.
        given: String,
    },
    /// Another role owns the database than the target, so that role can have written the marker.
    #[error(
        "database {database} has the marker of a previous database, but role {owner} owns it, and could have written the marker; \
         if it is one, run: ALTER DATABASE {} OWNER TO {}",
        quote_ident(database),
        quote_ident(target_owner)
    )]
    OtherOwner {
        /// The database.
        database: String,
        /// Its owner.
        owner: String,
        /// The owner of the target.
        target_owner: String,
    },
    /// A DROP DATABASE was stopped after it had begun.
    #[error(
        "database {database} is invalid: a DROP DATABASE was stopped in the middle, and its data may be gone; only drop it"
    )]
    Invalid {
        /// The database.
        database: String,
    },
    /// Several previous databases could be meant.
    #[error(
        "the markers do not say which of these previous databases is the newest; name one:\n{}",
        AllLines(previous)
    )]
    Ambiguous {
        /// Their names.
        previous: Vec<String>,
    },
    /// The database or the target cannot be renamed.
    #[error("database {database} cannot be put back as {target}:\n{}", AllLines(reasons))]
    CannotPutBack {
        /// The previous database.
        database: String,
        /// The target.
        target: String,
        /// The obstacles, each with its remedy.
        reasons: Vec<String>,
    },
    /// The database cannot be dropped.
    #[error("database {database} cannot be dropped:\n{}", AllLines(reasons))]
    CannotDrop {
        /// The previous database.
        database: String,
        /// The obstacles, each with its remedy.
        reasons: Vec<String>,
    },
    /// Sessions are connected to a database that is to be dropped.
    #[error(
        "database {database} is in use by {}, so it is not dropped:\n{}\nend them{}",
        count(sessions.len(), "session"),
        Sessions(sessions),
        who_ends(sessions)
    )]
    InUse {
        /// The previous database.
        database: String,
        /// The sessions.
        sessions: Vec<OtherSession>,
    },
    /// The previous database is not the one that was examined.
    #[error("database {database} has changed since pgmig looked at it; run it again")]
    Changed {
        /// The previous database.
        database: String,
    },
}

/// The previous databases that there are.
fn known(target: &str, previous: &[String]) -> String {
    if previous.is_empty() {
        format!("database {target} has no previous database")
    } else {
        format!("the previous databases of {target} are:\n{}", AllLines(previous))
    }
}

impl From<PreviousRefusal> for crate::Error {
    fn from(refusal: PreviousRefusal) -> Self {
        RestoreError::from(Refusal::from(refusal)).into()
    }
}
