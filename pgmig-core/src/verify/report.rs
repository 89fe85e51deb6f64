//! The report about a sound archive.

use super::block::Checked;
use super::expectation::{Expectations, Form};
use super::fault::Fault;
use crate::archive::{Archive, DumpId, Tail};
use serde::Serialize;
use std::collections::HashSet;

/// The contents of a sound archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verified {
    /// The number of entries in the table of contents.
    pub entries: usize,
    /// Tables with a data block, in the order of the file.
    pub tables: Vec<VerifiedTable>,
    /// The large objects.
    pub large_objects: LargeObjects,
    /// Whether the file continues after the archive: other data was appended. That does not prevent the restore.
    pub has_unknown_tail: bool,
}

/// The large objects of an archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LargeObjects {
    /// Their number.
    pub count: u64,
    /// The bytes of their data.
    pub data_bytes: u64,
}

/// The contents of a table's data block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VerifiedTable {
    /// The table: `schema.table`, not quoted; control characters escaped.
    pub table: String,
    /// The number of its rows.
    pub rows: u64,
    /// The bytes of its data, decompressed.
    pub data_bytes: u64,
    /// The bytes of its data in the file; unknown for a stream.
    pub archive_bytes: Option<u64>,
}

impl Verified {
    /// The number of rows in all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// The bytes of all tables' data, decompressed.
    pub fn data_bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.data_bytes).sum()
    }

    /// Makes the report from `blocks` in the order of the file. Makes the checks that need all blocks.
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

/// Checks that every large object occurs once, and that an entry creates it, if entries create any.
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
    // A dump of definitions alone has no data at all.
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
