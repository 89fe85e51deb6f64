//! What makes an archive one that cannot be restored.

use crate::archive::{ArchiveError, EntryLabel, Part};
use crate::sql::SqlError;
use serde::Serialize;
use thiserror::Error;

/// The first thing in an archive that keeps it from being restored, and its place. No variant holds a value.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The archive itself is damaged, or is none.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A text of the table of contents is not text of the archive's encoding.
    #[error("a text of {entry} is not valid {encoding}")]
    Text {
        /// The entry.
        entry: Box<EntryLabel>,
        /// The archive's encoding, by PostgreSQL's name.
        encoding: String,
    },
    /// An entry's SQL does not come to its end.
    #[error("the SQL of {entry} cannot be taken apart: {reason}")]
    Sql {
        /// The entry.
        entry: Box<EntryLabel>,
        /// What is wrong with it.
        reason: SqlError,
    },
    /// A row of a COPY stream.
    #[error("{fault}, in row {row} of {entry} (byte {offset} of its data{})", in_file(*file_offset))]
    Row {
        /// What is wrong with it.
        fault: RowFault,
        /// The entry.
        entry: Box<EntryLabel>,
        /// Number of the row, from 1.
        row: u64,
        /// Bytes from the start of the entry's data, unpacked.
        offset: u64,
        /// The byte of the file that this is in, from 0; where the data is compressed, the byte up to which the file must
        /// be read to come by it. Unknown for a stream.
        file_offset: Option<u64>,
    },
    /// An INSERT statement of a table's data.
    #[error("{fault}, in row {row} of {entry} (byte {offset} of its data{})", in_file(*file_offset))]
    Insert {
        /// What is wrong with it.
        fault: InsertFault,
        /// The entry.
        entry: Box<EntryLabel>,
        /// Number of the row that it begins with, from 1.
        row: u64,
        /// Bytes from the start of the entry's data, unpacked, to the statement.
        offset: u64,
        /// As for [`Row`](Self::Row).
        file_offset: Option<u64>,
    },
    /// A large object that the table of contents announces has no data.
    #[error("the data of large object {oid} is missing{}", and_others(*others))]
    LargeObjectMissing {
        /// The first one's OID.
        oid: u32,
        /// How many more miss theirs.
        others: usize,
    },
    /// A large object that no entry makes.
    #[error("{entry} holds large object {oid}, which no entry of the archive makes")]
    LargeObjectUnknown {
        /// The OID.
        oid: u32,
        /// The entry.
        entry: Box<EntryLabel>,
    },
    /// A large object comes twice.
    #[error("{entry} holds large object {oid} for the second time")]
    LargeObjectAgain {
        /// The OID.
        oid: u32,
        /// The entry.
        entry: Box<EntryLabel>,
    },
    /// A large object is larger than PostgreSQL's can be.
    #[error("large object {oid} of {entry} is larger than the {limit} bytes that one can hold")]
    LargeObjectTooLarge {
        /// The OID.
        oid: u32,
        /// The entry.
        entry: Box<EntryLabel>,
        /// The limit in bytes.
        limit: u64,
    },
    /// The caller does not want to know any more.
    #[error("stopped before everything was read")]
    Stopped,
}

/// Where a fault is, as far as that can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FaultPlace {
    /// Bytes from the start of the file.
    pub file_offset: Option<u64>,
    /// The entry, as messages call it.
    pub entry: Option<String>,
    /// The row of a table, from 1.
    pub row: Option<u64>,
    /// Bytes from the start of the entry's data, unpacked.
    pub data_offset: Option<u64>,
}

impl Fault {
    /// Where it is.
    pub fn place(&self) -> FaultPlace {
        let entry = |label: &EntryLabel| Some(label.to_string());
        match self {
            Self::Archive(error) => FaultPlace {
                file_offset: error.place().map(|place| place.offset),
                entry: match error.place().map(|place| &place.part) {
                    Some(Part::Block(label)) => entry(label),
                    _ => None,
                },
                ..FaultPlace::default()
            },
            Self::Row { entry: label, row, offset, file_offset, .. }
            | Self::Insert { entry: label, row, offset, file_offset, .. } => FaultPlace {
                file_offset: *file_offset,
                entry: entry(label),
                row: Some(*row),
                data_offset: Some(*offset),
            },
            Self::Text { entry: label, .. }
            | Self::Sql { entry: label, .. }
            | Self::LargeObjectUnknown { entry: label, .. }
            | Self::LargeObjectAgain { entry: label, .. }
            | Self::LargeObjectTooLarge { entry: label, .. } => {
                FaultPlace { entry: entry(label), ..FaultPlace::default() }
            }
            Self::LargeObjectMissing { .. } | Self::Stopped => FaultPlace::default(),
        }
    }
}

/// What is wrong with a row of a COPY stream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RowFault {
    /// It has too few fields, or too many.
    #[error("{fields} fields instead of {expected}")]
    FieldCount {
        /// Fields that it has.
        fields: u64,
        /// Columns of the COPY statement.
        expected: u64,
    },
    /// Bytes that are no text of the archive's encoding, as they are or as escapes spell them.
    #[error("bytes that are not valid in the archive's encoding")]
    NotInEncoding,
    /// A NUL, which no text of PostgreSQL holds.
    #[error("a NUL byte")]
    NulByte,
    /// A carriage return that is not written as `\r`.
    #[error("a bare carriage return")]
    CarriageReturn,
    /// A backslash at the end of the line, which would join it with the next.
    #[error("a backslash before the end of the line")]
    EscapedLineEnd,
    /// A backslash before a tab, which would join two fields.
    #[error("a backslash before a tab")]
    EscapedTab,
    /// `\.` that is not alone on its line.
    #[error("an end-of-data marker that is not alone on its line")]
    StrayEndMarker,
    /// No line `\.`.
    #[error("the end of the data without the end-of-data marker")]
    MissingEndMarker,
    /// Something comes after the line `\.`.
    #[error("more data after the end-of-data marker")]
    DataAfterMarker,
    /// Longer than a server takes.
    #[error("more than {limit} bytes, which is more than a row can have")]
    TooLong {
        /// The limit in bytes.
        limit: u64,
    },
}

/// What is wrong with an INSERT statement.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InsertFault {
    /// It is none, or not one that pg_dump writes.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// It does not end in a semicolon.
    #[error("an INSERT statement without its end")]
    Unfinished,
    /// It is for another table.
    #[error("an INSERT statement for another table")]
    OtherTable,
    /// A row of it has too few values, or too many.
    #[error("{values} values instead of {expected}")]
    ValueCount {
        /// Values that the row has.
        values: usize,
        /// Columns.
        expected: usize,
    },
    /// Bytes that are no text of the archive's encoding.
    #[error("bytes that are not valid in the archive's encoding")]
    NotInEncoding,
}

fn in_file(offset: Option<u64>) -> String {
    offset.map(|offset| format!(", byte {offset} of the file")).unwrap_or_default()
}

fn and_others(others: usize) -> String {
    if others == 0 { String::new() } else { format!(", and of {others} more") }
}
