//! Counts the IDs that the rewriter should have replaced and did not. This second check of the outgoing rows is
//! written differently, so that it does not share the rewriter's mistakes.

use super::border::Encoding;
use super::rules::{BinaryRule, ColumnRule, Rules};
use super::token::{FIRST_HYPHEN, UUID_LENGTH};
use super::{bytea, nested};
use crate::copy::escaped_byte;
use crate::sql::{InsertStatement, StandardStrings};
use std::collections::HashSet;
use std::sync::Arc;

/// Counts occurrences of IDs that must not leave pgmig: sources of the mapping that are not also targets.
///
/// It compares text instead of parsing UUIDs. It decodes every field that contains one of the IDs from the field's
/// beginning, instead of examining the neighbours of each ID.
#[derive(Debug, Clone)]
pub struct LeftoverCounter {
    gone: Arc<HashSet<[u8; UUID_LENGTH]>>,
    columns: Vec<ColumnRule>,
    /// The rule for further fields.
    further: ColumnRule,
    /// Whether there is bytea in which IDs are replaced.
    has_bytea: bool,
    total: u64,
}

/// The most decoded units that exist at a time.
const BLOCK_UNITS: usize = 8 * 1024;

/// A decoded byte, or a UTF-16 unit for JSON, and whether it stands for itself.
type Decoded = (u32, bool);

impl LeftoverCounter {
    /// Makes a counter for rows with fields of these columns, as for [`RowRewriter`](super::RowRewriter).
    pub fn new(rules: &Rules, columns: Vec<ColumnRule>) -> Self {
        let has_bytea = columns.iter().any(rewrites_bytea);
        Self { gone: Arc::clone(rules.gone()), columns, further: rules.unknown_column(), has_bytea, total: 0 }
    }

    /// Counts the occurrences in a run of complete rows, except in excluded columns, and returns their number.
    pub fn count(&mut self, rows: &[u8]) -> u64 {
        let mut found = 0_u64;
        let mut done = 0;
        if self.gone.is_empty() {
            return 0;
        }
        if self.has_bytea {
            found = found.saturating_add(self.count_in_bytea(rows));
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
            let rule = self.columns.get(column).unwrap_or(&self.further);
            let field = rows.get(start..end).unwrap_or_default();
            if !rewrites_bytea(rule) {
                found = found.saturating_add(self.count_value(field, Encoding::Copy, rule));
            }
            done = end;
        }
        self.total = self.total.saturating_add(found);
        found
    }

    /// Counts the same in an `INSERT` statement whose values belong to these columns, and returns their number. If it
    /// cannot be parsed as such a statement, the server will refuse it.
    pub fn count_insert(&mut self, sql: &str, columns: &[ColumnRule], strings: StandardStrings) -> u64 {
        let has_bytea = columns.iter().any(rewrites_bytea);
        let bytes = sql.as_bytes();
        let may_hold = || memchr::memchr_iter(b'-', bytes).any(|hyphen| self.may_be_at(bytes, hyphen));
        // Hardly any statement contains one.
        if self.gone.is_empty() || !(has_bytea || may_hold()) {
            return 0;
        }
        let Ok(insert) = InsertStatement::parse(sql, strings) else { return 0 };
        let mut found = 0_u64;
        for row in &insert.rows {
            for (at, value) in row.iter().enumerate() {
                let Some(value) = value.as_deref().map(str::as_bytes) else { continue };
                let rule = columns.get(at).unwrap_or(&self.further);
                found = found.saturating_add(self.count_value(value, Encoding::Verbatim, rule));
            }
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
        let text = hyphen
            .checked_sub(FIRST_HYPHEN)
            .and_then(|start| rows.get(start..)?.first_chunk::<UUID_LENGTH>());
        let Some(text) = text.filter(|text| {
            // This test is cheap, and few texts that are not IDs pass it.
            text.first().is_some_and(u8::is_ascii_hexdigit)
                && [13, 18, 23].iter().all(|&at| text.get(at) == Some(&b'-'))
        }) else {
            return false;
        };
        self.gone.contains(&text.map(|byte| byte.to_ascii_lowercase()))
    }

    /// Counts in the fields in which bytea is rewritten. IDs there have no hyphens that a search could find.
    fn count_in_bytea(&self, rows: &[u8]) -> u64 {
        let mut found = 0_u64;
        for row in crate::copy::rows(rows) {
            for (field, rule) in crate::copy::fields(row).zip(&self.columns) {
                if rewrites_bytea(rule) {
                    found = found.saturating_add(self.count_value(field, Encoding::Copy, rule));
                }
            }
        }
        found
    }

    /// Counts in a value, which is encoded as in COPY or has been decoded.
    fn count_value(&self, text: &[u8], encoding: Encoding, rule: &ColumnRule) -> u64 {
        let units = Field { rest: text, has_escapes: matches!(encoding, Encoding::Copy) };
        match rule {
            ColumnRule::Text | ColumnRule::AliasNumber => self.count_decoded(units),
            ColumnRule::Whole => {
                u64::from(<&[u8; UUID_LENGTH]>::try_from(text).is_ok_and(|text| self.gone.contains(text)))
            }
            ColumnRule::Json => self.count_decoded(Json(units)),
            ColumnRule::Bytea(BinaryRule::Rewrite) => match bytea::hex_digits(text, encoding) {
                Some(digits) => self.count_bytes(&decode_hex(text.get(digits).unwrap_or_default())),
                None => self.count_decoded(Octal(units)),
            },
            ColumnRule::Nested(shape, binary) => {
                let with_bytea = *binary == BinaryRule::Rewrite;
                nested::count(text, encoding, shape, with_bytea, |id| self.is_gone_text(id))
            }
            ColumnRule::Excluded | ColumnRule::Bytea(_) => 0,
        }
    }

    fn count_bytes(&self, bytes: &[u8]) -> u64 {
        let is_border =
            |at: Option<usize>| !at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphanumeric);
        let is_found = |start: usize| {
            let end = start.saturating_add(UUID_LENGTH);
            bytes.get(start..end).is_some_and(|id| self.is_gone_text(id))
                && is_border(start.checked_sub(1))
                && is_border(Some(end))
        };
        let starts = memchr::memchr_iter(b'-', bytes).filter_map(|hyphen| hyphen.checked_sub(FIRST_HYPHEN));
        // Each hyphen of an ID is tried as the first one, and only one of them is.
        u64::try_from(starts.filter(|start| is_found(*start)).count()).unwrap_or(u64::MAX)
    }

