//! Checks text in an archive's encoding, as far as PostgreSQL itself checks it.

use memchr::memchr;

/// The encoding of an archive's texts and rows. The rules are those of `pg_verify_mbstr` in `src/common/wchar.c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextEncoding {
    /// UTF-8.
    Utf8,
    /// Encodings of the EUC family.
    Euc(Euc),
    /// Encodings in which any bytes are valid text: the single-byte encodings, and SQL_ASCII.
    Bytes,
    /// Encodings in which a byte of a character can have the value of a backslash. Only clients have them (`pg_dump
    /// --encoding`).
    NotAsciiSafe,
}

/// A member of the EUC family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Euc {
    /// `EUC_JP`, `EUC_JIS_2004`.
    Jp,
    /// `EUC_CN`, `EUC_KR`.
    TwoBytes,
    /// `EUC_TW`.
    Tw,
}

/// The result of checking bytes as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// All bytes are valid.
    Valid,
    /// The bytes before this one are valid. It begins a character that more bytes may complete.
    Incomplete(usize),
    /// This byte is invalid.
    Invalid(usize),
}

/// First bytes of three-byte (JP) and four-byte (TW) characters.
const SS2: u8 = 0x8e;
const SS3: u8 = 0x8f;

impl TextEncoding {
    /// The encoding of this PostgreSQL name. Unknown names count as encodings in which any bytes are valid.
    pub(crate) fn of(name: Option<&str>) -> Self {
        match name.unwrap_or("SQL_ASCII") {
            "UTF8" | "UNICODE" => Self::Utf8,
            "EUC_JP" | "EUC_JIS_2004" => Self::Euc(Euc::Jp),
            "EUC_CN" | "EUC_KR" => Self::Euc(Euc::TwoBytes),
            "EUC_TW" => Self::Euc(Euc::Tw),
            "SJIS" | "SHIFT_JIS_2004" | "BIG5" | "GBK" | "UHC" | "GB18030" | "JOHAB" => Self::NotAsciiSafe,
            _ => Self::Bytes,
        }
    }

    /// `text` without a last character that more bytes may complete, as far as a quick check shows that.
    pub(crate) fn whole_characters(self, text: &[u8]) -> &[u8] {
        // The longest character has four bytes, so one of the last three bytes may begin an incomplete one.
        let begun = (1..=3.min(text.len())).find(|back| {
            let first = text.len().checked_sub(*back).and_then(|at| text.get(at));
            let length = match first {
                Some(0xc2..=0xdf) => 2,
                Some(0xe0..=0xef) => 3,
                Some(0xf0..=0xf4) => 4,
                _ => 1,
            };
            length > *back
        });
        match begun {
            Some(back) if self == Self::Utf8 => text.get(..text.len() - back).unwrap_or(text),
            _ => text,
        }
    }

    /// Checks `text`, which begins with a character. Does not look for NUL bytes.
    pub(crate) fn check(self, text: &[u8]) -> Check {
        match self {
            // For text beyond ASCII this is many times as fast as the standard library, but only the latter finds the
            // position.
            Self::Utf8 if simdutf8::basic::from_utf8(text).is_ok() => Check::Valid,
            Self::Utf8 => match std::str::from_utf8(text) {
                Ok(_) => Check::Valid,
                Err(error) if error.error_len().is_none() => Check::Incomplete(error.valid_up_to()),
                Err(error) => Check::Invalid(error.valid_up_to()),
            },
            Self::Euc(euc) => euc.check(text),
            Self::Bytes | Self::NotAsciiSafe => Check::Valid,
        }
    }

    /// Whether `text` is valid in this encoding and contains no NUL byte.
    pub(crate) fn is_text(self, text: &[u8]) -> bool {
        self.check(text) == Check::Valid && memchr(0, text).is_none()
    }

    /// `text` as a string that the SQL lexer splits at the same places as the original: characters beyond ASCII
    /// become other letters. `None` if it should be UTF-8 and is not.
    pub(crate) fn lexed(self, text: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
        match (std::str::from_utf8(text), self) {
            (Ok(text), _) => Some(text.into()),
            (Err(_), Self::Utf8) => None,
            (Err(_), _) => Some(text.iter().map(|&byte| char::from(byte)).collect::<String>().into()),
        }
    }
}

