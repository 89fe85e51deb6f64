//! Renders the table of contents as `pg_restore --list` does.

use super::{
    Archive,
    entry::{Entry, EntryKind},
    format::Format,
    text::ArchiveText,
};
use std::fmt;

/// The beginning of a definition that is only a note about a table's data.
const PARTITION_ROOT_NOTE: &[u8] = b"-- load via partition root ";

/// The archive's contents in the form of `pg_restore --list`. Entries that a restore into an existing database leaves
/// out are missing. pg_restore cannot list plain scripts; their listing has the same form, with numbers that this
/// crate assigns. Created by [`Archive::listing`].
#[derive(Debug, Clone, Copy)]
pub struct Listing<'a> {
    archive: &'a Archive,
}

impl<'a> Listing<'a> {
    pub(super) fn new(archive: &'a Archive) -> Self {
        Self { archive }
    }
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.archive.header();
        let text = |text: &Option<ArchiveText>| text.as_ref().map(one_line).unwrap_or_default();
        match header.created {
            Some(created) => writeln!(f, ";\n; Archive created at {created}")?,
            None => writeln!(f, ";\n; Archive")?,
        }
        writeln!(f, ";     dbname: {}", text(&header.database))?;
        writeln!(f, ";     TOC Entries: {}", self.archive.entries().len())?;
        match header.compression_level {
            Some(level) => writeln!(f, ";     Compression: {level}")?,
            None => writeln!(f, ";     Compression: {}", header.compression)?,
        }
        if let Some(container) = header.container {
            writeln!(f, ";     Dump Version: {}-0", container.version)?;
        }
        writeln!(f, ";     Format: {}", header.format.to_string().to_ascii_uppercase())?;
        if let Some(container) = header.container {
            writeln!(f, ";     Integer: {} bytes", container.int_size)?;
            writeln!(f, ";     Offset: {} bytes", container.off_size)?;
        }
        if header.server_version.is_some() {
            writeln!(f, ";     Dumped from database version: {}", text(&header.server_version))?;
        }
        if header.dump_version.is_some() {
            writeln!(f, ";     Dumped by pg_dump version: {}", text(&header.dump_version))?;
        }
        if header.format == Format::Plain {
            writeln!(f, ";     (a script has no dump IDs and no OIDs: pgmig numbers its entries)")?;
        }
        writeln!(f, ";\n;\n; Selected TOC Entries:\n;")?;
        self.archive
            .entries()
            .iter()
            .filter(|entry| is_listed(entry))
            .try_for_each(|entry| write_entry(f, entry))
    }
}

fn write_entry(f: &mut fmt::Formatter<'_>, entry: &Entry) -> fmt::Result {
    let namespace = entry.namespace.as_ref().map_or_else(|| "-".to_owned(), one_line);
    let owner = entry.owner.as_ref().map(one_line).unwrap_or_default();
    let (id, catalog) = (entry.dump_id, entry.catalog_id);
    let (desc, tag) = (one_line(&entry.desc), one_line(&entry.tag));
    writeln!(f, "{id}; {} {} {desc} {namespace} {tag} {owner}", catalog.table_oid, catalog.oid)
}

/// A text on one line. Line ends become blanks, as in pg_restore; other control characters are escaped.
fn one_line(text: &ArchiveText) -> String {
    let bytes = text.as_bytes().iter().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { *b });
    ArchiveText::new(bytes.collect()).to_string()
}

/// Whether a restore of everything, without `--create`, does anything for the entry (`_tocEntryRequired`).
fn is_listed(entry: &Entry) -> bool {
    match entry.kind {
        EntryKind::Encoding | EntryKind::StdStrings | EntryKind::SearchPath => return false,
        EntryKind::Database | EntryKind::DatabaseProperties => return false,
        EntryKind::Acl | EntryKind::Comment | EntryKind::SecurityLabel
            if entry.tag.as_bytes().starts_with(b"DATABASE ") =>
        {
            return false;
        }
        EntryKind::StatisticsData => return true,
        _ => {}
    }
    let has_schema = entry.sql().is_some_and(|sql| !sql.as_bytes().starts_with(PARTITION_ROOT_NOTE));
    has_schema || entry.had_dumper
}
