//! The errors of reading an archive.

use super::{
    compression::Compression,
    entry::{DumpId, EntryLabel},
    foreign::Foreign,
    version::ArchiveVersion,
};
use std::{fmt, io, path::PathBuf};
use thiserror::Error;

pub use super::problem::{MemberProblem, ScriptProblem};

/// Advice for damaged files. It ends the messages about damage.
pub(super) const TAKE_AGAIN: &str =
    "copy the archive again and compare its checksum with the original's, or take the backup again";

/// An archive cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The file cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The system could not read.
    #[error("cannot read {input} at byte {offset}")]
    Read {
        /// The file's name, or "the input" for a stream.
        input: String,
        /// Where, from the archive's start.
        offset: u64,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is compressed as a whole, and unpacking it failed.
    #[error("{input} cannot be unpacked ({wrapper}) at byte {offset} of its contents; {TAKE_AGAIN}")]
    Unwrap {
        /// The file's name, or "the input" for a stream.
        input: String,
        /// How it is compressed.
        wrapper: Compression,
        /// The place, from the start of the unpacked contents.
        offset: u64,
        /// The decoder's reason.
        source: io::Error,
    },
    /// The input is not an archive.
    #[error("{input} is not an archive that can be read: {found}")]
    NotAnArchive {
        /// The file's name, or "the input" for a stream.
        input: String,
        /// What the input is instead.
        found: Foreign,
    },
    /// The directory holds the archives of many databases.
    #[error("{} is a directory of pg_dumpall with the databases {}; restore one of them at a time",
        directory.display(), databases.join(", "))]
    ManyDatabases {
        /// The directory.
        directory: PathBuf,
        /// The names of the databases.
        databases: Vec<String>,
    },
    /// The directory of pg_dumpall has no database of this name.
    #[error("{} has no database {name:?}; its databases are {}", directory.display(), databases.join(", "))]
    NoSuchDatabase {
        /// The directory.
        directory: PathBuf,
        /// The name.
        name: String,
        /// The names of the databases.
        databases: Vec<String>,
    },
    /// The directory of pg_dumpall is damaged.
    #[error("the directory {} of pg_dumpall is damaged: {problem}; {TAKE_AGAIN}", directory.display())]
    Cluster {
        /// The directory.
        directory: PathBuf,
        /// The fault.
        problem: String,
    },
    /// The container's version is older or newer than the supported ones.
    #[error("the archive's container version {version} is not supported, only {} to {} are: {}",
        ArchiveVersion::OLDEST, ArchiveVersion::NEWEST, version_advice(*version))]
    Version {
        /// The archive's version.
        version: ArchiveVersion,
    },
    /// The input ends too early.
    #[error("the archive ends within {reading}, {place}: it is truncated or damaged; {TAKE_AGAIN}")]
    Truncated {
        /// Where the input ends, or where something begins that would continue beyond the end.
        place: Box<Place>,
        /// What was being read.
        reading: &'static str,
    },
    /// A value that pg_dump does not write.
    #[error("the archive is damaged {place}: {what} is {got}, expected {expected}; {TAKE_AGAIN}")]
    Malformed {
        /// Where the value begins.
        place: Box<Place>,
        /// What the value is for.
        what: &'static str,
        /// The value.
        got: String,
        /// What it should have been.
        expected: String,
    },
    /// Every line feed of the archive has become a carriage return and a line feed.
    #[error(
        "the archive cannot be read {place}, because every line feed in it was turned into CR LF on the way: \
        take or copy it again in binary mode, without a terminal in between (`kubectl exec` and `oc exec` without \
        -t, FTP with `binary`)"
    )]
    LineEndings {
        /// Where reading failed.
        place: Box<Place>,
    },
    /// Data blocks that the TOC announces are not in the archive.
    #[error("the archive ends at byte {end} without the data of {first}{}: it is truncated or damaged; {TAKE_AGAIN}", and_others(*missing))]
    BlocksMissing {
        /// The first entry without its data, in the TOC's order.
        first: Box<EntryLabel>,
        /// The number of entries without their data.
        missing: usize,
        /// Size of the archive in bytes.
        end: u64,
    },
    /// The file or tar member with the data of an entry does not exist.
    #[error(
        "the archive has no {name} (nor .gz, .lz4, .zst), which holds the data of {entry}: it is incomplete; {TAKE_AGAIN}"
    )]
    MemberMissing {
        /// The file's name, without the suffix of compressed ones.
        name: String,
        /// The entry.
        entry: Box<EntryLabel>,
    },
    /// A member of a tar file continues beyond the file's end.
    #[error(
        "the archive ends {place}, {missing} bytes before the end of that member: it is truncated; {TAKE_AGAIN}"
    )]
    MemberCutOff {
        /// Where the file ends.
        place: Box<Place>,
        /// How many bytes of the member are missing, with the zeros after it.
        missing: u64,
    },
    /// The first member of a tar file in a stream is not the table of contents.
    #[error(
        "{input} is a tar file that does not begin with toc.dat, as pg_dump's own do: it may be a packed directory-format \
        archive, which cannot be read from standard input or a pipe; give the file itself, or the unpacked directory"
    )]
    TocNotFirst {
        /// The input's name.
        input: String,
    },
    /// A file of a directory-format archive, or a member of a tar file, is not valid in an archive.
    #[error("the archive is damaged, or was made to do damage: {name} {problem}")]
    Member {
        /// The file's name as the archive gives it.
        name: String,
        /// What is wrong with it.
        problem: MemberProblem,
    },
    /// A plain script has something that pg_dump does not write.
    #[error("the script cannot be restored {place}: {problem}")]
    Script {
        /// Where the problem is.
        place: Box<Place>,
        /// The problem.
        problem: ScriptProblem,
    },
    /// Compressed data is damaged.
    #[error("the {codec} data is damaged {place}; {TAKE_AGAIN}")]
    Decompress {
        /// Where the decoder stopped.
        place: Box<Place>,
        /// The archive's compression.
        codec: Compression,
        /// The decoder's reason.
        source: io::Error,
    },
    /// An item of the archive ends before its compressed stream does.
    #[error("the {codec} stream is not finished where its item ends, {place}: data is missing; {TAKE_AGAIN}")]
    StreamUnfinished {
        /// Where the item ends.
        place: Box<Place>,
        /// The archive's compression.
        codec: Compression,
    },
    /// There are bytes after the end of an item's compressed stream.
    #[error("bytes follow the end of the {codec} stream within its item, {place}; {TAKE_AGAIN}")]
    StreamTrailing {
        /// Where the first of those bytes is.
        place: Box<Place>,
        /// The archive's compression.
        codec: Compression,
    },
    /// A text of the TOC is not valid in the archive's encoding.
    #[error("the {field} of {entry} is not valid in the archive's encoding: {reason}")]
    Transcode {
        /// The entry.
        entry: Box<EntryLabel>,
        /// Which of its texts.
        field: &'static str,
        /// The transcoder's reason.
        reason: String,
    },
    /// The caller asked for an entry that the archive does not have.
    #[error("the archive has no entry with the dump ID {0}")]
    NoSuchEntry(DumpId),
    /// The caller asked for the data of an entry that has none.
    #[error("{0} has no data block")]
    NoData(Box<EntryLabel>),
    /// The caller asked for a block by its dump ID, but a stream can be read only in its own order.
    #[error("the archive is read from a stream: its blocks can only be read in the order that they come")]
    StreamOrder,
    /// The caller continued to read after an error.
    #[error("the block cannot be read any further after an error")]
    AfterError,
}

