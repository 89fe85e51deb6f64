//! A target as libpq finds it, without a `postgres.yaml`: by a URL or a connection string, a service, the environment and
//! the password file, in this order, as the manual of psql says.

mod password_file;
mod service;
mod string;

use super::config::{TargetConfig, TargetEnvironment};
use super::config_error::ConfigError;
use super::vcap::quoted;
use crate::config_file::is_connection_string;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The environment variables of [`ConnectionEnvironment::variables`].
pub const CONNECTION_VARIABLES: [&str; 10] = [
    "PGDATABASE",
    "PGHOST",
    "PGHOSTADDR",
    "PGPASSFILE",
    "PGPORT",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSYSCONFDIR",
    "PGTARGETSESSIONATTRS",
    "PGUSER",
];

/// Those that name a target.
const NAMING: [&str; 5] = ["PGDATABASE", "PGHOST", "PGHOSTADDR", "PGSERVICE", "PGUSER"];

/// The directories in which libpq looks for the server's socket.
const SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// Where libpq looks for the system's `pg_service.conf`.
const SYSTEM_CONFIGURATION: &str = "/etc/postgresql-common";

const DEFAULT_PORT: &str = "5432";

/// What a program's environment says of a connection. Empty values count as not set.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ConnectionEnvironment {
    /// Those of [`CONNECTION_VARIABLES`] that are set.
    pub variables: BTreeMap<&'static str, String>,
    /// The user's home directory, for `.pgpass` and `.pg_service.conf`.
    pub home: Option<PathBuf>,
    /// The name of the operating system's user, the default of `PGUSER`.
    pub user: Option<String>,
}

impl ConnectionEnvironment {
    /// Whether the environment names a target.
    pub fn names_target(&self) -> bool {
        NAMING.iter().any(|name| self.get(name).is_some())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Values by the names of libpq's parameters. `Debug` shows no value.
#[derive(Default)]
struct Parameters(BTreeMap<String, SecretString>);

impl Parameters {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.expose_secret()).filter(|value| !value.is_empty())
    }

    fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), SecretString::from(value));
    }

    /// Sets what is not set yet.
    fn or_set(&mut self, name: &str, value: &str) {
        if self.get(name).is_none() {
            self.set(name, value);
        }
    }
}

