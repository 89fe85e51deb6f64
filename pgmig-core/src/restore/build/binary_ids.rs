//! Reports instance IDs that stay in bytea and large objects.

use crate::progress::NoticeCode;
use crate::restore::journal::Journal;
use crate::restore::load::loaded::Loaded;
use crate::restore::report::restored::LargeObjectIds;
use crate::rewrite::BinaryRule;

/// How many columns a warning names.
const COLUMNS_NAMED: usize = 5;

/// Reports the IDs in large objects, and warns of those that were left in them and in bytea.
pub(crate) fn note(journal: &mut Journal, loaded: &Loaded, large_objects: BinaryRule) {
    let found = loaded.large_objects;
    let replaced = if large_objects == BinaryRule::Rewrite { found.ids } else { 0 };
    let left = found.ids - replaced;
    journal.report.large_object_ids = LargeObjectIds { objects: found.with_ids, replaced, left };

    let columns = loaded.tables.iter().flat_map(|table| {
        table.left_in_bytea.iter().map(|left| format!("{} in {}.{}", left.count, table.table, left.column))
    });
    let mut places: Vec<String> = columns.collect();
    let mut rules = Vec::new();
    if !places.is_empty() {
        rules.push("`bytea: rewrite`");
    }
    if places.len() > COLUMNS_NAMED {
        let others = places.len() - COLUMNS_NAMED;
        places.truncate(COLUMNS_NAMED);
        places.push(format!("others in {others} more columns"));
    }
    if left > 0 {
        let objects = if found.with_ids == 1 { "large object" } else { "large objects" };
        places.push(format!("{left} in {} {objects}", found.with_ids));
        rules.push("`large_objects: rewrite`");
    }
    if !places.is_empty() {
        journal.warn(
            NoticeCode::IdsInBinaryData,
            format!(
                "old instance IDs are still in binary data: {}; to replace them, set {} in the profile",
                places.join(", "),
                rules.join(" and ")
            ),
        );
    }
}
