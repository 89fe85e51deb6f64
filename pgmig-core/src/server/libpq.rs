//! A configuration as the settings of programs that use libpq, such as pg_dump.

use super::config::{Host, TargetConfig};
use super::tls::{Ca, SslMode};
use secrecy::SecretString;
use std::ffi::OsString;
use std::process::Command;

/// Every environment variable that libpq reads. None of pgmig's own environment reaches the program: `PGPASSWORD`, say.
const VARIABLES: [&str; 48] = [
    "PGAPPNAME",
    "PGCHANNELBINDING",
    "PGCLIENTENCODING",
    "PGCONNECT_TIMEOUT",
    "PGDATABASE",
    "PGDATESTYLE",
    "PGGEQO",
    "PGGSSDELEGATION",
    "PGGSSENCMODE",
    "PGGSSLIB",
    "PGHOST",
    "PGHOSTADDR",
    "PGKRBSRVNAME",
    "PGLOADBALANCEHOSTS",
    "PGLOCALEDIR",
    "PGMAXPROTOCOLVERSION",
    "PGMINPROTOCOLVERSION",
    "PGOAUTHCAFILE",
    "PGOAUTHDEBUG",
    "PGOPTIONS",
    "PGPASSFILE",
    "PGPASSWORD",
    "PGPORT",
    "PGREALM",
    "PGREQUIREAUTH",
    "PGREQUIREPEER",
    "PGREQUIRESSL",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLCERT",
    "PGSSLCERTMODE",
    "PGSSLCOMPRESSION",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLKEY",
    "PGSSLKEYLOGFILE",
    "PGSSLMAXPROTOCOLVERSION",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMODE",
    "PGSSLNEGOTIATION",
    "PGSSLROOTCERT",
    "PGSSLSNI",
    "PGSYSCONFDIR",
    "PGTARGETSESSIONATTRS",
    "PGTTY",
    "PGTZ",
    "PGUSER",
    "PG_COLOR",
];

/// A path of no file: without such a setting, libpq uses files in the user's home directory, which pgmig does not.
const NO_FILE: &str = "/proc/self/fd/none";

/// The settings. `Debug` does not show the password.
#[derive(Debug, Clone)]
pub(crate) struct LibpqSettings {
    /// They do not hold the password.
    variables: Vec<(&'static str, OsString)>,
    /// libpq has no variables for these.
    connection_string: String,
    password: Option<SecretString>,
}

/// Removes every variable that libpq reads from the program's environment.
pub(crate) fn remove_variables(command: &mut Command) {
    for name in VARIABLES {
        command.env_remove(name);
    }
}

impl LibpqSettings {
    /// Whether it sets the variable.
    pub(crate) fn sets(&self, variable: &str) -> bool {
        self.variables.iter().any(|(name, _)| *name == variable)
    }

    /// Sets a variable, unless the operator has set it.
    pub(crate) fn set_default(&mut self, variable: &'static str, value: &str) {
        if !self.sets(variable) {
            self.variables.push((variable, value.into()));
        }
    }

    /// Sets the variables for a program, and removes all others of libpq.
    pub(crate) fn apply_to(&self, command: &mut Command) {
        remove_variables(command);
        // Messages in a language that pgmig understands.
        command.env("LC_ALL", "C");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
    }

    /// The password of the role that connects.
    pub(crate) fn password(&self) -> Option<&SecretString> {
        self.password.as_ref()
    }

