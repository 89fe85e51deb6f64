//! What is wrong with a COPY stream.

use thiserror::Error;

/// What is wrong with a COPY stream. Row numbers are 1-based; no variant holds any value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The stream ended without a line `\.`: what wrote it did not finish.
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
    /// A row is longer than a server takes.
    #[error("row {row} is longer than {limit} bytes")]
    RowTooLong {
        /// Its number.
        row: u64,
        /// The limit in bytes.
        limit: usize,
    },
}
