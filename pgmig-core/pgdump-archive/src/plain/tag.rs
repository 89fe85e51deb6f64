//! Reads the tag of a comment, a grant or a label that is about a part of an object: `CONSTRAINT name ON table`.

use memchr::{memchr, memchr2};

/// Kinds of entries that make a constraint apart from its table or domain.
const CONSTRAINTS: &[&[u8]] = &[b"CONSTRAINT", b"FK CONSTRAINT", b"CHECK CONSTRAINT"];

/// Kinds of entries that make something with columns, or with constraints in its own definition.
const WITH_COLUMNS: &[&[u8]] =
    &[b"TABLE", b"VIEW", b"MATERIALIZED VIEW", b"FOREIGN TABLE", b"TYPE", b"SEQUENCE", b"DOMAIN", b"INDEX"];

/// A part of an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PartOf {
    /// Kinds of entries that can make the part; none for a column.
    pub(super) kinds: &'static [&'static [u8]],
    /// The part's name.
    pub(super) name: Vec<u8>,
    /// Kinds of entries that make the whole, and the part with it if the part has no entry.
    pub(super) whole_kinds: &'static [&'static [u8]],
    /// The name of the object that it is a part of.
    pub(super) whole: Vec<u8>,
}

impl PartOf {
    /// Parses a tag; `None` if it names no part of an object.
    pub(super) fn parse(tag: &[u8]) -> Option<Self> {
        let (word, rest) = tag.split_at_checked(memchr(b' ', tag)?)?;
        let rest = rest.strip_prefix(b" ")?;
        let kinds: &[&[u8]] = match word {
            b"COLUMN" => {
                let (whole, rest) = split_name(rest)?;
                let (name, end) = split_name(rest.strip_prefix(b".")?)?;
                let found = Self { kinds: &[], name, whole_kinds: WITH_COLUMNS, whole };
                return end.is_empty().then_some(found);
            }
            b"CONSTRAINT" => CONSTRAINTS,
            b"TRIGGER" => &[b"TRIGGER"],
            b"RULE" => &[b"RULE"],
            b"POLICY" => &[b"POLICY"],
            _ => return None,
        };
        let (name, rest) = split_name(rest)?;
        let rest = rest.strip_prefix(b" ON ")?;
        let (whole, end) = split_name(rest.strip_prefix(b"DOMAIN ").unwrap_or(rest))?;
        end.is_empty().then_some(Self { kinds, name, whole_kinds: WITH_COLUMNS, whole })
    }

    /// The tag of the part's own entry.
    pub(super) fn tag(&self) -> Vec<u8> {
        [self.whole.as_slice(), b" ", &self.name].concat()
    }
}

/// Splits a name off the start: in quotes, if it has any, else up to a blank or a dot.
fn split_name(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = memchr2(b' ', b'.', text).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end)?;
        return (!name.is_empty()).then(|| (name.to_vec(), rest));
    };
    let mut looked_at = 0_usize;
    loop {
        let at = looked_at.checked_add(memchr(b'"', quoted.get(looked_at..)?)?)?;
        let rest = quoted.get(at.checked_add(1)?..)?;
        if rest.first() != Some(&b'"') {
            return Some((undoubled(quoted.get(..at)?), rest));
        }
        looked_at = at.checked_add(2)?;
    }
}

/// A quoted name without the doubling of its quotes.
pub(super) fn undoubled(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut bytes = body.iter().peekable();
    while let Some(&byte) = bytes.next() {
        out.push(byte);
        if byte == b'"' {
            bytes.next_if(|next| **next == b'"');
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn parts(tag: &str) -> (String, String) {
        let part = PartOf::parse(tag.as_bytes()).unwrap();
        (String::from_utf8(part.name).unwrap(), String::from_utf8(part.whole).unwrap())
    }

    #[test]
    fn a_part_and_its_whole_are_named() {
        for (tag, name, whole) in [
            ("CONSTRAINT b_a_fkey ON b", "b_a_fkey", "b"),
            ("CONSTRAINT short ON DOMAIN code", "short", "code"),
            ("TRIGGER \"a \"\"b\"\" ON c\" ON \"d.e\"", "a \"b\" ON c", "d.e"),
            ("RULE ru ON \"T; x\"", "ru", "T; x"),
            ("POLICY po ON t", "po", "t"),
            ("COLUMN m.c", "c", "m"),
            ("COLUMN \"m.n\".\"c d\"", "c d", "m.n"),
        ] {
            assert_eq!(parts(tag), (name.to_owned(), whole.to_owned()), "{tag}");
        }
        assert_eq!(PartOf::parse(b"POLICY po ON \"Odd t\"").unwrap().tag(), b"Odd t po");
    }

    #[test]
    fn other_tags_name_no_part() {
        for tag in ["TABLE t", "COLUMN c", "CONSTRAINT c", "TRIGGER \"a ON b", "EVENT TRIGGER e", "", "t"] {
            assert_eq!(PartOf::parse(tag.as_bytes()), None, "{tag}");
        }
    }
}
