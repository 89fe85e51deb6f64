//! How many locks an entry adds to those that its transaction holds.

use super::kinds::{self, Locks};
use crate::archive::Entry;

/// The number of locks that creating an entry's object adds: on the new object, and on the one that contains it. Parts of
/// tables add none, because the locks of their tables are held already.
pub(crate) fn of_entry(entry: &Entry, is_partitioned: bool) -> u64 {
    match kinds::of(entry.kind).locks {
        Locks::Count(count) => count,
        Locks::Table if is_partitioned => 1,
        // With its TOAST table and the index of that.
        Locks::Table => 3,
        Locks::Description => u64::from(!is_about_relation(entry)),
    }
}

fn is_about_relation(entry: &Entry) -> bool {
    const RELATIONS: [&[u8]; 6] =
        [b"TABLE ", b"COLUMN ", b"VIEW ", b"SEQUENCE ", b"INDEX ", b"MATERIALIZED VIEW "];
    RELATIONS.iter().any(|kind| entry.tag.as_bytes().starts_with(kind))
}
