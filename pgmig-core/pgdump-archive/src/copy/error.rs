//! Errors of a COPY stream.

use thiserror::Error;

/// Why a COPY stream is not valid. Row numbers are 1-based. No variant holds a value of a row.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The stream ended without a line `\.`: the program that wrote it did not finish.
    #[error("missing end-of-data marker after row {rows}: the data is cut off")]
    MissingEndMarker {
        /// Complete rows before the end.
        rows: u64,
    },
    /// Something other than empty lines follows the line `\.`.
    #[error("data after the end-of-data marker, which follows row {rows}")]
    DataAfterMarker {
        /// Rows before the marker.
        rows: u64,
    },
    /// A row is longer than a server accepts.
    #[error("row {row} is longer than {limit} bytes")]
    RowTooLong {
        /// The row's number.
        row: u64,
        /// The limit in bytes.
        limit: usize,
    },
}
