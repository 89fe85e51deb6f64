//! Entries of a script without comments.

use super::{Found, LEFT_OUT, ScriptParser};
use crate::error::ArchiveError;
use crate::plain::entry::OpenEntry;
use crate::plain::header::EntryHeader;
use crate::plain::uncommented::{Meaning, inserts_into, meaning, without_if_not_exists};
use crate::sql::ScriptPiece;

impl ScriptParser {
    /// Handles a statement that sets nothing.
    pub(super) fn uncommented(&mut self, piece: &ScriptPiece) -> Result<Option<Found>, ArchiveError> {
        let sql = self.script.text(piece);
        // `supabase db dump --data-only` ends with the first, and `--disable-triggers` writes the second.
        if sql.eq_ignore_ascii_case(b"RESET ALL;") || sql.ends_with(b" TRIGGER ALL;") {
            return Ok(None);
        }
        // What `--clean` writes at the start.
        let is_of_clean = LEFT_OUT.iter().any(|begin| sql.starts_with(begin));
        if !self.has_objects && self.open.is_none() && is_of_clean {
            return Ok(None);
        }
        match meaning(sql, self.strings) {
            Some(Meaning::Begins(header)) => self.begin_uncommented(header, piece),
            Some(Meaning::Continues) if self.open.is_some() => {
                let sql = sql.to_vec();
                let strings = self.strings;
                if let Some(entry) = &mut self.open {
                    entry.statement(&sql, strings);
                }
                Ok(None)
            }
            Some(Meaning::Continues) | None => Err(self.outside(piece)),
        }
    }

    fn begin_uncommented(
        &mut self,
        mut header: EntryHeader,
        piece: &ScriptPiece,
    ) -> Result<Option<Found>, ArchiveError> {
        // Privileges of an object are several statements of one entry.
        let is_privileges = header.desc == "ACL" || header.desc == "DEFAULT ACL";
        if is_privileges && let Some(entry) = self.open.as_mut().filter(|entry| entry.header == header) {
            entry.statement(self.script.text(piece), self.strings);
            return Ok(None);
        }
        self.close()?;
        // pg_dump makes a view in two steps if it is a part of a circle. The second is a rule.
        if header.desc == "VIEW" && self.objects.has(&header) {
            header.desc = "RULE".into();
            header.tag = format!("{} _RETURN", header.tag).into();
        }
        let sql = without_if_not_exists(self.script.text(piece), self.strings);
        let is_data = header.is_data;
        let mut entry = OpenEntry::new(header, self.take_id()?);
        if is_data {
            self.inserts_into = inserts_into(&sql, self.strings);
            self.open = Some(entry);
            return self.data_statement(piece);
        }
        entry.statement(&sql, self.strings);
        self.open = Some(entry);
        Ok(None)
    }
}
