//! The contents of each data block by the table of contents, which is checked at the same time.

use super::encoding::TextEncoding;
use super::fault::Fault;
use crate::archive::{Archive, ArchiveText, DumpId, Entry, EntryKind, EntryLabel};
use crate::copy::CopyStatement;
use crate::sql::{QualifiedName, SqlError, StandardStrings, bytes_as_escapes, split_statements};
use std::collections::{HashMap, HashSet};

/// The kind of contents that a data block should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// A COPY stream whose rows have this number of fields.
    Rows { fields: usize },
    /// INSERT statements for this table.
    Inserts { table: QualifiedName },
    /// SQL of another kind.
    Sql,
    /// Large objects.
    LargeObjects,
}

/// The contents of the data by the table of contents.
#[derive(Debug)]
pub(crate) struct Expectations {
    pub(crate) encoding: TextEncoding,
    pub(crate) strings: StandardStrings,
    /// Tables whose rows can be in statements for another table (`pg_dump --load-via-partition-root`).
    pub(crate) partitioned: HashSet<String>,
    blocks: HashMap<DumpId, Expected>,
    /// OIDs of the large objects that entries create. `None` if no entry creates any (archive versions before 1.12,
    /// and dumps of data alone).
    pub(crate) large_objects: Option<HashSet<u32>>,
    /// How many entries have been examined.
    entries: usize,
}

/// The contents of a data block by the table of contents.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) form: Form,
    /// The entry, for messages.
    pub(crate) label: EntryLabel,
    /// The name of its table.
    pub(crate) relation: String,
}

impl Expectations {
    /// Examines the table of contents.
    pub(crate) fn of(archive: &Archive) -> Result<Self, Fault> {
        let encoding = TextEncoding::of(archive.encoding());
        let strings = archive.strings();
        let mut expectations = Self {
            encoding,
            strings,
            partitioned: HashSet::new(),
            blocks: HashMap::new(),
            large_objects: None,
            entries: 0,
        };
        expectations.read_on(archive)?;
        Ok(expectations)
    }

    /// Examines the entries that have arrived since: entries of a script in a stream arrive with their data.
    pub(crate) fn read_on(&mut self, archive: &Archive) -> Result<(), Fault> {
        let entries = archive.entries().get(self.entries..).unwrap_or_default();
        for entry in entries {
            check_texts(archive, entry, self.encoding)?;
            check_sql(entry, self.encoding, self.strings)?;
            if entry.has_data() {
                let form = form(entry, self.encoding)?;
                let expected = Expected { form, label: entry.label(), relation: entry.relation() };
                self.blocks.insert(entry.dump_id, expected);
            }
            if is_partitioned(entry) {
                self.partitioned.insert(lexed(&entry.tag, self.encoding));
            }
        }
        if let Some(made) = large_objects(entries) {
            self.large_objects.get_or_insert_default().extend(made);
        }
        self.entries = archive.entries().len();
        Ok(())
    }

    /// The expected contents of the block of this entry.
    pub(crate) fn block(&self, id: DumpId) -> Option<&Expected> {
        self.blocks.get(&id)
    }

    /// The kind of contents that the block of this entry should have.
    pub(crate) fn form(&self, id: DumpId) -> &Form {
        self.blocks.get(&id).map_or(&Form::Sql, |expected| &expected.form)
    }
}

fn check_texts(archive: &Archive, entry: &Entry, encoding: TextEncoding) -> Result<(), Fault> {
    if entry.texts().all(|text| encoding.is_text(text.as_bytes())) {
        return if archive.encoding() == Some("SQL_ASCII") {
            check_raw_texts(archive, entry)
        } else {
            Ok(())
        };
    }
    let encoding = archive.encoding().unwrap_or("SQL_ASCII").to_owned();
    Err(Fault::Text { entry: Box::new(entry.label()), encoding })
}

/// Checks that the entry's texts in SQL_ASCII can be sent as UTF-8: only string constants may have other bytes.
fn check_raw_texts(archive: &Archive, entry: &Entry) -> Result<(), Fault> {
    let can_be_sent = |text: &ArchiveText| {
        let is_sql = entry.sql() == Some(text);
        text.to_str().is_ok() || is_sql && bytes_as_escapes(text.as_bytes(), archive.strings()).is_some()
    };
    if entry.texts().all(can_be_sent) { Ok(()) } else { Err(Fault::RawName(Box::new(entry.label()))) }
}

/// Checks that a definition can be split into its statements, as a restore does.
fn check_sql(entry: &Entry, encoding: TextEncoding, strings: StandardStrings) -> Result<(), Fault> {
    let Some(sql) = entry.sql().filter(|_| encoding != TextEncoding::NotAsciiSafe) else { return Ok(()) };
    match split_statements(&lexed(sql, encoding), strings) {
        Ok(_) => Ok(()),
        Err(reason) => Err(Fault::Sql { entry: Box::new(entry.label()), reason }),
    }
}

fn form(entry: &Entry, encoding: TextEncoding) -> Result<Form, Fault> {
    if entry.kind == EntryKind::Blobs {
        return Ok(Form::LargeObjects);
    }
    if entry.kind != EntryKind::TableData {
        return Ok(Form::Sql);
    }
    let Some(copy) = entry.copy_statement.as_ref().filter(|copy| !copy.is_empty()) else {
        let schema = entry.namespace.as_ref().map(|schema| lexed(schema, encoding));
        return Ok(Form::Inserts { table: QualifiedName { schema, name: lexed(&entry.tag, encoding) } });
    };
    let failed = |reason: SqlError| Fault::Sql { entry: Box::new(entry.label()), reason };
    let copy = CopyStatement::parse(&lexed(copy, encoding)).map_err(failed)?;
    let columns = copy.columns.map_or(0, |columns| columns.len());
    Ok(Form::Rows { fields: columns + usize::from(copy.has_oids) })
}

/// The OIDs that `BLOB` entries and the lists of `BLOB METADATA` entries contain.
fn large_objects(entries: &[Entry]) -> Option<HashSet<u32>> {
    let mut oids = HashSet::new();
    for entry in entries {
        match entry.kind {
            EntryKind::Blob => drop(oids.insert(entry.catalog_id.oid.0)),
            EntryKind::BlobMetadata => {
                let list = entry.sql().and_then(|sql| sql.to_str().ok()).unwrap_or_default();
                oids.extend(list.split_whitespace().filter_map(|oid| oid.parse::<u32>().ok()));
            }
            _ => {}
        }
    }
    if oids.is_empty() { None } else { Some(oids) }
}

fn is_partitioned(entry: &Entry) -> bool {
    let says_so = |sql: &ArchiveText| memchr::memmem::find(sql.as_bytes(), b"PARTITION BY").is_some();
    entry.kind == EntryKind::Table && entry.sql().is_some_and(says_so)
}

fn lexed(text: &ArchiveText, encoding: TextEncoding) -> String {
    encoding.lexed(text.as_bytes()).unwrap_or_default().into_owned()
}
