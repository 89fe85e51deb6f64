//! The results of the load.

use super::feed::TableEnd;
use crate::archive::DumpId;
use crate::digest::Digest;
use crate::restore::error::RestoreError;
use crate::restore::record::LargeObjectsDone;
use crate::restore::report::restored::{Replacements, TableReport};

#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// Tables, in the order in which they were read.
    pub(crate) tables: Vec<TableReport>,
    pub(crate) large_objects: LargeObjectTotals,
    /// Mapping keys that should have been replaced and were loaded all the same, by table.
    pub(crate) leftovers: Vec<(String, u64)>,
    /// The digests of the rows that were sent, by entry, if they are compared.
    pub(crate) digests: Vec<(DumpId, Digest)>,
}

/// Totals of the loaded large objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LargeObjectTotals {
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    /// IDs found in large objects, replaced or not, and the number of objects that hold any.
    pub(crate) ids: u64,
    pub(crate) with_ids: u64,
}

impl LargeObjectTotals {
    pub(super) fn add(&mut self, more: &Self) {
        self.objects += more.objects;
        self.bytes += more.bytes;
        self.ids += more.ids;
        self.with_ids += more.with_ids;
    }
}

impl LargeObjectsDone {
    pub(super) fn add(&mut self, more: LargeObjectTotals) {
        self.objects += more.objects;
        self.bytes += more.bytes;
        self.ids += more.ids;
        self.with_ids += more.with_ids;
    }
}

impl From<&LargeObjectsDone> for LargeObjectTotals {
    fn from(done: &LargeObjectsDone) -> Self {
        Self { objects: done.objects, bytes: done.bytes, ids: done.ids, with_ids: done.with_ids }
    }
}

/// The report of a table whose rows are all loaded: the number of rows, and of those that earlier runs have loaded.
pub(crate) fn report(table: String, (rows, resumed): (u64, u64), end: &TableEnd) -> TableReport {
    let counted = |counts: &[u64]| {
        let counted = end.columns.iter().zip(counts).filter(|(_, count)| **count > 0);
        counted.map(|(column, count)| Replacements { column: column.clone(), count: *count }).collect()
    };
    let (replacements, left_in_bytea) = (counted(&end.replaced), counted(&end.left));
    TableReport { table, rows, resumed_rows: resumed, bytes: end.bytes, replacements, left_in_bytea }
}

/// A placeholder error, until the reading thread's own error is known.
pub(crate) fn cut_short() -> crate::Error {
    RestoreError::Internal("the data ended in the middle of a table".to_owned()).into()
}

/// Whether this is such a placeholder.
pub(crate) fn is_cut_short(error: &crate::Error) -> bool {
    matches!(error, crate::Error::Restore(RestoreError::Internal(_)))
}
