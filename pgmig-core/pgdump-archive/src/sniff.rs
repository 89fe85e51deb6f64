//! Recognises the format of an archive by its first bytes. It also recognises inputs that are no archives: typical
//! results of mistakes when a backup is made or copied.

use super::foreign::Foreign;
use super::format::Format;
use super::header::MAGIC;
use memchr::{memchr_iter, memmem};

/// How many bytes from the start of the input are examined.
pub(super) const SNIFF_LENGTH: usize = 64 * 1024;
/// A text-mode transfer is reported only if at least this many line feeds all follow a carriage return.
const ENOUGH_LINE_FEEDS: usize = 4;
/// Offset of "ustar" in a tar member's header.
const USTAR_AT: usize = 257;
/// How some editors begin a file in UTF-8.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// How many bytes a title is looked for in.
const TITLE_WITHIN: usize = 4096;
/// The first words of pg_dump's scripts.
pub(super) const SCRIPT_TITLE: &[u8] = b"-- PostgreSQL database dump";

/// The format of an input that starts with `head`. The error says what the input is instead.
pub(super) fn recognise(head: &[u8]) -> Result<Format, Foreign> {
    // A file that ends within the magic is a truncated archive.
    if head.starts_with(MAGIC) || (!head.is_empty() && MAGIC.starts_with(head)) {
        return Ok(Format::Custom);
    }
    if head.is_empty() {
        return Err(Foreign::Empty);
    }
    if let Some(tool) = unpacker(head) {
        return Err(Foreign::Compressed(tool));
    }
    if head.get(USTAR_AT..).is_some_and(|rest| rest.starts_with(b"ustar")) || head.starts_with(b"toc.dat\0") {
        return Ok(Format::Tar);
    }
    if [&b"\xff\xfe-\0"[..], b"\xfe\xff\0-"].iter().any(|start| head.starts_with(start)) {
        return Err(Foreign::Utf16Script);
    }
    if [&b"\xff\xfe"[..], b"\xfe\xff", b"\xef\xbb\xbfPGDMP"].iter().any(|mark| head.starts_with(mark)) {
        return Err(Foreign::Reencoded);
    }
    // psql passes over the mark, too.
    match head.strip_prefix(BYTE_ORDER_MARK).map(script) {
        Some(Err(Foreign::TextBefore(bytes))) => Err(Foreign::TextBefore(bytes + BYTE_ORDER_MARK.len())),
        Some(found) => found,
        None => script(head),
    }
}

/// A script, or an input that has a script or an archive further on.
fn script(head: &[u8]) -> Result<Format, Foreign> {
    let start = head.get(..head.len().min(TITLE_WITHIN)).unwrap_or_default();
    if memmem::find(start, b"-- PostgreSQL database cluster dump").is_some() {
        return Err(Foreign::ClusterScript);
    }
    // Before the magic, because a script may contain the letters PGDMP.
    if let Some(title) = memmem::find(start, SCRIPT_TITLE) {
        let before = start.get(..title).unwrap_or_default();
        let is_of_script = |line: &[u8]| {
            let line = line.trim_ascii();
            line.is_empty() || line.starts_with(b"--") || line.starts_with(b"\\")
        };
        let other = before.split(|&byte| byte == b'\n').position(|line| !is_of_script(line));
        return match other {
            None => Ok(Format::Plain),
            Some(_) if !is_text(before) => Err(Foreign::Damaged),
            Some(_) => Err(Foreign::TextBefore(before.strip_suffix(b"--\n").unwrap_or(before).len())),
        };
    }
    match memmem::find(head, MAGIC) {
        Some(bytes) if is_text(head.get(..bytes).unwrap_or_default()) => Err(Foreign::TextBefore(bytes)),
        // For example, a compressed file with a damaged first byte: lz4 leaves the magic readable.
        Some(_) => Err(Foreign::Damaged),
        None if has_settings_of_pg_dump(start) => Ok(Format::Plain),
        None => Err(Foreign::Unknown),
    }
}

/// Whether a script begins with pg_dump's title. If not, its comments were deleted.
pub(super) fn has_title(head: &[u8]) -> bool {
    memmem::find(head.get(..head.len().min(TITLE_WITHIN)).unwrap_or_default(), SCRIPT_TITLE).is_some()
}

