//! The marker: a COMMENT on each database that a restore made or set aside, which says whose it is.
//!
//! Only databases with a marker are ever removed, and only under the lock on the target's name.

use serde::{Deserialize, Serialize};

/// What every marker begins with; the number is the marker's own version.
const PREFIX: &str = "pgmig-marker-1 ";

/// The connection limit of a staging database from its creation until the swap. CREATE DATABASE cannot set a
/// comment, so a run killed between the two would leave a database without a marker; this limit, on a database
/// with a staging database's name, is its marker until then. No cluster allows that many connections.
pub(crate) const STAGING_CONNECTION_LIMIT: i32 = 262_143_001;

/// What a database beside the target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Being built; removed by the next run.
    Staging,
    /// Was the target until a swap; removed by the run that swapped, or the next.
    Previous,
    /// Was the target until a swap and was to be kept: never removed by pgmig.
    Kept,
}

/// Whose a database is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    /// The run that made it.
    pub(crate) run: String,
    /// The target's name.
    pub(crate) target: String,
    /// The OID that the target had when the run began.
    pub(crate) target_oid: u32,
    /// What it is.
    pub(crate) state: State,
    /// A previous database's own comment, so that nothing of it is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
}

impl Marker {
    /// The text to put into COMMENT ON DATABASE.
    pub(crate) fn to_comment(&self) -> String {
        let json = serde_json::to_string(self).expect("a struct of strings and numbers is JSON");
        format!("{PREFIX}{json}")
    }

    /// Reads a database's comment; `None` if it is not a marker.
    pub(crate) fn from_comment(comment: &str) -> Option<Self> {
        serde_json::from_str(comment.strip_prefix(PREFIX)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_survives_the_comment() {
        let marker = Marker {
            run: "7a".into(),
            target: "st'ore \"x\"\n".into(),
            target_oid: u32::MAX,
            state: State::Kept,
            comment: Some("it's \\ mine".into()),
        };
        assert_eq!(Marker::from_comment(&marker.to_comment()), Some(marker));
    }

    #[test]
    fn other_comments_are_not_markers() {
        for comment in ["", "pgmig", "pgmig-marker-1 ", "pgmig-marker-1 {}", "staging of the store"] {
            assert_eq!(Marker::from_comment(comment), None, "{comment}");
        }
    }
}
