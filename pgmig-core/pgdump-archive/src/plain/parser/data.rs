//! The data in a script: rows, INSERT statements, large objects.

use super::{Found, ScriptParser};
use crate::entry::EntryKind;
use crate::error::ArchiveError;
use crate::plain::reader::Event;
use crate::plain::uncommented::inserts_into;
use crate::sql::{QualifiedName, ScriptPiece, StandardStrings};

impl ScriptParser {
    /// The next INSERT statement of the current table; `None` after the last.
    pub(in crate::plain) fn next_insert(&mut self) -> Result<Option<Vec<u8>>, ArchiveError> {
        let into = self.inserts_into.clone();
        let strings = self.strings;
        self.next_statement(|sql| is_insert(sql) && is_into(sql, into.as_ref(), strings))
    }

    /// The next statement of the current transaction with large objects.
    pub(in crate::plain) fn next_of_objects(&mut self) -> Result<Option<Vec<u8>>, ArchiveError> {
        self.next_statement(|_| true)
    }

    fn next_statement(&mut self, is_data: impl Fn(&[u8]) -> bool) -> Result<Option<Vec<u8>>, ArchiveError> {
        match self.script.next()? {
            Some(Event::Statement(piece)) if is_data(self.script.text(&piece)) => {
                Ok(Some(self.script.text(&piece).to_vec()))
            }
            Some(other) => {
                self.script.put_back(other);
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// Passes over the INSERT statements of a table. Returns where the first begins and where the last ends.
    pub(in crate::plain) fn pass_over_inserts(&mut self) -> Result<(u64, u64), ArchiveError> {
        let into = self.inserts_into.clone();
        let strings = self.strings;
        self.pass_over(|sql| is_insert(sql) && is_into(sql, into.as_ref(), strings), |_| false)
    }

    /// Passes over a transaction with large objects. Returns where it begins and ends.
    pub(in crate::plain) fn pass_over_objects(&mut self) -> Result<(u64, u64), ArchiveError> {
        self.pass_over(|_| true, |sql| sql.eq_ignore_ascii_case(b"COMMIT;"))
    }

    fn pass_over(
        &mut self,
        is_data: impl Fn(&[u8]) -> bool,
        is_last: fn(&[u8]) -> bool,
    ) -> Result<(u64, u64), ArchiveError> {
        let mut range: Option<(u64, u64)> = None;
        while let Some(event) = self.script.next()? {
            match event {
                Event::Statement(piece) if is_data(self.script.text(&piece)) => {
                    let start = range.map_or(piece.offset, |(start, _)| start);
                    range = Some((start, piece.end()));
                    if is_last(self.script.text(&piece)) {
                        break;
                    }
                }
                other => {
                    self.script.put_back(other);
                    break;
                }
            }
        }
        Ok(range.unwrap_or_default())
    }

    /// Handles a statement of an entry with data.
    pub(super) fn data_statement(&mut self, piece: &ScriptPiece) -> Result<Option<Found>, ArchiveError> {
        let sql = self.script.text(piece);
        // `--disable-triggers` writes these. They are only for restores of data alone; here constraints come after
        // the data.
        if sql.starts_with(b"ALTER TABLE ") && sql.ends_with(b" TRIGGER ALL;") {
            return Ok(None);
        }
        let is_copy = is_copy(sql) && sql.to_ascii_lowercase().ends_with(b" from stdin;");
        let begins = match self.open.as_ref().map(|entry| entry.kind) {
            Some(EntryKind::TableData) => is_copy || is_insert(sql),
            Some(EntryKind::Blobs) => sql.eq_ignore_ascii_case(b"BEGIN;"),
            _ => false,
        };
        let copy = is_copy.then(|| [sql, b"\n"].concat());
        let entry = if begins { self.open.take() } else { None };
        let Some(mut entry) = entry else { return Err(self.unexpected(piece)) };
        let (id, kind) = (entry.dump_id, entry.kind);
        entry.copy_statement = copy;
        self.push(entry);
        self.data = Some(kind);
        if is_copy {
            return Ok(Some(Found::Copy(id)));
        }
        self.script.put_back(Event::Statement(piece.clone()));
        Ok(Some(if kind == EntryKind::Blobs { Found::Objects(id) } else { Found::Inserts(id) }))
    }
}

/// Whether an INSERT statement goes on with the rows of a table. With comments, only a comment ends them.
fn is_into(sql: &[u8], table: Option<&QualifiedName>, strings: StandardStrings) -> bool {
    table.is_none_or(|table| inserts_into(sql, strings).as_ref() == Some(table))
}

fn is_insert(sql: &[u8]) -> bool {
    sql.get(..12).is_some_and(|start| start.eq_ignore_ascii_case(b"INSERT INTO "))
}

pub(super) fn is_copy(sql: &[u8]) -> bool {
    sql.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"COPY "))
}