impl Euc {
    fn check(self, text: &[u8]) -> Check {
        let mut rest = text;
        let at = |rest: &[u8]| text.len() - rest.len();
        while let Some(skip) = rest.iter().position(|byte| !byte.is_ascii()) {
            rest = rest.get(skip..).unwrap_or_default();
            let (low, high, length) = self.character(rest.first().copied().unwrap_or_default());
            if rest.len() < length {
                return Check::Incomplete(at(rest));
            }
            let trail = rest.get(1..length).unwrap_or_default();
            let Some((second, others)) = trail.split_first() else { return Check::Invalid(at(rest)) };
            let is_high = |byte: &u8| (0xa1..=0xfe).contains(byte);
            if !(low..=high).contains(second) || !others.iter().all(is_high) {
                return Check::Invalid(at(rest));
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        Check::Valid
    }

    /// For a character that begins with `first`: the range of its second byte, and its length. The length is 1 if no
    /// longer character begins with `first`.
    fn character(self, first: u8) -> (u8, u8, usize) {
        match (self, first) {
            (Self::Jp, SS2) => (0xa1, 0xdf, 2),
            (Self::Jp, SS3) => (0xa1, 0xfe, 3),
            (Self::Tw, SS2) => (0xa1, 0xa7, 4),
            (Self::Tw, SS3) => (0, 0, 1),
            (_, 0xa1..=0xfe) => (0xa1, 0xfe, 2),
            _ => (0, 0, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_text_is_wrong_or_goes_on() {
        let check = |name, text: &[u8]| TextEncoding::of(Some(name)).check(text);
        assert_eq!(check("UTF8", "aé\u{20ac}\u{1f600}".as_bytes()), Check::Valid);
        assert_eq!(check("UTF8", b"a\xc3"), Check::Incomplete(1));
        assert_eq!(check("UTF8", b"ab\xc3("), Check::Invalid(2));
        assert_eq!(check("UTF8", b"\xed\xa0\x80"), Check::Invalid(0));
        assert_eq!(check("EUC_JP", b"a\xa4\xa2\x8e\xb1\x8f\xb0\xa1b"), Check::Valid);
        assert_eq!(check("EUC_JP", b"a\x8f\xb0"), Check::Incomplete(1));
        assert_eq!(check("EUC_JP", b"a\xa4a"), Check::Invalid(1));
        assert_eq!(check("EUC_KR", b"\xb0\xa1\x80"), Check::Invalid(2));
        assert_eq!(check("EUC_TW", b"\x8e\xa2\xa1\xa1\xc4\xe3"), Check::Valid);
        assert_eq!(check("EUC_TW", b"\x8e\xb2\xa1\xa1"), Check::Invalid(0));
        assert_eq!(check("LATIN1", b"\xe9\x80"), Check::Valid);
        assert!(!TextEncoding::of(None).is_text(b"a\0"));
    }

    #[test]
    fn a_character_that_goes_on_is_left() {
        for text in ["", "a", "aé", "a\u{20ac}", "a\u{1f600}", "é\u{20ac}"] {
            let bytes = text.as_bytes();
            assert_eq!(TextEncoding::Utf8.whole_characters(bytes), bytes);
            let last = text.char_indices().last().map_or(0, |(at, _)| at);
            for cut in last + 1..bytes.len() {
                let cut = bytes.get(..cut).unwrap_or_default();
                assert_eq!(TextEncoding::Utf8.whole_characters(cut).len(), last, "{text}");
                assert_eq!(TextEncoding::Bytes.whole_characters(cut), cut);
            }
        }
        assert_eq!(TextEncoding::Utf8.whole_characters(b"\x80\x80\x80\x80"), b"\x80\x80\x80\x80");
    }

    #[test]
    fn other_encodings_are_lexed_by_their_ascii() {
        assert_eq!(TextEncoding::Bytes.lexed(b"'\xe9'").as_deref(), Some("'é'"));
        assert_eq!(TextEncoding::Utf8.lexed(b"'\xe9'"), None);
    }
}
