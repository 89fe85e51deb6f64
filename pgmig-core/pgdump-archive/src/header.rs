//! The archive's header.

use super::{
    compression::Compression,
    error::{ArchiveError, Part},
    foreign::Foreign,
    format::Format,
    reader::{IntSizes, Reader},
    text::ArchiveText,
    version::ArchiveVersion,
};
use std::fmt;

pub(super) const MAGIC: &[u8] = b"PGDMP";
/// `archCustom` in pg_backup.h.
const FORMAT_CUSTOM: u8 = 1;
const FORMAT_TAR: u8 = 3;
const FORMAT_DIRECTORY: u8 = 5;
/// For names and versions. PostgreSQL limits a name to 63 bytes, and version strings have about 40.
const MAX_HEADER_TEXT: u64 = 64 * 1024;
/// Widest integer and offset that fit into 64 bits. pg_dump writes 4 and 8.
const MAX_INT_SIZE: u8 = 8;

/// When the archive was made, in the local time of the machine that pg_dump ran on. Fields are as in C's `struct tm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created {
    /// 0 to 61.
    pub second: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 23.
    pub hour: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Month, 0 to 11.
    pub month: u8,
    /// Years since 1900.
    pub year: u16,
    /// Daylight saving time: 1 yes, 0 no, -1 unknown.
    pub is_dst: i8,
}

impl fmt::Display for Created {
    /// `2026-11-20 12:16:20`. The archive does not name a time zone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month) = (u32::from(self.year) + 1900, self.month + 1);
        write!(
            f,
            "{year:04}-{month:02}-{:02} {:02}:{:02}:{:02}",
            self.day, self.hour, self.minute, self.second
        )
    }
}

/// How the table of contents is written. A plain script does not have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Container {
    /// Version of the container.
    pub version: ArchiveVersion,
    /// Bytes of an integer, 1 to 8; 4 in practice.
    pub int_size: u8,
    /// Bytes of a file offset, 1 to 8; 8 in practice.
    pub off_size: u8,
}

impl Container {
    pub(super) fn sizes(self) -> IntSizes {
        IntSizes { int: self.int_size, offset: self.off_size }
    }
}

/// The archive's header.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Header {
    /// The format that pg_dump wrote.
    pub format: Format,
    /// How the whole file is compressed, in addition to pg_dump's own compression.
    pub wrapper: Compression,
    /// How the table of contents is written; `None` for a plain script.
    pub container: Option<Container>,
    /// How data are compressed, as the header says.
    pub compression: Compression,
    /// The compression level that archives before 1.15 record; -1 is zlib's default.
    pub compression_level: Option<i32>,
    /// When the archive was made; `None` for a plain script.
    pub created: Option<Created>,
    /// Name of the source database. A plain script has it only if it was made with `--create`.
    pub database: Option<ArchiveText>,
    /// Version of the source server, such as `15.18 (Debian 15.18-0+deb12u1)`.
    pub server_version: Option<ArchiveText>,
    /// Version of the pg_dump that made the archive.
    pub dump_version: Option<ArchiveText>,
    /// Whether a plain script has pg_dump's comments. Without them, nothing shows whether it is complete. True for other
    /// formats.
    pub has_comments: bool,
}

impl Header {
    /// Reads the header and gives `reader` the sizes of integers. The magic has been recognised already.
    pub(super) fn read(reader: &mut Reader, format: Format) -> Result<(Self, Container), ArchiveError> {
        reader.enter(Part::Header);
        for _ in MAGIC {
            reader.byte("the magic")?;
        }
        let version = read_version(reader)?;
        let int_size = read_size(reader, "the size of integers")?;
        let off_size = read_size(reader, "the size of offsets")?;
        let container = Container { version, int_size, off_size };
        reader.set_sizes(container.sizes());
        read_format(reader, format)?;
        let (compression, compression_level) = read_compression(reader, version)?;
        let header = Self {
            format,
            wrapper: Compression::None,
            container: Some(container),
            compression,
            compression_level,
            created: Some(read_created(reader)?),
            database: reader.text("the database name", MAX_HEADER_TEXT)?,
            server_version: reader.text("the server version", MAX_HEADER_TEXT)?,
            dump_version: reader.text("the pg_dump version", MAX_HEADER_TEXT)?,
            has_comments: true,
        };
        Ok((header, container))
    }
}