    fn is_gone_text(&self, id: &[u8]) -> bool {
        let text = id.first_chunk::<UUID_LENGTH>();
        text.is_some_and(|text| self.gone.contains(&text.map(|byte| byte.to_ascii_lowercase())))
    }

    /// Counts in a value's units. A value can be the largest part of the memory that pgmig uses, so that only a block
    /// of its units exists at a time.
    fn count_decoded(&self, mut units: impl Iterator<Item = Decoded>) -> u64 {
        let mut block: Vec<Decoded> = Vec::with_capacity(BLOCK_UNITS);
        let (mut found, mut first) = (0_u64, 0);
        loop {
            block.extend(units.by_ref().take(BLOCK_UNITS.saturating_sub(block.len())));
            if block.len() < BLOCK_UNITS {
                return found.saturating_add(self.count_block(&block, first, block.len()));
            }
            // The next block decides about an ID that ends with this one: it knows the unit after it. It begins with
            // the unit before such an ID.
            let undecided = block.len().saturating_sub(UUID_LENGTH);
            found = found.saturating_add(self.count_block(&block, first, undecided));
            block.drain(..undecided.saturating_sub(1));
            first = 1;
        }
    }

    /// Counts the IDs that begin from `first` on and before `end`.
    fn count_block(&self, block: &[Decoded], first: usize, end: usize) -> u64 {
        let is_border = |at: Option<usize>| {
            let value = at.and_then(|at| block.get(at)).and_then(|(value, _)| char::from_u32(*value));
            !value.is_some_and(|value| value.is_ascii_alphanumeric())
        };
        let is_found = |(start, window): &(usize, &[Decoded])| {
            let is_hyphen = |at: usize| window.get(at) == Some(&(u32::from(b'-'), true));
            is_hyphen(8)
                && is_hyphen(13)
                && self.is_gone(window)
                && is_border(start.checked_sub(1))
                && is_border(Some(start.saturating_add(UUID_LENGTH)))
        };
        let windows = block.windows(UUID_LENGTH).enumerate().take(end).skip(first);
        u64::try_from(windows.filter(is_found).count()).unwrap_or(u64::MAX)
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

fn rewrites_bytea(rule: &ColumnRule) -> bool {
    match rule {
        ColumnRule::Bytea(binary) => *binary == BinaryRule::Rewrite,
        ColumnRule::Nested(shape, binary) => *binary == BinaryRule::Rewrite && shape.has_bytea(),
        _ => false,
    }
}

/// The bytes for which hexadecimal digits stand.
fn decode_hex(digits: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or(0);
    let byte = |pair: &[u8]| pair.iter().fold(0, |byte, half| byte << 4 | digit(half));
    digits.chunks(2).map(|pair| u8::try_from(byte(pair)).unwrap_or(0)).collect()
}

/// The bytes of a field, decoded if they have COPY's escapes.
#[derive(Clone)]
struct Field<'a> {
    rest: &'a [u8],
    has_escapes: bool,
}

impl Iterator for Field<'_> {
    type Item = Decoded;

