//! The neighbours of a UUID: the characters beside it, decoded.
//!
//! The byte before a UUID may be the last one of an escape, and the UUID's own first byte may belong to an escape. To
//! decide, one must know whether a backslash some bytes earlier begins an escape, or is the second of a pair. That
//! depends on the parity of the run of backslashes that it ends. pgmig finds it locally, without reading the field
//! from its beginning.

use std::ops::Range;

/// The encoding of the text around a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Every byte stands for itself. So it is in `$$...$$` and in plain `'...'`, whose doubled quotes are borders
    /// anyway.
    Verbatim,
    /// COPY's text format.
    Copy,
    /// `E'...'`.
    Escape,
    /// `U&'...'`.
    Unicode,
}

/// The format of the encoded text, which can have escapes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Plain text, without further escapes.
    Text,
    /// JSON.
    Json,
    /// bytea's escape format.
    Bytea,
}

/// Whether the UUID at `span` of `text` stands alone: each neighbour is missing or is not one of `0-9A-Za-z`.
pub(super) fn is_whole(text: &[u8], span: Range<usize>, encoding: Encoding, content: Content) -> bool {
    let before = span.start.checked_sub(1).and_then(|at| text.get(at));
    let after = text.get(span.end);
    // An escape that does not end in a letter or digit stands for its last character, which is a border.
    let is_border =
        |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'\\');
    if is_border(before) && is_border(after) {
        return true;
    }
    if after.is_some_and(u8::is_ascii_alphanumeric) {
        return false;
    }
    let bytes = Bytes(text);
    let layer = |grammar| Escaped { inner: Bytes(text), grammar };
    match encoding {
        Encoding::Verbatim => is_whole_in(bytes, span, content),
        Encoding::Copy => is_whole_in(layer(Grammar::Copy), span, content),
        Encoding::Escape => is_whole_in(layer(Grammar::Escape), span, content),
        Encoding::Unicode => is_whole_in(layer(Grammar::Unicode), span, content),
    }
}

fn is_whole_in<T: Decoded>(inner: T, span: Range<usize>, content: Content) -> bool {
    match content {
        Content::Text => stands_alone(&inner, span),
        Content::Json => stands_alone(&Escaped { inner, grammar: Grammar::Json }, span),
        Content::Bytea => stands_alone(&Escaped { inner, grammar: Grammar::Bytea }, span),
    }
}

fn stands_alone(text: &impl Decoded, span: Range<usize>) -> bool {
    let before = match text.before(span.start) {
        Before::Edge => true,
        Before::Unit(unit) => !unit.is_alphanumeric(),
        Before::Inside => false,
    };
    before && text.after(span.end).is_none_or(|unit| !unit.is_alphanumeric())
}

const BACKSLASH: u32 = 0x5c;

/// One decoded character, or one byte of a character, and the bytes of the text that spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) value: u32,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Unit {
    fn is_alphanumeric(self) -> bool {
        u8::try_from(self.value).is_ok_and(|byte| byte.is_ascii_alphanumeric())
    }
}

/// The unit before a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// There is none: the place is the beginning.
    Edge,
    /// This unit.
    Unit(Unit),
    /// The place is inside an escape.
    Inside,
}

/// Text that can be read unit by unit in both directions.
trait Decoded {
    /// The unit that ends at `at`.
    fn before(&self, at: usize) -> Before;
    /// The unit that begins at `at`, which must be the beginning of a unit.
    fn after(&self, at: usize) -> Option<Unit>;
    /// The number of consecutive backslashes that end at `at`, which must be the end of a unit, and the place where
    /// the first one begins.
    fn backslashes(&self, at: usize) -> (usize, usize);
}

/// Bytes that stand for themselves.
struct Bytes<'a>(&'a [u8]);

impl Decoded for Bytes<'_> {
    fn before(&self, at: usize) -> Before {
        let unit = at.checked_sub(1).and_then(|start| self.after(start));
        unit.map_or(Before::Edge, Before::Unit)
    }

    fn after(&self, at: usize) -> Option<Unit> {
        self.0.get(at).map(|&byte| Unit { value: u32::from(byte), start: at, end: at.saturating_add(1) })
    }

    fn backslashes(&self, at: usize) -> (usize, usize) {
        let before = self.0.get(..at).unwrap_or_default();
        let count = before.iter().rev().take_while(|&&byte| byte == b'\\').count();
        (count, at.saturating_sub(count))
    }
}

/// The grammar of backslash escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grammar {
    Copy,
    Escape,
    Unicode,
    Json,
    /// bytea's escape format: three octal digits, or a second backslash.
    Bytea,
}

impl Grammar {
    /// The most units of an escape, including its backslash.
    fn longest(self) -> usize {
        match self {
            Grammar::Copy | Grammar::Bytea => 4,
            Grammar::Json => 6,
            Grammar::Unicode => 8,
            Grammar::Escape => 10,
        }
    }
}

