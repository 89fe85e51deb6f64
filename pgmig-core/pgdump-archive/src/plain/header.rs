//! The comment above each entry: `-- Name: tenant; Type: TABLE; Schema: store; Owner: store_owner`.
//!
//! After `_printTocEntry` of pg_backup_archiver.c, which only replaces line ends in names (`sanitize_line`). A name
//! can therefore look like the rest of the comment. The last match in the line is the comment's own.

use crate::text::ArchiveText;
use memchr::memmem;

/// The fields of an entry's comment. Line ends in names have become blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntryHeader {
    pub(super) tag: ArchiveText,
    pub(super) desc: ArchiveText,
    pub(super) namespace: Option<ArchiveText>,
    pub(super) owner: Option<ArchiveText>,
    /// Present only if it is not the database's own tablespace. pg_dump 11 and older write "" for the database's own.
    pub(super) tablespace: Option<ArchiveText>,
    /// Whether rows or large objects follow, not a definition.
    pub(super) is_data: bool,
}

/// The prefixes of the names of rows and large objects, and of a table's statistics in scripts of pg_dump 18.
const PREFIXES: [&[u8]; 2] = [b"Data for ", b"Statistics for "];

/// Whether a comment line is the header of an entry.
pub(super) fn is_header(line: &[u8]) -> bool {
    split_prefix(line).is_some_and(|(_, rest)| rest.starts_with(b"Name: "))
}

fn split_prefix(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.strip_prefix(b"-- ")?;
    let with = |prefix: &&'static [u8]| line.strip_prefix(*prefix).map(|rest| (*prefix, rest));
    Some(PREFIXES.iter().find_map(with).unwrap_or((b"", line)))
}

impl EntryHeader {
    /// Parses the line; `None` if pg_dump does not write such a line.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let (prefix, rest) = split_prefix(line)?;
        let rest = rest.strip_prefix(b"Name: ")?;
        let (tag, desc, rest) = split_type(rest)?;
        let (namespace, rest) = split_last(rest, b"; Owner: ")?;
        let (owner, tablespace) = match split_last(rest, b"; Tablespace: ") {
            Some((owner, tablespace)) => (owner, Some(text(tablespace))),
            None => (rest, None),
        };
        let is_data = prefix == b"Data for ";
        let [tag, desc] = [tag, desc].map(text);
        let [namespace, owner] = [namespace, owner].map(unless_hyphen);
        Some(Self { tag, desc, namespace, owner, tablespace, is_data })
    }
}

/// Splits `NAME; Type: DESC; Schema: REST` at the last place where DESC consists of capital letters and blanks.
fn split_type(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut end = line.len();
    loop {
        let at = memmem::rfind(line.get(..end)?, b"; Type: ")?;
        let rest = line.get(at..)?.strip_prefix(b"; Type: ")?;
        if let Some(schema) = memmem::find(rest, b"; Schema: ") {
            let desc = rest.get(..schema)?;
            if !desc.is_empty() && desc.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b' ') {
                return Some((line.get(..at)?, desc, rest.get(schema..)?.strip_prefix(b"; Schema: ")?));
            }
        }
        end = at;
    }
}

fn split_last<'a>(line: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memmem::rfind(line, separator)?;
    Some((line.get(..at)?, line.get(at..)?.strip_prefix(separator)?))
}

fn text(bytes: &[u8]) -> ArchiveText {
    ArchiveText::new(bytes.to_vec())
}

/// `None` for the hyphen that stands for an absent value.
fn unless_hyphen(bytes: &[u8]) -> Option<ArchiveText> {
    (bytes != b"-").then(|| text(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn parse(line: &str) -> EntryHeader {
        EntryHeader::parse(line.as_bytes()).unwrap()
    }

    #[test]
    fn every_part_is_found() {
        let table =
            parse("-- Name: tenant; Type: TABLE; Schema: store; Owner: store_owner; Tablespace: fast");
        assert_eq!((table.tag, table.desc), ("tenant".into(), "TABLE".into()));
        assert_eq!((table.namespace, table.owner), (Some("store".into()), Some("store_owner".into())));
        assert_eq!((table.tablespace, table.is_data), (Some("fast".into()), false));
        let data = parse("-- Data for Name: tenant; Type: TABLE DATA; Schema: -; Owner: -");
        assert_eq!((data.namespace, data.owner, data.tablespace, data.is_data), (None, None, None, true));
        let statistics =
            parse("-- Statistics for Name: tenant; Type: STATISTICS DATA; Schema: store; Owner: -");
        assert_eq!((statistics.desc, statistics.is_data), ("STATISTICS DATA".into(), false));
        let none = parse("-- Name: EXTENSION citext; Type: COMMENT; Schema: -; Owner: ");
        assert_eq!(none.owner, Some("".into()));
        assert_eq!(
            parse("-- Name: t; Type: TABLE; Schema: s; Owner: o; Tablespace: ").tablespace,
            Some("".into())
        );
    }

    #[test]
    fn names_may_look_like_the_rest() {
        let odd = parse("-- Name: a; Type: VIEW; Schema: b; Owner: c; Type: TABLE; Schema: d; Owner: e");
        assert_eq!((odd.tag, odd.desc), ("a; Type: VIEW; Schema: b; Owner: c".into(), "TABLE".into()));
        assert_eq!((odd.namespace, odd.owner), (Some("d".into()), Some("e".into())));
        let odd = parse("-- Name: a; Type: x; Type: TABLE; Schema: d; Owner: e");
        assert_eq!(odd.tag, "a; Type: x");
    }

    #[test]
    fn the_rest_is_none() {
        for line in [
            "-- Name: t",
            "-- Name: t; Type: table; Schema: s; Owner: o",
            "-- Name: t; Type: TABLE; Owner: o",
        ] {
            assert_eq!(EntryHeader::parse(line.as_bytes()), None, "{line}");
        }
    }
}