fn version_advice(version: ArchiveVersion) -> &'static str {
    if version > ArchiveVersion::NEWEST {
        "it was made by a pg_dump that is newer than this pgmig, which needs an update"
    } else {
        "restore it with a pg_restore of its time, then take a new backup with pg_dump 8.0 or later"
    }
}

fn and_others(missing: usize) -> String {
    match missing {
        0 | 1 => String::new(),
        2 => " and of one more entry".to_owned(),
        more => format!(" and of {} more entries", more - 1),
    }
}

/// The classes of errors, for callers that decide what to do. New errors are of one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// There is no such file.
    NotFound,
    /// The operating system cannot read the file.
    Unreadable,
    /// It is no archive of pg_dump.
    NotAnArchive,
    /// The directory holds several databases, and none was chosen.
    ManyDatabases,
    /// The directory does not hold the chosen database.
    NoSuchDatabase,
    /// The container's version is not supported.
    Version,
    /// A part of the archive is missing.
    Incomplete,
    /// The archive is not as it was written.
    Damaged,
    /// The script holds something that cannot be restored.
    Script,
    /// The archive cannot be read from a stream.
    NeedsFile,
    /// The caller asked for something that this archive does not have.
    Misuse,
}

impl ArchiveError {
    /// The error's class.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Open { source, .. } if source.kind() == io::ErrorKind::NotFound => ErrorClass::NotFound,
            Self::Open { .. } | Self::Read { .. } => ErrorClass::Unreadable,
            Self::NotAnArchive { .. } => ErrorClass::NotAnArchive,
            Self::ManyDatabases { .. } => ErrorClass::ManyDatabases,
            Self::NoSuchDatabase { .. } => ErrorClass::NoSuchDatabase,
            Self::Version { .. } => ErrorClass::Version,
            Self::Truncated { .. }
            | Self::BlocksMissing { .. }
            | Self::MemberMissing { .. }
            | Self::MemberCutOff { .. }
            | Self::StreamUnfinished { .. } => ErrorClass::Incomplete,
            Self::Unwrap { .. }
            | Self::Cluster { .. }
            | Self::Malformed { .. }
            | Self::LineEndings { .. }
            | Self::Member { .. }
            | Self::Decompress { .. }
            | Self::StreamTrailing { .. }
            | Self::Transcode { .. } => ErrorClass::Damaged,
            Self::Script { .. } => ErrorClass::Script,
            Self::TocNotFirst { .. } => ErrorClass::NeedsFile,
            Self::NoSuchEntry(_) | Self::NoData(_) | Self::StreamOrder | Self::AfterError => {
                ErrorClass::Misuse
            }
        }
    }

    /// The place in the archive, for errors that have one.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Truncated { place, .. }
            | Self::MemberCutOff { place, .. }
            | Self::Malformed { place, .. }
            | Self::LineEndings { place }
            | Self::Script { place, .. }
            | Self::Decompress { place, .. }
            | Self::StreamUnfinished { place, .. }
            | Self::StreamTrailing { place, .. } => Some(place),
            _ => None,
        }
    }
}