    fn next(&mut self) -> Option<Decoded> {
        loop {
            let &first = self.rest.first()?;
            let is_escape = self.has_escapes && first == b'\\';
            let (byte, length) = if is_escape { escaped_byte(self.rest) } else { (Some(first), 1) };
            self.rest = self.rest.get(length..).unwrap_or_default();
            if let Some(byte) = byte {
                return Some((u32::from(byte), !is_escape));
            }
        }
    }
}

/// Decodes bytea's escape format: `\\` and three octal digits.
#[derive(Clone)]
struct Octal<'a>(Field<'a>);

impl Iterator for Octal<'_> {
    type Item = Decoded;

    fn next(&mut self) -> Option<Decoded> {
        let (value, is_itself) = self.0.next()?;
        if value != u32::from(b'\\') {
            return Some((value, is_itself));
        }
        let meant = number(&mut self.0, 3, 8);
        if meant.is_none() {
            // The second backslash.
            self.0.next();
        }
        Some((meant.unwrap_or(value), false))
    }
}

/// Decodes the escapes of JSON text. It does so outside of strings as well, where there are none.
#[derive(Clone)]
struct Json<'a>(Field<'a>);

impl Iterator for Json<'_> {
    type Item = Decoded;

    fn next(&mut self) -> Option<Decoded> {
        let (value, is_itself) = self.0.next()?;
        if value != u32::from(b'\\') {
            return Some((value, is_itself));
        }
        let Some((letter, _)) = self.0.next() else { return Some((value, false)) };
        let meant = match u8::try_from(letter) {
            Ok(b'b' | b'f' | b'n' | b'r' | b't') => u32::from(b' '),
            Ok(b'u') => number(&mut self.0, 4, 16).unwrap_or(letter),
            _ => letter,
        };
        Some((meant, false))
    }
}

/// Takes so many digits and returns the number that they spell. Takes nothing if there are other units.
fn number(units: &mut Field<'_>, digits: usize, radix: u32) -> Option<u32> {
    let mut ahead = units.clone();
    let mut number = 0;
    for _ in 0..digits {
        let (value, _) = ahead.next()?;
        number = number * radix + char::from_u32(value)?.to_digit(radix)?;
    }
    *units = ahead;
    Some(number)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::Shape;
    use super::*;
    use crate::instance::InstanceId;

    const A: &str = "1b8f1c2e-0a51-4a63-9f0f-6f0d4c8e2a01";

    #[test]
    fn finds_an_id_wherever_a_block_of_units_ends() {
        let id = |text: &str| text.parse::<InstanceId>().unwrap();
        let rules = Rules::new([(id(A), id("9d3a7e54-5c2b-4f7c-8e21-0b6a5d4c3b02"))]);
        for before in BLOCK_UNITS - UUID_LENGTH - 3..BLOCK_UNITS + 3 {
            for (left, right, expected) in
                [(" ", "", 1), (" ", ".", 1), ("x", "", 0), (" ", "x", 0), ("-", "-", 1)]
            {
                let field = format!("{}{left}{A}{right}\n", "-".repeat(before));
                let found = LeftoverCounter::new(&rules, Vec::new()).count(field.as_bytes());
                assert_eq!(found, expected, "{left:?}{right:?} after {before} units");
            }
        }
    }

    #[test]
    fn finds_what_was_not_rewritten_in_insert_statements() {
        let id = |text: &str| text.parse::<InstanceId>().unwrap();
        let rules = Rules::new([(id(A), id("9d3a7e54-5c2b-4f7c-8e21-0b6a5d4c3b02"))]);
        let mut counter = LeftoverCounter::new(&rules, Vec::new());
        let hex: String = A.bytes().map(|byte| format!("{byte:02x}")).collect();
        let array = Arc::new(Shape::Array(Box::new(Shape::Json)));
        let columns = [
            ColumnRule::Text,
            ColumnRule::Excluded,
            ColumnRule::Json,
            ColumnRule::Bytea(BinaryRule::Rewrite),
            ColumnRule::Bytea(BinaryRule::Report),
            ColumnRule::Nested(array, BinaryRule::Report),
        ];
        for (values, expected) in [
            (format!("'{A} x{A}', '{A}', '\"\\n{A}\"', NULL, NULL, NULL"), 2),
            (format!("'', '{A}', '\"\\u0041{A}\"', '\\x{hex}', '\\x{hex}', '{{\"\\\"\\\\n{A}\\\"\"}}'"), 2),
            (
                format!(
                    "'a', NULL, NULL, '\\012{A}\\101', '{A}', NULL), ('{}', 1, 2, 3, 4, 5",
                    A.to_uppercase()
                ),
                1,
            ),
            (format!("'a', NULL, NULL, '\\012{A}\\012', '{A}', NULL"), 1),
        ] {
            let sql = format!("INSERT INTO t VALUES ({values});");
            assert_eq!(counter.count_insert(&sql, &columns, StandardStrings::On), expected, "{sql}");
        }
        assert_eq!(counter.total(), 6);
    }
}
