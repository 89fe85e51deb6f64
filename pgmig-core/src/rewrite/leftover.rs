//! Counts what the rewriter should have replaced and did not: a second look at the outgoing rows, written so
//! that it does not share the rewriter's mistakes.

use super::rules::{ColumnRule, Rules};
use super::token::UUID_LENGTH;
use crate::copy::escaped_byte;
use std::collections::HashSet;
use std::sync::Arc;

/// Counts occurrences of IDs that must not leave: sources of the mapping that are no targets of it.
///
/// Compares text with text instead of parsing UUIDs, and decodes a field from its beginning wherever one of
/// the IDs is in it, instead of looking around each.
#[derive(Debug, Clone)]
pub struct LeftoverCounter {
    gone: Arc<HashSet<[u8; UUID_LENGTH]>>,
    columns: Vec<ColumnRule>,
    total: u64,
}

/// A decoded byte, or for JSON a UTF-16 unit, and whether it stands for itself.
type Decoded = (u32, bool);

impl LeftoverCounter {
    /// A counter for rows whose fields are of these columns, as for [`RowRewriter`](super::RowRewriter).
    pub fn new(rules: &Rules, columns: Vec<ColumnRule>) -> Self {
        let text = |id: &crate::instance::InstanceId| {
            let mut text = [0; UUID_LENGTH];
            id.uuid().as_hyphenated().encode_lower(&mut text);
            text
        };
        Self { gone: Arc::new(rules.gone().iter().map(text).collect()), columns, total: 0 }
    }

    /// Counts the occurrences in a run of whole rows, those in excluded columns left out, and returns their
    /// number.
    pub fn count(&mut self, rows: &[u8]) -> u64 {
        let mut found = 0_u64;
        let mut done = 0;
        if self.gone.is_empty() {
            return 0;
        }
        for hyphen in memchr::memchr_iter(b'-', rows) {
            if hyphen < done || !self.may_be_at(rows, hyphen) {
                continue;
            }
            let (before, after) = rows.split_at_checked(hyphen).unwrap_or((rows, &[]));
            let start = memchr::memrchr2(b'\t', b'\n', before).map_or(0, |at| at.saturating_add(1));
            let end = memchr::memchr2(b'\t', b'\n', after).map_or(rows.len(), |at| hyphen.saturating_add(at));
            let row = memchr::memrchr(b'\n', before).map_or(0, |at| at.saturating_add(1));
            let column = rows.get(row..start).map_or(0, |row| memchr::memchr_iter(b'\t', row).count());
            let rule = self.columns.get(column).copied().unwrap_or_default();
            if rule != ColumnRule::Excluded {
                found =
                    found.saturating_add(self.count_field(rows.get(start..end).unwrap_or_default(), rule));
            }
            done = end;
        }
        self.total = self.total.saturating_add(found);
        found
    }

    /// The number of all occurrences so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether one of the IDs is in `rows`, with its first hyphen at `hyphen`.
    fn may_be_at(&self, rows: &[u8], hyphen: usize) -> bool {
        let text = hyphen.checked_sub(8).and_then(|start| rows.get(start..)?.first_chunk::<UUID_LENGTH>());
        let Some(text) = text.filter(|text| {
            // Cheap, and leaves few that are no IDs.
            text.first().is_some_and(u8::is_ascii_hexdigit)
                && [13, 18, 23].iter().all(|&at| text.get(at) == Some(&b'-'))
        }) else {
            return false;
        };
        self.gone.contains(&text.map(|byte| byte.to_ascii_lowercase()))
    }

    fn count_field(&self, field: &[u8], rule: ColumnRule) -> u64 {
        let decoded = decode_copy(field);
        let decoded = if rule == ColumnRule::Json { decode_json(&decoded) } else { decoded };
        let is_border = |at: Option<usize>| {
            let value = at.and_then(|at| decoded.get(at)).and_then(|(value, _)| char::from_u32(*value));
            !value.is_some_and(|value| value.is_ascii_alphanumeric())
        };
        let mut found = 0_u64;
        for (start, window) in decoded.windows(UUID_LENGTH).enumerate() {
            let is_hyphen = |at: usize| window.get(at) == Some(&(u32::from(b'-'), true));
            let end = start.saturating_add(UUID_LENGTH);
            if is_hyphen(8)
                && is_hyphen(13)
                && self.is_gone(window)
                && is_border(start.checked_sub(1))
                && is_border(Some(end))
            {
                found = found.saturating_add(1);
            }
        }
        found
    }

    fn is_gone(&self, window: &[Decoded]) -> bool {
        let mut text = [0; UUID_LENGTH];
        for (slot, (value, is_itself)) in text.iter_mut().zip(window) {
            match u8::try_from(*value) {
                Ok(byte) if *is_itself => *slot = byte.to_ascii_lowercase(),
                _ => return false,
            }
        }
        self.gone.contains(&text)
    }
}

/// A field's bytes, decoded.
fn decode_copy(field: &[u8]) -> Vec<Decoded> {
    let mut decoded = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some(&first) = rest.first() {
        let (byte, length) = if first == b'\\' { escaped_byte(rest) } else { (Some(first), 1) };
        decoded.extend(byte.map(|byte| (u32::from(byte), first != b'\\')));
        rest = rest.get(length..).unwrap_or_default();
    }
    decoded
}

/// JSON text with its escapes decoded, in strings as elsewhere: it has none elsewhere.
fn decode_json(text: &[Decoded]) -> Vec<Decoded> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut units = text.iter();
    while let Some(&(value, is_itself)) = units.next() {
        if value != u32::from(b'\\') {
            decoded.push((value, is_itself));
            continue;
        }
        let Some(&(letter, _)) = units.next() else {
            decoded.push((value, false));
            break;
        };
        let meant = match u8::try_from(letter) {
            Ok(b'b' | b'f' | b'n' | b'r' | b't') => u32::from(b' '),
            Ok(b'u') => match hex4(units.as_slice()) {
                Some(unit) => {
                    units.nth(3);
                    unit
                }
                None => letter,
            },
            _ => letter,
        };
        decoded.push((meant, false));
    }
    decoded
}

/// The number that the next four hexadecimal digits spell.
fn hex4(text: &[Decoded]) -> Option<u32> {
    text.get(..4)?
        .iter()
        .try_fold(0_u32, |number, (value, _)| Some(number << 4 | char::from_u32(*value)?.to_digit(16)?))
}
