//! The events by which a long call says how it goes.

use super::{Notice, Step};
use crate::serialized::{optional_seconds, seconds};
use serde::Serialize;
use std::time::Duration;

/// One thing that has just happened. As JSON it is an object whose member `event` is the variant's name in snake case;
/// durations are seconds, with fractions.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event<'a> {
    /// A step begins. The step before it has ended, except that entries are made while rows are still being loaded.
    StepBegan {
        /// The step.
        step: Step,
    },
    /// A step has ended: the next one began, or the call returned.
    StepEnded {
        /// The step.
        step: Step,
        /// How long it took.
        #[serde(rename = "took_seconds", serialize_with = "seconds")]
        took: Duration,
    },
    /// More of the archive has been read.
    ArchiveRead {
        /// Bytes that have been read so far.
        bytes: u64,
        /// The archive's size in bytes; `None` for a stream.
        total: Option<u64>,
        /// Estimate of the time until all of it is read; `None` while there is no telling.
        #[serde(rename = "left_seconds", serialize_with = "optional_seconds")]
        left: Option<Duration>,
    },
    /// The rows of a table are being read, or loaded, from now on. Several tables can be loaded at a time.
    TableBegan {
        /// The table, as SQL.
        table: &'a str,
    },
    /// The server has acknowledged rows of a table.
    TableRows {
        /// The table, as SQL.
        table: &'a str,
        /// Rows acknowledged so far.
        rows: u64,
        /// Bytes of COPY text that pgmig has taken from the archive for this table so far.
        bytes: u64,
    },
    /// An entry of the archive is being made: a table, an index, a constraint ...
    EntryBegan {
        /// Its kind and name: `INDEX store.tenant_name`.
        entry: &'a str,
        /// Its number in this step, from 1.
        number: usize,
        /// How many entries the step has.
        total: usize,
    },
    /// A connection begins a piece of work, while several load rows and make entries. Others of these events may come between.
    WorkBegan {
        /// The ID of the connection's server process.
        connection: i32,
        /// The work: `rows of store.tenant`, `INDEX store.tenant_name`.
        work: &'a str,
    },
    /// A connection has ended its piece of work.
    WorkEnded {
        /// The ID of the connection's server process.
        connection: i32,
    },
    /// A migration begins.
    MigrationBegan {
        /// Its version.
        version: i64,
        /// The migration's description, from its file's name.
        description: &'a str,
        /// Its number among the migrations that are applied, from 1.
        number: usize,
        /// How many are applied in all.
        total: usize,
    },
    /// A migration has been applied.
    MigrationEnded {
        /// Its version.
        version: i64,
        /// The migration's description, from its file's name.
        description: &'a str,
        /// How long it took.
        #[serde(rename = "took_seconds", serialize_with = "seconds")]
        took: Duration,
    },
    /// pgmig waits for other sessions, for the server, or for the backup's stream. Told once, when the wait begins.
    Waiting {
        /// The condition that pgmig waits for: `other sessions on the target to end`.
        what: &'a str,
        /// How many sessions, where it waits for sessions.
        sessions: usize,
        /// After how long pgmig gives up.
        #[serde(rename = "limit_seconds", serialize_with = "seconds")]
        limit: Duration,
    },
    /// The restore is being committed: from here on an interruption comes too late.
    Committing,
    /// The restore is committed. What is still to be done changes nothing about the target.
    Committed,
    /// The server did not commit: the target is untouched.
    NotCommitted,
    /// Something that the operator should know.
    Notice(&'a Notice),
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::progress::NoticeCode;

    #[test]
    fn events_are_flat_objects_in_json() {
        let json = |event: &Event| serde_json::to_string(event).unwrap();
        assert_eq!(
            json(&Event::StepBegan { step: Step::PreData }),
            r#"{"event":"step_began","step":"pre-data"}"#
        );
        assert_eq!(
            json(&Event::ArchiveRead { bytes: 5, total: Some(10), left: Some(Duration::from_millis(1500)) }),
            r#"{"event":"archive_read","bytes":5,"total":10,"left_seconds":1.5}"#
        );
        let notice = Notice::warning(NoticeCode::RowsKept, "a b");
        assert_eq!(
            json(&Event::Notice(&notice)),
            r#"{"event":"notice","severity":"warning","code":"rows-kept","text":"a b"}"#
        );
        assert_eq!(json(&Event::Committing), r#"{"event":"committing"}"#);
    }
}
