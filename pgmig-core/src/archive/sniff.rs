//! Recognises what is given as an archive and is none: what backups turn into on their way, by mistake.

use super::header::MAGIC;
use memchr::{memchr_iter, memmem};
use std::fmt;

/// How much of the input's start is looked at.
pub(super) const SNIFF_LENGTH: usize = 64 * 1024;
/// Line feeds that must all follow a carriage return before they prove anything.
const ENOUGH_LINE_FEEDS: usize = 4;
/// Place of "ustar" in a tar member's header.
const USTAR_AT: usize = 257;

/// What an input is instead of a custom-format archive. `Display` says what to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Foreign {
    /// Nothing at all.
    Empty,
    /// A directory-format archive (a directory with a `toc.dat`).
    DirectoryFormat,
    /// A directory that is no archive.
    Directory,
    /// The `toc.dat` of a directory-format or tar-format archive.
    TocFile,
    /// A tar file: a tar-format archive, or a packed directory.
    Tar,
    /// A plain SQL script of pg_dump.
    PlainScript,
    /// An SQL script of pg_dumpall.
    ClusterScript,
    /// A compressed file, by the name of the tool that unpacks it.
    Compressed(&'static str),
    /// An archive or script that was re-encoded as text, to UTF-16 or to UTF-8 with a byte order mark.
    Reencoded,
    /// An archive after this many bytes of something else.
    TextBefore(usize),
    /// Anything else.
    Unknown,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty; take the backup again and check pg_dump's exit status"),
            Self::DirectoryFormat => f.write_str("it is a directory-format archive, which is not supported yet; take one with pg_dump -Fc"),
            Self::Directory => f.write_str("it is a directory"),
            Self::TocFile => f.write_str("it is the table of contents (toc.dat) of a directory-format or tar-format archive, without its data; these formats are not supported yet: take an archive with pg_dump -Fc"),
            Self::Tar => f.write_str("it is a tar file; tar-format archives are not supported yet: take one with pg_dump -Fc"),
            Self::PlainScript => f.write_str("it is a plain SQL script (pg_dump -Fp), which is not supported yet; restore it with psql, or take an archive with pg_dump -Fc"),
            Self::ClusterScript => f.write_str("it is a script of pg_dumpall, for a whole cluster; take an archive of the one database with pg_dump -Fc"),
            Self::Compressed(tool) => write!(f, "it is a file compressed as a whole; unpack it first: {tool}"),
            Self::Reencoded => f.write_str("it was re-encoded as text and cannot be repaired; PowerShell's `>` does that: use pg_dump -f, or run the command from cmd or a Unix shell"),
            Self::TextBefore(bytes) => write!(f, "other output comes before the archive, which starts at byte {bytes}; take it again with messages kept out of standard output and without a terminal (`kubectl exec` and `oc exec` without -t), or cut them off: tail -c +{}", bytes + 1),
            Self::Unknown => f.write_str("it starts like nothing that pg_dump writes"),
        }
    }
}

/// What `head`, the start of an input, is, unless it begins as an archive does.
pub(super) fn foreign(head: &[u8]) -> Option<Foreign> {
    // A file that is cut within the magic is a truncated archive, not something else.
    if head.starts_with(MAGIC) || (!head.is_empty() && MAGIC.starts_with(head)) {
        return None;
    }
    Some(identify(head))
}

fn identify(head: &[u8]) -> Foreign {
    if head.is_empty() {
        return Foreign::Empty;
    }
    if let Some(tool) = unpacker(head) {
        return Foreign::Compressed(tool);
    }
    if head.get(USTAR_AT..).is_some_and(|rest| rest.starts_with(b"ustar")) || head.starts_with(b"toc.dat\0") {
        return Foreign::Tar;
    }
    if [&b"\xff\xfe"[..], b"\xfe\xff", b"\xef\xbb\xbfPGDMP"].iter().any(|mark| head.starts_with(mark)) {
        return Foreign::Reencoded;
    }
    let start = head.get(..head.len().min(4096)).unwrap_or_default();
    if memmem::find(start, b"-- PostgreSQL database cluster dump").is_some() {
        return Foreign::ClusterScript;
    }
    // Before the magic: a script may well hold the letters PGDMP in a row.
    if memmem::find(start, b"-- PostgreSQL database dump").is_some() {
        return Foreign::PlainScript;
    }
    match memmem::find(head, MAGIC) {
        Some(bytes) => Foreign::TextBefore(bytes),
        None => Foreign::Unknown,
    }
}

fn unpacker(head: &[u8]) -> Option<&'static str> {
    const MAGICS: [(&[u8], &str); 6] = [
        (b"\x1f\x8b", "gunzip"),
        (b"\x28\xb5\x2f\xfd", "zstd -d"),
        (b"\x04\x22\x4d\x18", "lz4 -d"),
        (b"\xfd7zXZ\0", "unxz"),
        (b"BZh", "bunzip2"),
        (b"PK\x03\x04", "unzip"),
    ];
    MAGICS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, tool)| *tool)
}

/// Whether every line feed in `head` follows a carriage return. In a sound archive the SQL of the TOC has bare
/// line feeds, so this tells a text-mode transfer; it counts only once reading has failed, because an archive
/// may hold nothing but functions written on Windows.
pub(super) fn line_feeds_mangled(head: &[u8]) -> bool {
    let mut count = 0;
    for at in memchr_iter(b'\n', head) {
        if at.checked_sub(1).and_then(|before| head.get(before)) != Some(&b'\r') {
            return false;
        }
        count += 1;
    }
    count >= ENOUGH_LINE_FEEDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_and_their_beginnings_are_not_foreign() {
        assert_eq!(foreign(b"PGDMP\x01\x0e\0"), None);
        assert_eq!(foreign(b"PGD"), None);
    }

    #[test]
    fn what_backups_turn_into_is_recognised() {
        assert_eq!(foreign(b""), Some(Foreign::Empty));
        assert_eq!(foreign(b"\x1f\x8b\x08\0"), Some(Foreign::Compressed("gunzip")));
        assert_eq!(foreign(b"\xff\xfeP\0G\0D\0M\0P\0"), Some(Foreign::Reencoded));
        assert_eq!(foreign(b"--\n-- PostgreSQL database dump\n--\n"), Some(Foreign::PlainScript));
        assert_eq!(
            foreign(b"\\restrict x\n--\n-- PostgreSQL database cluster dump\n"),
            Some(Foreign::ClusterScript)
        );
        assert_eq!(foreign(b"Defaulted container\r\nPGDMP\x01"), Some(Foreign::TextBefore(21)));
        assert_eq!(foreign(b"PGDMX"), Some(Foreign::Unknown));
        let mut tar = vec![0; 512];
        tar.splice(USTAR_AT..USTAR_AT + 5, *b"ustar");
        assert_eq!(foreign(&tar), Some(Foreign::Tar));
    }

    #[test]
    fn only_line_feeds_that_all_have_a_carriage_return_are_mangled() {
        assert!(line_feeds_mangled(b"a\r\nb\r\nc\r\nd\r\n"));
        assert!(!line_feeds_mangled(b"a\r\nb\r\nc\r\nd\n"));
        assert!(!line_feeds_mangled(b"\na\r\nb\r\nc\r\nd\r\n"));
        assert!(!line_feeds_mangled(b"a\r\n"));
    }
}
