//! The errors of reading an archive.

use super::{
    compression::Compression,
    entry::{DumpId, EntryLabel},
    foreign::Foreign,
    version::ArchiveVersion,
};
use std::{fmt, io, path::PathBuf};
use thiserror::Error;

/// Advice for damaged files. It ends the messages about damage.
const TAKE_AGAIN: &str =
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
    /// The container's version is older or newer than the supported ones.
    #[error("archives of container version {version} are not supported (from {} to {} are): {}",
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
        "{input} is a tar file that does not begin with toc.dat, as pg_dump's own do: a packed directory-format \
        archive, perhaps, which cannot be read from standard input or a pipe; give the file itself, or the unpacked directory"
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

impl ArchiveError {
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

/// Why a file or a tar member of an archive is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemberProblem {
    /// The name leads out of the archive.
    Path,
    /// It is not a regular file: a link, a device, a directory, or a tar header that extends another one.
    NoFile,
    /// Two files have this name, with the same compression or different ones.
    Twice,
    /// Two entries or large objects name the same file.
    Shared,
    /// It does not exist.
    Missing,
    /// It changed while the archive was being read.
    Changed,
    /// The tar file holds more than one archive.
    SeveralArchives,
    /// There are more members than the limit.
    TooMany,
    /// It comes between the large objects of a block.
    AmongObjects,
    /// It lists large objects other than those that came before it.
    OtherObjects {
        /// The entry that these objects belong to.
        entry: DumpId,
    },
    /// No entry names it.
    Unknown,
}

impl fmt::Display for MemberProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path => f.write_str("is no plain file name, and could lead out of the archive"),
            Self::NoFile => {
                f.write_str("is no regular file (a link, a device, a header that extends another)")
            }
            Self::Twice => f.write_str("is there twice, and only one can be right"),
            Self::Shared => f.write_str("is named by two entries"),
            Self::Missing => f.write_str("is not there"),
            Self::Changed => f.write_str("changed while the archive was being read"),
            Self::SeveralArchives => f.write_str(
                "is not the only one: the tar file holds several archives; unpack it and give one of them",
            ),
            Self::TooMany => f.write_str("is one member more than are read"),
            Self::AmongObjects => {
                f.write_str("comes among large objects whose list (blobs.toc) is still to come")
            }
            Self::OtherObjects { entry } => write!(
                f,
                "lists other large objects than those that came before it, which are those of dump ID {entry}"
            ),
            Self::Unknown => f.write_str("belongs to no entry"),
        }
    }
}

/// Why a plain script cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScriptProblem {
    /// The name of a psql command that pg_dump does not write.
    Command(String),
    /// The comment above an entry does not have pg_dump's form.
    Header,
    /// A statement that belongs to no entry: its first key words.
    Outside(String),
    /// A statement that this entry cannot have: its first key words.
    Unexpected(String),
    /// Something follows `COPY ... FROM stdin;` on its line.
    AfterCopy,
    /// A string, a quoted name or a comment does not end.
    Unterminated(&'static str),
    /// The script ends within a statement.
    CutOff,
    /// A statement is longer than this limit in bytes.
    TooLong(usize),
    /// The script holds more than one dump.
    SeveralDumps,
    /// The script continues in another database.
    SeveralDatabases,
    /// Something follows the line that marks the dump as complete.
    AfterEnd,
    /// The encoding or another setting for the whole script changes in its middle.
    Changes,
    /// The name of an encoding in which the ends of statements cannot be found safely.
    Encoding(String),
    /// The statements of a large object do not have pg_dump's form.
    LargeObject,
    /// There are more entries than an archive can have.
    TooManyEntries,
}

impl fmt::Display for ScriptProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const EDITED: &str = "it was edited, or is not by pg_dump";
        match self {
            Self::Command(name) => {
                let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
                write!(
                    f,
                    "it has psql's command \\{name}, which pg_dump does not write and which is never executed; find out who put it there before you trust the script, and remove it"
                )
            }
            Self::Header => write!(
                f,
                "the comment above an entry is not as pg_dump writes it (-- Name: ...; Type: ...; Schema: ...; Owner: ...); {EDITED}"
            ),
            Self::Outside(words) => {
                write!(f, "{words} belongs to no entry (-- Name: ...; Type: ...); {EDITED}")
            }
            Self::Unexpected(words) => write!(f, "the entry cannot have {words}; {EDITED}"),
            Self::AfterCopy => write!(f, "something follows COPY ... FROM stdin; in its line; {EDITED}"),
            Self::Unterminated(what) => write!(f, "the {what} that begins there does not end; {TAKE_AGAIN}"),
            Self::CutOff => {
                write!(
                    f,
                    "the script ends within the statement that begins there: it is truncated; {TAKE_AGAIN}"
                )
            }
            Self::TooLong(limit) => write!(f, "the statement that begins there is longer than {limit} bytes"),
            Self::SeveralDumps => {
                f.write_str("it holds more than one dump; split it, and restore each into its own database")
            }
            Self::SeveralDatabases => {
                f.write_str("it goes on in another database; split it, and restore each part into its own")
            }
            Self::AfterEnd => write!(f, "something follows where the dump is complete; {EDITED}"),
            Self::Changes => write!(
                f,
                "the encoding, the search path or standard_conforming_strings changes there; {EDITED}"
            ),
            Self::Encoding(name) => write!(
                f,
                "scripts in encoding {name} cannot be read, as parts of its characters look like quotes; take the dump without --encoding, or in another format"
            ),
            Self::LargeObject => {
                write!(f, "the statements of a large object are not as pg_dump writes them; {EDITED}")
            }
            Self::TooManyEntries => f.write_str("it has more entries than an archive can"),
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
