//! Rows and large objects that earlier runs have loaded: they are read past, and counted.

use super::feed::{Rows, TableEnd};
use crate::archive::DumpId;
use crate::copy;
use crate::restore::plan::{RowForm, TableLoad};
use crate::restore::record::{LargeObjectsDone, Record, RowsDone};
use crate::restore::report::restored::ResumedWork;
use std::collections::HashMap;

/// What earlier runs have loaded, by entry.
#[derive(Debug, Default)]
pub(crate) struct Resumed {
    tables: HashMap<DumpId, Table>,
    large_objects: HashMap<DumpId, LargeObjectsDone>,
}

/// The rows of a table that are there.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) done: RowsDone<TableEnd>,
    pub(crate) is_complete: bool,
}

impl Resumed {
    /// What the record says of these tables and entries of large objects.
    pub(crate) fn of(record: &Record, tables: &[TableLoad], large_objects: &[DumpId]) -> Self {
        if !record.is_resumed() {
            return Self::default();
        }
        let table = |load: &TableLoad| {
            let done = record.rows::<TableEnd>(load.dump_id)?;
            let is_complete = match (&done.end, &load.form) {
                (Some(end), RowForm::Copy(_)) => done.has_all(end.rows),
                // They are one transaction, which also notes the end.
                (Some(_), RowForm::Inserts { .. }) => true,
                (None, _) => false,
            };
            Some((load.dump_id, Table { done, is_complete }))
        };
        let objects = |id: &DumpId| Some((*id, record.large_objects(*id)?));
        Self {
            tables: tables.iter().filter_map(table).collect(),
            large_objects: large_objects.iter().filter_map(objects).collect(),
        }
    }

    /// What is there, for a report. The number of migrations is not in the record.
    pub(crate) fn work(&self, record: &Record, tables: &[TableLoad]) -> ResumedWork {
        let there = || tables.iter().filter_map(|load| self.table(load.dump_id));
        ResumedWork {
            entries: record.count("task"),
            rows: there().map(|table| table.done.acknowledged).sum(),
            tables: there().filter(|table| table.is_complete).count(),
            large_objects: self.all_large_objects().map(|done| done.totals.objects).sum(),
            ..ResumedWork::default()
        }
    }

    /// Whether nothing of the entry is left to be loaded.
    pub(crate) fn is_complete(&self, entry: DumpId) -> bool {
        self.tables.get(&entry).is_some_and(|table| table.is_complete)
            || self.large_objects.get(&entry).is_some_and(|done| done.is_end)
    }

    /// The rows of a table that are there.
    pub(crate) fn table(&self, entry: DumpId) -> Option<&Table> {
        self.tables.get(&entry)
    }

    /// How many rows of a table the server has acknowledged to earlier runs.
    pub(crate) fn acknowledged(&self, entry: DumpId) -> u64 {
        self.table(entry).map_or(0, |table| table.done.acknowledged)
    }

    /// The large objects of an entry that are there.
    pub(crate) fn large_objects(&self, entry: DumpId) -> LargeObjectsDone {
        self.large_objects.get(&entry).cloned().unwrap_or_default()
    }

    /// The large objects of all entries that are there.
    pub(crate) fn all_large_objects(&self) -> impl Iterator<Item = &LargeObjectsDone> {
        self.large_objects.values()
    }

    /// How often each source of the mapping was found in the blocks that are not read again.
    pub(crate) fn found(&self) -> impl Iterator<Item = &[(String, u64)]> {
        let tables = self.tables.values().filter(|table| table.is_complete);
        let tables = tables.filter_map(|table| Some(table.done.end.as_ref()?.found.as_slice()));
        tables.chain(self.large_objects.values().map(|done| done.found.as_slice()))
    }

    /// Those of the rows that are not there.
    pub(super) fn missing(&self, entry: DumpId, rows: Rows) -> impl Iterator<Item = Rows> {
        let after = rows.first.saturating_add(rows.count);
        let runs = match self.table(entry) {
            Some(table) => table.done.missing(rows.first, after),
            None => vec![(rows.first, after)],
        };
        runs.into_iter().map(move |(from, to)| cut(&rows, from, to))
    }
}

/// The rows `from..to` of these, which contain them.
fn cut(rows: &Rows, from: u64, to: u64) -> Rows {
    let (skipped, count) = (from - rows.first, to - from);
    if skipped == 0 && count == rows.count {
        return Rows { bytes: rows.bytes.clone(), first: from, count };
    }
    let length = |rows: &mut dyn Iterator<Item = &[u8]>, count: u64| -> usize {
        // Each row has a line end.
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        rows.take(count).map(|row| row.len() + 1).sum()
    };
    let mut all = copy::rows(&rows.bytes);
    let start = length(&mut all, skipped).min(rows.bytes.len());
    let end = start.saturating_add(length(&mut all, count)).min(rows.bytes.len());
    Rows { bytes: rows.bytes.slice(start..end), first: from, count }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn rows(text: &'static str, first: u64) -> Rows {
        let count = u64::try_from(text.lines().count()).unwrap();
        Rows { bytes: Bytes::from_static(text.as_bytes()), first, count }
    }

    #[test]
    fn rows_are_cut_at_their_line_ends() {
        let all = rows("1\t\\n\n22\t\n3\t\\N\n", 11);
        let some = |from, to| {
            let some = cut(&all, from, to);
            (String::from_utf8(some.bytes.to_vec()).unwrap(), some.first, some.count)
        };
        assert_eq!(some(11, 14), ("1\t\\n\n22\t\n3\t\\N\n".to_owned(), 11, 3));
        assert_eq!(some(12, 13), ("22\t\n".to_owned(), 12, 1));
        assert_eq!(some(11, 12), ("1\t\\n\n".to_owned(), 11, 1));
        assert_eq!(some(13, 14), ("3\t\\N\n".to_owned(), 13, 1));
    }
}
