//! IDs in bytea, where their 36 characters are bytes.
//!
//! Most values are in the hexadecimal format, in which two digits stand for a byte. Older dumps have the escape
//! format, and so do dumps of databases with `bytea_output = escape`.

use super::border::{Content, Encoding, is_whole};
use super::nested::{Edit, hex};
use super::rules::Rules;
use super::token::{FIRST_HYPHEN, OTHER_HYPHENS, Token, UUID_LENGTH};
use memchr::memmem;
use std::ops::Range;

/// A hyphen in hexadecimal digits.
const HYPHEN: &[u8] = b"2d";

/// The occurrences of mapped IDs in the text of a bytea value, in their order.
pub(super) fn edits(text: &[u8], encoding: Encoding, rules: &Rules) -> Vec<Edit> {
    match hex_digits(text, encoding) {
        Some(digits) => HexIds { text, digits }.edits(rules),
        None => edits_of_escapes(text, encoding, rules),
    }
}

/// The place of the digits in a value of the hexadecimal format; `None` for any other value.
pub(super) fn hex_digits(text: &[u8], encoding: Encoding) -> Option<Range<usize>> {
    let prefix: &[u8] = match encoding {
        Encoding::Verbatim => br"\x",
        Encoding::Copy | Encoding::Escape | Encoding::Unicode => br"\\x",
    };
    text.starts_with(prefix).then_some(prefix.len()..text.len())
}

fn edits_of_escapes(text: &[u8], encoding: Encoding, rules: &Rules) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut from = 0;
    while let Some(token) = Token::find(text, from) {
        from = token.end();
        let span = token.start..token.end();
        if let Some(replacement) = rules.replacement(&token)
            && is_whole(text, span.clone(), encoding, Content::Bytea)
        {
            rules.note_found(&token);
            edits.push(Edit { span, bytes: replacement.to_vec(), in_bytea: true });
        }
    }
    edits
}

/// A value in hexadecimal digits. Only bytes that may be an ID are copied.
struct HexIds<'a> {
    text: &'a [u8],
    digits: Range<usize>,
}

impl HexIds<'_> {
    fn edits(&self, rules: &Rules) -> Vec<Edit> {
        let digits = self.text.get(self.digits.clone()).unwrap_or_default();
        let mut edits = Vec::new();
        let mut done = 0;
        for at in memmem::find_iter(digits, HYPHEN).filter(|at| at.is_multiple_of(2)) {
            let Some(start) = (at / 2).checked_sub(FIRST_HYPHEN).filter(|&start| start >= done) else {
                continue;
            };
            let Some(token) = self.token(start) else { continue };
            done = start.saturating_add(UUID_LENGTH);
            let is_border = |byte: Option<u8>| !byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
            let is_whole =
                is_border(start.checked_sub(1).and_then(|at| self.byte(at))) && is_border(self.byte(done));
            if let Some(replacement) = rules.replacement(&token).filter(|_| is_whole) {
                let from = self.digits.start.saturating_add(start.saturating_mul(2));
                let span = from..from.saturating_add(UUID_LENGTH.saturating_mul(2));
                rules.note_found(&token);
                edits.push(Edit { span, bytes: hex(&replacement), in_bytea: true });
            }
        }
        edits
    }

    /// The UUID that begins at the byte `start`, if there is one.
    fn token(&self, start: usize) -> Option<Token> {
        let hyphen = start.saturating_add(FIRST_HYPHEN);
        if OTHER_HYPHENS.iter().any(|distance| self.byte(hyphen.saturating_add(*distance)) != Some(b'-')) {
            return None;
        }
        let mut id = [0; UUID_LENGTH];
        for (at, slot) in id.iter_mut().enumerate() {
            *slot = self.byte(start.saturating_add(at))?;
        }
        Token::find(&id, 0)
    }

    /// The byte at this place of the value.
    fn byte(&self, at: usize) -> Option<u8> {
        let first = self.digits.start.saturating_add(at.saturating_mul(2));
        let digit = |at: usize| char::from(*self.text.get(at)?).to_digit(16);
        u8::try_from(digit(first)? << 4 | digit(first.saturating_add(1))?).ok()
    }
}
