//! COPY's text format: streams are cut into rows and rows into fields, and back. Sans-IO, over bytes.
//!
//! The format is that of the PostgreSQL manual, "COPY", "Text Format", with its defaults: a tab between
//! fields, `\N` for NULL, a line end (`\n`) after each row. Encodings must be ASCII-safe.

mod decoder;
mod encoder;
mod error;
mod oids;
mod row;
mod statement;

pub use decoder::{decode_field, escaped_byte, fields, rows};
pub use encoder::{encode_field, encode_row};
pub use error::CopyError;
pub use oids::remove_oids;
pub use row::{EndMarker, MAX_ROW_BYTES, RowSplitter};
pub use statement::{CopyOptions, CopyStatement};
