//! `postgres.yaml`: which server and database to restore to, and as whom.

use crate::config_file::{self, FileKind};
use crate::server::config_entries::{ConfigFile, environment_password, nonempty};
use crate::server::config_error::ConfigError;
use crate::server::connection::ConnectionEnvironment;
use crate::server::error::TargetError;
use crate::server::event_triggers::EventTriggersOff;
use crate::server::handshake::ContextCell;
use crate::server::limits::SocketLimits;
use crate::server::login::Login;
use crate::server::policy::{LibpqVariables, Policy};
use crate::server::scram::new_verifier;
use crate::server::tls::{Ca, SslMode};
use crate::server::trust::Proven;
use crate::server::waits::Waits;
use secrecy::SecretString;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Host {
    /// A host name or an IP address.
    Tcp(String),
    /// The directory of the server's Unix-domain socket.
    Socket(PathBuf),
}

impl Host {
    /// A name that starts with a slash is a socket directory, as in libpq.
    pub(super) fn parse(text: &str) -> Option<Self> {
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
#[non_exhaustive]
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
    /// What names a target without a file; see [`TargetConfig::from_connection`].
    pub connection: ConnectionEnvironment,
}

/// Which server and database to restore to, and as whom. `Debug` does not show the password.
#[derive(Clone)]
pub struct TargetConfig {
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) database: String,
    pub(super) username: String,
    /// That of `su_username`.
    pub(super) login: Login,
    /// That of `username`.
    pub(super) own_password: Option<SecretString>,
    pub(super) ssl_mode: SslMode,
    pub(super) ca: Option<Ca>,
    pub(super) policy: Policy,
    pub(super) application_name: Option<String>,
    /// Whether the file itself holds the password.
    pub(super) holds_password: bool,
    pub(super) warnings: Vec<String>,
    /// Made once, so that every connection has the same CA, whatever becomes of its file.
    pub(super) tls_context: ContextCell,
    /// What the server proved on the first connection: it must prove as much on the others.
    pub(super) proven: Proven,
    pub(super) event_triggers: EventTriggersOff,
    pub(super) limits: SocketLimits,
    /// libpq's variables as they were given, for programs that use libpq.
    pub(super) variables: LibpqVariables,
    pub(super) waits: Waits,
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
        let text = config_file::read(path, FileKind::Target, config_file::MAX_SETTINGS_BYTES)?;
        let mixed_up = || config_file::mixed_up(path, &text, FileKind::Target);
        let mut config = Self::from_yaml(&text, path, environment)
            .map_err(|error| mixed_up().map_or(error, ConfigError::from))?;
        if config.holds_password {
            config.warnings.extend(config_file::exposure(path, &path.display().to_string(), "a password"));
        }
        Ok(config)
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
        let ssl_mode = SslMode::effective(file.ssl_mode(environment)?, &host, ca.as_ref())?;
        let password = match file.password("su_password", "su_password_file")? {
            Some(password) => Some(password),
            None => environment_password(environment)?,
        };
        let exposed = ["su_password_file", "password_file"].into_iter().filter_map(|key| {
            let path = file.beside(file.optional(key)?.text);
            config_file::exposure(&path, &format!("the file that {key} names"), "a password")
        });
        let warnings: Vec<String> = exposed.collect();
        Ok(Self {
            port: file.port()?,
            database: file.name("database")?,
            username: file.name("username")?,
            login: Login::new(file.name("su_username")?, password),
            own_password: file.password("password", "password_file")?,
            policy: Policy::new(&environment.libpq, &host, ssl_mode, ca.as_ref())?,
            ssl_mode,
            ca,
            host,
            application_name: nonempty(environment.pgappname.as_deref()).map(str::to_owned),
            holds_password: ["su_password", "password"].into_iter().any(|key| file.optional(key).is_some()),
            warnings,
            tls_context: ContextCell::default(),
            proven: Proven::default(),
            event_triggers: EventTriggersOff::default(),
            limits: SocketLimits::of_file(&file, &environment.libpq)?,
            variables: environment.libpq.clone(),
            waits: Waits::default(),
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

    /// `PGAPPNAME`, for programs that show it beside their own name.
    pub fn application_name(&self) -> Option<&str> {
        self.application_name.as_deref()
    }

    /// The same server and database for another login.
    pub(crate) fn for_login(&self, login: &Login) -> Self {
        // The temporary role has this as a setting of its own.
        let event_triggers = EventTriggersOff::default();
        Self { login: login.clone(), event_triggers, ..self.clone() }
    }

    /// Turns event triggers off for all sessions from now on, if the login may: login triggers of the target would fire for each.
    /// Only a superuser of PostgreSQL 17 and later is let in with this setting.
    pub(crate) fn turn_event_triggers_off(&self, is_superuser: bool, server_version: i32) {
        if is_superuser && server_version >= 170_000 {
            self.event_triggers.set();
        }
    }

    /// Databases to be connected to while the target is replaced, or must not be connected to, the best first.
    pub(crate) fn maintenance_databases(&self) -> impl Iterator<Item = &'static str> {
        ["postgres", "template1"].into_iter().filter(|database| *database != self.database())
    }

    /// The same server, which is on this machine, by TCP: nobody is between here and there, so TLS is used only where the
    /// server or the operator requires it.
    pub(crate) fn by_tcp(&self, address: &str, port: u16) -> Self {
        let host = Host::Tcp(address.to_owned());
        let ssl_mode = if self.policy.requires_tls() { SslMode::Require } else { SslMode::Allow };
        let (tls_context, proven, waits) =
            (ContextCell::default(), Proven::default(), self.waits.elsewhere());
        Self { host, port, ssl_mode, ca: None, tls_context, proven, waits, ..self.clone() }
    }

    /// How long sessions of this configuration and its clones wait, and who hears of it.
    pub(crate) fn waits(&self) -> &Waits {
        &self.waits
    }

    /// The login of `username` itself, where the file has its password.
    pub(crate) fn own_login(&self) -> Option<Login> {
        let password = self.own_password.clone()?;
        Some(Login::new(&self.username, Some(password)))
    }

    /// What the server stores of the password of `username`, with a new salt; `None` where the password is not known.
    ///
    /// # Errors
    ///
    /// The cryptographic library fails.
    pub(crate) fn own_verifier(&self) -> Option<Result<SecretString, TargetError>> {
        self.own_password.as_ref().map(new_verifier)
    }

    /// Warnings about the configuration files, a sentence each: a password that other users can read, say.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
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

impl fmt::Debug for TargetConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetConfig")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("database", &self.database)
            .field("username", &self.username)
            .field("login", &self.login)
            .field("own_password", &self.own_password)
            .field("ssl_mode", &self.ssl_mode)
            .field("ca", &self.ca)
            .field("policy", &self.policy)
            .field("application_name", &self.application_name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::server::config_entries::PASSWORD;
    use secrecy::ExposeSecret as _;

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
        assert!(
            text.starts_with(
                "dir/postgres.yaml, line 6: unknown key `su_pasword`; did you mean `su_password`?"
            ),
            "{text}"
        );
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
            FILE.replace("su_password: S3cret", "S3cret: x"),
            format!("{FILE}S3cret: x\nS3cret: x\n"),
            FILE.replace("su_password: S3cret", "su_password_file: S3cret"),
            FILE.replace("su_password: S3cret", "su_password: \"S3cret\\nx\""),
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
        let text = FILE.replace("wa_inst-postgres-16-rw", "/run");
        let socket = parse(&text).unwrap();
        assert_eq!(socket.ssl_mode(), SslMode::Disable);
        let tcp = socket.by_tcp("127.0.0.1", 5434);
        assert_eq!((tcp.server().as_str(), tcp.ssl_mode()), ("127.0.0.1:5434", SslMode::Allow));
        let mut environment = TargetEnvironment::default();
        environment.libpq.insert("PGCHANNELBINDING", "require".to_owned());
        let bound = TargetConfig::from_yaml(&text, Path::new("p.yaml"), &environment).unwrap();
        assert_eq!(bound.by_tcp("127.0.0.1", 5434).ssl_mode(), SslMode::Require);
    }

    #[test]
    fn a_mode_that_would_verify_nothing_is_refused() {
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
    fn a_password_of_several_lines_is_refused_by_its_place() {
        let said = |text: &str, password: Option<&str>| {
            let environment =
                TargetEnvironment { pgpassword: password.map(Into::into), ..TargetEnvironment::default() };
            TargetConfig::from_yaml(text, Path::new("p.yaml"), &environment).unwrap_err().to_string()
        };
        let value = said(&FILE.replace("S3cret", "\"S3\\ncret\""), None);
        assert!(
            value.starts_with("p.yaml, line 6: the value of `su_password`") && value.contains(PASSWORD),
            "{value}"
        );
        let variable = said(&FILE.replace("su_password: S3cret\n", ""), Some("S3\ncret"));
        assert!(variable.contains("PGPASSWORD") && variable.contains(PASSWORD), "{variable}");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pw");
        std::fs::write(&path, "S3\ncret\n").unwrap();
        let by_file = said(
            &FILE.replace("su_password: S3cret", &format!("su_password_file: {}", path.display())),
            None,
        );
        assert!(
            by_file.contains("line 6") && by_file.contains(PASSWORD) && !by_file.contains("cret"),
            "{by_file}"
        );
    }

    #[test]
    fn a_password_that_others_can_read_is_warned_of() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let (path, secret) = (directory.path().join("postgres.yaml"), directory.path().join("pw"));
        let warnings = |text: &str, mode: u32| {
            std::fs::write(&path, text).unwrap();
            std::fs::write(&secret, "S3cret").unwrap();
            for path in [&path, &secret] {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            }
            let config = TargetConfig::from_file(&path, &TargetEnvironment::default()).unwrap();
            config.warnings().to_vec()
        };
        let [warning] = &warnings(FILE, 0o644)[..] else { panic!("no warning") };
        assert!(
            warning.contains("postgres.yaml holds a password") && warning.contains("chmod 600"),
            "{warning}"
        );
        let by_file = FILE.replace("su_password: S3cret", "su_password_file: pw");
        let [warning] = &warnings(&by_file, 0o644)[..] else { panic!("no warning") };
        assert!(
            warning.contains("the file that su_password_file names") && !warning.contains("pw "),
            "{warning}"
        );
        assert_eq!(warnings(FILE, 0o600), [""; 0]);
        assert_eq!(warnings(&FILE.replace("su_password: S3cret\n", ""), 0o644), [""; 0]);
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
