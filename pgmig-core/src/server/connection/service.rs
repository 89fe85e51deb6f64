//! `pg_service.conf`: connection parameters by the name of a service.

use super::{ConnectionEnvironment, Parameters, SYSTEM_CONFIGURATION, invalid};
use crate::config_file;
use crate::server::config_error::ConfigError;
use std::io::ErrorKind;
use std::path::PathBuf;

/// Sets the service's parameters where none are set. The user's file goes before the system's.
pub(super) fn read(
    name: &str,
    environment: &ConnectionEnvironment,
    parameters: &mut Parameters,
) -> Result<(), ConfigError> {
    let own = environment.get("PGSERVICEFILE").map(PathBuf::from);
    let own = own.or_else(|| Some(environment.home.as_ref()?.join(".pg_service.conf")));
    let system = PathBuf::from(environment.get("PGSYSCONFDIR").unwrap_or(SYSTEM_CONFIGURATION));
    let mut files = Vec::new();
    for file in own.into_iter().chain([system.join("pg_service.conf")]) {
        let text = match config_file::read_text(&file, config_file::MAX_SETTINGS_BYTES) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(invalid(&file.display().to_string(), &format!("cannot be read: {error}")));
            }
        };
        if let Some(lines) = section(&text, name) {
            return apply(&lines, parameters).map_err(|line| {
                invalid(&file.display().to_string(), &format!("line {line} is not NAME=VALUE (not shown)"))
            });
        }
        files.push(file.display().to_string());
    }
    let place = if files.is_empty() { "no pg_service.conf was found".to_owned() } else { files.join(", ") };
    Err(invalid(&place, &format!("there is no service {name:?}; check PGSERVICE and PGSERVICEFILE")))
}

/// The lines of a section, with their numbers.
fn section<'a>(text: &'a str, name: &str) -> Option<Vec<(usize, &'a str)>> {
    let numbered = || text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let title = format!("[{name}]");
    let (begin, _) = numbered().find(|(_, line)| *line == title)?;
    let lines = numbered().skip(begin).take_while(|(_, line)| !line.starts_with('['));
    Some(lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect())
}

/// Sets parameters. The error is the number of the line that is not understood.
fn apply(lines: &[(usize, &str)], parameters: &mut Parameters) -> Result<(), usize> {
    for (number, line) in lines {
        let (name, value) = line.split_once('=').ok_or(*number)?;
        parameters.or_set(name.trim(), value.trim());
    }
    Ok(())
}
