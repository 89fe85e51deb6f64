//! The results of the load.

use super::feed::TableEnd;
use crate::archive::DumpId;
use crate::digest::Digest;
use crate::restore::error::RestoreError;
use crate::restore::plan::TableLoad;
use crate::restore::record::LargeObjectTotals;
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

impl Loaded {
    /// Adds a table whose rows are all loaded: the number of rows, and of those that earlier runs have loaded.
    pub(super) fn add_table(&mut self, load: &TableLoad, rows: (u64, u64), end: &TableEnd) {
        let name = load.table.to_string();
        if end.leftovers > 0 {
            self.leftovers.push((name.clone(), end.leftovers));
        }
        self.digests.extend(end.digest.clone().map(|digest| (load.dump_id, digest)));
        self.tables.push(report(name, rows, end));
    }

    /// Adds what is loaded after the rest.
    pub(crate) fn add(&mut self, more: Self) {
        let Self { tables, large_objects, leftovers, digests } = more;
        self.tables.extend(tables);
        self.large_objects.add(&large_objects);
        self.leftovers.extend(leftovers);
        self.digests.extend(digests);
    }
}

fn report(table: String, (rows, resumed): (u64, u64), end: &TableEnd) -> TableReport {
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
