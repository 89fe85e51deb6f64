//! SQL of databases in SQL_ASCII, whose strings are any bytes, as UTF-8.

use super::{Lexer, StandardStrings, StringKind, Token, TokenKind};

/// The same SQL in UTF-8, for a session that sends UTF-8: string constants with other bytes are written with escapes
/// (`E'caf\xe9'`). `None` if another part of the SQL, such as a name, has such bytes: names have no such escapes.
///
/// ```
/// use pgdump_archive::sql::{StandardStrings, bytes_as_escapes};
/// let sql = bytes_as_escapes(b"COMMENT ON TABLE t IS 'caf\xe9'", StandardStrings::On);
/// assert_eq!(sql.as_deref(), Some("COMMENT ON TABLE t IS E'caf\\xe9'"));
/// assert_eq!(bytes_as_escapes(b"SELECT caf\xe9", StandardStrings::On), None);
/// ```
pub fn bytes_as_escapes(sql: &[u8], strings: StandardStrings) -> Option<String> {
    if let Ok(sql) = std::str::from_utf8(sql) {
        return Some(sql.to_owned());
    }
    let mut written = String::with_capacity(sql.len() + 16);
    for token in Lexer::new(sql, strings) {
        let token = token.ok()?;
        let bytes = sql.get(token.span.clone())?;
        match std::str::from_utf8(bytes) {
            Ok(text) => written.push_str(text),
            Err(_) => written.push_str(&escaped(&token, sql)?),
        }
    }
    Some(written)
}

/// A token with bytes that are not UTF-8.
fn escaped(token: &Token, sql: &[u8]) -> Option<String> {
    let body = sql.get(token.body.clone())?;
    let mut text = "E'".to_owned();
    match token.kind {
        TokenKind::LineComment | TokenKind::BlockComment => return Some(" ".to_owned()),
        TokenKind::String(StringKind::Escape) => {
            let mut bytes = body.iter().copied();
            while let Some(byte) = bytes.next() {
                match byte {
                    // A backslash before a byte that is no escape stands for the byte.
                    b'\\' => match bytes.next()? {
                        byte @ 0x80.. => push(&mut text, byte),
                        byte => {
                            text.push('\\');
                            text.push(char::from(byte));
                        }
                    },
                    byte => push(&mut text, byte),
                }
            }
        }
        TokenKind::String(kind @ (StringKind::Plain | StringKind::Dollar)) => {
            for &byte in body {
                match byte {
                    b'\\' => text.push_str("\\\\"),
                    b'\'' if kind == StringKind::Dollar => text.push_str("''"),
                    byte => push(&mut text, byte),
                }
            }
        }
        _ => return None,
    }
    text.push('\'');
    Some(text)
}

fn push(text: &mut String, byte: u8) {
    match byte {
        0x80.. => text.push_str(&format!("\\x{byte:02x}")),
        byte => text.push(char::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_all_kinds_are_escaped() {
        for (sql, strings, expected) in [
            (&b"'it''s \xe9\\n'"[..], StandardStrings::On, Some("E'it''s \\xe9\\\\n'")),
            (b"'it''s \xe9\\n\\\xe9\\\\'", StandardStrings::Off, Some("E'it''s \\xe9\\n\\xe9\\\\'")),
            (b"E'\\\\\xe9'", StandardStrings::On, Some("E'\\\\\\xe9'")),
            (
                b"AS $f$ it's \\ \xe9 $f$ LANGUAGE sql",
                StandardStrings::On,
                Some("AS E' it''s \\\\ \\xe9 ' LANGUAGE sql"),
            ),
            (b"'\xc3\xa9' '\xe9' -- \xe9\n;", StandardStrings::On, Some("'\u{e9}' E'\\xe9'  \n;")),
            (b"\"\xe9\" 'x'", StandardStrings::On, None),
            (b"U&'\xe9'", StandardStrings::On, None),
            (b"'\xe9", StandardStrings::On, None),
        ] {
            assert_eq!(
                bytes_as_escapes(sql, strings).as_deref(),
                expected,
                "{}",
                String::from_utf8_lossy(sql)
            );
        }
    }
}
