//! Selects objects by their schemas and names, with their parts and with what they need.

use super::links::{Links, is_contents, is_description, is_part, is_relation};
use super::{Selection, choose::label};
use crate::archive::{DumpId, Entry, EntryKind, Section};
use crate::progress::{Notice, NoticeCode};
use std::collections::HashSet;

/// Entries that the options select.
pub(super) struct Selected {
    pub(super) ids: HashSet<DumpId>,
    /// Entries that are restored only because a selected entry needs them.
    pub(super) notices: Vec<Notice>,
}

/// The entries that the options select among `entries`, from which those that they leave out are missing.
pub(super) fn selected(selection: &Selection, entries: &[&Entry], links: &Links<'_>) -> Selected {
    let mut ids: HashSet<DumpId> =
        entries.iter().filter(|entry| is_named(selection, entry)).map(|entry| entry.dump_id).collect();
    add_parts(&mut ids, entries, links);
    let available: HashSet<DumpId> = entries.iter().map(|entry| entry.dump_id).collect();
    let mut notices = Vec::new();
    let mut open: Vec<DumpId> =
        entries.iter().map(|entry| entry.dump_id).filter(|id| ids.contains(id)).collect();
    while let Some(id) = open.pop() {
        for needed in links.needs(id) {
            let is_new = available.contains(&needed.dump_id) && !ids.contains(&needed.dump_id);
            if !is_new || !comes_along(needed) {
                continue;
            }
            ids.insert(needed.dump_id);
            open.push(needed.dump_id);
            if needed.kind != EntryKind::Schema
                && let Some(entry) = links.entry(id)
            {
                let text = format!("{} is restored, too: {} needs it", label(needed), label(entry));
                notices.push(Notice::note(NoticeCode::EntryComesAlong, text));
            }
        }
    }
    add_parts(&mut ids, entries, links);
    Selected { ids, notices }
}

fn is_named(selection: &Selection, entry: &Entry) -> bool {
    if is_description(entry) {
        return false;
    }
    let matches = |schema: &str| selection.only_schemas.iter().any(|pattern| pattern.matches(schema));
    let is_in_schema = selection.only_schemas.is_empty() || entry.schema().is_some_and(matches);
    if selection.only_tables.is_empty() {
        return is_in_schema || entry.kind == EntryKind::Schema && matches(entry.name());
    }
    let (schema, name) = (entry.schema().unwrap_or_default(), entry.name());
    let is_named = selection.only_tables.iter().any(|pattern| pattern.matches(schema, name));
    is_relation(entry.kind) && is_in_schema && is_named
}

/// Adds descriptions of selected objects, and parts of selected tables.
fn add_parts(ids: &mut HashSet<DumpId>, entries: &[&Entry], links: &Links<'_>) {
    loop {
        let before = ids.len();
        for entry in entries {
            if ids.contains(&entry.dump_id) {
                continue;
            }
            let mut wholes = links.needs(entry.dump_id).filter(|whole| ids.contains(&whole.dump_id));
            let is_added = if is_description(entry) || is_contents(entry.kind) {
                wholes.next().is_some()
            } else {
                wholes.any(|whole| is_relation(whole.kind) && is_part_that_goes_along(entry, whole))
            };
            if is_added {
                ids.insert(entry.dump_id);
                if entry.kind == EntryKind::SequenceOwnedBy {
                    let sequences =
                        links.needs(entry.dump_id).filter(|needed| needed.kind == EntryKind::Sequence);
                    ids.extend(sequences.map(|sequence| sequence.dump_id));
                }
            }
        }
        if ids.len() == before {
            return;
        }
    }
}

/// Whether an entry is restored because a selected entry needs it: a schema, a type, a function. A table that nobody
/// selected would come without its rows.
fn comes_along(needed: &Entry) -> bool {
    let is_table = is_relation(needed.kind) && needed.kind != EntryKind::Sequence;
    needed.section == Section::PreData && !is_table
}

/// A publication is no part of the tables in it.
fn is_part_that_goes_along(entry: &Entry, whole: &Entry) -> bool {
    use EntryKind as K;
    let is_about_another =
        matches!(entry.kind, K::PublicationTable | K::PublicationTablesInSchema | K::SubscriptionTable);
    !is_about_another && is_part(entry, whole)
}
