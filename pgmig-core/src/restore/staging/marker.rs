//! The marker: a COMMENT on each database that a restore created or set aside, which identifies the restore.
//!
//! pgmig removes only databases with a marker, and only under the lock on the target's name.

use crate::restore::record::Fingerprint;
use crate::restore::report::restored::TableCount;
use crate::sql::quote_literal;
use serde::{Deserialize, Serialize};

/// The beginning of every marker; the number is the version of the marker format.
pub(crate) const PREFIX: &str = "pgmig-marker-1 ";

/// The characters of a comment that can be a marker. A marker holds the comment of a previous database, too.
const LONGEST: u32 = 4_000_000;

/// The comment of a database as SQL, of which only a marker is read. Of any other comment this tells that it is there: its
/// owner may have made it as long as it likes.
pub(crate) fn without_others(comment: &str) -> String {
    let prefix = quote_literal(PREFIX);
    format!(
        "CASE WHEN pg_catalog.starts_with({comment}, {prefix}) THEN pg_catalog.left({comment}, {LONGEST}) \
         WHEN {comment} IS NOT NULL THEN '' END"
    )
}

/// The connection limit of a staging database from its creation until the swap. No cluster allows that many
/// connections.
///
/// CREATE DATABASE cannot set a comment. A run that is killed before it sets the comment would leave a database
/// without a marker. On a database with a staging database's name, this limit serves as the marker until then.
pub(crate) const STAGING_CONNECTION_LIMIT: i32 = 262_143_001;

/// The state of a database beside the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Being built. The next run removes it.
    Staging,
    /// Was the target until a swap. The run that swapped removes it, or the next run.
    Previous,
    /// Was the target until a swap, and the user wants to keep it. No restore removes it.
    Kept,
}

/// The marker of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    /// The run that made it.
    pub(crate) run: String,
    /// The target's name.
    pub(crate) target: String,
    /// The OID that the target had when the run began.
    pub(crate) target_oid: u32,
    /// The state of the database.
    pub(crate) state: State,
    /// When a previous database was replaced, in milliseconds since 1970 by the server's clock. Markers of earlier
    /// releases do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replaced_ms: Option<u64>,
    /// Of a staging database in which everything is done but the swap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) built: Option<Built>,
    /// The own comment of a previous database, so that it is not lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
}

/// A staging database in which everything is done but the swap.
///
/// It counts only where the [record](crate::restore::record) is gone: code of the archive can write a marker, but it cannot drop
/// the record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Built {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) tables: usize,
    pub(crate) rows: u64,
    /// The number of large objects, and their bytes.
    pub(crate) large_objects: (u64, u64),
    pub(crate) migrations: usize,
    /// How many warnings the run has given.
    pub(crate) warnings: usize,
    /// The rows of the tables that the profile counts.
    #[serde(default)]
    pub(crate) counts: Vec<TableCount>,
    /// The number of workspaces to train.
    #[serde(default)]
    pub(crate) workspaces: Option<u64>,
}

impl Marker {
    /// The text for COMMENT ON DATABASE.
    pub(crate) fn to_comment(&self) -> String {
        let json = serde_json::to_string(self).expect("a struct of strings and numbers is JSON");
        format!("{PREFIX}{json}")
    }

    /// Whether it marks the database with this OID as one that was the target until a swap.
    pub(crate) fn is_of_previous(&self, oid: u32) -> bool {
        matches!(self.state, State::Previous | State::Kept) && self.target_oid == oid
    }

    /// Reads a database's comment; `None` if it is not a marker.
    pub(crate) fn from_comment(comment: &str) -> Option<Self> {
        serde_json::from_str(comment.strip_prefix(PREFIX)?).ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_marker_survives_the_comment() {
        let marker = Marker {
            run: "7a".into(),
            target: "st'ore \"x\"\n".into(),
            target_oid: u32::MAX,
            state: State::Kept,
            replaced_ms: Some(1_764_513_235_123),
            built: Some(Built { rows: 7, ..Built::default() }),
            comment: Some("it's \\ mine".into()),
        };
        assert_eq!(Marker::from_comment(&marker.to_comment()), Some(marker));
    }

    #[test]
    fn a_marker_of_an_earlier_release_has_no_time() {
        let comment = r#"pgmig-marker-1 {"run":"7a","target":"store","target_oid":9,"state":"kept"}"#;
        let marker = Marker::from_comment(comment).unwrap();
        assert_eq!((marker.replaced_ms, marker.is_of_previous(9)), (None, true));
    }

    #[test]
    fn other_comments_are_not_markers() {
        for comment in ["", "pgmig", "pgmig-marker-1 ", "pgmig-marker-1 {}", "staging of the store"] {
            assert_eq!(Marker::from_comment(comment), None, "{comment}");
        }
    }
}
