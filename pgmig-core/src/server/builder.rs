//! A target's configuration from a program's own settings, without a `postgres.yaml`.

use super::config::{Host, TargetConfig};
use super::config_error::ConfigError;
use super::event_triggers::EventTriggersOff;
use super::handshake::ContextCell;
use super::limits::SocketLimits;
use super::login::Login;
use super::policy::{LibpqVariables, Policy};
use super::tls::{Ca, SslMode};
use super::trust::Proven;
use super::waits::Waits;
use secrecy::SecretString;

const DEFAULT_PORT: u16 = 5432;

impl TargetConfig {
    /// Begins a configuration. `host` is a host name, an IP address or a socket's directory, as in `postgres.yaml`;
    /// restored objects belong to `username`.
    ///
    /// ```
    /// use pgmig_core::server::{Ca, SslMode, TargetConfig};
    /// let config = TargetConfig::builder("db.example", "store", "app")
    ///     .port(5433)
    ///     .su_username("postgres")
    ///     .password("from a vault")
    ///     .ca(Ca::file("ca.crt"))
    ///     .build()?;
    /// assert_eq!(config.server(), "db.example:5433");
    /// assert_eq!((config.username(), config.su_username()), ("app", "postgres"));
    /// assert_eq!(config.ssl_mode(), SslMode::VerifyFull);
    /// # Ok::<(), pgmig_core::server::ConfigError>(())
    /// ```
    pub fn builder(
        host: impl Into<String>,
        database: impl Into<String>,
        username: impl Into<String>,
    ) -> TargetConfigBuilder {
        TargetConfigBuilder {
            host: host.into(),
            port: DEFAULT_PORT,
            database: database.into(),
            username: username.into(),
            su_username: None,
            password: None,
            ssl_mode: None,
            ca: None,
            libpq: LibpqVariables::new(),
            application_name: None,
        }
    }
}

/// A configuration that is being put together. `Debug` does not show the password.
#[derive(Debug, Clone)]
#[must_use = "build() makes the configuration"]
pub struct TargetConfigBuilder {
    host: String,
    port: u16,
    database: String,
    username: String,
    su_username: Option<String>,
    password: Option<SecretString>,
    ssl_mode: Option<SslMode>,
    ca: Option<Ca>,
    libpq: LibpqVariables,
    application_name: Option<String>,
}

impl TargetConfigBuilder {
    /// The server's port, instead of 5432.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The role that pgmig connects as, instead of `username`.
    pub fn su_username(mut self, role: impl Into<String>) -> Self {
        self.su_username = Some(role.into());
        self
    }

    /// The password of the role that pgmig connects as.
    pub fn password(mut self, password: impl Into<SecretString>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// The TLS mode. Without one it depends on whether there is a CA, as in `postgres.yaml`.
    pub fn ssl_mode(mut self, mode: SslMode) -> Self {
        self.ssl_mode = Some(mode);
        self
    }

    /// The CA certificates that the server's certificate is verified with.
    pub fn ca(mut self, ca: Ca) -> Self {
        self.ca = Some(ca);
        self
    }

    /// Further demands on connections, as libpq's environment variables would make them: CRLs, channel binding.
    pub fn libpq(mut self, variables: LibpqVariables) -> Self {
        self.libpq = variables;
        self
    }

    /// The program's name for `pg_stat_activity`, instead of `pgmig`.
    pub fn application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = Some(name.into());
        self
    }

    /// The configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError::InvalidSetting`]: no host, port 0, or a name that is empty or has a zero byte.
    /// [`ConfigError::CannotHonour`]: a TLS mode that would verify nothing, or a demand that pgmig cannot meet.
    pub fn build(self) -> Result<TargetConfig, ConfigError> {
        let host = Host::parse(&self.host)
            .ok_or_else(|| invalid("host", "a host name, an IP address or a socket directory"))?;
        if self.port == 0 {
            return Err(invalid("port", "a number from 1 to 65535"));
        }
        let su_username = self.su_username.unwrap_or_else(|| self.username.clone());
        let names =
            [("database", &self.database), ("username", &self.username), ("su_username", &su_username)];
        for (setting, name) in names {
            // The protocol ends strings with a zero byte.
            if name.is_empty() || name.contains('\0') {
                return Err(invalid(setting, "a name without a zero byte"));
            }
        }
        let ssl_mode = SslMode::effective(self.ssl_mode, &host, self.ca.as_ref())?;
        Ok(TargetConfig {
            policy: Policy::new(&self.libpq, &host, ssl_mode, self.ca.as_ref())?,
            port: self.port,
            database: self.database,
            username: self.username,
            login: Login::new(su_username, self.password),
            own_password: None,
            holds_password: false,
            warnings: Vec::new(),
            ssl_mode,
            ca: self.ca,
            host,
            application_name: self.application_name,
            tls_context: ContextCell::default(),
            proven: Proven::default(),
            event_triggers: EventTriggersOff::default(),
            limits: SocketLimits::of_variables(&self.libpq)?,
            variables: self.libpq,
            waits: Waits::default(),
        })
    }
}

fn invalid(setting: &'static str, expected: &'static str) -> ConfigError {
    ConfigError::InvalidSetting { setting, expected }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::server::TargetEnvironment;

    #[test]
    fn a_builder_makes_what_the_file_makes() {
        let yaml = "host: db\nport: 5433\ndatabase: store\nusername: app\nsu_username: dba\nsu_password: S3cret\n\
                    sslmode: verify-full\nsslrootcert: system\n";
        let file = TargetConfig::from_yaml(yaml, "p.yaml".as_ref(), &TargetEnvironment::default()).unwrap();
        let built = TargetConfig::builder("db", "store", "app")
            .port(5433)
            .su_username("dba")
            .password("S3cret")
            .ssl_mode(SslMode::VerifyFull)
            .ca(Ca::System)
            .build()
            .unwrap();
        assert_eq!(format!("{built:?}"), format!("{file:?}"));
    }

    #[test]
    fn the_password_is_not_shown() {
        let builder = TargetConfig::builder("/run", "store", "app").password("S3cret");
        assert!(!format!("{builder:?}").contains("S3cret"));
    }

    #[test]
    fn settings_that_cannot_be_are_named() {
        let setting = |builder: TargetConfigBuilder| match builder.build() {
            Err(ConfigError::InvalidSetting { setting, .. }) => setting,
            other => panic!("{other:?}"),
        };
        assert_eq!(setting(TargetConfig::builder("", "store", "app")), "host");
        assert_eq!(setting(TargetConfig::builder("db", "store", "app").port(0)), "port");
        assert_eq!(setting(TargetConfig::builder("db", "", "app")), "database");
        assert_eq!(setting(TargetConfig::builder("db", "store", "a\0")), "username");
        assert_eq!(setting(TargetConfig::builder("db", "store", "app").su_username("")), "su_username");
    }
}
