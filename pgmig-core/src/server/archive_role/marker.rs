//! The marker of a temporary role: a COMMENT that names the run and the target of the role.

use serde::{Deserialize, Serialize};

/// The beginning of every marker. The number is the version of the marker's format.
const PREFIX: &str = "pgmig-role-1 ";

/// The run and the target of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    /// The run that created it.
    pub(super) run: String,
    /// The name of the target database.
    pub(super) target: String,
}

impl Marker {
    /// The text to put into COMMENT ON ROLE.
    pub(super) fn to_comment(&self) -> String {
        let json = serde_json::to_string(self).expect("a struct of strings is JSON");
        format!("{PREFIX}{json}")
    }

    /// Reads a role's comment; `None` if it is not a marker.
    pub(super) fn from_comment(comment: &str) -> Option<Self> {
        serde_json::from_str(comment.strip_prefix(PREFIX)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_survives_the_comment() {
        let marker = Marker { run: "7a".into(), target: "st'ore \"x\"\n".into() };
        assert_eq!(Marker::from_comment(&marker.to_comment()), Some(marker));
        assert_eq!(Marker::from_comment("pgmig-role-1 {}"), None);
        assert_eq!(Marker::from_comment("a role of ours"), None);
    }
}
