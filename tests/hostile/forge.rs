//! Archives from an attacker: files that a genuine pg_dump wrote, and files that were edited afterwards.

use crate::support::Database;
use std::fs;
use std::path::{Path, PathBuf};

/// The format of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Custom,
    /// With rows as INSERT statements.
    CustomInserts,
    Script,
    ScriptInserts,
}

impl Form {
    pub(super) fn is_script(self) -> bool {
        matches!(self, Self::Script | Self::ScriptInserts)
    }

    fn args(self) -> &'static [&'static str] {
        match self {
            // Uncompressed, so that a test can edit data.
            Self::Custom => &["-Fc", "-Z0"],
            Self::CustomInserts => &["-Fc", "-Z0", "--rows-per-insert=1"],
            Self::Script => &["-Fp"],
            Self::ScriptInserts => &["-Fp", "--rows-per-insert=1"],
        }
    }
}

/// Makes a backup of a database and makes these replacements in its file. Each text must occur in it.
#[track_caller]
pub(crate) fn archive(
    source: &Database,
    form: Form,
    dump_args: &[&str],
    edits: &[(String, String)],
    directory: &Path,
) -> PathBuf {
    let args = form.args().iter().chain(dump_args).copied().chain(["-d", &source.name]);
    // The archive is written through a pipe, so it has no offsets of data. Edits would make offsets wrong.
    let mut bytes = source.server.run_program("pg_dump", args);
    for (from, to) in edits {
        // Before PostgreSQL 16, pg_dump wrote two spaces here.
        let one_space = from.replace("TABLES  TO", "TABLES TO");
        let from = if contains(&bytes, from) { from } else { &one_space };
        bytes = if form.is_script() { replaced(&bytes, from, to) } else { string_replaced(&bytes, from, to) };
    }
    let path = directory.join(format!("{}.dump", source.name));
    fs::write(&path, bytes).expect("the archive can be written");
    path
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The place of the first occurrence.
#[track_caller]
fn find(bytes: &[u8], text: &str) -> usize {
    let place = bytes.windows(text.len()).position(|window| window == text.as_bytes());
    place.unwrap_or_else(|| panic!("{text:?} is not in the archive"))
}

#[track_caller]
fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let place = find(bytes, from);
    [&bytes[..place], to.as_bytes(), &bytes[place + from.len()..]].concat()
}

/// Replaces a text within a string of an archive in custom format, and corrects the string's length. Chunks of data
/// begin in the same way.
#[track_caller]
fn string_replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    const PREFIX: usize = 5;
    let place = find(bytes, from);
    let encloses = |start: &usize| {
        let Some((0, length)) = bytes.get(*start..*start + PREFIX).map(|prefix| {
            let length: [u8; 4] = prefix[1..].try_into().expect("it has four bytes");
            (prefix[0], u32::from_le_bytes(length) as usize)
        }) else {
            return false;
        };
        let string = *start + PREFIX..*start + PREFIX + length;
        string.end >= place + from.len() && bytes.get(string).is_some_and(|string| !string.contains(&0))
    };
    let start = (0..=place.saturating_sub(PREFIX)).rev().find(encloses);
    let start = start.unwrap_or_else(|| panic!("{from:?} is in no string of the archive"));
    let length = u32::from_le_bytes(bytes[start + 1..start + PREFIX].try_into().expect("it has four bytes"));
    let length = u32::try_from(length as usize + to.len() - from.len()).expect("the text is short");
    let mut edited = bytes[..=start].to_vec();
    edited.extend(length.to_le_bytes());
    edited.extend(&bytes[start + PREFIX..place]);
    edited.extend(to.as_bytes());
    edited.extend(&bytes[place + from.len()..]);
    edited
}
