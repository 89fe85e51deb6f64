//! Chooses the entries: first by the options, then by what the left-out entries take with them.

use super::links::{Links, is_contents, is_description, is_part, is_relation};
use super::{LeftOut, Selection, SelectionError, WhyLeftOut, Without, asked, only};
use crate::archive::{Archive, ArchiveText, Block, DumpId, Entry, EntryKind, Format, Section};
use crate::progress::{Notice, NoticeCode};
use crate::sql::QualifiedName;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A choice to make, with the facts about the target that it depends on.
pub(crate) struct Choice<'a> {
    pub(crate) archive: &'a Archive,
    pub(crate) selection: &'a Selection,
    /// Entries that cannot be restored, each with the reason.
    pub(crate) unrestorable: &'a BTreeMap<DumpId, String>,
    /// Extensions that exist before anything is restored.
    pub(crate) extensions: &'a BTreeSet<String>,
    /// Whether only rows are restored, into tables that exist.
    pub(crate) rows_only: bool,
}

/// The entries of a restore.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    pub(crate) entries: Vec<Entry>,
    pub(crate) left_out: Vec<LeftOut>,
    pub(crate) notices: Vec<Notice>,
}

/// Why an entry is left out.
enum Fate {
    Asked(String),
    Part(DumpId),
    Depends(DumpId),
    Unrestorable(String),
}

/// A choice under way.
struct Choosing<'a> {
    choice: &'a Choice<'a>,
    /// In the order of the restore.
    order: Vec<&'a Entry>,
    links: Links<'a>,
    fates: HashMap<DumpId, Fate>,
    notices: Vec<Notice>,
}

impl Choice<'_> {
    /// Chooses.
    ///
    /// # Errors
    ///
    /// A [`SelectionError`] if the options do not fit the archive, or rows would be lost that nobody left out.
    pub(crate) fn choose(&self) -> Result<Chosen, SelectionError> {
        let selection = self.selection;
        if selection.sections.is_empty() {
        } else if self.rows_only && !selection.sections.contains(&Section::Data) {
            return Err(SelectionError::NoData);
        } else if !self.rows_only && !selection.sections.contains(&Section::PreData) {
            let has_data = selection.sections.contains(&Section::Data);
            return Err(SelectionError::NoDefinitions(if has_data { "data" } else { "post-data" }));
        }
        let order = match &selection.list {
            Some(list) => list.order(self.archive)?,
            None => self.archive.all_entries().iter().collect(),
        };
        let links = Links::of(self.archive);
        let mut choosing =
            Choosing { choice: self, order, links, fates: HashMap::new(), notices: Vec::new() };
        choosing.check_names()?;
        choosing.by_options();
        choosing.follow();
        choosing.refuse_lost_rows()?;
        Ok(choosing.finish())
    }
}

