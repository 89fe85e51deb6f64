//! The entries that an archive shows, if a program has chosen some of them.

use super::entry::{DumpId, Entry};
use std::collections::HashMap;

/// Some of an archive's entries, in an order of their own.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) entries: Vec<Entry>,
    by_id: HashMap<DumpId, usize>,
}

impl Shown {
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        let by_id = entries.iter().enumerate().map(|(index, entry)| (entry.dump_id, index)).collect();
        Self { entries, by_id }
    }

    pub(super) fn get(&self, id: DumpId) -> Option<&Entry> {
        self.by_id.get(&id).and_then(|&index| self.entries.get(index))
    }
}
