//! `postgres.yaml`: which server and database to restore to, and as whom.

use crate::server::handshake::ContextCell;
use crate::server::login::Login;
use crate::server::policy::{LibpqVariables, Policy};
use crate::server::tls::{Ca, SslMode};
use crate::server::trust::Proven;
use crate::server::yaml::{self, Entries, Entry};
use secrecy::SecretString;
use std::fmt;
use std::path::{Path, PathBuf};
use thiserror::Error;

const DEFAULT_PORT: u16 = 5432;
const KEYS: [&str; 9] = [
    "host",
    "port",
    "database",
    "username",
    "su_username",
    "su_password",
    "su_password_file",
    "sslmode",
    "sslrootcert",
];

/// Why a configuration file is not acceptable. Never holds a value from the file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// The file is not the YAML that is expected.
    #[error("{}{}: {message}", path.display(), OnLine(*line))]
    Yaml {
        /// The file.
        path: PathBuf,
        /// 1-based; `None` where it is not known.
        line: Option<u64>,
        /// What is wrong.
        message: String,
    },
    /// A key that is not known.
    #[error("{}, line {line}: unknown key `{key}`, expected one of: {expected}", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// 1-based.
        line: u64,
        /// The keys that there are.
        expected: String,
    },
    /// A key that occurs twice.
    #[error("{}{}: duplicate key `{key}`; remove one of them", path.display(), OnLine(*line))]
    DuplicateKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// 1-based line of the second one.
        line: Option<u64>,
    },
    /// A key that must be there is not.
    #[error("{}: the key `{key}` is missing", path.display())]
    MissingKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
    },
    /// A value that is not acceptable.
    #[error("{}, line {line}: the value of `{key}` is not acceptable, expected {expected}", path.display())]
    InvalidValue {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// 1-based.
        line: u64,
        /// What was expected.
        expected: &'static str,
    },
    /// What is asked for cannot be done, and must not be passed over.
    #[error("{setting} cannot be honoured: {reason}; {advice}")]
    CannotHonour {
        /// The key or variable, with its value where that matters.
        setting: &'static str,
        /// Why not.
        reason: &'static str,
        /// What to do instead.
        advice: &'static str,
    },
    /// An environment variable's value is not acceptable.
    #[error("the environment variable {variable} is not acceptable, expected {expected}")]
    InvalidEnvironment {
        /// Its name.
        variable: &'static str,
        /// What was expected.
        expected: &'static str,
    },
}

impl ConfigError {
    pub(super) fn cannot_honour(setting: &'static str, reason: &'static str, advice: &'static str) -> Self {
        Self::CannotHonour { setting, reason, advice }
    }
}

struct OnLine(Option<u64>);

impl fmt::Display for OnLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(line) => write!(f, ", line {line}"),
            None => Ok(()),
        }
    }
}

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A host name or an IP address.
    Tcp(String),
    /// The directory of the server's Unix-domain socket.
    Socket(PathBuf),
}

impl Host {
    /// A name that starts with a slash is a socket directory, as in libpq.
    fn parse(text: &str) -> Option<Self> {
        // Brackets around an IPv6 address are a habit from URLs; the resolver does not take them.
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        match bare {
            "" => None,
            path if path.starts_with('/') => Some(Self::Socket(path.into())),
            name if name.contains(|c: char| c.is_whitespace() || c.is_control()) => None,
            name => Some(Self::Tcp(name.to_owned())),
        }
    }
}

/// Values of environment variables that a program hands over; the library reads none itself. Empty ones count as
/// not set. `postgres.yaml` goes before them. `Debug` does not show the password.
#[derive(Debug, Clone, Default)]
pub struct TargetEnvironment {
    /// `PG_CA_FILE`: a CA file. Goes before `PGSSLROOTCERT`.
    pub pg_ca_file: Option<String>,
    /// `PGSSLMODE`.
    pub pgsslmode: Option<String>,
    /// `PGSSLROOTCERT`.
    pub pgsslrootcert: Option<String>,
    /// `PGPASSWORD`.
    pub pgpassword: Option<SecretString>,
    /// `PGAPPNAME`.
    pub pgappname: Option<String>,
    /// Those of [`LIBPQ_VARIABLES`](crate::server::LIBPQ_VARIABLES) that are set.
    pub libpq: LibpqVariables,
}