impl Choosing<'_> {
    /// Refuses names that match nothing, and warns of patterns that match nothing, once all entries are known.
    fn check_names(&mut self) -> Result<(), SelectionError> {
        if !self.choice.archive.has_all_entries() {
            return Ok(());
        }
        let Selection {
            only_schemas,
            exclude_schemas,
            only_tables,
            exclude_tables,
            exclude_table_data,
            exclude_extensions,
            ..
        } = self.choice.selection;
        let mut unmatched: Vec<(&'static str, String, bool)> = Vec::new();
        for pattern in only_schemas.iter().chain(exclude_schemas) {
            let matches = |entry: &&Entry| {
                entry.schema().is_some_and(|schema| pattern.matches(schema))
                    || entry.kind == EntryKind::Schema && pattern.matches(entry.name())
            };
            if !self.order.iter().any(matches) {
                unmatched.push(("schema", pattern.to_string(), pattern.is_exact()));
            }
        }
        for pattern in only_tables.iter().chain(exclude_tables).chain(exclude_table_data) {
            let matches = |entry: &&Entry| {
                let is_table = is_relation(entry.kind) || entry.kind == EntryKind::TableData;
                is_table && pattern.matches(entry.schema().unwrap_or_default(), entry.name())
            };
            if !self.order.iter().any(matches) {
                unmatched.push(("table, view or sequence", pattern.to_string(), pattern.is_exact()));
            }
        }
        for pattern in exclude_extensions {
            let matches =
                |entry: &&Entry| entry.kind == EntryKind::Extension && pattern.matches(entry.name());
            if !self.order.iter().any(matches) {
                unmatched.push(("extension", pattern.to_string(), pattern.is_exact()));
            }
        }
        for (what, pattern, is_exact) in unmatched {
            if is_exact {
                let in_other_case = self.in_other_case(&pattern);
                return Err(SelectionError::NoMatch { what, pattern, in_other_case });
            }
            self.notices.push(Notice::warning(
                NoticeCode::PatternWithoutMatch,
                format!("no {what} of the backup matches {pattern}"),
            ));
        }
        Ok(())
    }

    /// A name of the backup that differs from this pattern in upper and lower case only.
    fn in_other_case(&self, pattern: &str) -> Option<String> {
        let is_meant = |name: &String| name.replace('"', "").eq_ignore_ascii_case(&pattern.replace('"', ""));
        let names = self.order.iter().flat_map(|entry| {
            let name = entry.qualified_name();
            [
                name.schema.clone().map(QualifiedName::unqualified),
                Some(QualifiedName::unqualified(&*name.name)),
                Some(name),
            ]
        });
        names.flatten().map(|name| name.to_string()).find(is_meant)
    }

    fn by_options(&mut self) {
        let Choice { selection, rows_only, .. } = *self.choice;
        let mut section = Section::PreData;
        for entry in &self.order {
            if entry.section != Section::None {
                section = entry.section;
            }
            if is_of_the_session(entry) {
                continue;
            }
            if let Some(why) = asked::left_out(selection, entry, section, rows_only) {
                self.fates.insert(entry.dump_id, Fate::Asked(why));
            } else if let Some(why) = self.choice.unrestorable.get(&entry.dump_id) {
                self.fates.insert(entry.dump_id, Fate::Unrestorable(why.clone()));
            }
        }
        if selection.selects_objects() {
            let is_open =
                |entry: &&&Entry| !self.fates.contains_key(&entry.dump_id) && !is_of_the_session(entry);
            let open: Vec<&Entry> = self.order.iter().filter(is_open).copied().collect();
            let selected = only::selected(selection, &open, &self.links);
            self.notices.extend(selected.notices);
            for entry in open.iter().filter(|entry| !selected.ids.contains(&entry.dump_id)) {
                self.fates.insert(entry.dump_id, Fate::Asked("it is not selected".to_owned()));
            }
        }
    }

    /// Leaves out what needs an entry that is left out, and so on.
    fn follow(&mut self) {
        loop {
            let before = self.fates.len();
            for index in 0..self.order.len() {
                let Some(entry) =
                    self.order.get(index).filter(|entry| !self.fates.contains_key(&entry.dump_id))
                else {
                    continue;
                };
                if let Some(fate) = self.fate_of(entry) {
                    self.fates.insert(entry.dump_id, fate);
                }
            }
            self.owned_sequences();
            if self.fates.len() == before {
                return;
            }
        }
    }

    /// The fate of an entry by the entries that it needs.
    fn fate_of(&self, entry: &Entry) -> Option<Fate> {
        if is_of_the_session(entry)
            || self.choice.rows_only && !is_contents(entry.kind) && !is_description(entry)
        {
            return None;
        }
        let missing: Vec<&Entry> =
            self.links.needs(entry.dump_id).filter(|needed| self.is_missing(needed)).collect();
        let Some(first) = missing.first() else { return self.fate_with_extensions(entry) };
        if is_description(entry) && missing.len() < self.links.needs(entry.dump_id).count() {
            return None;
        }
        let whole = missing.iter().find(|whole| is_part(entry, whole));
        Some(whole.map_or(Fate::Depends(first.dump_id), |whole| Fate::Part(whole.dump_id)))
    }

    /// The fate of rows, privileges and labels whose object no entry makes: if all extensions of the archive are left out,
    /// the object would have been that of an extension.
    fn fate_with_extensions(&self, entry: &Entry) -> Option<Fate> {
        use EntryKind as K;
        let is_of_member = matches!(entry.kind, K::Acl | K::SecurityLabel | K::TableData)
            && entry.schema().is_some_and(|schema| schema != "pg_catalog")
            && self.links.needs(entry.dump_id).next().is_none();
        if !is_of_member {
            return None;
        }
        let mut extensions = self
            .order
            .iter()
            .filter(|entry| entry.kind == K::Extension && !self.choice.extensions.contains(entry.name()));
        let first = extensions.next().filter(|extension| self.is_missing(extension))?;
        extensions.all(|extension| self.is_missing(extension)).then_some(Fate::Part(first.dump_id))
    }

    /// Whether an entry is left out, and its object does not exist anyway.
    fn is_missing(&self, needed: &Entry) -> bool {
        let exists = match needed.kind {
            EntryKind::Extension | EntryKind::ProceduralLanguage => {
                self.choice.extensions.contains(needed.name())
            }
            EntryKind::Schema => needed.name() == "public",
            _ => false,
        };
        !exists && self.fates.contains_key(&needed.dump_id)
    }

    /// Leaves out sequences whose table is left out, unless another table uses them. A list names each entry by itself.
    fn owned_sequences(&mut self) {
        if self.choice.selection.list.is_some() || self.choice.rows_only {
            return;
        }
        let mut gone = Vec::new();
        for owned in self.order.iter().filter(|entry| entry.kind == EntryKind::SequenceOwnedBy) {
            let Some(Fate::Part(table)) = self.fates.get(&owned.dump_id) else { continue };
            let sequences =
                self.links.needs(owned.dump_id).filter(|needed| needed.kind == EntryKind::Sequence);
            for sequence in sequences.filter(|sequence| !self.fates.contains_key(&sequence.dump_id)) {
                let uses = |entry: &&&Entry| {
                    !self.fates.contains_key(&entry.dump_id)
                        && !is_part(entry, sequence)
                        && self.links.needs(entry.dump_id).any(|needed| needed.dump_id == sequence.dump_id)
                };
                if !self.order.iter().any(|entry| uses(&entry)) {
                    gone.push((sequence.dump_id, *table));
                }
            }
        }
        self.fates.extend(gone.into_iter().map(|(sequence, table)| (sequence, Fate::Part(table))));
    }

    /// Refuses to leave out rows that the options do not leave out: with a table that depends on something, or with an
    /// entry that cannot be restored.
    fn refuse_lost_rows(&self) -> Result<(), SelectionError> {
        let archive = self.choice.archive;
        let is_rows = |entry: &&&Entry| matches!(entry.kind, EntryKind::TableData | EntryKind::Blobs);
        let why = |rows: &&Entry| self.why_lost(rows).filter(|_| may_have_rows(archive, rows));
        let lost: Vec<String> = self.order.iter().filter(is_rows).filter_map(why).collect();
        if lost.is_empty() { Ok(()) } else { Err(SelectionError::RowsLost(lost)) }
    }

    fn why_lost(&self, rows: &Entry) -> Option<String> {
        let Some(Fate::Part(table)) = self.fates.get(&rows.dump_id) else { return None };
        let table = self.links.entry(*table)?;
        match self.fates.get(&table.dump_id)? {
            Fate::Asked(why) => {
                let list = self.choice.selection.list.as_ref()?;
                list.names(rows.dump_id).then(|| format!("{} needs {}: {why}", label(rows), label(table)))
            }
            Fate::Part(of) | Fate::Depends(of) => {
                Some(format!("{} needs {}", label(table), label(self.links.entry(*of)?)))
            }
            Fate::Unrestorable(why) => Some(format!("{} needs {}: {why}", label(rows), label(table))),
        }
    }

    fn finish(mut self) -> Chosen {
        let mut chosen = Chosen { notices: std::mem::take(&mut self.notices), ..Chosen::default() };
        let (mut asked, mut parts) = (0_usize, 0_usize);
        for entry in self.choice.archive.all_entries() {
            let Some(fate) = self.fates.get(&entry.dump_id) else { continue };
            let of = |id: &DumpId| self.links.entry(*id).map(label).unwrap_or_default();
            let (why, because_of, reason) = match fate {
                Fate::Asked(reason) => (WhyLeftOut::Asked, None, reason.clone()),
                Fate::Part(whole) => {
                    (WhyLeftOut::Part, Some(of(whole)), format!("it is a part of {}", of(whole)))
                }
                Fate::Depends(on) => (WhyLeftOut::Depends, Some(of(on)), format!("it depends on {}", of(on))),
                Fate::Unrestorable(reason) => (WhyLeftOut::Unrestorable, None, reason.clone()),
            };
            asked += usize::from(why == WhyLeftOut::Asked);
            parts += usize::from(why == WhyLeftOut::Part);
            let text = match why {
                WhyLeftOut::Depends => {
                    Some(format!("{} is left out: {reason}, which is left out", label(entry)))
                }
                WhyLeftOut::Unrestorable => Some(format!("{} is left out: {reason}", label(entry))),
                WhyLeftOut::Asked | WhyLeftOut::Part => None,
            };
            chosen.notices.extend(text.map(|text| Notice::warning(NoticeCode::EntryLeftOut, text)));
            let (dump_id, entry) = (entry.dump_id.get(), label(entry));
            chosen.left_out.push(LeftOut { dump_id, entry, why, because_of, reason });
        }
        if asked > 0 {
            let text = format!(
                "entries that the selection leaves out: {asked}; parts of entries that are left out: {parts}"
            );
            chosen.notices.push(Notice::note(NoticeCode::EntriesLeftOut, text));
        }
        let kept = self.order.iter().filter(|entry| !self.fates.contains_key(&entry.dump_id));
        chosen.entries = kept.map(|entry| self.as_selected(entry)).collect();
        chosen
    }

    /// The entry, with the properties that the options leave it.
    fn as_selected(&self, entry: &Entry) -> Entry {
        let Choice { archive, selection, .. } = self.choice;
        let mut entry = entry.clone();
        if selection.without.contains(&Without::Tablespaces) {
            entry.tablespace = entry.tablespace.map(|_| ArchiveText::default());
        }
        // In a script each entry after the rows depends on the one before, which may be left out.
        if archive.header().format == Format::Plain {
            entry.dependencies = entry.dependencies.iter().filter_map(|id| self.kept_before(*id)).collect();
        }
        entry
    }

    /// The entry, or the nearest one that comes before it in a script and is not left out.
    fn kept_before(&self, mut id: DumpId) -> Option<DumpId> {
        while self.fates.contains_key(&id) {
            // An entry of a script comes after those that it depends on.
            id = self.links.entry(id)?.dependencies.iter().copied().find(|before| *before < id)?;
        }
        Some(id)
    }
}

/// Whether a block can hold a row. A stream can be read only once, so each of its blocks can.
fn may_have_rows(archive: &Archive, rows: &Entry) -> bool {
    /// More than the line that ends COPY data, with its line ends.
    const SOME: usize = 16;
    if !rows.has_data() || archive.is_stream() {
        return rows.has_data();
    }
    let Ok(Block::Data(mut data)) = archive.block(rows.dump_id) else { return true };
    let mut start = Vec::new();
    let read = data.read_into(&mut start, SOME);
    read.is_err() || !matches!(start.trim_ascii(), b"" | b"\\.")
}

/// Whether an entry is about the session or the database itself. No option concerns it.
fn is_of_the_session(entry: &Entry) -> bool {
    use EntryKind as K;
    matches!(entry.kind, K::Encoding | K::StdStrings | K::SearchPath | K::Database | K::DatabaseProperties)
}

/// The name of an entry in messages: `TABLE store.tenant`.
pub(crate) fn label(entry: &Entry) -> String {
    format!("{} {}", entry.desc, entry.relation())
}
