//! What a sound archive holds.

use super::block::Checked;
use super::expectation::{Expectations, Form};
use super::fault::Fault;
use crate::archive::{Archive, DumpId, Tail};
use serde::Serialize;
use std::collections::HashSet;

/// What a sound archive holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verified {
    /// Entries of the table of contents.
    pub entries: usize,
    /// Tables with a data block, in the order of the file.
    pub tables: Vec<VerifiedTable>,
    /// The large objects.
    pub large_objects: LargeObjects,
    /// Whether the file goes on after the archive: something was appended to it. It does not keep the archive from
    /// being restored.
    pub has_unknown_tail: bool,
}

/// The large objects of an archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LargeObjects {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub data_bytes: u64,
}

/// What is in the data block of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VerifiedTable {
    /// The table: `schema.table`, not quoted; control characters escaped.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// Bytes of its data, unpacked.
    pub data_bytes: u64,
    /// Bytes that they take in the file; unknown for a stream.
    pub archive_bytes: Option<u64>,
}

impl Verified {
    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// Bytes of all tables' data, unpacked.
    pub fn data_bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.data_bytes).sum()
    }

    /// `blocks` are in the order of the file. Checks what only shows when all have been read.
    pub(super) fn of(
        archive: &Archive,
        expectations: &Expectations,
        blocks: Vec<(DumpId, Checked)>,
    ) -> Result<Self, Fault> {
        check_large_objects(archive, expectations, &blocks)?;
        let mut tables = Vec::new();
        let mut large_objects = LargeObjects::default();
        for (id, checked) in blocks {
            let Some(entry) = archive.entry(id) else { continue };
            match expectations.form(id) {
                Form::Rows { .. } | Form::Inserts { .. } => tables.push(VerifiedTable {
                    table: entry.relation(),
                    rows: checked.rows,
                    data_bytes: checked.bytes,
                    archive_bytes: archive.stored_bytes(id),
                }),
                Form::LargeObjects => {
                    large_objects.count += u64::try_from(checked.large_objects.len()).unwrap_or(u64::MAX);
                    large_objects.data_bytes += checked.bytes;
                }
                Form::Sql => {}
            }
        }
        let has_unknown_tail = archive.tail() == Some(Tail::Unknown);
        Ok(Self { entries: archive.entries().len(), tables, large_objects, has_unknown_tail })
    }
}

/// Every large object is there once, and made by an entry, where entries make them.
fn check_large_objects(
    archive: &Archive,
    expectations: &Expectations,
    blocks: &[(DumpId, Checked)],
) -> Result<(), Fault> {
    let mut seen = HashSet::new();
    for (id, checked) in blocks {
        let entry = || archive.entry(*id).map(|entry| Box::new(entry.label()));
        for &oid in &checked.large_objects {
            if let (false, Some(entry)) = (seen.insert(oid), entry()) {
                return Err(Fault::LargeObjectAgain { oid, entry });
            }
            let is_made = expectations.large_objects.as_ref().is_none_or(|made| made.contains(&oid));
            if let (false, Some(entry)) = (is_made, entry()) {
                return Err(Fault::LargeObjectUnknown { oid, entry });
            }
        }
    }
    // A dump of the definitions alone has no data at all.
    if !blocks.iter().any(|(id, _)| *expectations.form(*id) == Form::LargeObjects) {
        return Ok(());
    }
    let made = expectations.large_objects.iter().flatten();
    let missing: Vec<u32> = made.filter(|oid| !seen.contains(oid)).copied().collect();
    match missing.iter().min() {
        Some(&oid) => Err(Fault::LargeObjectMissing { oid, others: missing.len() - 1 }),
        None => Ok(()),
    }
}
