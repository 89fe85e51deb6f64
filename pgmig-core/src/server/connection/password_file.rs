//! `.pgpass`: passwords by host, port, database and role.

use super::{SOCKET_DIRECTORIES, invalid};
use crate::config_file;
use crate::server::config_error::ConfigError;
use secrecy::SecretString;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The password of the first line that matches host, port, database and role. A file that does not exist has none.
pub(super) fn find(file: &Path, at: [&str; 4]) -> Result<Option<SecretString>, ConfigError> {
    let failed = |message: &str| invalid(&file.display().to_string(), message);
    let metadata = match file.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&format!("cannot be read: {error}"))),
    };
    if !metadata.is_file() {
        return Ok(None);
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(failed(
            "other users can read this password file, so it is not used; chmod 600 makes it private",
        ));
    }
    let text = config_file::read_text(file, config_file::MAX_SETTINGS_BYTES)
        .map_err(|error| failed(&format!("cannot be read: {error}")))?;
    let [host, port, database, user] = at;
    // libpq names the default socket directories so.
    let host = if SOCKET_DIRECTORIES.contains(&host) { "localhost" } else { host };
    Ok(text.lines().find_map(|line| matching(line, [host, port, database, user])))
}

/// The password of a line, if the line's other fields match.
fn matching(line: &str, wanted: [&str; 4]) -> Option<SecretString> {
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line;
    for wanted in wanted {
        let (field, after) = field(rest)?;
        if rest.get(..after).is_none_or(|text| text != "*") && field != wanted {
            return None;
        }
        rest = rest.get(after + 1..)?;
    }
    let (password, _) = field(rest).unwrap_or_else(|| (unescaped(rest), rest.len()));
    (!password.is_empty()).then(|| SecretString::from(password))
}

/// The field before the next colon that has no backslash before it, and where that colon is.
fn field(text: &str) -> Option<(String, usize)> {
    let mut is_escaped = false;
    let end = text.char_indices().find_map(|(place, c)| {
        let ends = c == ':' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends.then_some(place)
    })?;
    Some((unescaped(text.get(..end)?), end))
}

fn unescaped(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        value.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    value
}