/// A place in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// Bytes from the start of the archive, or of `file` if that is given. In a file that is compressed as a whole,
    /// bytes of its contents.
    pub offset: u64,
    /// The file of a directory-format archive.
    pub file: Option<String>,
    /// The part of the archive.
    pub part: Part,
}

/// A part of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The header, before the TOC.
    Header,
    /// The table of contents.
    Toc {
        /// Number of the entry being read, from 1; 0 before the first.
        number: u64,
        /// How many entries there are, as the archive says.
        count: u64,
    },
    /// Between the data blocks.
    Blocks,
    /// The data block of one entry.
    Block(EntryLabel),
    /// The list of the large objects of one entry.
    ObjectList(EntryLabel),
    /// Between the members of a tar file.
    Members,
    /// A member of a tar file, during the search for members.
    Member(String),
    /// A plain script, outside of data.
    Script,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}", self.offset)?;
        if let Some(file) = &self.file {
            write!(f, " of {file}")?;
        }
        f.write_str(", ")?;
        match &self.part {
            Part::Header => write!(f, "in the header"),
            Part::Toc { number: 0, .. } => write!(f, "at the start of the table of contents"),
            Part::Toc { number, count } => write!(f, "in TOC entry {number} of {count}"),
            Part::Blocks => write!(f, "where a data block should begin"),
            Part::Block(label) => write!(f, "in the data of {label}"),
            Part::ObjectList(label) => write!(f, "in the list of large objects of {label}"),
            Part::Members => write!(f, "where a tar member should begin"),
            Part::Member(name) => write!(f, "in the tar member {name}"),
            Part::Script => write!(f, "in the script"),
        }
    }
}
