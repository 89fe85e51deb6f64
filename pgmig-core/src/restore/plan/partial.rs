//! Refuses archives that hold a part of a database. A restore replaces the whole target, so it would lose the other part.

use super::kinds::{self, Part};
use crate::archive::{Entry, EntryKind, Section};
use crate::restore::refusal::Refusal;
use std::collections::HashSet;

/// The definitions of an archive that its rows and relations require. Names are in the archive's encoding.
#[derive(Default)]
struct Definitions<'a> {
    /// Schema and name.
    tables: HashSet<(&'a [u8], &'a [u8])>,
    foreign_tables: HashSet<(&'a [u8], &'a [u8])>,
    schemas: HashSet<&'a [u8]>,
    /// Whether there is any definition in section pre-data.
    any: bool,
    /// Whether there is an extension, which can bring schemas and tables with it.
    extensions: bool,
}

/// Refuses an archive that holds only a part of a database, or selected rows that belong to another server. `all` are the
/// archive's entries, `selected` those that are restored.
pub(crate) fn refuse(all: &[Entry], selected: &[Entry]) -> Result<(), Refusal> {
    let definitions = Definitions::of(all);
    all.iter().try_for_each(|entry| definitions.check(entry))?;
    selected.iter().try_for_each(|entry| definitions.check_foreign(entry))
}

/// Refuses rows that belong to another server.
pub(crate) fn refuse_foreign_rows(entries: &[Entry]) -> Result<(), Refusal> {
    let definitions = Definitions::of(entries);
    entries.iter().try_for_each(|entry| definitions.check_foreign(entry))
}

/// Whether an entry belongs to the contents of a database: rows, sequence values, and large objects with their privileges
/// and comments.
pub(crate) fn is_contents(entry: &Entry) -> bool {
    match kinds::of(entry.kind).part {
        Part::Contents => true,
        Part::OfItsObject => entry.tag.as_bytes().starts_with(b"LARGE OBJECT"),
        Part::Session | Part::Definition => false,
    }
}

impl<'a> Definitions<'a> {
    fn of(entries: &'a [Entry]) -> Self {
        let mut definitions = Self::default();
        for entry in entries {
            let key = (schema(entry), entry.tag.as_bytes());
            match entry.kind {
                EntryKind::Table => drop(definitions.tables.insert(key)),
                EntryKind::ForeignTable => drop(definitions.foreign_tables.insert(key)),
                EntryKind::Schema => drop(definitions.schemas.insert(entry.tag.as_bytes())),
                EntryKind::Extension => definitions.extensions |= entry.tag != "plpgsql",
                _ => {}
            }
            definitions.any |=
                entry.section == Section::PreData && kinds::of(entry.kind).part != Part::Session;
        }
        definitions
    }

    fn check(&self, entry: &Entry) -> Result<(), Refusal> {
        let key = (schema(entry), entry.tag.as_bytes());
        let is_rows = entry.kind == EntryKind::TableData;
        // A database may hold nothing but large objects, which pg_dump 17 defines in section data; or objects of the
        // database as a whole, which pg_dump defines in section post-data.
        let needs_none = matches!(
            entry.kind,
            EntryKind::Blobs
                | EntryKind::BlobMetadata
                | EntryKind::DefaultAcl
                | EntryKind::EventTrigger
                | EntryKind::Publication
                | EntryKind::PublicationTablesInSchema
                | EntryKind::Subscription
        );
        if !self.any && matches!(entry.section, Section::Data | Section::PostData) && !needs_none {
            return Err(Refusal::Partial("it has no definitions (section pre-data)".to_owned()));
        }
        // Extensions make tables whose rows are the database's own (pg_extension_config_dump).
        let has_table = self.tables.contains(&key) || self.foreign_tables.contains(&key);
        if is_rows && !has_table && !self.extensions {
            let table = entry.qualified_name();
            return Err(Refusal::Partial(format!("it holds rows of {table}, which it does not create")));
        }
        let is_relation = matches!(entry.kind, EntryKind::Table | EntryKind::Sequence | EntryKind::View);
        if is_relation && !self.has_schema(schema(entry)) {
            let relation = entry.qualified_name();
            return Err(Refusal::Partial(format!("it creates {relation} but not the schema that it is in")));
        }
        Ok(())
    }

    fn check_foreign(&self, entry: &Entry) -> Result<(), Refusal> {
        let key = (schema(entry), entry.tag.as_bytes());
        if entry.kind == EntryKind::TableData && self.foreign_tables.contains(&key) {
            return Err(Refusal::ForeignData(entry.qualified_name().to_string()));
        }
        Ok(())
    }

    fn has_schema(&self, schema: &[u8]) -> bool {
        matches!(schema, b"" | b"public" | b"pg_catalog") || self.schemas.contains(schema) || self.extensions
    }
}

fn schema(entry: &Entry) -> &[u8] {
    entry.namespace.as_ref().map(|schema| schema.as_bytes()).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::archive::DumpId;

    fn entry(kind: EntryKind, section: Section, tag: &str) -> Entry {
        let mut entry = Entry::new(DumpId::new(1).unwrap(), kind, section, tag);
        entry.namespace = Some("public".into());
        entry
    }

    #[test]
    fn rows_of_tables_that_nothing_creates_are_refused_unless_an_extension_does() {
        let table = entry(EntryKind::Table, Section::PreData, "own");
        let rows = entry(EntryKind::TableData, Section::Data, "spatial_ref_sys");
        let extension = |name| entry(EntryKind::Extension, Section::PreData, name);
        let is_partial = |entries: &[Entry]| matches!(refuse(entries, entries), Err(Refusal::Partial(_)));
        assert!(is_partial(&[table.clone(), rows.clone()]));
        assert!(is_partial(&[extension("plpgsql"), table.clone(), rows.clone()]));
        assert!(is_partial(std::slice::from_ref(&rows)));
        let entries = [extension("postgis"), table, rows];
        assert!(refuse(&entries, &entries).is_ok());
    }
}
