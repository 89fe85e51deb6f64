//! What a sound archive holds.

use super::block::Checked;
use super::expectation::{Expectations, Form};
use super::fault::Fault;
use crate::archive::{Archive, DumpId, Tail};
use std::collections::HashSet;

/// What a sound archive holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Entries of the table of contents.
    pub entries: usize,
    /// Tables with a data block, in the order of the file.
    pub tables: Vec<VerifiedTable>,
    /// Large objects, and their bytes.
    pub large_objects: (u64, u64),
    /// What comes after the last block. [`Tail::Unknown`] is no part of the archive, and does not keep it from being
    /// restored.
    pub tail: Option<Tail>,
}

/// What is in the data block of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedTable {
    /// The entry of the data.
    pub dump_id: DumpId,
    /// The table: `schema.table`, not quoted; control characters escaped.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// Bytes of its data, unpacked.
    pub bytes: u64,
    /// Bytes that they take in the file; unknown for a stream.
    pub stored_bytes: Option<u64>,
}

impl Verified {
    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// Bytes of all tables' data, unpacked.
    pub fn bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.bytes).sum()
    }

    /// `blocks` are in the order of the file. Checks what only shows when all have been read.
    pub(super) fn of(
        archive: &Archive,
        expectations: &Expectations,
        blocks: Vec<(DumpId, Checked)>,
    ) -> Result<Self, Fault> {
        check_large_objects(archive, expectations, &blocks)?;
        let mut tables = Vec::new();
        let mut large_objects = (0, 0);
        for (id, checked) in blocks {
            let Some(entry) = archive.entry(id) else { continue };
            match expectations.form(id) {
                Form::Rows { .. } | Form::Inserts { .. } => tables.push(VerifiedTable {
                    dump_id: id,
                    table: entry.relation(),
                    rows: checked.rows,
                    bytes: checked.bytes,
                    stored_bytes: archive.stored_bytes(id),
                }),
                Form::LargeObjects => {
                    large_objects.0 += u64::try_from(checked.large_objects.len()).unwrap_or(u64::MAX);
                    large_objects.1 += checked.bytes;
                }
                Form::Sql => {}
            }
        }
        Ok(Self { entries: archive.entries().len(), tables, large_objects, tail: archive.tail() })
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
