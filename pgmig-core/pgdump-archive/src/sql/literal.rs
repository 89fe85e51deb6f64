//! The values of string constants.

use super::lexer::{StringKind, Token, TokenKind};
use std::borrow::Cow;

/// The value of the string constant `token` of `sql`, in any of PostgreSQL's forms.
///
/// Returns `None` if the token is not a string constant, or if its value is not UTF-8.
pub fn decode<'a>(sql: &'a str, token: &Token) -> Option<Cow<'a, str>> {
    let body = sql.get(token.body.clone())?;
    match token.kind {
        TokenKind::String(StringKind::Dollar | StringKind::Bits) => Some(Cow::Borrowed(body)),
        TokenKind::String(StringKind::Plain) => Some(undouble(body)),
        TokenKind::String(StringKind::Escape) => unescape(body).map(Cow::Owned),
        TokenKind::String(StringKind::Unicode) => decode_unicode(&undouble(body)).map(Cow::Owned),
        _ => None,
    }
}

fn undouble(body: &str) -> Cow<'_, str> {
    if body.contains('\'') { Cow::Owned(body.replace("''", "'")) } else { Cow::Borrowed(body) }
}

fn unescape(body: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(found) = memchr::memchr2(b'\\', b'\'', rest.as_bytes()) {
        decoded.extend_from_slice(rest.get(..found)?.as_bytes());
        rest = rest.get(found..)?;
        let Some(escape) = rest.strip_prefix('\\') else {
            decoded.push(b'\'');
            rest = rest.strip_prefix("''").or_else(|| rest.strip_prefix('\''))?;
            continue;
        };
        let first = escape.chars().next()?;
        rest = match first {
            'b' => simple(&mut decoded, 0x08, escape)?,
            'f' => simple(&mut decoded, 0x0c, escape)?,
            'n' => simple(&mut decoded, b'\n', escape)?,
            'r' => simple(&mut decoded, b'\r', escape)?,
            't' => simple(&mut decoded, b'\t', escape)?,
            '0'..='7' => number(&mut decoded, escape, 8, 3)?,
            'x' if escape.get(1..)?.starts_with(|next: char| next.is_ascii_hexdigit()) => {
                number(&mut decoded, escape.get(1..)?, 16, 2)?
            }
            'u' => character(&mut decoded, escape.get(1..)?, 4)?,
            'U' => character(&mut decoded, escape.get(1..)?, 8)?,
            other => {
                decoded.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                escape.get(other.len_utf8()..)?
            }
        };
    }
    decoded.extend_from_slice(rest.as_bytes());
    String::from_utf8(decoded).ok()
}

/// Decodes a letter that stands for one byte. Returns the text after it.
fn simple<'a>(decoded: &mut Vec<u8>, byte: u8, escape: &'a str) -> Option<&'a str> {
    decoded.push(byte);
    escape.get(1..)
}

/// Decodes one byte that is written with up to `max` digits. Returns the text after it.
fn number<'a>(decoded: &mut Vec<u8>, digits: &'a str, radix: u32, max: usize) -> Option<&'a str> {
    let count = digits.chars().take(max).take_while(|digit| digit.is_digit(radix)).count();
    let value = u32::from_str_radix(digits.get(..count)?, radix).ok()?;
    // As on the server, \777 is cut to its lower eight bits.
    decoded.push(u8::try_from(value & 0xff).ok()?);
    digits.get(count..)
}

/// Decodes one character of exactly `width` digits, or a surrogate pair of two such escapes. Returns the text after
/// it.
fn character<'a>(decoded: &mut Vec<u8>, digits: &'a str, width: usize) -> Option<&'a str> {
    let first = u32::from_str_radix(digits.get(..width)?, 16).ok()?;
    let rest = digits.get(width..)?;
    let (value, rest) = match first {
        0xd800..=0xdbff => {
            let low = rest.strip_prefix("\\u")?;
            (join_surrogates(first, u32::from_str_radix(low.get(..4)?, 16).ok()?)?, low.get(4..)?)
        }
        _ => (first, rest),
    };
    decoded.extend_from_slice(char::from_u32(value)?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(rest)
}

/// The character of a surrogate pair.
fn join_surrogates(high: u32, low: u32) -> Option<u32> {
    let (high, low) = (high.checked_sub(0xd800)?, low.checked_sub(0xdc00)?);
    (high < 0x400 && low < 0x400).then_some(0x1_0000 + (high << 10) + low)
}

/// Decodes `U&'...'` with the usual escape character, a backslash.
fn decode_unicode(body: &str) -> Option<String> {
    let mut decoded = String::with_capacity(body.len());
    let mut rest = body;
    while let Some((plain, escape)) = rest.split_once('\\') {
        decoded.push_str(plain);
        if let Some(after) = escape.strip_prefix('\\') {
            decoded.push('\\');
            rest = after;
            continue;
        }
        let (digits, width) = escape.strip_prefix('+').map_or((escape, 4), |digits| (digits, 6));
        let mut value = u32::from_str_radix(digits.get(..width)?, 16).ok()?;
        rest = digits.get(width..)?;
        if (0xd800..=0xdbff).contains(&value) {
            let low = rest.strip_prefix('\\')?;
            value = join_surrogates(value, u32::from_str_radix(low.get(..4)?, 16).ok()?)?;
            rest = low.get(4..)?;
        }
        decoded.push(char::from_u32(value)?);
    }
    decoded.push_str(rest);
    Some(decoded)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::super::lexer::{Lexer, StandardStrings};
    use super::*;

    fn value(sql: &str, strings: StandardStrings) -> Option<String> {
        let token = Lexer::new(sql.as_bytes(), strings).next().unwrap().unwrap();
        assert_eq!(token.span, 0..sql.len(), "{sql}");
        decode(sql, &token).map(Cow::into_owned)
    }

    #[test]
    fn decodes_every_form() {
        for (sql, expected) in [
            ("'a''b\\n'", "a'b\\n"),
            ("E'a''b\\n\\'\\\\\\101\\x41\\x4g\\u00e9\\U0001F600\\q'", "a'b\n'\\AA\u{4}gé😀q"),
            ("e'\\ud83d\\ude00'", "😀"),
            ("$t$a''\\n$$t$", "a''\\n$"),
            ("U&'\\0041\\+01F600\\\\''\\d83d\\de00'", "A😀\\'😀"),
            ("N'x'", "x"),
            ("E'\\xc3\\xa9'", "é"),
            ("E'\\x'", "x"),
        ] {
            assert_eq!(value(sql, StandardStrings::On).as_deref(), Some(expected), "{sql}");
        }
        assert_eq!(value("'x\\\\y\\''", StandardStrings::Off).as_deref(), Some("x\\y'"));
        assert_eq!(value("N'x\\\\y'", StandardStrings::Off).as_deref(), Some("x\\y"));
    }

    #[test]
    fn refuses_what_is_no_text() {
        for sql in ["E'\\xff'", "E'\\u12'", "E'\\ud83dx'", "U&'\\12'"] {
            assert_eq!(value(sql, StandardStrings::On), None, "{sql}");
        }
    }
}