/// Whether this begins with the settings that pg_dump writes at the start of a script.
fn has_settings_of_pg_dump(start: &[u8]) -> bool {
    let mut lines = start.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(b"\\"));
    first.is_some_and(|line| line.starts_with(b"SET "))
        && memmem::find(start, b"\nSET standard_conforming_strings = ").is_some()
}

/// Whether these bytes are messages: text and the escapes of a terminal.
fn is_text(bytes: &[u8]) -> bool {
    let is_control = |byte: &u8| {
        byte.is_ascii_control() && !byte.is_ascii_whitespace() && !b"\x07\x08\x0b\x1b".contains(byte)
    };
    // In any encoding that the terminal may have used.
    !bytes.iter().any(is_control)
}

fn unpacker(head: &[u8]) -> Option<&'static str> {
    const MAGICS: [(&[u8], &str); 4] = [
        (b"\x02\x21\x4c\x18", "lz4 -d"),
        (b"\xfd7zXZ\0", "unxz"),
        (b"BZh", "bunzip2"),
        (b"PK\x03\x04", "unzip"),
    ];
    MAGICS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, tool)| *tool)
}

/// Whether every line feed in `head` follows a carriage return. In an intact archive the SQL of the TOC has bare line
/// feeds, so this indicates a text-mode transfer. It counts only once reading has failed, because an archive may
/// consist of functions written on Windows.
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
        assert_eq!(recognise(b"PGDMP\x01\x0e\0"), Ok(Format::Custom));
        assert_eq!(recognise(b"PGD"), Ok(Format::Custom));
        assert_eq!(recognise(b"--\n-- PostgreSQL database dump\n--\n"), Ok(Format::Plain));
        let without_comments = b"\nSET statement_timeout = 0;\nSET standard_conforming_strings = on;\n";
        assert_eq!(recognise(without_comments), Ok(Format::Plain));
        let marked = b"\xef\xbb\xbf--\n-- PostgreSQL database dump\n--\n";
        assert_eq!(recognise(marked), Ok(Format::Plain));
        let mut tar = vec![0; 512];
        tar.splice(USTAR_AT..USTAR_AT + 5, *b"ustar");
        assert_eq!(recognise(&tar), Ok(Format::Tar));
    }

    #[test]
    fn what_backups_turn_into_is_recognised() {
        for (head, found) in [
            (&b""[..], Foreign::Empty),
            (b"BZh91AY", Foreign::Compressed("bunzip2")),
            (b"\xff\xfeP\0G\0D\0M\0P\0", Foreign::Reencoded),
            (b"\xef\xbb\xbfPGDMP\x01", Foreign::Reencoded),
            (b"\xff\xfe-\0-\0\r\0\n\0", Foreign::Utf16Script),
            (b"\xfe\xff\0-\0-\0\n", Foreign::Utf16Script),
            (b"SET statement_timeout = 0;\n", Foreign::Unknown),
            (b"\\restrict x\n--\n-- PostgreSQL database cluster dump\n", Foreign::ClusterScript),
            (b"Defaulted container\r\nPGDMP\x01", Foreign::TextBefore(21)),
            (b"Defaulted container\n--\n-- PostgreSQL database dump\n", Foreign::TextBefore(20)),
            (b"\x05\x22\x4d\x18\x64\x40\xa7PGDMP\x01", Foreign::Damaged),
            (b"\x05\x22\x4d\x18\x64\x40\xa7\0--\n-- PostgreSQL database dump\n", Foreign::Damaged),
            (b"PGDMX", Foreign::Unknown),
        ] {
            assert_eq!(recognise(head), Err(found));
        }
    }

    #[test]
    fn only_line_feeds_that_all_have_a_carriage_return_are_mangled() {
        assert!(line_feeds_mangled(b"a\r\nb\r\nc\r\nd\r\n"));
        assert!(!line_feeds_mangled(b"a\r\nb\r\nc\r\nd\n"));
        assert!(!line_feeds_mangled(b"\na\r\nb\r\nc\r\nd\r\n"));
        assert!(!line_feeds_mangled(b"a\r\n"));
    }
}
