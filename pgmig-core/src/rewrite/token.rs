//! Finds bytes that have the form of a UUID.

/// The length of a UUID with hyphens, in bytes.
pub(super) const UUID_LENGTH: usize = 36;

/// The place of the first hyphen in a UUID, and the distances of the others from it.
pub(super) const FIRST_HYPHEN: usize = 8;
pub(super) const OTHER_HYPHENS: [usize; 3] = [5, 10, 15];

/// Marks a byte that is not a hexadecimal digit in [`HEX_DIGITS`].
const NOT_HEX: u8 = 0x80;

/// The value of each byte as a hexadecimal digit.
const HEX_DIGITS: [u8; 256] = hex_digits();

#[allow(
    clippy::indexing_slicing,
    reason = "evaluated at compile time, where an index out of range is an error"
)]
const fn hex_digits() -> [u8; 256] {
    let mut digits = [NOT_HEX; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        digits[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    digits
}

/// 36 bytes that have the form of a UUID. Their neighbours decide whether they are an occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    /// The place where it begins.
    pub(super) start: usize,
    /// Its 128 bits.
    pub(super) id: u128,
    /// Whether it holds an upper-case letter.
    pub(super) is_upper: bool,
}

impl Token {
    /// The first token in `text` that begins at `from` or later.
    ///
    /// It goes from hyphen to hyphen, of which most texts have few. It examines other bytes only where the other
    /// three hyphens are in their places.
    #[inline]
    pub(super) fn find(text: &[u8], from: usize) -> Option<Self> {
        let mut at = from.saturating_add(FIRST_HYPHEN);
        loop {
            // This comes first: text made of many hyphens would otherwise need a call for each.
            if text.get(at)? != &b'-' {
                at = at.saturating_add(memchr::memchr(b'-', text.get(at..)?)?);
            }
            if OTHER_HYPHENS.iter().all(|distance| text.get(at.saturating_add(*distance)) == Some(&b'-')) {
                let start = at.saturating_sub(FIRST_HYPHEN);
                let bytes = text.get(start..).and_then(|rest| rest.first_chunk::<UUID_LENGTH>());
                if let Some(token) = bytes.and_then(|bytes| Self::parse(bytes, start)) {
                    return Some(token);
                }
            }
            at = at.saturating_add(1);
        }
    }

    /// The place where it ends.
    pub(super) fn end(&self) -> usize {
        self.start.saturating_add(UUID_LENGTH)
    }

    /// Parses `bytes`, in which the hyphens are in their places.
    #[inline]
    fn parse(bytes: &[u8; UUID_LENGTH], start: usize) -> Option<Self> {
        let mut id = 0_u128;
        let mut seen = 0_u8;
        let mut letters = 0_u8;
        for (first, length) in [(0, 8), (9, 4), (14, 4), (19, 4), (24, 12)] {
            let mut group = 0_u64;
            for &byte in bytes.get(first..first + length)? {
                let digit = HEX_DIGITS.get(usize::from(byte)).copied().unwrap_or(NOT_HEX);
                seen |= digit;
                // Bits 0x60 are 0x40 in A-F, 0x60 in a-f and 0x20 in digits.
                letters |= u8::from(byte & 0x60 == 0x40);
                group = (group << 4) | u64::from(digit & 0xf);
            }
            if seen & NOT_HEX != 0 {
                return None;
            }
            id = (id << (4 * length)) | u128::from(group);
        }
        Some(Self { start, id, is_upper: letters != 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_form_only() {
        let id = "1b8f1c2e-0a51-4a63-9f0f-6f0d4c8e2a01";
        for (text, found) in [
            (id.to_owned(), Some((0, false))),
            (format!("--{}-", id.to_uppercase()), Some((2, true))),
            (format!("ab-cd-{id}"), Some((6, false))),
            (id.replace('e', "E"), Some((0, true))),
            (id.replace('b', "g"), None),
            (id.replace('-', ""), None),
            (id.chars().take(35).collect(), None),
            ("-----------------------------------------------------------".to_owned(), None),
            ("12345678-1234-1234-1234-12345678-123".to_owned(), None),
            ("1b8f1c2\u{e9}-0a51-4a63-9f0f-6f0d4c8e2a01".to_owned(), None),
        ] {
            let token = Token::find(text.as_bytes(), 0);
            assert_eq!(token.map(|token| (token.start, token.is_upper)), found, "{text}");
            if let Some(token) = token {
                assert_eq!(token.id, 0x1b8f_1c2e_0a51_4a63_9f0f_6f0d_4c8e_2a01);
                assert_eq!(Token::find(text.as_bytes(), token.start + 1), None);
            }
        }
    }
}
