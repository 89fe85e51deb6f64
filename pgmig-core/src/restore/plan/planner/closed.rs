//! Finds the entries that use objects which `username` may not use, so that their statements or their rows would fail.

use super::Planner;
use crate::archive::{DumpId, Entry, EntryKind};
use crate::progress::{Notice, NoticeCode};
use crate::restore::plan::entry::label;
use crate::restore::plan::superuser::language;
use crate::sql::quote_ident;
use std::collections::HashSet;

impl Planner<'_> {
    /// Why an entry cannot be made or filled by `username`: it uses an object that only others may use.
    pub(crate) fn closed_object(&mut self, entry: &Entry, sql: &str) -> Option<String> {
        use EntryKind as K;
        let closed = &self.facts.rights.closed;
        let owner = quote_ident(&self.facts.roles.owner);
        let why = |used: String| format!("it uses {used}, which {owner} may not");
        match entry.kind {
            K::View | K::MaterializedView => {
                // A view reads what its own views read; a materialized view holds rows of its own.
                let used =
                    closed.used(sql, self.strings).or_else(|| self.closed_dependency(entry, &[K::View]));
                self.closed.extend(used.map(|used| (entry.dump_id, used)));
                None
            }
            K::Domain | K::Type => {
                let used = closed.used_for_rows(sql, self.strings);
                let used = used.or_else(|| self.closed_dependency(entry, &[K::Domain, K::Type]));
                self.closed.extend(used.map(|used| (entry.dump_id, used)));
                None
            }
            K::Function | K::Procedure => {
                self.note_closed_function(entry, sql);
                None
            }
            K::MaterializedViewData => {
                let used = self.closed_dependency(entry, &[K::MaterializedView]).map(why);
                used.or_else(|| self.foretell_calls(entry))
            }
            // Checks and generated columns are computed for each row.
            K::Table => {
                let used = closed.used_for_rows(sql, self.strings);
                let used = used.or_else(|| self.closed_dependency(entry, &[K::Domain, K::Type]));
                let used = used.filter(|_| self.has_rows(entry)).map(why);
                used.or_else(|| self.foretell_calls(entry))
            }
            K::CheckConstraint | K::Index | K::Constraint => {
                closed.used(sql, self.strings).map(why).or_else(|| self.foretell_calls(entry))
            }
            _ => None,
        }
    }

    /// The object that an entry uses by another entry of one of these kinds.
    fn closed_dependency(&self, entry: &Entry, kinds: &[EntryKind]) -> Option<String> {
        let is_meant =
            |id: &&DumpId| self.archive.entry(**id).is_some_and(|entry| kinds.contains(&entry.kind));
        entry.dependencies.iter().filter(is_meant).find_map(|id| self.closed.get(id)).cloned()
    }

    /// Notes a function whose body uses such an object. Whether a call reaches it is known only when it is called.
    fn note_closed_function(&mut self, entry: &Entry, sql: &str) {
        let is_readable = language(sql, self.strings)
            .is_some_and(|language| matches!(language.as_str(), "sql" | "plpgsql"));
        let used =
            is_readable.then(|| self.facts.rights.closed.used_in_function(sql, self.strings)).flatten();
        self.closed.extend(used.map(|used| (entry.dump_id, used)));
    }

    /// A notice about an entry that calls such a function. The entry is made nevertheless.
    fn foretell_calls(&mut self, entry: &Entry) -> Option<String> {
        let (function, used) = self.closed_function(entry)?;
        if entry.kind == EntryKind::Table && !self.has_rows(entry) {
            return None;
        }
        let text = format!(
            "{} calls {}, which uses {used}; if the restore fails there, let {} use it, or trust the backup \
             (RestoreOptions::trust_archive)",
            label(entry),
            label(function),
            quote_ident(&self.facts.roles.owner)
        );
        self.plan.notices.push(Notice::note(NoticeCode::ClosedObjectUsed, text));
        None
    }

    /// The noted function that an entry calls, directly or by its views, domains and types, and the object that it uses.
    fn closed_function(&self, entry: &Entry) -> Option<(&Entry, &str)> {
        use EntryKind as K;
        let mut seen = HashSet::new();
        let mut waiting: Vec<DumpId> = entry.dependencies.clone();
        while let Some(id) = waiting.pop() {
            let Some(other) = self.archive.entry(id).filter(|_| seen.insert(id)) else { continue };
            match other.kind {
                K::Function => {
                    if let Some(used) = self.closed.get(&id) {
                        return Some((other, used));
                    }
                }
                K::View | K::Domain | K::Type => waiting.extend(&other.dependencies),
                // Another materialized view holds rows of its own.
                K::MaterializedView if entry.kind == K::MaterializedViewData && other.tag == entry.tag => {
                    waiting.extend(&other.dependencies);
                }
                _ => {}
            }
        }
        None
    }

    fn has_rows(&self, table: &Entry) -> bool {
        let mut entries = self.archive.entries().iter();
        entries.any(|entry| {
            entry.kind == EntryKind::TableData
                && entry.has_data()
                && entry.dependencies.contains(&table.dump_id)
        })
    }
}
