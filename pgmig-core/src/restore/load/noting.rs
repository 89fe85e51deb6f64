//! Notes the rows that a transaction has loaded.

use super::feed::Content;
use super::worker::Worker;
use crate::restore::plan::TableLoad;
use crate::restore::record::{self, RowsNote, Unit};

pub(super) const NOTING: &str = "note the loaded rows";

impl Worker<'_, '_> {
    /// The statement that notes the rows of the open transaction, and which tables have been read to their end.
    pub(super) fn note(&mut self) -> Option<String> {
        let record = &self.crew.work.record;
        let unnoted = std::mem::take(&mut self.unnoted);
        if !record.is_kept() {
            return None;
        }
        let rows = unnoted.into_iter().map(|(id, note)| (Unit::Rows(id), record::json(&note)));
        let ends = self.pending.iter().filter_map(|number| {
            let active = self.crew.active(*number)?;
            let Content::Table(table) = active.feed.content else { return None };
            let load = self.crew.work.tables.get(table)?;
            Some((Unit::End(load.dump_id), record::json(active.end.get()?)))
        });
        record.note(rows.chain(ends))
    }

    /// Adds rows to those that the next commit notes.
    pub(super) fn will_note(&mut self, load: &TableLoad, runs: &[(u64, u64)], acknowledged: u64) {
        if !self.crew.work.record.is_kept() {
            return;
        }
        if self.unnoted.last().is_none_or(|(id, _)| *id != load.dump_id) {
            self.unnoted.push((load.dump_id, RowsNote::default()));
        }
        if let Some((_, note)) = self.unnoted.last_mut() {
            runs.iter().for_each(|(first, count)| note.push(*first, *count));
            note.acknowledged += acknowledged;
        }
    }
}
