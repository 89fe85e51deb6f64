//! IDs in values with JSON or bytea inside: arrays, composite values and ranges of them. Read from the beginning,
//! as what a character stands for depends on where in the value it is; only values that hold a mapped ID, or
//! bytea, come here.

use super::border::{Encoding, Unit, units};
use super::rules::Rules;
use super::shape::{Leaf, LeafKind, Shape, leaves};
use super::token::{Token, UUID_LENGTH};
use std::ops::Range;

/// An occurrence, and what is to be written in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    /// Where it is spelled.
    pub(super) span: Range<usize>,
    /// As many bytes.
    pub(super) bytes: Vec<u8>,
    /// Whether it is in bytea.
    pub(super) in_bytea: bool,
}

/// The occurrences of mapped IDs in a value, in their order.
pub(super) fn edits(text: &[u8], encoding: Encoding, shape: &Shape, rules: &Rules) -> Vec<Edit> {
    let units = units(text, encoding);
    leaves(&units, shape).iter().flat_map(|leaf| edits_of_leaf(&Spelling::of(leaf), rules)).collect()
}

/// The number of occurrences of the IDs that `is_one` says yes to, given 36 characters; those in bytea only
/// `with_bytea`.
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
        let bytes = if spelling.width == 2 { hex(&replacement) } else { replacement.to_vec() };
        edits.push(Edit { span, bytes, in_bytea: spelling.in_bytea });
    }
    edits
}

/// Bytes in lower-case hexadecimal digits, as the server writes them.
pub(super) fn hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// The bytes that a leaf stands for, and where each is spelled.
#[derive(Debug)]
struct Spelling {
    /// Stand-ins for what cannot be part of an ID: `g` for letters and digits spelled by an escape, a blank for
    /// any other such character.
    bytes: Vec<u8>,
    spans: Vec<Range<usize>>,
    /// How many bytes of the text spell one that can be part of an ID.
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

    /// The bytes of an ID from `start` on.
    fn id_at(&self, start: usize) -> Option<&[u8]> {
        self.span(start)?;
        self.bytes.get(start..start.checked_add(UUID_LENGTH)?)
    }

    /// Where an ID at `start` is spelled: in one piece.
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

/// The number that these digits spell, if all of them are there.
fn number(digits: Option<&[Unit]>, radix: u32) -> Option<u32> {
    let digit = |unit: &Unit| char_of(Some(unit))?.to_digit(radix);
    digits?.iter().try_fold(0_u32, |number, unit| Some(number.wrapping_mul(radix).wrapping_add(digit(unit)?)))
}

/// JSON text with its escapes decoded.
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

/// bytea's escape format, decoded (the manual, "bytea Escape Format").
fn escaped(text: &[Unit]) -> Vec<Unit> {
    decode(text, |rest| match number(rest.get(..3), 8) {
        Some(value) => (value, 3),
        None => (char_of(rest.first()).map_or(u32::from(b'\\'), u32::from), 1),
    })
}

/// `text` with its escapes decoded: given what follows a backslash, `escape` says what it stands for and how many
/// characters it takes.
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
        // What is left of a backslash alone is as long as an escape at least: it is no character of an ID.
        let end = taken.last().map_or(first.end, |last| last.end);
        decoded.push(Unit { value, start: first.start, end });
        rest = next;
    }
    decoded
}

/// The bytes that pairs of hexadecimal digits stand for; both digits of one must stand for themselves.
fn hex_pairs(digits: &[Unit]) -> impl Iterator<Item = Unit> {
    digits.chunks(2).map(|pair| {
        let value = number(Some(pair), 16).unwrap_or(u32::from(b' '));
        let ends = pair.first().zip(pair.last());
        let (start, end) = ends.map_or((0, 0), |(first, last)| (first.start, last.end));
        Unit { value, start, end }
    })
}
