//! Why an interrupted restore is not gone on with.

use super::Refusal;
use crate::lines::{AllLines, count};
use thiserror::Error;

/// Why an interrupted restore is not gone on with. Its staging database was not touched.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ResumeRefusal {
    /// The options ask to resume a restore that cannot be resumed.
    #[error("{option} cannot be used here: {reason}")]
    NotResumable {
        /// The option.
        option: &'static str,
        /// Why not, and what to do.
        reason: &'static str,
    },
    /// The staging database belongs to another restore.
    #[error(
        "the staging database {database} belongs to another restore, with which this one cannot go on; it was not touched:\n{}\n\
         run that restore again, or run this one without RestoreOptions::resume, which removes the staging database",
        AllLines(differences)
    )]
    OtherRestore {
        /// The staging database.
        database: String,
        /// What differs.
        differences: Vec<String>,
    },
    /// The record of the staging database holds notes that pgmig has not written.
    #[error(
        "the record of what is complete in the staging database {database} was changed, by code in the backup or by another \
         session; run the restore without RestoreOptions::resume, which begins anew"
    )]
    RecordChanged {
        /// The staging database.
        database: String,
    },
    /// Sessions in the staging database do not end.
    #[error(
        "{} in the staging database {database} did not end; end them (pg_terminate_backend), and run the restore again",
        count(*sessions, "session")
    )]
    StagingInUse {
        /// The staging database.
        database: String,
        /// How many.
        sessions: usize,
    },
    /// An interrupted run has begun a migration that is not a transaction.
    #[error(
        "an interrupted run has begun the migration {file}, which is not a transaction, so that it can be half done; run the \
         restore without RestoreOptions::resume, which begins anew"
    )]
    HalfMigrated {
        /// Its file.
        file: String,
    },
}

impl From<ResumeRefusal> for crate::Error {
    fn from(refusal: ResumeRefusal) -> Self {
        Refusal::from(refusal).into()
    }
}
