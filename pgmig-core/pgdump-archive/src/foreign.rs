//! Inputs that are not archives.

use std::fmt;

/// What an input is if it is not an archive. `Display` says what to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Foreign {
    /// An empty input.
    Empty,
    /// A directory that does not hold an archive.
    Directory,
    /// The `toc.dat` of a directory-format or tar-format archive.
    TocFile,
    /// A tar file without a `toc.dat`.
    TarWithoutToc,
    /// An SQL script of pg_dumpall.
    ClusterScript,
    /// A compressed file that this crate does not unpack, with the name of the tool that does.
    Compressed(&'static str),
    /// A compressed file in a compressed file.
    CompressedTwice,
    /// An archive that was re-encoded as text, to UTF-16 or to UTF-8 with a byte order mark.
    Reencoded,
    /// A script in UTF-16.
    Utf16Script,
    /// An archive that begins after this many bytes of other output.
    TextBefore(usize),
    /// An archive after bytes that are not text, so no program has printed them.
    Damaged,
    /// Anything else.
    Unknown,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty; take the backup again, and check pg_dump's exit status"),
            Self::Directory => f.write_str("it is a directory without a toc.dat, so it is not a directory-format archive"),
            Self::TocFile => f.write_str("it is the table of contents (toc.dat) of a directory-format or tar-format archive, without its data; give the directory or the tar file"),
            Self::TarWithoutToc => f.write_str("it is a tar file without a toc.dat, so it is neither a tar-format archive nor a packed directory-format one"),
            Self::ClusterScript => f.write_str("it is a script of pg_dumpall, for a whole cluster; back up the one database with pg_dump -Fc"),
            Self::Compressed(tool) => write!(f, "it is a file compressed as a whole; unpack it first: {tool}"),
            Self::CompressedTwice => f.write_str("it is a compressed file in a compressed file; unpack it once first"),
            Self::Reencoded => f.write_str("it was re-encoded as text and cannot be repaired; PowerShell's `>` does that: use pg_dump -f, or run the command from cmd or a Unix shell"),
            Self::Utf16Script => f.write_str("it is a script in UTF-16, which PowerShell's `>` makes; convert it, and its line ends: iconv -f UTF-16 -t UTF-8 FILE | tr -d '\\r'; or use pg_dump -f"),
            Self::TextBefore(bytes) => write!(f, "other output comes before the archive, which starts at byte {bytes}; take the backup again without a terminal (`kubectl exec` and `oc exec` without -t) and with messages kept out of standard output, or cut the output off: tail -c +{}", bytes + 1),
            Self::Damaged => f.write_str("it contains an archive, but its start is damaged; copy the file again and compare its checksum with the original's, or take the backup again"),
            Self::Unknown => f.write_str("its first bytes are not those of any format of pg_dump; check that it is the right file"),
        }
    }
}