fn read_version(reader: &mut Reader) -> Result<ArchiveVersion, ArchiveError> {
    let (major, minor) = (reader.byte("the version")?, reader.byte("the version")?);
    let version = ArchiveVersion::new(major, minor);
    // A newer minor version may have unknown fields, and the TOC does not record the length of an entry.
    if !(ArchiveVersion::OLDEST..=ArchiveVersion::NEWEST).contains(&version) {
        return Err(ArchiveError::Version { version });
    }
    // pg_dump has written 0 since 1.10. The meaning of any other revision is undefined.
    match reader.byte("the version")? {
        0 => Ok(version),
        other => Err(reader.malformed("the revision of the version", other, "0")),
    }
}

fn read_size(reader: &mut Reader, what: &'static str) -> Result<u8, ArchiveError> {
    match reader.byte(what)? {
        size @ 1..=MAX_INT_SIZE => Ok(size),
        size => Err(reader.malformed(what, size, "1 to 8")),
    }
}

/// The `toc.dat` of a directory may also have the code of tar: pg_dump writes it so.
fn read_format(reader: &mut Reader, format: Format) -> Result<(), ArchiveError> {
    let found = reader.byte("the format")?;
    match (format, found) {
        (Format::Custom, FORMAT_CUSTOM) => Ok(()),
        (Format::Custom, FORMAT_TAR | FORMAT_DIRECTORY) => {
            Err(ArchiveError::NotAnArchive { input: reader.name().to_owned(), found: Foreign::TocFile })
        }
        (Format::Custom, other) => Err(reader.malformed("the format", other, "1 (custom)")),
        (_, FORMAT_TAR | FORMAT_DIRECTORY) => Ok(()),
        (_, other) => Err(reader.malformed("the format", other, "3 (tar) or 5 (directory)")),
    }
}

fn read_compression(
    reader: &mut Reader,
    version: ArchiveVersion,
) -> Result<(Compression, Option<i32>), ArchiveError> {
    if version < ArchiveVersion::V1_15 {
        let level = reader.int("the compression level")?;
        let Ok(level) = i32::try_from(level) else {
            return Err(reader.malformed("the compression level", level, "a 32-bit integer"));
        };
        let compression = if level == 0 { Compression::None } else { Compression::Gzip };
        return Ok((compression, Some(level)));
    }
    let compression = match reader.byte("the compression")? {
        0 => Compression::None,
        1 => Compression::Gzip,
        2 => Compression::Lz4,
        3 => Compression::Zstd,
        other => {
            return Err(reader.malformed(
                "the compression",
                other,
                "0 (none), 1 (gzip), 2 (lz4) or 3 (zstd)",
            ));
        }
    };
    Ok((compression, None))
}

/// Checks ranges, too. These are the first fixed values after a field whose form depends on the version. A value out
/// of range shows that the version is wrong.
fn read_created(reader: &mut Reader) -> Result<Created, ArchiveError> {
    Ok(Created {
        second: reader.int_within("the creation time's second", 0, 61)?,
        minute: reader.int_within("the creation time's minute", 0, 59)?,
        hour: reader.int_within("the creation time's hour", 0, 23)?,
        day: reader.int_within("the creation time's day", 1, 31)?,
        month: reader.int_within("the creation time's month", 0, 11)?,
        year: reader.int_within("the creation time's year", 0, 9999)?,
        is_dst: reader.int_within("the creation time's DST flag", -1, 1)?,
    })
}
