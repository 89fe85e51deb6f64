//! The formats that pg_dump writes.

use std::fmt;

/// What pg_dump wrote (`--format`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Format {
    /// One file with a table of contents and data blocks (`-Fc`).
    Custom,
    /// A directory with `toc.dat` and a file for each table and large object (`-Fd`).
    Directory,
    /// A tar file with `toc.dat` and a member for each table and large object (`-Ft`).
    Tar,
    /// An SQL script for psql (`-Fp`).
    Plain,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Custom => "custom",
            Self::Directory => "directory",
            Self::Tar => "tar",
            Self::Plain => "plain",
        })
    }
}
