//! What the table of contents says of each data block. Checks the table of contents on the way.

use super::encoding::TextEncoding;
use super::fault::Fault;
use crate::archive::{Archive, ArchiveText, DumpId, Entry, EntryKind};
use crate::copy::CopyStatement;
use crate::sql::{QualifiedName, SqlError, StandardStrings, split_statements};
use std::collections::{HashMap, HashSet};

/// What a data block should hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// A COPY stream whose rows have so many fields.
    Rows { fields: usize },
    /// INSERT statements for this table.
    Inserts { table: QualifiedName },
    /// SQL of another kind.
    Sql,
    /// Large objects.
    LargeObjects,
}

/// What the table of contents says of the data.
#[derive(Debug)]
pub(crate) struct Expectations {
    pub(crate) encoding: TextEncoding,
    pub(crate) strings: StandardStrings,
    /// Tables whose rows can come under another one's name (`pg_dump --load-via-partition-root`).
    pub(crate) partitioned: HashSet<String>,
    forms: HashMap<DumpId, Form>,
    /// OIDs of the large objects that entries make; `None` where no entry makes any (archives older than 1.12, and
    /// dumps of the data alone).
    pub(crate) large_objects: Option<HashSet<u32>>,
}

impl Expectations {
    /// Goes through the table of contents.
    pub(crate) fn of(archive: &Archive) -> Result<Self, Fault> {
        let encoding = TextEncoding::of(archive.encoding());
        let strings =
            if archive.standard_conforming_strings() { StandardStrings::On } else { StandardStrings::Off };
        let mut forms = HashMap::new();
        for entry in archive.entries() {
            check_texts(archive, entry, encoding)?;
            check_sql(entry, encoding, strings)?;
            if entry.has_data() {
                forms.insert(entry.dump_id, form(entry, encoding)?);
            }
        }
        let large_objects = large_objects(archive.entries());
        let partitioned = archive.entries().iter().filter(|entry| is_partitioned(entry));
        let partitioned = partitioned.map(|entry| lexed(&entry.tag, encoding)).collect();
        Ok(Self { encoding, strings, partitioned, forms, large_objects })
    }

    /// What the block of this entry should hold.
    pub(crate) fn form(&self, id: DumpId) -> &Form {
        self.forms.get(&id).unwrap_or(&Form::Sql)
    }
}

fn check_texts(archive: &Archive, entry: &Entry, encoding: TextEncoding) -> Result<(), Fault> {
    if entry.texts().all(|text| encoding.is_text(text.as_bytes())) {
        return Ok(());
    }
    let encoding = archive.encoding().unwrap_or("SQL_ASCII").to_owned();
    Err(Fault::Text { entry: Box::new(entry.label()), encoding })
}

/// A restore splits every definition into its statements.
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

/// The OIDs that `BLOB` entries and the lists of `BLOB METADATA` entries name.
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