/// Which server and database to restore to, and as whom. `Debug` does not show the password.
#[derive(Debug, Clone)]
pub struct TargetConfig {
    pub(super) host: Host,
    pub(super) port: u16,
    database: String,
    username: String,
    login: Login,
    asked_mode: Option<SslMode>,
    pub(super) ssl_mode: SslMode,
    pub(super) ca: Option<Ca>,
    pub(super) policy: Policy,
    application_name: Option<String>,
    /// Made once, so that every connection has the same CA, whatever becomes of its file.
    pub(super) tls_context: ContextCell,
    /// What the server proved on the first connection: it must prove as much on the others.
    pub(super) proven: Proven,
}

impl TargetConfig {
    /// Reads `postgres.yaml`.
    ///
    /// Relative paths in it (`sslrootcert`, `su_password_file`) are taken from the file's directory; those of the
    /// environment from the current one.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, and anything in it that is not understood, with key and line.
    pub fn from_file(path: &Path, environment: &TargetEnvironment) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|reason| ConfigError::Read { path: path.to_owned(), reason })?;
        Self::from_yaml(&text, path, environment)
    }

    /// Parses the text of a `postgres.yaml`; `path` is for messages and relative paths.
    ///
    /// # Errors
    ///
    /// See [`TargetConfig::from_file`].
    ///
    /// ```
    /// # use pgmig_core::server::{Host, TargetConfig, TargetEnvironment};
    /// let yaml = "host: /controller/run\ndatabase: store\nusername: app\nsu_username: postgres\n";
    /// let config = TargetConfig::from_yaml(yaml, "postgres.yaml".as_ref(), &TargetEnvironment::default())?;
    /// assert_eq!(config.host(), &Host::Socket("/controller/run".into()));
    /// assert_eq!(config.port(), 5432);
    /// # Ok::<(), pgmig_core::server::ConfigError>(())
    /// ```
    pub fn from_yaml(text: &str, path: &Path, environment: &TargetEnvironment) -> Result<Self, ConfigError> {
        let file = ConfigFile::parse(text, path)?;
        let host = file.required("host")?;
        let host = Host::parse(host.text)
            .ok_or_else(|| file.invalid(host.entry, "a host name, an IP address or a socket directory"))?;
        let ca = file.ca(environment);
        let asked_mode = file.ssl_mode(environment)?;
        let ssl_mode = SslMode::effective(asked_mode, &host, ca.as_ref())?;
        Ok(Self {
            port: file.port()?,
            database: file.name("database")?,
            username: file.name("username")?,
            login: Login::new(file.name("su_username")?, file.password(environment)?),
            policy: Policy::new(&environment.libpq, &host, ssl_mode, ca.as_ref())?,
            asked_mode,
            ssl_mode,
            ca,
            host,
            application_name: nonempty(environment.pgappname.as_deref()).map(str::to_owned),
            tls_context: ContextCell::default(),
            proven: Proven::default(),
        })
    }

    /// Where the server is.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The server's port; of a socket, the number in its name.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The database to restore to.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The role that owns the restored objects.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The role that pgmig connects as.
    pub fn su_username(&self) -> &str {
        self.login.user()
    }

    /// The login of `su_username`.
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// The TLS mode that applies.
    pub fn ssl_mode(&self) -> SslMode {
        self.ssl_mode
    }

    /// The same server by another way, as for a role whose password the socket's `peer` authentication does not ask for.
    /// The mode that applies follows from the host, unless one was asked for.
    ///
    /// # Errors
    ///
    /// [`ConfigError::CannotHonour`] where `sslmode` and the CA do not go together with a host.
    pub fn at_host(&self, host: Host) -> Result<Self, ConfigError> {
        let ssl_mode = SslMode::effective(self.asked_mode, &host, self.ca.as_ref())?;
        Ok(Self { host, ssl_mode, proven: Proven::default(), ..self.clone() })
    }

    /// `PGAPPNAME`, for programs that show it beside their own name.
    pub fn application_name(&self) -> Option<&str> {
        self.application_name.as_deref()
    }

    /// The server as messages name it: `host:port`, or the socket's path.
    pub fn server(&self) -> String {
        match &self.host {
            Host::Tcp(name) if name.contains(':') => format!("[{name}]:{}", self.port),
            Host::Tcp(name) => format!("{name}:{}", self.port),
            Host::Socket(directory) => {
                directory.join(format!(".s.PGSQL.{}", self.port)).display().to_string()
            }
        }
    }
}