/// The parameters that pgmig knows, and the environment variable of each.
const PARAMETERS: [(&str, &str); 30] = [
    ("application_name", "PGAPPNAME"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("dbname", "PGDATABASE"),
    ("gssencmode", "PGGSSENCMODE"),
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("keepalives", ""),
    ("keepalives_count", ""),
    ("keepalives_idle", ""),
    ("keepalives_interval", ""),
    ("passfile", "PGPASSFILE"),
    ("password", "PGPASSWORD"),
    ("port", "PGPORT"),
    ("require_auth", "PGREQUIREAUTH"),
    ("requirepeer", "PGREQUIREPEER"),
    ("requiressl", "PGREQUIRESSL"),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    ("sslcert", "PGSSLCERT"),
    ("sslcertmode", "PGSSLCERTMODE"),
    ("sslcrl", "PGSSLCRL"),
    ("sslcrldir", "PGSSLCRLDIR"),
    ("sslkey", "PGSSLKEY"),
    ("sslmode", "PGSSLMODE"),
    ("sslnegotiation", "PGSSLNEGOTIATION"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslsni", "PGSSLSNI"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("tcp_user_timeout", ""),
];

/// The other parameters that a connection string or a service may have.
const ALSO: [&str; 2] = ["service", "user"];

/// Values of `target_session_attrs` that mean the server that a restore needs.
const WRITABLE: [&str; 3] = ["any", "read-write", "primary"];

impl TargetConfig {
    /// The target that a connection string and the environment name. `connection` is a URL or a connection string of libpq. The
    /// role that logs in is both `username` and `su_username`; change that with [`TargetConfig::owned_by`].
    ///
    /// # Errors
    ///
    /// A part that is not understood, a password in `connection`, no database, or what [`TargetConfig::from_file`] refuses.
    pub fn from_connection(
        connection: Option<&str>,
        environment: &TargetEnvironment,
    ) -> Result<Self, ConfigError> {
        let mut parameters = Parameters::default();
        if let Some(connection) = connection {
            string::parse(connection, &mut parameters)?;
            check(&parameters, CONNECTION)?;
            if parameters.get("password").is_some() {
                return Err(invalid(
                    CONNECTION,
                    "it holds a password (not shown), and every user of this machine can read arguments; put the password \
                     into ~/.pgpass (PGPASSFILE), or into PGPASSWORD",
                ));
            }
        }
        let of_connection = &environment.connection;
        let service = parameters.get("service").or_else(|| of_connection.get("PGSERVICE")).map(str::to_owned);
        if let Some(service) = service {
            service::read(&service, of_connection, &mut parameters)?;
            check(&parameters, "the service")?;
        }
        let mut environment = environment.clone();
        apply_variables(&mut parameters, &mut environment)?;
        let yaml = yaml(&mut parameters, &environment)?;
        let mut config = Self::from_yaml(yaml.expose_secret(), Path::new(CONNECTION), &environment)?;
        config.holds_password = false;
        Ok(config)
    }

    /// The same server and roles, and another database.
    ///
    /// # Errors
    ///
    /// [`ConfigError::InvalidSetting`]: an empty name, or one with a zero byte.
    pub fn with_database(mut self, database: &str) -> Result<Self, ConfigError> {
        self.database = name("database", database)?;
        Ok(self)
    }

    /// The same login, and another role that owns the restored objects.
    ///
    /// # Errors
    ///
    /// [`ConfigError::InvalidSetting`]: an empty name, or one with a zero byte.
    pub fn owned_by(mut self, username: &str) -> Result<Self, ConfigError> {
        self.username = name("username", username)?;
        Ok(self)
    }
}

/// How messages name what was given.
const CONNECTION: &str = "the target's connection";

fn name(setting: &'static str, name: &str) -> Result<String, ConfigError> {
    // The protocol ends strings with a zero byte. A URL in the place of a name may hold a password.
    if name.is_empty() || name.contains('\0') || is_connection_string(Path::new(name)) {
        return Err(ConfigError::InvalidSetting { setting, expected: "a name without a zero byte" });
    }
    Ok(name.to_owned())
}

fn invalid(what: &str, message: &str) -> ConfigError {
    ConfigError::Connection { what: what.to_owned(), message: message.to_owned() }
}

/// Refuses parameters that pgmig does not know, and those that it cannot follow.
fn check(parameters: &Parameters, what: &str) -> Result<(), ConfigError> {
    for name in parameters.0.keys() {
        let is_known = PARAMETERS.iter().any(|(known, _)| known == name) || ALSO.contains(&name.as_str());
        if !is_known {
            let known: Vec<&str> = PARAMETERS.iter().map(|(known, _)| *known).chain(ALSO).collect();
            let hint = crate::text::meant(name, &known).map(|meant| format!("; did you mean {meant}?"));
            let shown = hint.as_ref().map_or("(not shown)", |_| name);
            let text = format!("pgmig does not follow the parameter {shown}{}", hint.unwrap_or_default());
            return Err(invalid(what, &text));
        }
    }
    Ok(())
}

/// Completes the parameters by the environment's variables, and hands those that `postgres.yaml` does not have to it.
fn apply_variables(
    parameters: &mut Parameters,
    environment: &mut TargetEnvironment,
) -> Result<(), ConfigError> {
    let of_connection = environment.connection.clone();
    for (parameter, variable) in PARAMETERS {
        if let Some(value) = of_connection.get(variable) {
            parameters.or_set(parameter, value);
        }
    }
    if let Some(user) = of_connection.get("PGUSER").or(of_connection.user.as_deref()) {
        parameters.or_set("user", user);
    }
    for (parameter, variable) in PARAMETERS {
        let known = super::policy::LIBPQ_VARIABLES.into_iter().find(|known| *known == variable);
        if let (Some(value), Some(known)) = (parameters.get(parameter), known) {
            environment.libpq.insert(known, value.to_owned());
        }
    }
    if let Some(name) = parameters.get("application_name") {
        environment.pgappname = Some(name.to_owned());
    }
    if let Some(other) = parameters.get("target_session_attrs").filter(|value| !WRITABLE.contains(value)) {
        let text = format!(
            "target_session_attrs={other} is not followed: a restore needs the server that can be written to"
        );
        return Err(invalid(CONNECTION, &text));
    }
    Ok(())
}

/// The text of a `postgres.yaml` with the parameters.
fn yaml(parameters: &mut Parameters, environment: &TargetEnvironment) -> Result<SecretString, ConfigError> {
    parameters.or_set("port", DEFAULT_PORT);
    let (host, port) = (host(parameters)?, parameters.get("port").unwrap_or(DEFAULT_PORT).to_owned());
    if host.contains(',') || port.contains(',') {
        return Err(invalid(CONNECTION, "it names several servers; name the one that is to be restored to"));
    }
    let Some(database) = parameters.get("dbname") else {
        return Err(invalid(
            CONNECTION,
            "it names no database, and pgmig guesses none; add one, or set PGDATABASE",
        ));
    };
    let Some(user) = parameters.get("user") else {
        return Err(invalid(CONNECTION, "it names no role; add one, or set PGUSER"));
    };
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    if !is_port {
        return Err(invalid(CONNECTION, "the port is no number from 1 to 65535"));
    }
    let mut yaml = format!(
        "host: {}\nport: {port}\ndatabase: {}\nusername: {user}\nsu_username: {user}\n",
        quoted(&host),
        quoted(database),
        user = quoted(user)
    );
    let is_set = environment.pgpassword.as_ref().is_some_and(|password| !password.expose_secret().is_empty());
    let password = match parameters.get("password") {
        Some(password) => Some(SecretString::from(password)),
        None if is_set => None,
        None => {
            let file = parameters.get("passfile").map(PathBuf::from);
            let file = file.or_else(|| Some(environment.connection.home.as_ref()?.join(".pgpass")));
            let at = [host.as_str(), &port, database, user];
            file.map(|file| password_file::find(&file, at)).transpose()?.flatten()
        }
    };
    if let Some(password) = password {
        let _ = writeln!(yaml, "su_password: {}", quoted(password.expose_secret()));
    }
    for key in ["sslmode", "sslrootcert"] {
        if let Some(value) = parameters.get(key) {
            let _ = writeln!(yaml, "{key}: {}", quoted(value));
        }
    }
    for key in
        ["keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"]
    {
        if let Some(value) = parameters.get(key) {
            let number: u32 =
                value.parse().map_err(|_| invalid(CONNECTION, &format!("{key} is no number")))?;
            let _ = writeln!(yaml, "{key}: {number}");
        }
    }
    Ok(SecretString::from(yaml))
}

/// The server's name, address, or socket directory.
fn host(parameters: &Parameters) -> Result<String, ConfigError> {
    match (parameters.get("host"), parameters.get("hostaddr")) {
        (Some(host), Some(address)) if host != address => Err(invalid(
            CONNECTION,
            "host and hostaddr are both given, and pgmig finds the address of a host itself; leave hostaddr out",
        )),
        (Some(host), _) => Ok(host.to_owned()),
        (None, Some(address)) => Ok(address.to_owned()),
        (None, None) => {
            let socket = format!(".s.PGSQL.{}", parameters.get("port").unwrap_or(DEFAULT_PORT));
            let here =
                SOCKET_DIRECTORIES.into_iter().find(|directory| Path::new(directory).join(&socket).exists());
            Ok(here.unwrap_or("localhost").to_owned())
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::server::{Host, SslMode};
    use std::os::unix::fs::PermissionsExt as _;

    fn environment(variables: &[(&'static str, &str)]) -> TargetEnvironment {
        let mut environment = TargetEnvironment::default();
        let set = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
        environment.connection.variables = set.collect();
        environment
    }

    fn config(connection: &str, environment: &TargetEnvironment) -> Result<TargetConfig, ConfigError> {
        TargetConfig::from_connection(Some(connection).filter(|text| !text.is_empty()), environment)
    }

    fn said(connection: &str) -> String {
        config(connection, &TargetEnvironment::default()).unwrap_err().to_string()
    }

    fn password(config: &TargetConfig) -> Option<&str> {
        config.login().password().map(|password| password.expose_secret())
    }

    #[test]
    fn a_url_in_every_form() {
        for (url, server, database, user) in [
            ("postgresql://app@db/store", "db:5432", "store", "app"),
            ("postgres://app@db:5433/store", "db:5433", "store", "app"),
            ("postgresql://db/my%20store?user=it%27s", "db:5432", "my store", "it's"),
            ("postgresql://app@[::1]:5433/store", "[::1]:5433", "store", "app"),
            ("postgresql://app@%2Frun%2Fpg/store", "/run/pg/.s.PGSQL.5432", "store", "app"),
            ("postgresql:///store?host=/run/pg&user=app&port=5433", "/run/pg/.s.PGSQL.5433", "store", "app"),
            ("host=db port=5433 dbname='my store' user=app", "db:5433", "my store", "app"),
            (r"host = db dbname=it\'s user='a\\b'", "db:5432", "it's", r"a\b"),
            ("hostaddr=10.0.0.7 dbname=store user=app", "10.0.0.7:5432", "store", "app"),
        ] {
            let config = config(url, &TargetEnvironment::default()).unwrap();
            assert_eq!((config.server().as_str(), config.database()), (server, database), "{url}");
            assert_eq!((config.username(), config.su_username()), (user, user), "{url}");
        }
    }

    #[test]
    fn parameters_of_tls_and_limits_are_followed() {
        let url = "postgresql://app@db/store?sslmode=require&channel_binding=require&connect_timeout=3&keepalives_idle=7";
        let config = config(url, &TargetEnvironment::default()).unwrap();
        assert_eq!(config.ssl_mode(), SslMode::Require);
        assert_eq!(config.variables.get("PGCHANNELBINDING").map(String::as_str), Some("require"));
        assert_eq!(config.limits.connect.as_secs(), 3);
        assert!(config.limits.parameters().contains(&("keepalives_idle", 7)));
    }

    #[test]
    fn a_password_in_the_connection_is_refused_and_not_shown() {
        for url in [
            "postgresql://app:S3cret@db/store",
            "postgresql://app@db/store?password=S3cret",
            "host=db dbname=store user=app password=S3cret",
            "postgresql://app:S3cret@db:port/store",
            "postgresql://app:S3cret@db/store?sslmode=S3cret",
        ] {
            let said = said(url);
            assert!(said.contains("~/.pgpass") && !said.contains("S3cret"), "{url}: {said}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_refused_without_its_value() {
        for (url, expected) in [
            ("postgresql://app@a,b/store", "several servers"),
            ("postgresql://app@db", "no database"),
            ("postgresql://db/store", "no role"),
            ("postgresql://app@db:0/store", "the port"),
            ("postgresql://app@db/store?sslmod=require", "did you mean sslmode?"),
            ("postgresql://app@db/store?options=-cx", "does not follow the parameter"),
            ("postgresql://app@db/store?target_session_attrs=standby", "can be written to"),
            ("postgresql://app@db/store?hostaddr=10.0.0.7", "both given"),
            ("postgresql://app@db/st%zzore", "percent"),
            ("postgresql://app@[::1/store", "bracket"),
            ("mysql://app@db/store", "neither a URL"),
            ("store", "neither a URL"),
            ("host=db dbname='store", "quote"),
        ] {
            let said = said(url);
            assert!(said.contains(expected), "{url}: {said}");
        }
    }

    #[test]
    fn what_is_given_goes_before_the_service_and_that_before_the_environment() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("services.conf");
        std::fs::write(
            &path,
            "# all of them\n[other]\nhost=elsewhere\n[store]\nhost=served\ndbname=of_service\nport=5433\n",
        )
        .unwrap();
        let path = path.to_str().unwrap();
        let all = [
            ("PGSERVICEFILE", path),
            ("PGSERVICE", "store"),
            ("PGHOST", "no"),
            ("PGUSER", "app"),
            ("PGPORT", "1"),
        ];
        let config = |url: &str| config(url, &environment(&all)).unwrap();
        let found = config("");
        assert_eq!(
            (found.server().as_str(), found.database(), found.username()),
            ("served:5433", "of_service", "app")
        );
        let found = config("postgresql://given/");
        assert_eq!((found.server().as_str(), found.database()), ("given:5433", "of_service"));
        let found = config("dbname=store service=other");
        assert_eq!((found.server().as_str(), found.database()), ("elsewhere:1", "store"));
        let missing = TargetConfig::from_connection(Some("service=nobody"), &environment(&all)).unwrap_err();
        assert!(missing.to_string().contains("no service \"nobody\""), "{missing}");
    }

    #[test]
    fn the_environment_alone_and_its_defaults() {
        let mut environment = environment(&[("PGHOST", "/run/pg"), ("PGDATABASE", "store")]);
        assert!(environment.connection.names_target());
        environment.connection.user = Some("os_user".to_owned());
        let found = config("", &environment).unwrap();
        assert_eq!(found.host(), &Host::Socket("/run/pg".into()));
        assert_eq!((found.database(), found.username()), ("store", "os_user"));
        assert!(!TargetEnvironment::default().connection.names_target());
        let other = found.with_database("other").unwrap().owned_by("app").unwrap();
        assert_eq!((other.database(), other.username(), other.su_username()), ("other", "app", "os_user"));
        assert!(
            other.with_database("postgres://u:S3cret@h/db").unwrap_err().to_string().contains("database")
        );
    }

    #[test]
    fn a_password_comes_from_the_environment_or_from_the_password_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".pgpass");
        let lines = "# a comment\ndb:5433:*:app:other port\ndb:*:store:app:S3\\:cr\\\\et\n*:*:*:*:any\n";
        std::fs::write(&path, lines).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut environment = TargetEnvironment::default();
        environment.connection.home = Some(directory.path().to_owned());
        let found = config("postgresql://app@db/store", &environment).unwrap();
        assert_eq!(password(&found), Some(r"S3:cr\et"));
        let found = config("postgresql://other@db/store", &environment).unwrap();
        assert_eq!(password(&found), Some("any"));
        assert!(!format!("{found:?}").contains("any"));
        environment.pgpassword = Some("of the environment".into());
        let found = config("postgresql://app@db/store", &environment).unwrap();
        assert_eq!(password(&found), Some("of the environment"));
        // As in libpq, a file that others can read is not used; here that is said.
        environment.pgpassword = None;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let refused = config("postgresql://app@db/store", &environment).unwrap_err().to_string();
        assert!(refused.contains("chmod 600") && !refused.contains("S3"), "{refused}");
        // A file that is not there is no error.
        environment.connection.variables.insert("PGPASSFILE", "/nothing".to_owned());
        assert_eq!(password(&config("postgresql://app@db/store", &environment).unwrap()), None);
    }
}
