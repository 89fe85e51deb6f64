//! Text of the table of contents, in the archive's own encoding.

use std::{fmt, str::Utf8Error, sync::Arc};

/// A text of the archive: bytes in the archive's encoding (the `ENCODING` entry names it). They need not be UTF-8,
/// and never contain a NUL byte.
///
/// `Display` is for people. Invalid UTF-8 is replaced and control characters are escaped, so that a name cannot move
/// a terminal's cursor or forge a line of a log.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ArchiveText(Arc<[u8]>);

impl ArchiveText {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, in the archive's encoding (in UTF-8 after [`Archive::transcode`](super::Archive::transcode)).
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, if its bytes are UTF-8.
    ///
    /// # Errors
    /// The bytes are not UTF-8: transcode the archive first.
    pub fn to_str(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(&self.0)
    }

    /// True for "". pg_dump 11 and older write "" where newer ones write NULL.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for ArchiveText {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<String> for ArchiveText {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl PartialEq<str> for ArchiveText {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl PartialEq<&str> for ArchiveText {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl fmt::Display for ArchiveText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.utf8_chunks() {
            for c in part.valid().chars() {
                if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
            }
            if !part.invalid().is_empty() {
                write!(f, "\u{fffd}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ArchiveText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_lossy_and_harmless() {
        assert_eq!(ArchiveText::from("plain é").to_string(), "plain é");
        assert_eq!(ArchiveText::from("a\nb\u{1b}[2Jc").to_string(), "a\\nb\\u{1b}[2Jc");
        assert_eq!(ArchiveText::new(b"t\xeate".to_vec()).to_string(), "t\u{fffd}te");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_no_str() {
        assert!(ArchiveText::new(b"t\xeate".to_vec()).to_str().is_err());
        assert_eq!(ArchiveText::from("tête").to_str(), Ok("tête"));
    }
}
