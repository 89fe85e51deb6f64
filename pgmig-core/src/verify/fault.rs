//! Faults that prevent the restore of an archive.

use crate::archive::{ArchiveError, EntryLabel, Part};
use crate::sql::SqlError;
use serde::Serialize;
use thiserror::Error;

/// The first fault in an archive that prevents its restore, and its place. No variant contains a value.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The archive itself is damaged, or the file is no archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A text in the table of contents is not valid in the archive's encoding.
    #[error("a text of {entry} is not valid {encoding}")]
    Text {
        /// The entry.
        entry: Box<EntryLabel>,
        /// The archive's encoding, by PostgreSQL's name.
        encoding: String,
    },
    /// A name in a database in SQL_ASCII has bytes that are not UTF-8.
    #[error(
        "a name in {0} has bytes that are not UTF-8, which a restore sends to the server; rename the object in the source, or \
         take the backup with pg_dump --encoding=NAME"
    )]
    RawName(
        /// The entry.
        Box<EntryLabel>,
    ),
    /// The SQL of an entry is incomplete or cannot be split.
    #[error("the SQL of {entry} cannot be taken apart: {reason}")]
    Sql {
        /// The entry.
        entry: Box<EntryLabel>,
        /// The fault.
        reason: SqlError,
    },
    /// A row of a COPY stream is faulty.
    #[error("{fault}, in row {row} of {entry} (byte {offset} of its data{})", in_file(*file_offset))]
    Row {
        /// The fault.
        fault: RowFault,
        /// The entry.
        entry: Box<EntryLabel>,
        /// The number of the row, from 1.
        row: u64,
        /// Bytes from the start of the entry's data, decompressed.
        offset: u64,
        /// The byte of the file that contains the fault, from 0. In compressed data, it is the byte up to which the
        /// file must be read to reach the fault. Unknown for a stream.
        file_offset: Option<u64>,
    },
    /// An INSERT statement in a table's data is faulty.
    #[error("{fault}, in row {row} of {entry} (byte {offset} of its data{})", in_file(*file_offset))]
    Insert {
        /// The fault.
        fault: InsertFault,
        /// The entry.
        entry: Box<EntryLabel>,
        /// The number of the row with which the statement begins, from 1.
        row: u64,
        /// Bytes from the start of the entry's data to the statement, decompressed.
        offset: u64,
        /// Like [`Row`](Self::Row)'s.
        file_offset: Option<u64>,
    },
    /// A large object that the table of contents announces has no data.
    #[error("the data of large object {oid} is missing{}", and_others(*others))]
    LargeObjectMissing {
        /// The OID of the first such object.
        oid: u32,
        /// How many more objects have no data.
        others: usize,
    },
    /// The data contains a large object that no entry creates.
    #[error("{entry} holds large object {oid}, which no entry of the archive makes")]
    LargeObjectUnknown {
        /// The OID.
        oid: u32,
        /// The entry.
        entry: Box<EntryLabel>,
    },
    /// A large object occurs twice.
    #[error("{entry} holds large object {oid} for the second time")]
    LargeObjectAgain {
        /// The OID.
        oid: u32,
        /// The entry.
        entry: Box<EntryLabel>,
    },
    /// A large object is larger than PostgreSQL allows.
    #[error("large object {oid} of {entry} is larger than the {limit} bytes that one can hold")]
    LargeObjectTooLarge {
        /// The OID.
        oid: u32,
        /// The entry.
        entry: Box<EntryLabel>,
        /// The limit in bytes.
        limit: u64,
    },
    /// The caller has stopped the verification.
    #[error("stopped before everything was read")]
    Stopped,
}

/// The place of a fault, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FaultPlace {
    /// Bytes from the start of the file.
    pub file_offset: Option<u64>,
    /// The entry, as messages show it.
    pub entry: Option<String>,
    /// The row of a table, from 1.
    pub row: Option<u64>,
    /// Bytes from the start of the entry's data, decompressed.
    pub data_offset: Option<u64>,
}

impl Fault {
    /// The place of the fault.
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
            | Self::RawName(label)
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

/// A fault in a row of a COPY stream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RowFault {
    /// The row has too few fields, or too many.
    #[error("{fields} fields instead of {expected}")]
    FieldCount {
        /// The number of fields that it has.
        fields: u64,
        /// The number of columns in the COPY statement.
        expected: u64,
    },
    /// Bytes that are not valid in the archive's encoding, directly or after decoding of escapes.
    #[error("bytes that are not valid in the archive's encoding")]
    NotInEncoding,
    /// A NUL byte, which PostgreSQL's texts cannot contain.
    #[error("a NUL byte")]
    NulByte,
    /// A carriage return that is not written as `\r`.
    #[error("a bare carriage return")]
    CarriageReturn,
    /// A backslash at the end of the line, which would join it with the next line.
    #[error("a backslash before the end of the line")]
    EscapedLineEnd,
    /// A backslash before a tab, which would join two fields.
    #[error("a backslash before a tab")]
    EscapedTab,
    /// A `\.` that is not alone on its line.
    #[error("an end-of-data marker that is not alone on its line")]
    StrayEndMarker,
    /// The data ends without a line `\.`.
    #[error("the end of the data without the end-of-data marker")]
    MissingEndMarker,
    /// There is more data after the line `\.`.
    #[error("more data after the end-of-data marker")]
    DataAfterMarker,
    /// The row is longer than a server accepts.
    #[error("more than {limit} bytes, which is more than a row can have")]
    TooLong {
        /// The limit in bytes.
        limit: u64,
    },
}

/// A fault in an INSERT statement.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InsertFault {
    /// It is no INSERT statement, or not in pg_dump's form.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// It does not end in a semicolon.
    #[error("an INSERT statement without its end")]
    Unfinished,
    /// It inserts into another table.
    #[error("an INSERT statement for another table")]
    OtherTable,
    /// One of its rows has too few values, or too many.
    #[error("{values} values instead of {expected}")]
    ValueCount {
        /// The number of values in the row.
        values: usize,
        /// The number of columns.
        expected: usize,
    },
    /// Bytes that are not valid in the archive's encoding.
    #[error("bytes that are not valid in the archive's encoding")]
    NotInEncoding,
}

fn in_file(offset: Option<u64>) -> String {
    offset.map(|offset| format!(", byte {offset} of the file")).unwrap_or_default()
}

fn and_others(others: usize) -> String {
    if others == 0 { String::new() } else { format!(", and of {others} more") }
}