/// Text with backslash escapes, over a text that may have its own escapes.
struct Escaped<T> {
    inner: T,
    grammar: Grammar,
}

impl<T: Decoded> Escaped<T> {
    /// The escape that begins with `backslash`.
    fn escape(&self, backslash: Unit) -> Unit {
        let Some(letter) = self.inner.after(backslash.end) else {
            return backslash;
        };
        let one = |value| Unit { value, start: backslash.start, end: letter.end };
        let number = |from: usize, radix, digits: std::ops::RangeInclusive<usize>| {
            let (value, count, end) = self.digits(from, radix, *digits.end());
            digits.contains(&count).then_some(Unit { value, start: backslash.start, end })
        };
        let grammar = self.grammar;
        let spelled = u8::try_from(letter.value).unwrap_or(0);
        let escape = match spelled {
            b'0'..=b'3' if grammar == Grammar::Bytea => number(backslash.end, 8, 3..=3),
            _ if grammar == Grammar::Bytea => None,
            b'b' | b'f' | b'n' | b'r' | b't' if grammar != Grammar::Unicode => Some(one(0)),
            b'v' if grammar == Grammar::Copy => Some(one(0)),
            b'0'..=b'7' if matches!(grammar, Grammar::Copy | Grammar::Escape) => {
                number(backslash.end, 8, 1..=3).map(|unit| Unit { value: unit.value & 0xff, ..unit })
            }
            b'x' if matches!(grammar, Grammar::Copy | Grammar::Escape) => number(letter.end, 16, 1..=2),
            b'u' if matches!(grammar, Grammar::Json | Grammar::Escape) => number(letter.end, 16, 4..=4),
            b'U' if grammar == Grammar::Escape => number(letter.end, 16, 8..=8),
            b'+' if grammar == Grammar::Unicode => number(letter.end, 16, 6..=6),
            _ if grammar == Grammar::Unicode => number(backslash.end, 16, 4..=4),
            _ => None,
        };
        escape.unwrap_or_else(|| one(letter.value))
    }

    /// Reads up to `max` digits from `at` on. Returns the number that they spell, how many they are, and where they
    /// end.
    fn digits(&self, at: usize, radix: u32, max: usize) -> (u32, usize, usize) {
        let (mut value, mut count, mut end) = (0_u32, 0, at);
        while count < max
            && let Some(unit) = self.inner.after(end)
            && let Some(digit) = char::from_u32(unit.value).and_then(|digit| digit.to_digit(radix))
        {
            (value, count, end) =
                (value.wrapping_mul(radix).wrapping_add(digit), count.saturating_add(1), unit.end);
        }
        (value, count, end)
    }
}

impl<T: Decoded> Decoded for Escaped<T> {
    fn before(&self, at: usize) -> Before {
        let nearest = match self.inner.before(at) {
            Before::Unit(unit) => unit,
            other => return other,
        };
        let mut unit = nearest;
        for _ in 1..self.grammar.longest() {
            if unit.value == BACKSLASH {
                break;
            }
            let Before::Unit(previous) = self.inner.before(unit.start) else {
                break;
            };
            unit = previous;
        }
        if unit.value != BACKSLASH {
            return Before::Unit(nearest);
        }
        let (count, _) = self.inner.backslashes(unit.end);
        if count % 2 == 0 {
            // The backslash is the second of a pair, so the next character is not escaped.
            return Before::Unit(match self.inner.before(nearest.start) {
                Before::Unit(first) if unit == nearest => Unit { start: first.start, ..nearest },
                _ => nearest,
            });
        }
        let escape = self.escape(unit);
        match escape.end.cmp(&at) {
            std::cmp::Ordering::Less => Before::Unit(nearest),
            std::cmp::Ordering::Equal => Before::Unit(escape),
            std::cmp::Ordering::Greater => Before::Inside,
        }
    }

    fn after(&self, at: usize) -> Option<Unit> {
        let unit = self.inner.after(at)?;
        Some(if unit.value == BACKSLASH { self.escape(unit) } else { unit })
    }

    fn backslashes(&self, mut at: usize) -> (usize, usize) {
        let mut total = 0_usize;
        loop {
            // Reads whole runs at once: otherwise a long run would need quadratic time. A unit ends at `at`, so the
            // run is even.
            let (count, start) = self.inner.backslashes(at);
            total = total.saturating_add(count / 2);
            at = start;
            // A backslash may also be spelled as a number.
            match self.before(at) {
                Before::Unit(unit) if unit.value == BACKSLASH => {
                    (total, at) = (total.saturating_add(1), unit.start)
                }
                _ => return (total, at),
            }
        }
    }
}

