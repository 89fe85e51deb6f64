//! The version of the archive's container.

use std::fmt;

/// Version of the container, written by pg_dump in the header: 1.10 for pg_dump 8.0, 1.16 for 17 and 18.
///
/// Ordered, so that a field can be read by `version >= ArchiveVersion::V1_14`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArchiveVersion {
    major: u8,
    minor: u8,
}

impl ArchiveVersion {
    /// pg_dump 8.0 to 8.3: tablespaces; the versions of the server and of pg_dump.
    pub const V1_10: Self = Self::new(1, 10);
    /// pg_dump 8.4: the entry's section is written.
    pub const V1_11: Self = Self::new(1, 11);
    /// pg_dump 9.0 to 10.2: one `BLOB` entry for each large object.
    pub const V1_12: Self = Self::new(1, 12);
    /// Minors of 2018, pg_dump 10.3 to 11: `SEARCHPATH` entry, names in SQL are qualified.
    pub const V1_13: Self = Self::new(1, 13);
    /// pg_dump 12 to 15: table access method.
    pub const V1_14: Self = Self::new(1, 14);
    /// pg_dump 16: compression algorithm; lz4 and zstd.
    pub const V1_15: Self = Self::new(1, 15);
    /// pg_dump 17 and 18: kind of relation; `BLOB METADATA` entries for groups of large objects.
    pub const V1_16: Self = Self::new(1, 16);
    /// The oldest version that is read.
    pub const OLDEST: Self = Self::V1_10;
    /// The newest version that is read.
    pub const NEWEST: Self = Self::V1_16;

    /// The version `major.minor`.
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }

    /// The number before the point; 1 for every archive since 2000.
    pub const fn major(self) -> u8 {
        self.major
    }

    /// The number after the point.
    pub const fn minor(self) -> u8 {
        self.minor
    }
}

impl fmt::Display for ArchiveVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
