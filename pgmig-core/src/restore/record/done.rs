//! Rows and large objects that earlier runs have loaded.

use super::{Record, Unit};
use crate::archive::DumpId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The rows of a table that one transaction has loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RowsNote {
    /// Runs of rows: the number of the first in the archive, from 1, and the count. Empty where rows are INSERT statements: they
    /// are one transaction.
    pub(crate) runs: Vec<(u64, u64)>,
    /// How many rows the server has acknowledged.
    pub(crate) acknowledged: u64,
}

impl RowsNote {
    /// Adds rows to the last run, or begins another.
    pub(crate) fn push(&mut self, first: u64, count: u64) {
        match self.runs.last_mut() {
            Some((last, length)) if *last + *length == first => *length += count,
            _ => self.runs.push((first, count)),
        }
    }
}

/// The rows of a table that earlier runs have loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RowsDone<E> {
    /// Runs of rows, in order: the number of the first in the archive, and the number after the last.
    pub(crate) runs: Vec<(u64, u64)>,
    pub(crate) acknowledged: u64,
    /// The counts at the end of the entry, once it has been read to the end.
    pub(crate) end: Option<E>,
}

impl<E> RowsDone<E> {
    /// Whether every row of so many is there.
    pub(crate) fn has_all(&self, rows: u64) -> bool {
        rows == 0 || self.runs.first().is_some_and(|(first, after)| *first <= 1 && *after > rows)
    }

    fn add(&mut self, note: &RowsNote) {
        self.acknowledged += note.acknowledged;
        self.runs.extend(note.runs.iter().map(|(first, count)| (*first, first.saturating_add(*count))));
        self.runs.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(self.runs.len());
        for &(first, after) in &self.runs {
            match merged.last_mut() {
                Some((_, last)) if *last >= first => *last = (*last).max(after),
                _ => merged.push((first, after)),
            }
        }
        self.runs = merged;
    }

    /// Those of the rows `first..after` that are not there, as runs of the same form.
    pub(crate) fn missing(&self, first: u64, after: u64) -> Vec<(u64, u64)> {
        let (mut missing, mut next) = (Vec::new(), first);
        for &(from, to) in &self.runs {
            if to <= next {
                continue;
            }
            if from >= after {
                break;
            }
            if from > next {
                missing.push((next, from));
            }
            next = to;
        }
        if next < after {
            missing.push((next, after));
        }
        missing
    }
}

/// Totals of the loaded large objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LargeObjectTotals {
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    /// IDs found in large objects, replaced or not, and the number of objects that hold any.
    pub(crate) ids: u64,
    pub(crate) with_ids: u64,
}

impl LargeObjectTotals {
    pub(crate) fn add(&mut self, more: &Self) {
        self.objects += more.objects;
        self.bytes += more.bytes;
        self.ids += more.ids;
        self.with_ids += more.with_ids;
    }
}

/// The large objects of an entry that are loaded, from its first part on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LargeObjectsDone {
    pub(crate) parts: u64,
    #[serde(flatten)]
    pub(crate) totals: LargeObjectTotals,
    /// Whether these are all.
    pub(crate) is_end: bool,
    /// Then: how often each source of the mapping was found in them.
    pub(crate) found: Vec<(String, u64)>,
}

impl Record {
    /// The rows of a table that earlier runs have loaded.
    pub(crate) fn rows<E: DeserializeOwned>(&self, table: DumpId) -> Option<RowsDone<E>> {
        let notes: Vec<RowsNote> = self.read_bodies(Unit::Rows(table)).collect();
        let end = self.read_bodies(Unit::End(table)).next();
        if notes.is_empty() && end.is_none() {
            return None;
        }
        let mut done = RowsDone { runs: Vec::new(), acknowledged: 0, end };
        notes.iter().for_each(|note| done.add(note));
        Some(done)
    }

    /// The large objects of an entry that earlier runs have loaded.
    pub(crate) fn large_objects(&self, entry: DumpId) -> Option<LargeObjectsDone> {
        self.read_bodies::<LargeObjectsDone>(Unit::Objects(entry))
            .max_by_key(|done| (done.parts, done.is_end))
    }

    fn read_bodies<T: DeserializeOwned>(&self, unit: Unit<'_>) -> impl Iterator<Item = T> {
        self.bodies(unit).iter().filter_map(|body| serde_json::from_str(body).ok())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn done(notes: &[&[(u64, u64)]]) -> RowsDone<()> {
        let mut done = RowsDone::default();
        for runs in notes {
            let mut note = RowsNote::default();
            runs.iter().for_each(|(first, count)| note.push(*first, *count));
            done.add(&note);
        }
        done
    }

    #[test]
    fn runs_that_meet_become_one() {
        let mut note = RowsNote::default();
        [(1, 10), (11, 5), (30, 1)].iter().for_each(|(first, count)| note.push(*first, *count));
        assert_eq!(note.runs, [(1, 15), (30, 1)]);
        assert_eq!(done(&[&[(11, 10)], &[(1, 10), (31, 2)], &[(21, 10)]]).runs, [(1, 33)]);
    }

    #[test]
    fn the_missing_rows_are_found() {
        let some = done(&[&[(1, 10), (21, 10)]]);
        assert_eq!(some.missing(1, 11), []);
        assert_eq!(some.missing(5, 25), [(11, 21)]);
        assert_eq!(some.missing(25, 41), [(31, 41)]);
        assert_eq!(some.missing(11, 21), [(11, 21)]);
        assert_eq!(some.missing(1, 50), [(11, 21), (31, 50)]);
        assert!(!some.has_all(30) && some.has_all(10) && some.has_all(0));
        assert_eq!(done(&[]).missing(1, 3), [(1, 3)]);
    }
}