/// The file's entries, every key known and none twice.
struct ConfigFile<'a> {
    path: &'a Path,
    entries: Vec<Entry>,
}

/// An entry that has a value.
struct Value<'a> {
    entry: &'a Entry,
    text: &'a str,
}

impl<'a> ConfigFile<'a> {
    fn parse(text: &str, path: &'a Path) -> Result<Self, ConfigError> {
        let path_buf = || path.to_owned();
        let Entries(entries) = yaml::parse(text).map_err(|error| match error.duplicate {
            Some(key) => ConfigError::DuplicateKey { path: path_buf(), key, line: error.line },
            None => ConfigError::Yaml { path: path_buf(), line: error.line, message: error.message },
        })?;
        if let Some(entry) = entries.iter().find(|entry| !KEYS.contains(&entry.key.as_str())) {
            let (key, line) = (entry.shown_key(), entry.line);
            return Err(ConfigError::UnknownKey { path: path_buf(), key, line, expected: KEYS.join(", ") });
        }
        Ok(Self { path, entries })
    }

    fn optional(&self, key: &str) -> Option<Value<'_>> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        let text = nonempty(entry.value.as_deref())?;
        Some(Value { entry, text })
    }

    fn required(&self, key: &'static str) -> Result<Value<'_>, ConfigError> {
        self.optional(key).ok_or_else(|| ConfigError::MissingKey { path: self.path.to_owned(), key })
    }

    fn name(&self, key: &'static str) -> Result<String, ConfigError> {
        let value = self.required(key)?;
        // The protocol ends strings with a zero byte.
        if value.text.contains('\0') {
            return Err(self.invalid(value.entry, "a name without a zero byte"));
        }
        Ok(value.text.to_owned())
    }

    fn port(&self) -> Result<u16, ConfigError> {
        let Some(value) = self.optional("port") else { return Ok(DEFAULT_PORT) };
        match value.text.parse() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(self.invalid(value.entry, "a number from 1 to 65535")),
        }
    }

    fn password(&self, environment: &TargetEnvironment) -> Result<Option<SecretString>, ConfigError> {
        let password = self.optional("su_password");
        let Some(file) = self.optional("su_password_file") else {
            return Ok(match password {
                Some(value) => Some(SecretString::from(value.text)),
                None => environment.pgpassword.clone(),
            });
        };
        if password.is_some() {
            return Err(self.invalid(file.entry, "only one of su_password and su_password_file"));
        }
        let path = self.beside(file.text);
        match std::fs::read_to_string(&path) {
            // Mounted secrets and `echo` end the file with a line break that is not part of the password.
            Ok(text) => Ok(Some(SecretString::from(
                text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line)),
            ))),
            Err(reason) => Err(ConfigError::Read { path, reason }),
        }
    }

    fn ssl_mode(&self, environment: &TargetEnvironment) -> Result<Option<SslMode>, ConfigError> {
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

    fn ca(&self, environment: &TargetEnvironment) -> Option<Ca> {
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

    fn beside(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    fn invalid(&self, entry: &Entry, expected: &'static str) -> ConfigError {
        ConfigError::InvalidValue {
            path: self.path.to_owned(),
            key: entry.shown_key(),
            line: entry.line,
            expected,
        }
    }
}

fn nonempty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    const FILE: &str = "host: wa_inst-postgres-16-rw\nport: 5433\ndatabase: conversation_pprd_wa\n\
                        username: app\nsu_username: dbadmin\nsu_password: S3cret\n";

    fn parse(text: &str) -> Result<TargetConfig, ConfigError> {
        TargetConfig::from_yaml(text, Path::new("dir/postgres.yaml"), &TargetEnvironment::default())
    }

    fn password(config: &TargetConfig) -> Option<&str> {
        config.login().password().map(|password| password.expose_secret())
    }

    #[test]
    fn every_key_is_read_and_the_password_is_not_shown() {
        let config = parse(FILE).unwrap();
        assert_eq!(config.server(), "wa_inst-postgres-16-rw:5433");
        assert_eq!((config.database(), config.username()), ("conversation_pprd_wa", "app"));
        assert_eq!((config.su_username(), password(&config)), ("dbadmin", Some("S3cret")));
        assert!(!format!("{config:?}").contains("S3cret"));
    }

    #[test]
    fn an_unquoted_number_is_a_password_too() {
        let config = parse(&FILE.replace("S3cret", "0012")).unwrap();
        assert_eq!(password(&config), Some("0012"));
    }

    #[test]
    fn a_mistyped_key_is_named_with_its_line_and_the_password_is_not() {
        let error = parse(&FILE.replace("su_password", "su_pasword")).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("dir/postgres.yaml, line 6: unknown key `su_pasword`"), "{text}");
        assert!(!format!("{error:?} {text}").contains("S3cret"));
    }

    #[test]
    fn wrong_values_are_not_shown() {
        for text in [
            FILE.replace("port: 5433", "port: S3cret"),
            FILE.replace("su_password: S3cret", "su_password: [S3cret]"),
            FILE.replace("su_password: S3cret", "sslmode: S3cret"),
            FILE.replace("su_password: S3cret", "su_password:S3cret"),
            format!("{FILE}su_password: S3cret\n"),
            FILE.replace("username: app\n", ""),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(!format!("{error:?} {error}").contains("S3cret"), "{error:?}");
        }
    }

    #[test]
    fn the_file_goes_before_the_environment() {
        let environment = TargetEnvironment {
            pg_ca_file: Some("/tmp/ca.crt".to_owned()),
            pgsslmode: Some("require".to_owned()),
            pgpassword: Some("other".into()),
            pgappname: Some(String::new()),
            ..TargetEnvironment::default()
        };
        let parse = |text: &str| TargetConfig::from_yaml(text, Path::new("p.yaml"), &environment).unwrap();
        let config = parse(FILE);
        assert_eq!((config.ssl_mode(), password(&config)), (SslMode::VerifyCa, Some("S3cret")));
        assert_eq!(config.application_name(), None);
        let config = parse(&FILE.replace("su_password: S3cret", "sslmode: disable"));
        assert_eq!((config.ssl_mode(), password(&config)), (SslMode::Disable, Some("other")));
    }

    #[test]
    fn a_server_that_is_known_by_its_socket_can_be_reached_by_tcp() {
        let socket = parse(&FILE.replace("wa_inst-postgres-16-rw", "/run")).unwrap();
        assert_eq!(socket.ssl_mode(), SslMode::Disable);
        let tcp = socket.at_host(Host::Tcp("localhost".to_owned())).unwrap();
        assert_eq!((tcp.server().as_str(), tcp.ssl_mode()), ("localhost:5433", SslMode::Prefer));
        assert!(parse(&format!("{FILE}sslmode: verify-full\n")).is_err());
    }

    #[test]
    fn a_password_file_lies_beside_the_configuration() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("pw"), "S3cret \r\n").unwrap();
        let path = directory.path().join("postgres.yaml");
        std::fs::write(&path, FILE.replace("su_password: S3cret", "su_password_file: pw")).unwrap();
        let config = TargetConfig::from_file(&path, &TargetEnvironment::default()).unwrap();
        assert_eq!(password(&config), Some("S3cret "));
        let both = parse(&format!("{FILE}su_password_file: pw\n")).unwrap_err();
        assert!(both.to_string().contains("only one of"), "{both}");
    }

    #[test]
    fn addresses_and_sockets_are_hosts() {
        let server = |host: &str| parse(&FILE.replace("wa_inst-postgres-16-rw", host)).map(|c| c.server());
        assert_eq!(server("'[::1]'").unwrap(), "[::1]:5433");
        assert_eq!(server("/controller/run").unwrap(), "/controller/run/.s.PGSQL.5433");
        assert!(server("'a b'").is_err());
        assert!(server("''").is_err());
    }
}
