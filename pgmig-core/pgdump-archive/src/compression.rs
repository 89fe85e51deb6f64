//! The compression methods of pg_dump.

use std::fmt;

/// How the data of an archive are compressed. The table of contents is never compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Not compressed.
    None,
    /// A zlib stream for each item in the custom format (pg_dump calls it gzip). A gzip file in the other formats.
    Gzip,
    /// An LZ4 frame for each item.
    Lz4,
    /// A zstd frame for each item.
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}
