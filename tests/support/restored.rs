//! Compares two databases, with pg_dump as the judge.

use super::database::Database;

/// A database as pg_dump shows it, and its large objects, which no script shows completely.
#[derive(Debug)]
pub(crate) struct Restored {
    dump: String,
    large_objects: String,
}

impl Restored {
    pub(crate) fn of(database: &Database) -> Self {
        let objects = "SELECT count(*), sum(length(bytes)), md5(string_agg(oid || md5(bytes), ' ' ORDER BY oid)) \
                       FROM (SELECT oid, lo_get(oid) AS bytes FROM pg_largeobject_metadata) AS objects";
        Self { dump: database.dump(&["--no-owner", "--no-acl"]), large_objects: database.psql(objects) }
    }

    /// Without the order of rows: if one transaction makes and fills a table, its rows get other pages.
    pub(crate) fn in_any_order(&self) -> Self {
        let mut lines: Vec<&str> = self.dump.lines().collect();
        lines.sort_unstable();
        Self { dump: lines.join("\n"), large_objects: self.large_objects.clone() }
    }

    /// The first difference from `other`.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        if self.large_objects != other.large_objects {
            return Some(format!("large objects: {} instead of {}", other.large_objects, self.large_objects));
        }
        (self.dump != other.dump).then(|| first_difference(&self.dump, &other.dump))
    }
}

/// The first difference of two texts, with some lines of each.
fn first_difference(expected: &str, found: &str) -> String {
    const LINES: usize = 12;
    let same = expected.lines().zip(found.lines()).take_while(|(one, other)| one == other).count();
    let part = |text: &str| {
        let lines = text.lines().skip(same.saturating_sub(3)).take(LINES);
        lines.map(|line| format!("  {}\n", line.chars().take(200).collect::<String>())).collect::<String>()
    };
    format!("line {} differs; pg_restore's:\n{}pgmig's:\n{}", same + 1, part(expected), part(found))
}
