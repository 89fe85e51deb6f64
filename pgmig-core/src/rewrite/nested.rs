//! IDs in values with JSON or bytea inside: arrays, composite values and ranges of them.
//!
//! Such a value is read from its beginning, since the meaning of a character depends on its place in the value. Only
//! values that contain a mapped ID, or bytea, are read in this way.

use super::border::{Encoding, Unit, units};
use super::rules::Rules;
use super::shape::{Leaf, LeafKind, Shape, leaves};
use super::token::{Token, UUID_LENGTH};
use std::ops::Range;

/// An occurrence, and the bytes that replace it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    /// The place where it is spelled.
    pub(super) span: Range<usize>,
    /// The new bytes, as many as before.
    pub(super) bytes: Vec<u8>,
    /// Whether it is in bytea.
    pub(super) in_bytea: bool,
}

/// The occurrences of mapped IDs in a value, in their order.
pub(super) fn edits(text: &[u8], encoding: Encoding, shape: &Shape, rules: &Rules) -> Vec<Edit> {
    let units = units(text, encoding);
    leaves(&units, shape).iter().flat_map(|leaf| edits_of_leaf(&Spelling::of(leaf), rules)).collect()
}

/// The number of occurrences of IDs for which `is_one` returns true, given the 36 characters. Those in bytea count
/// only if `with_bytea` is set.
pub(super) fn count(
    text: &[u8],
    encoding: Encoding,
    shape: &Shape,
    with_bytea: bool,
    is_one: impl Fn(&[u8]) -> bool,
) -> u64 {
    let units = units(text, encoding);
    let spellings = leaves(&units, shape).into_iter().map(|leaf| Spelling::of(&leaf));
    let spellings = spellings.filter(|spelling| with_bytea || !spelling.in_bytea);
    let counts = spellings.map(|spelling| {
        let starts = 0..spelling.bytes.len();
        let found =
            starts.filter(|&start| spelling.is_whole(start) && spelling.id_at(start).is_some_and(&is_one));
        u64::try_from(found.count()).unwrap_or(u64::MAX)
    });
    counts.sum()
}

fn edits_of_leaf(spelling: &Spelling, rules: &Rules) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut from = 0;
    while let Some(token) = Token::find(&spelling.bytes, from) {
        from = token.end();
        let Some(replacement) = rules.replacement(&token) else { continue };
        let Some(span) = spelling.span(token.start).filter(|_| spelling.is_whole(token.start)) else {
            continue;
        };
        rules.note_found(&token);
        let bytes = if spelling.width == 2 { hex(&replacement) } else { replacement.to_vec() };
        edits.push(Edit { span, bytes, in_bytea: spelling.in_bytea });
    }
    edits
}

/// The bytes as lower-case hexadecimal digits, which the server writes, too.
pub(super) fn hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// The bytes for which a leaf stands, and the place where each is spelled.
#[derive(Debug)]
struct Spelling {
    /// Characters spelled by an escape cannot be part of an ID, and have stand-ins here: `g` for letters and digits,
    /// a blank for any other.
    bytes: Vec<u8>,
    spans: Vec<Range<usize>>,
    /// How many bytes of the text spell a byte that can be part of an ID.
    width: usize,
    in_bytea: bool,
}

impl Spelling {
    fn of(leaf: &Leaf) -> Self {
        let units = &leaf.units;
        match leaf.kind {
            LeafKind::Text => Self::from_units(units.iter().copied(), 1, false),
            LeafKind::Json => Self::from_units(json(units).into_iter(), 1, false),
            LeafKind::Bytea => match units.as_slice() {
                [backslash, x, digits @ ..]
                    if backslash.value == u32::from(b'\\') && x.value == u32::from(b'x') =>
                {
                    Self::from_units(hex_pairs(digits), 2, true)
                }
                _ => Self::from_units(escaped(units).into_iter(), 1, true),
            },
        }
    }

