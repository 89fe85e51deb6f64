//! The entries that each entry needs, and those that it is a part of.

use super::names::Names;
use crate::archive::{Archive, DumpId, Entry, EntryKind, Format};
use crate::sql::{Lexer, Parser, StandardStrings};
use std::collections::{HashMap, HashSet};

/// The entries that each entry needs.
pub(super) struct Links<'a> {
    entries: HashMap<DumpId, &'a Entry>,
    needs: HashMap<DumpId, Vec<DumpId>>,
}

impl<'a> Links<'a> {
    pub(super) fn of(archive: &'a Archive) -> Self {
        let all = archive.all_entries();
        let entries: HashMap<DumpId, &Entry> = all.iter().map(|entry| (entry.dump_id, entry)).collect();
        let schemas: HashMap<&str, DumpId> = all
            .iter()
            .filter(|entry| entry.kind == EntryKind::Schema)
            .map(|entry| (entry.name(), entry.dump_id))
            .collect();
        let names = Names::of(all);
        let (strings, is_script) = (archive.strings(), archive.header().format == Format::Plain);
        let needs = |entry: &Entry| -> Vec<DumpId> {
            let mut needs = dependencies(entry, is_script);
            if !is_description(entry) && !is_contents(entry.kind) {
                needs.extend(entry.schema().and_then(|schema| schemas.get(schema)));
            }
            needs.extend(named(entry, &names, strings, is_script));
            let mut seen = HashSet::from([entry.dump_id]);
            needs.retain(|id| {
                seen.insert(*id)
                    && entries.get(id).is_some_and(|needed| !is_order_only(entry, needed, strings))
            });
            needs
        };
        let needs = all.iter().map(|entry| (entry.dump_id, needs(entry))).collect();
        Self { entries, needs }
    }

    /// The entries that this one needs.
    pub(super) fn needs(&self, id: DumpId) -> impl Iterator<Item = &'a Entry> {
        self.needs.get(&id).into_iter().flatten().filter_map(|id| self.entries.get(id).copied())
    }

    pub(super) fn entry(&self, id: DumpId) -> Option<&'a Entry> {
        self.entries.get(&id).copied()
    }
}

/// The dependencies that the archive states. In a script, entries after the rows depend on their predecessor only, for the
/// order.
fn dependencies(entry: &Entry, is_script: bool) -> Vec<DumpId> {
    let has_some = !is_script || is_description(entry) || entry.kind == EntryKind::TableData;
    if has_some { entry.dependencies.clone() } else { Vec::new() }
}

/// The objects that the entry names in its SQL, where the archive does not state them.
fn named(entry: &Entry, names: &Names, strings: StandardStrings, is_script: bool) -> Vec<DumpId> {
    use EntryKind as K;
    let publishes = matches!(entry.kind, K::PublicationTable | K::PublicationTablesInSchema);
    let is_unstated = publishes || matches!(entry.kind, K::SequenceOwnedBy | K::UserMapping);
    if is_script && is_contents(entry.kind) {
        return names.object(entry).to_vec();
    }
    if !(is_unstated || is_script && !is_description(entry)) {
        return Vec::new();
    }
    let sql = entry.sql().and_then(|sql| sql.to_str().ok()).unwrap_or_default();
    let publication = entry.name().split(' ').next().filter(|_| publishes);
    let publication = publication.and_then(|name| names.publication(name));
    names.in_sql(sql, strings).into_iter().chain(publication).collect()
}

/// Whether an entry only has to come after another one, and is possible without it: privileges of a column come after those
/// of their table, and other entries after rows. Partitions and their indexes are made apart and then attached; so are
/// sequences that belong to a column.
fn is_order_only(entry: &Entry, needed: &Entry, strings: StandardStrings) -> bool {
    use EntryKind as K;
    match (entry.kind, needed.kind) {
        (_, K::Acl) => true,
        (_, K::TableData | K::MaterializedViewData | K::SequenceSet | K::StatisticsData) => {
            !is_description(entry)
        }
        (K::Index | K::Constraint, K::Index | K::Constraint) => true,
        (K::Table | K::ForeignTable, K::Table) => !inherits(entry, strings),
        (K::Sequence, needed) => is_relation(needed) && !begins_with(entry, "ALTER TABLE", strings),
        _ => false,
    }
}

/// Whether the statement of a table names a parent, or a type that gives it its columns.
fn inherits(table: &Entry, strings: StandardStrings) -> bool {
    let sql = table.sql().and_then(|sql| sql.to_str().ok()).unwrap_or_default();
    let mut words = Lexer::new(sql.as_bytes(), strings).map_while(Result::ok);
    words.any(|token| ["inherits", "of"].iter().any(|word| token.is_word(sql.as_bytes(), word)))
}

fn begins_with(entry: &Entry, words: &str, strings: StandardStrings) -> bool {
    let sql = entry.sql().and_then(|sql| sql.to_str().ok()).unwrap_or_default();
    let mut parser = Parser::new(sql, "entry", strings);
    words.split(' ').all(|word| parser.eat_word(&word.to_ascii_lowercase()))
}

/// Whether the entry describes the object of another entry, and is restored only with it.
pub(super) fn is_description(entry: &Entry) -> bool {
    use EntryKind as K;
    matches!(
        entry.kind,
        K::Acl | K::AclLanguage | K::BlobComments | K::Comment | K::SecurityLabel | K::StatisticsData
    )
}

/// Whether entries of this kind hold rows, values of sequences, or large objects.
pub(super) fn is_contents(kind: EntryKind) -> bool {
    use EntryKind as K;
    matches!(
        kind,
        K::TableData
            | K::MaterializedViewData
            | K::SequenceSet
            | K::StatisticsData
            | K::Blobs
            | K::BlobComments
    )
}

/// Whether entries of this kind create a relation that a pattern for tables can name.
pub(super) fn is_relation(kind: EntryKind) -> bool {
    use EntryKind as K;
    matches!(kind, K::Table | K::View | K::MaterializedView | K::ForeignTable | K::Sequence)
}

/// Whether an entry that needs `whole` is a part of it. An entry that merely uses it is none: a foreign key of another
/// table, a view, a trigger of another table.
pub(super) fn is_part(entry: &Entry, whole: &Entry) -> bool {
    use EntryKind as K;
    match entry.kind {
        _ if is_description(entry) || is_contents(entry.kind) => true,
        K::Index | K::IndexAttach | K::Statistics | K::SequenceOwnedBy | K::PublicationTable => {
            is_relation(whole.kind) || matches!(whole.kind, K::Index | K::Constraint)
        }
        K::PublicationTablesInSchema | K::SubscriptionTable => true,
        // Only an identity column's sequence needs its table.
        K::Sequence => is_relation(whole.kind),
        K::CheckConstraint
        | K::Constraint
        | K::Default
        | K::FkConstraint
        | K::Policy
        | K::RowSecurity
        | K::Rule
        | K::TableAttach
        | K::Trigger => {
            let rest = entry.tag.as_bytes().strip_prefix(whole.tag.as_bytes());
            let is_own = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b" "));
            is_own && entry.namespace == whole.namespace
        }
        _ => false,
    }
}
