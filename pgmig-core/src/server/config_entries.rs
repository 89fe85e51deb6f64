//! The entries of a `postgres.yaml`, each checked by itself.

use crate::config_file;
use crate::server::config::TargetEnvironment;
use crate::server::config_error::ConfigError;
use crate::server::tls::{Ca, SslMode};
use crate::server::yaml::{self, Entries, Entry};
use secrecy::{ExposeSecret, SecretString};
use std::path::{Path, PathBuf};

const DEFAULT_PORT: u16 = 5432;
const KEYS: [&str; 17] = [
    "host",
    "port",
    "database",
    "username",
    "password",
    "password_file",
    "su_username",
    "su_password",
    "su_password_file",
    "sslmode",
    "sslrootcert",
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
];

/// The file's entries, every key known and none twice.
pub(super) struct ConfigFile<'a> {
    path: &'a Path,
    entries: Vec<Entry>,
}

/// An entry that has a value.
pub(super) struct Value<'a> {
    pub(super) entry: &'a Entry,
    pub(super) text: &'a str,
}

impl<'a> ConfigFile<'a> {
    pub(super) fn parse(text: &str, path: &'a Path) -> Result<Self, ConfigError> {
        let refused = |line, message| ConfigError::Yaml { path: path.to_owned(), line, message };
        let Entries(entries) =
            yaml::parse_secret(text, &KEYS).map_err(|error| refused(error.line, error.message))?;
        if let Some(entry) = entries.iter().find(|entry| !KEYS.contains(&entry.key.as_str())) {
            return Err(refused(Some(entry.line), yaml::unknown_key(&entry.key, &KEYS)));
        }
        Ok(Self { path, entries })
    }

    pub(super) fn optional(&self, key: &str) -> Option<Value<'_>> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        let text = nonempty(entry.value.as_deref())?;
        Some(Value { entry, text })
    }

    pub(super) fn required(&self, key: &'static str) -> Result<Value<'_>, ConfigError> {
        self.optional(key).ok_or_else(|| ConfigError::MissingKey { path: self.path.to_owned(), key })
    }

    pub(super) fn name(&self, key: &'static str) -> Result<String, ConfigError> {
        let value = self.required(key)?;
        // The protocol ends strings with a zero byte.
        if value.text.contains('\0') {
            return Err(self.invalid(value.entry, "a name without a zero byte"));
        }
        Ok(value.text.to_owned())
    }

    pub(super) fn port(&self) -> Result<u16, ConfigError> {
        let Some(value) = self.optional("port") else { return Ok(DEFAULT_PORT) };
        match value.text.parse() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(self.invalid(value.entry, "a number from 1 to 65535")),
        }
    }

    /// The password that the file holds, or names a file for; `None` where it does neither.
    pub(super) fn password(
        &self,
        key: &'static str,
        file_key: &'static str,
    ) -> Result<Option<SecretString>, ConfigError> {
        let password = self.optional(key);
        let Some(file) = self.optional(file_key) else {
            let Some(value) = password else { return Ok(None) };
            return if is_password(value.text) {
                Ok(Some(value.text.into()))
            } else {
                Err(self.invalid(value.entry, PASSWORD))
            };
        };
        if password.is_some() {
            let expected = match key {
                "password" => "only one of password and password_file",
                _ => "only one of su_password and su_password_file",
            };
            return Err(self.invalid(file.entry, expected));
        }
        let refused = |reason| {
            let (path, line) = (self.path.to_owned(), file.entry.line);
            ConfigError::PasswordFile { path, key: file_key, line, reason }
        };
        let text = config_file::read_text(&self.beside(file.text), config_file::MAX_PASSWORD_BYTES);
        let text = text.map_err(refused)?;
        // Mounted secrets and `echo` end the file with a line break that is not part of the password.
        let line =
            text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
        if !is_password(line) {
            return Err(refused(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                format!("it holds something else than {PASSWORD}"),
            )));
        }
        Ok(Some(line.into()))
    }

    pub(super) fn ssl_mode(&self, environment: &TargetEnvironment) -> Result<Option<SslMode>, ConfigError> {
        if let Some(value) = self.optional("sslmode") {
            return value.text.parse().map(Some).map_err(|expected| self.invalid(value.entry, expected));
        }
        let Some(mode) = nonempty(environment.pgsslmode.as_deref()) else {
            // libpq's older way to say the same.
            let requires = environment.libpq.get("PGREQUIRESSL").is_some_and(|value| value.starts_with('1'));
            return Ok(requires.then_some(SslMode::Require));
        };
        let invalid = |expected| ConfigError::InvalidEnvironment { variable: "PGSSLMODE", expected };
        mode.parse().map(Some).map_err(invalid)
    }

    pub(super) fn ca(&self, environment: &TargetEnvironment) -> Option<Ca> {
        if let Some(value) = self.optional("sslrootcert") {
            return Some(match value.text {
                "system" => Ca::System,
                path => Ca::File { path: self.beside(path), named_by: "sslrootcert" },
            });
        }
        if let Some(path) = nonempty(environment.pg_ca_file.as_deref()) {
            return Some(Ca::File { path: path.into(), named_by: "PG_CA_FILE" });
        }
        nonempty(environment.pgsslrootcert.as_deref()).map(|path| match path {
            "system" => Ca::System,
            path => Ca::File { path: path.into(), named_by: "PGSSLROOTCERT" },
        })
    }

    pub(super) fn beside(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    pub(super) fn invalid(&self, entry: &Entry, expected: &'static str) -> ConfigError {
        ConfigError::InvalidValue {
            path: self.path.to_owned(),
            key: entry.key.clone(),
            line: entry.line,
            expected,
        }
    }
}

/// The form of a password, for messages.
pub(super) const PASSWORD: &str = "a password on one line, without control characters";

/// `PGPASSWORD`, where it is set.
pub(super) fn environment_password(
    environment: &TargetEnvironment,
) -> Result<Option<SecretString>, ConfigError> {
    let given = environment.pgpassword.clone();
    if given.as_ref().is_none_or(|given| is_password(given.expose_secret())) {
        return Ok(given);
    }
    Err(ConfigError::InvalidEnvironment { variable: "PGPASSWORD", expected: PASSWORD })
}

/// SCRAM's rules for passwords (SASLprep) exclude control characters.
fn is_password(text: &str) -> bool {
    !text.contains(char::is_control)
}

pub(super) fn nonempty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
