//! What the archive says of the session that its SQL is for: `ENCODING`, `STDSTRINGS` and `SEARCHPATH` entries.

use super::{
    entry::{Entry, EntryKind},
    error::{ArchiveError, Part, Place},
    text::ArchiveText,
};

/// The settings of the archive's session.
#[derive(Debug, Clone, Default)]
pub(super) struct SessionSettings {
    pub(super) encoding: Option<String>,
    pub(super) standard_conforming_strings: bool,
    pub(super) search_path_statement: Option<ArchiveText>,
}

impl SessionSettings {
    /// Reads the entries. `toc_end` is where errors are placed: the entries' own places are not kept.
    pub(super) fn read(entries: &[Entry], toc_end: u64) -> Result<Self, ArchiveError> {
        // pg_dump 8.1 and older wrote no STDSTRINGS entry: backslashes were escapes then.
        let mut settings = Self::default();
        for entry in entries {
            match entry.kind {
                EntryKind::Encoding => settings.encoding = Some(setting(entry, toc_end)?.to_owned()),
                EntryKind::StdStrings => settings.standard_conforming_strings = read_switch(entry, toc_end)?,
                EntryKind::SearchPath => settings.search_path_statement = entry.definition.clone(),
                _ => {}
            }
        }
        Ok(settings)
    }
}

/// The value in `SET client_encoding = 'UTF8';`: what stands between the first two quotes, as for pg_restore.
fn setting(entry: &Entry, toc_end: u64) -> Result<&str, ArchiveError> {
    let statement = entry.definition.as_ref().and_then(|text| text.to_str().ok());
    let value = statement.and_then(|text| text.split('\'').nth(1)).filter(|value| !value.is_empty());
    value.ok_or_else(|| unexpected(entry, "a SET statement with a quoted value", toc_end))
}

fn read_switch(entry: &Entry, toc_end: u64) -> Result<bool, ArchiveError> {
    match setting(entry, toc_end)? {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(unexpected(entry, "a SET statement with 'on' or 'off'", toc_end)),
    }
}

fn unexpected(entry: &Entry, expected: &'static str, offset: u64) -> ArchiveError {
    ArchiveError::Malformed {
        place: Box::new(Place { offset, part: Part::Block(entry.label()) }),
        what: "the definition",
        got: entry.definition.as_ref().map_or_else(|| "NULL".to_owned(), |text| format!("\"{text}\"")),
        expected: expected.to_owned(),
    }
}
