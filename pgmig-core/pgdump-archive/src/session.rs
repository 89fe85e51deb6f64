//! The session settings that the archive's SQL needs: `ENCODING`, `STDSTRINGS` and `SEARCHPATH` entries.

use super::{
    entry::{Entry, EntryKind},
    error::ArchiveError,
    reader::Reader,
    text::ArchiveText,
};

/// The settings of the archive's session. pg_dump 8.1 and older wrote no `STDSTRINGS` entry; backslashes are escapes
/// then.
#[derive(Debug, Clone, Default)]
pub(super) struct SessionSettings {
    pub(super) encoding: Option<String>,
    pub(super) standard_conforming_strings: bool,
    pub(super) search_path_statement: Option<ArchiveText>,
}

impl SessionSettings {
    /// Records `entry`, if it is one of the three.
    pub(super) fn note(&mut self, entry: &Entry) -> Result<(), Unexpected> {
        match entry.kind {
            EntryKind::Encoding => {
                let expected = "a SET statement with an encoding in quotes";
                let value = quoted(entry).ok_or_else(|| Unexpected::new(entry, expected))?;
                self.encoding = Some(value.to_owned());
            }
            EntryKind::StdStrings => {
                self.standard_conforming_strings = match quoted(entry) {
                    Some("on") => true,
                    Some("off") => false,
                    _ => return Err(Unexpected::new(entry, "a SET statement with 'on' or 'off'")),
                };
            }
            EntryKind::SearchPath => self.search_path_statement = entry.sql().cloned(),
            _ => {}
        }
        Ok(())
    }
}

/// The value in `SET client_encoding = 'UTF8';`. Like pg_restore, this returns the text between the first two quotes.
fn quoted(entry: &Entry) -> Option<&str> {
    let mut parts = entry.sql()?.to_str().ok()?.split('\'');
    let value = parts.nth(1).filter(|value| !value.is_empty())?;
    parts.next().map(|_| value)
}

/// A definition that does not have the expected setting.
#[derive(Debug)]
pub(super) struct Unexpected {
    got: String,
    expected: &'static str,
}

impl Unexpected {
    fn new(entry: &Entry, expected: &'static str) -> Self {
        let got = entry.definition.as_ref().map_or_else(|| "NULL".to_owned(), |text| format!("\"{text}\""));
        Self { got, expected }
    }

    /// The error for the entry that `reader` has just read.
    pub(super) fn at(self, reader: &Reader) -> ArchiveError {
        reader.malformed("the definition of the session's settings", self.got, self.expected)
    }
}
