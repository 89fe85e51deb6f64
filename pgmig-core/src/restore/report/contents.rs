//! The contents of a target before a restore.

use crate::instance::Instance;
use serde::Serialize;

/// The data that the target holds before a restore, and would lose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TargetContents {
    /// The instances in the target's own tenant table, including deleted ones.
    pub instances: Vec<Instance>,
    /// The number of user tables that hold rows.
    pub tables: u64,
    /// The number of rows in all user tables. It is the planner's estimate where counting took too long.
    pub rows: u64,
    /// The number of large objects.
    pub large_objects: u64,
    /// Size of the database in bytes.
    #[serde(rename = "database_bytes")]
    pub bytes: u64,
}

impl TargetContents {
    /// The contents in words: `12 rows in 3 tables, 2 large objects, 1 instance`.
    pub fn describe(&self) -> String {
        let count =
            |number: u64, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
        let mut parts = vec![format!("{} in {}", count(self.rows, "row"), count(self.tables, "table"))];
        if self.large_objects > 0 {
            parts.push(count(self.large_objects, "large object"));
        }
        if !self.instances.is_empty() {
            parts.push(count(self.instances.len() as u64, "instance"));
        }
        parts.join(", ")
    }

    /// Whether the target has no data to lose: no row in any user table, and no large object.
    pub fn is_empty(&self) -> bool {
        self.tables == 0 && self.large_objects == 0
    }
}