/// The units of `text`, from its beginning.
pub(super) fn units(text: &[u8], encoding: Encoding) -> Vec<Unit> {
    let grammar = match encoding {
        Encoding::Verbatim => return collect(&Bytes(text)),
        Encoding::Copy => Grammar::Copy,
        Encoding::Escape => Grammar::Escape,
        Encoding::Unicode => Grammar::Unicode,
    };
    collect(&Escaped { inner: Bytes(text), grammar })
}

fn collect(text: &impl Decoded) -> Vec<Unit> {
    std::iter::successors(text.after(0), |unit| text.after(unit.end)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1b8f1c2e-0a51-4a63-9f0f-6f0d4c8e2a01";

    fn whole(before: &str, after: &str, encoding: Encoding, content: Content) -> bool {
        let text = format!("{before}{ID}{after}");
        is_whole(text.as_bytes(), before.len()..before.len() + ID.len(), encoding, content)
    }

    #[test]
    fn decodes_copys_escapes() {
        for (before, after, expected) in [
            ("", "", true),
            ("_", "-", true),
            ("g", "", false),
            ("", "0", false),
            ("é", "é", true),
            ("\t", "\n", true),
            (r"\b", r"\b", true),
            (r"\\b", "", false),
            (r"\\\b", r"\t", true),
            (r"\\", r"\\f", true),
            (r"\", "", false),
            (r"\q", "", false),
            (r"\101", "", false),
            (r"\0101", "", false),
            (r"\011", r"\011", true),
            ("", r"\101", false),
            (r"\x4a", "", false),
            (r"\x0a", "", true),
            (r"\\x0a", "", false),
            // The escape includes the first digit of the ID, or two of them.
            (r"\x0", "", false),
            (r"\01", "", false),
            (r"\x", "", false),
            (r"\134\134", "", true),
        ] {
            assert_eq!(whole(before, after, Encoding::Copy, Content::Text), expected, "{before} {after}");
        }
    }

    #[test]
    fn decodes_json_in_copy() {
        for (before, after, expected) in [
            (r#"{"a": ""#, r#""}"#, true),
            (r#"\\""#, r#"\\""#, true),
            (r"\\f", r"\\f", true),
            (r"\\\\f", "", false),
            (r"\\\\\\f", "", true),
            (r"\\\\", r"\\\\f", true),
            (r"\\u0041", "", false),
            (r"\\u000a", r"\\u000A", true),
            (r"\\\\u000a", "", false),
            ("", r"\\u0041", false),
            (r"\\/", r"\\/", true),
            (r"\\ud83d\\ude00", r"\\ud83d\\ude00", true),
            (r"\\", "", false),
            (r"\\u004", "", false),
            (r"\134u0041", "", false),
            (r"\134\134f", "", false),
            (r"\\u00\x34\061", "", false),
            ("n", "", false),
        ] {
            assert_eq!(whole(before, after, Encoding::Copy, Content::Json), expected, "{before} {after}");
        }
    }

    #[test]
    fn decodes_sql_strings() {
        for (before, after, encoding, content, expected) in [
            (r"\b", "", Encoding::Verbatim, Content::Text, false),
            (r"\", r"\b", Encoding::Verbatim, Content::Text, true),
            (r"\b", "", Encoding::Verbatim, Content::Json, true),
            (r"\b", r"\u0041", Encoding::Escape, Content::Text, false),
            (r"\U0000000a", "", Encoding::Escape, Content::Text, true),
            (r"\\b", "", Encoding::Escape, Content::Json, true),
            (r"\\b", "", Encoding::Escape, Content::Text, false),
            (r"\0041", "", Encoding::Unicode, Content::Text, false),
            (r"\+00000a", r"\000a", Encoding::Unicode, Content::Text, true),
            (r"\\", "", Encoding::Unicode, Content::Text, true),
            (r"\\000", r"\\377", Encoding::Copy, Content::Bytea, true),
            (r"\\101", "", Encoding::Copy, Content::Bytea, false),
            ("", r"\\101", Encoding::Copy, Content::Bytea, false),
            (r"\\\\f", "", Encoding::Copy, Content::Bytea, false),
            (r"\\\\", r"\\\\f", Encoding::Copy, Content::Bytea, true),
            (r"\012", r"\012", Encoding::Verbatim, Content::Bytea, true),
            (r"\132", "", Encoding::Verbatim, Content::Bytea, false),
        ] {
            assert_eq!(whole(before, after, encoding, content), expected, "{before} {after} {encoding:?}");
        }
    }

    #[test]
    fn long_runs_of_backslashes_take_linear_time() {
        let run = r"\\".repeat(500_000);
        assert!(whole(&run, "", Encoding::Copy, Content::Text));
        assert!(whole(&run, "", Encoding::Copy, Content::Json));
        assert!(!whole(&format!("{run}f"), "", Encoding::Copy, Content::Json));
        assert!(whole(&format!(r"{run}\\f"), "", Encoding::Copy, Content::Json));
    }
}
