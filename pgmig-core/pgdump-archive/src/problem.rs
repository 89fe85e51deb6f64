//! Why a member of an archive, or a plain script, is not valid.

use super::{entry::DumpId, error::TAKE_AGAIN};
use std::fmt;

/// Why a file or a tar member of an archive is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemberProblem {
    /// The name leads out of the archive.
    Path,
    /// It is not a regular file: a link, a device, a directory, a sparse file.
    NoFile,
    /// It is a tar header that extends another one, and is damaged, or describes what no file of an archive is.
    Extension,
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
            Self::Path => f.write_str("is not a plain file name, and could lead out of the archive"),
            Self::NoFile => f.write_str(
                "is not a regular file (it is a link, a device or a sparse file)",
            ),
            Self::Extension => f.write_str(
                "is a pax header that is damaged or of a sparse file; pack the archive anew with tar --format=gnu, or give the \
                 directory itself",
            ),
            Self::Twice => f.write_str("exists twice, and only one can be right"),
            Self::Shared => f.write_str("belongs to two entries"),
            Self::Missing => f.write_str("does not exist"),
            Self::Changed => f.write_str("changed while the archive was being read"),
            Self::SeveralArchives => f.write_str(
                "is not the only one: the tar file holds several archives; unpack it and restore one of them",
            ),
            Self::TooMany => f.write_str("exceeds the largest number of members that an archive may have"),
            Self::AmongObjects => {
                f.write_str("comes between large objects whose list (blobs.toc) has not come yet")
            }
            Self::OtherObjects { entry } => {
                write!(f, "does not list the large objects before it, which belong to dump ID {entry}")
            }
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
        const EDITED: &str = "it was edited, or pg_dump did not write it";
        match self {
            Self::Command(name) => {
                let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
                write!(
                    f,
                    "it has psql's command \\{name}, which pg_dump does not write and which is never executed; find out how it got there before you trust the script, and remove it"
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
            Self::AfterCopy => write!(f, "something follows COPY ... FROM stdin; on its line; {EDITED}"),
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
                f.write_str("it continues in another database; split it, and restore each part into a database of its own")
            }
            Self::AfterEnd => write!(f, "something follows the line that marks the dump as complete; {EDITED}"),
            Self::Changes => write!(
                f,
                "the encoding, the search path or standard_conforming_strings changes there; {EDITED}"
            ),
            Self::Encoding(name) => write!(
                f,
                "scripts in encoding {name} cannot be read, because bytes of their characters look like quotes; run pg_dump without --encoding, or with another --format"
            ),
            Self::LargeObject => {
                write!(f, "the statements of a large object are not as pg_dump writes them; {EDITED}")
            }
            Self::TooManyEntries => f.write_str("it has more entries than an archive can have"),
        }
    }
}