    fn from_units(units: impl Iterator<Item = Unit>, width: usize, in_bytea: bool) -> Self {
        let (bytes, spans) = units
            .map(|unit| {
                let byte = u8::try_from(unit.value).unwrap_or(b' ');
                let stands_for_itself = unit.end.saturating_sub(unit.start) == width;
                let stand_in = if byte.is_ascii_alphanumeric() { b'g' } else { b' ' };
                (if stands_for_itself { byte } else { stand_in }, unit.start..unit.end)
            })
            .unzip();
        Self { bytes, spans, width, in_bytea }
    }

    /// The bytes of an ID that begins at `start`.
    fn id_at(&self, start: usize) -> Option<&[u8]> {
        self.span(start)?;
        self.bytes.get(start..start.checked_add(UUID_LENGTH)?)
    }

    /// The place where an ID at `start` is spelled, which must be in one piece.
    fn span(&self, start: usize) -> Option<Range<usize>> {
        let last = start.checked_add(UUID_LENGTH)?.checked_sub(1)?;
        let span = self.spans.get(start)?.start..self.spans.get(last)?.end;
        (span.len() == UUID_LENGTH.saturating_mul(self.width)).then_some(span)
    }

    fn is_whole(&self, start: usize) -> bool {
        let is_border =
            |at: Option<usize>| !at.and_then(|at| self.bytes.get(at)).is_some_and(u8::is_ascii_alphanumeric);
        is_border(start.checked_sub(1)) && is_border(start.checked_add(UUID_LENGTH))
    }
}

fn char_of(unit: Option<&Unit>) -> Option<char> {
    unit.and_then(|unit| char::from_u32(unit.value))
}

/// The number that these digits spell; `None` if one is missing or is not a digit.
fn number(digits: Option<&[Unit]>, radix: u32) -> Option<u32> {
    let digit = |unit: &Unit| char_of(Some(unit))?.to_digit(radix);
    digits?.iter().try_fold(0_u32, |number, unit| Some(number.wrapping_mul(radix).wrapping_add(digit(unit)?)))
}

/// Decodes the escapes of JSON text.
fn json(text: &[Unit]) -> Vec<Unit> {
    decode(text, |rest| match char_of(rest.first()) {
        Some('b' | 'f' | 'n' | 'r' | 't') => (u32::from(b' '), 1),
        Some('u') => match number(rest.get(1..5), 16) {
            Some(value) => (value, 5),
            None => (u32::from(b'u'), 1),
        },
        other => (other.map_or(u32::from(b'\\'), u32::from), 1),
    })
}

/// Decodes bytea's escape format (the manual, "bytea Escape Format").
fn escaped(text: &[Unit]) -> Vec<Unit> {
    decode(text, |rest| match number(rest.get(..3), 8) {
        Some(value) => (value, 3),
        None => (char_of(rest.first()).map_or(u32::from(b'\\'), u32::from), 1),
    })
}

/// Decodes the escapes of `text`. `escape` gets the characters after a backslash, and returns the value of the escape
/// and its number of characters.
fn decode(text: &[Unit], escape: impl Fn(&[Unit]) -> (u32, usize)) -> Vec<Unit> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if first.value != u32::from(b'\\') {
            decoded.push(*first);
            rest = after;
            continue;
        }
        let (value, length) = escape(after);
        let (taken, next) = after.split_at_checked(length).unwrap_or((after, &[]));
        // A backslash alone counts as long as an escape, so that it is no character of an ID.
        let end = taken.last().map_or(first.end, |last| last.end);
        decoded.push(Unit { value, start: first.start, end });
        rest = next;
    }
    decoded
}

/// The bytes for which pairs of hexadecimal digits stand. Both digits of a pair must stand for themselves.
fn hex_pairs(digits: &[Unit]) -> impl Iterator<Item = Unit> {
    digits.chunks(2).map(|pair| {
        let value = number(Some(pair), 16).unwrap_or(u32::from(b' '));
        let ends = pair.first().zip(pair.last());
        let (start, end) = ends.map_or((0, 0), |(first, last)| (first.start, last.end));
        Unit { value, start, end }
    })
}
