//! Decides about one entry by the options alone. A new option gets its rule here.

use super::links::is_relation;
use super::{Pattern, Selection, TablePattern, Without};
use crate::archive::{Entry, EntryKind, Section};

/// Why the options leave an entry out, in words; `None` if they do not. `section` is that of the last entry that had one.
/// `rows_only` says that the restore makes no definitions, so the sections of these do not matter.
pub(super) fn left_out(
    selection: &Selection,
    entry: &Entry,
    section: Section,
    rows_only: bool,
) -> Option<String> {
    if selection.list.as_ref().is_some_and(|list| !list.names(entry.dump_id)) {
        return Some("the list does not name it".to_owned());
    }
    let is_of_no_interest = rows_only && section != Section::Data;
    let all = selection.sections.is_empty() || is_of_no_interest;
    if !all && !selection.sections.contains(&section) {
        return Some(format!("section {} is not selected", section_name(section)));
    }
    if let Some(what) = selection.without.iter().find_map(|without| kind_without(*without, entry.kind)) {
        return Some(format!("{what} are left out"));
    }
    by_name(selection, entry)
}

fn by_name(selection: &Selection, entry: &Entry) -> Option<String> {
    use EntryKind as K;
    let (schema, name) = (entry.schema(), entry.name());
    let excluded = |pattern: &dyn std::fmt::Display| format!("{pattern} is excluded");
    if let Some(pattern) = schema.and_then(|schema| first(&selection.exclude_schemas, schema)) {
        return Some(format!("schema {pattern} is excluded"));
    }
    if entry.kind == K::Extension
        && let Some(pattern) = first(&selection.exclude_extensions, name)
    {
        return Some(excluded(pattern));
    }
    let is_data = matches!(entry.kind, K::TableData | K::MaterializedViewData | K::SequenceSet);
    let of_table = |patterns: &'_ [TablePattern]| {
        patterns
            .iter()
            .find(|pattern| pattern.matches(schema.unwrap_or_default(), name))
            .map(|pattern| excluded(pattern))
    };
    of_table(&selection.exclude_tables)
        .filter(|_| is_relation(entry.kind) || is_data)
        .or_else(|| of_table(&selection.exclude_table_data).filter(|_| is_data))
}

fn first<'a>(patterns: &'a [Pattern], name: &str) -> Option<&'a Pattern> {
    patterns.iter().find(|pattern| pattern.matches(name))
}

fn kind_without(without: Without, kind: EntryKind) -> Option<&'static str> {
    use EntryKind as K;
    let (kinds, what): (&[K], _) = match without {
        Without::Comments => (&[K::Comment], "comments"),
        Without::Policies => (&[K::Policy, K::RowSecurity], "policies"),
        Without::Publications => {
            (&[K::Publication, K::PublicationTable, K::PublicationTablesInSchema], "publications")
        }
        Without::SecurityLabels => (&[K::SecurityLabel], "security labels"),
        Without::Subscriptions => (&[K::Subscription, K::SubscriptionTable], "subscriptions"),
        // Entries lose their tablespace, not themselves.
        Without::Tablespaces => (&[], ""),
    };
    kinds.contains(&kind).then_some(what)
}

fn section_name(section: Section) -> &'static str {
    match section {
        Section::None | Section::PreData => "pre-data",
        Section::Data => "data",
        Section::PostData => "post-data",
    }
}