    /// The database and the limits of the connection, as a connection string. It holds no secret.
    pub(crate) fn connection_string(&self) -> &str {
        &self.connection_string
    }
}

impl TargetConfig {
    /// The settings with which a program that uses libpq connects as pgmig does.
    pub(crate) fn libpq_settings(&self) -> LibpqSettings {
        let host = match &self.host {
            Host::Tcp(name) => OsString::from(name),
            Host::Socket(directory) => directory.clone().into_os_string(),
        };
        let mut variables: Vec<(&'static str, OsString)> = vec![
            ("PGHOST", host),
            ("PGPORT", self.port.to_string().into()),
            ("PGUSER", self.su_username().into()),
            ("PGAPPNAME", self.application_name().unwrap_or("pgmig").into()),
            ("PGCONNECT_TIMEOUT", self.limits.connect.as_secs().to_string().into()),
            ("PGSSLMODE", self.ssl_mode.to_string().into()),
            // Login triggers of the database would fire for this session, too.
            ("PGOPTIONS", self.event_triggers.options().into()),
        ];
        if self.ssl_mode != SslMode::Disable {
            variables.push(("PGSSLROOTCERT", self.root_certificates()));
        }
        let taken_over = self.variables.iter().filter(|(name, value)| {
            // `sslmode` goes before this one.
            !value.is_empty() && **name != "PGREQUIRESSL" && **name != "PGCONNECT_TIMEOUT"
        });
        variables.extend(taken_over.map(|(name, value)| (*name, OsString::from(value))));
        // pgmig has no GSSAPI either.
        let defaults = [
            ("PGPASSFILE", NO_FILE),
            ("PGSSLCERT", NO_FILE),
            ("PGSSLKEY", NO_FILE),
            ("PGSSLCRL", NO_FILE),
            ("PGGSSENCMODE", "disable"),
        ];
        for (name, value) in defaults {
            if !variables.iter().any(|(set, _)| *set == name) {
                variables.push((name, value.into()));
            }
        }
        let mut connection_string = format!("dbname={}", quoted(self.database()));
        for (name, value) in self.limits.parameters() {
            connection_string += &format!(" {name}={value}");
        }
        LibpqSettings { variables, connection_string, password: self.login.password().cloned() }
    }

    fn root_certificates(&self) -> OsString {
        match &self.ca {
            Some(Ca::File { path, .. }) => path.clone().into_os_string(),
            // libpq before 16 takes `system` for a file.
            Some(Ca::System) => openssl_probe::probe()
                .cert_file
                .map_or_else(|| "system".into(), std::path::PathBuf::into_os_string),
            None => NO_FILE.into(),
        }
    }
}

/// A value in a connection string.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::server::{LIBPQ_VARIABLES, LibpqVariables};

    fn value(settings: &LibpqSettings, name: &str) -> Option<String> {
        let found = settings.variables.iter().find(|(set, _)| *set == name);
        found.map(|(_, value)| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_configuration_is_passed_on_without_its_password() {
        let libpq = LibpqVariables::from([
            ("PGCHANNELBINDING", "require".to_owned()),
            ("PGSSLCERT", "client.crt".to_owned()),
            ("PGSSLKEY", "client.key".to_owned()),
        ]);
        let config = TargetConfig::builder("db", r"it's \", "app")
            .port(5433)
            .su_username("dba")
            .password("S3cret")
            .ca(Ca::file("ca.crt"))
            .libpq(libpq)
            .build()
            .unwrap();
        let settings = config.libpq_settings();
        for (name, expected) in [
            ("PGHOST", "db"),
            ("PGPORT", "5433"),
            ("PGUSER", "dba"),
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", "ca.crt"),
            ("PGSSLCERT", "client.crt"),
            ("PGSSLKEY", "client.key"),
            ("PGSSLCRL", NO_FILE),
            ("PGCHANNELBINDING", "require"),
        ] {
            assert_eq!(value(&settings, name).as_deref(), Some(expected), "{name}");
        }
        assert!(settings.sets("PGCHANNELBINDING") && !settings.sets("PGREQUIREAUTH"));
        let string = settings.connection_string();
        assert!(string.starts_with(r"dbname='it\'s \\' keepalives=1 keepalives_idle=30 "), "{string}");
        assert!(!format!("{settings:?}").contains("S3cret"));
    }

    #[test]
    fn files_of_the_home_directory_are_not_used() {
        let config = TargetConfig::builder("db", "store", "app").build().unwrap();
        let settings = config.libpq_settings();
        for name in ["PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGSSLCRL"] {
            assert_eq!(value(&settings, name).as_deref(), Some(NO_FILE), "{name}");
        }
        assert!(!std::path::Path::new(NO_FILE).exists());
    }

    #[test]
    fn every_variable_that_pgmig_honours_is_one_that_it_removes() {
        for name in LIBPQ_VARIABLES {
            assert!(VARIABLES.contains(&name), "{name}");
        }
        let mut command = Command::new("env");
        command.env("PGPASSWORD", "S3cret");
        let config = TargetConfig::builder("/run", "store", "app").build().unwrap();
        config.libpq_settings().apply_to(&mut command);
        let printed = String::from_utf8(command.output().unwrap().stdout).unwrap();
        assert!(!printed.contains("S3cret") && printed.contains("PGHOST=/run\n"), "{printed}");
    }
}
