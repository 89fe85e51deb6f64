//! Splits rows into fields, and decodes fields to values.

use std::borrow::Cow;

/// The rows of a run of whole rows, without their line ends.
pub fn rows(run: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = run;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let row = rest.get(..end)?;
        rest = rest.get(end.saturating_add(1)..).unwrap_or_default();
        Some(row)
    })
}

/// The fields of one row, still encoded, without the line end. A row of a table without columns has one empty field.
pub fn fields(row: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(row.strip_suffix(b"\n").unwrap_or(row));
    std::iter::from_fn(move || {
        let row = rest?;
        let end = memchr::memchr(b'\t', row).unwrap_or(row.len());
        rest = row.get(end.saturating_add(1)..);
        row.get(..end)
    })
}

/// The value of a field; `None` for NULL.
///
/// Like the server, this leaves out a backslash before a character that is no escape.
///
/// ```
/// use pgdump_archive::copy::decode_field;
/// assert_eq!(decode_field(br"a\tb\\\x41\101").as_deref(), Some(b"a\tb\\AA".as_slice()));
/// assert_eq!(decode_field(br"\N"), None);
/// ```
pub fn decode_field(field: &[u8]) -> Option<Cow<'_, [u8]>> {
    if field == b"\\N" {
        return None;
    }
    let Some(mut found) = memchr::memchr(b'\\', field) else {
        return Some(Cow::Borrowed(field));
    };
    let mut value = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((plain, escape)) = rest.split_at_checked(found) {
        value.extend_from_slice(plain);
        let (byte, length) = escaped_byte(escape);
        value.extend(byte);
        rest = escape.get(length..).unwrap_or_default();
        match memchr::memchr(b'\\', rest) {
            Some(next) => found = next,
            None => break,
        }
    }
    value.extend_from_slice(rest);
    Some(Cow::Owned(value))
}

/// Decodes the escape at the beginning of `text`, whose first byte is a backslash. Returns the byte that the escape
/// stands for, and the number of bytes of the escape.
///
/// A backslash at the very end stands for itself. The byte is `None` only where `text` is empty.
pub fn escaped_byte(text: &[u8]) -> (Option<u8>, usize) {
    let Some(&letter) = text.get(1) else {
        return (text.first().copied(), 1);
    };
    let digits = text.get(2..).unwrap_or_default();
    match letter {
        b'b' => (Some(0x08), 2),
        b'f' => (Some(0x0c), 2),
        b'n' => (Some(b'\n'), 2),
        b'r' => (Some(b'\r'), 2),
        b't' => (Some(b'\t'), 2),
        b'v' => (Some(0x0b), 2),
        b'0'..=b'7' => {
            let (byte, count) = number(text.get(1..).unwrap_or_default(), 8, 3);
            (byte, count.saturating_add(1))
        }
        b'x' if digits.first().is_some_and(u8::is_ascii_hexdigit) => {
            let (byte, count) = number(digits, 16, 2);
            (byte, count.saturating_add(2))
        }
        other => (Some(other), 2),
    }
}

/// The number that up to `max` digits spell, cut to eight bits as the server does, and the number of digits.
fn number(text: &[u8], radix: u32, max: usize) -> (Option<u8>, usize) {
    let digits = text.iter().take(max).map_while(|&byte| char::from(byte).to_digit(radix));
    let (value, count) = digits
        .fold((0_u32, 0_usize), |(value, count), digit| (value * radix + digit, count.saturating_add(1)));
    (u8::try_from(value & 0xff).ok(), count)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn cuts_rows_and_fields() {
        let cut: Vec<Vec<&[u8]>> = rows(b"a\tb\n\n\t\nc").map(|row| fields(row).collect()).collect();
        let expected: [&[&[u8]]; 4] = [&[b"a", b"b"], &[b""], &[b"", b""], &[b"c"]];
        assert_eq!(cut, expected);
    }

    #[test]
    fn decodes_every_escape() {
        for (field, value) in [
            (r"\b\f\n\r\t\v", "\u{8}\u{c}\n\r\t\u{b}"),
            (r"\1234\08\x411\xg\q\", "S4\08A1xgq\\"),
            (r"\\N", r"\N"),
            (r"\\.", r"\."),
            ("", ""),
        ] {
            assert_eq!(decode_field(field.as_bytes()).unwrap(), value.as_bytes(), "{field}");
        }
        assert_eq!(decode_field(br"\777").unwrap().as_ref(), [0xff]);
    }
}
