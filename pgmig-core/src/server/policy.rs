//! What libpq's environment variables ask of a connection, beside `sslmode` and the CA.
//!
//! Each is honoured, or refused by its name: none that protects the operator is passed over.

use crate::server::config::Host;
use crate::server::config_error::ConfigError;
use crate::server::require_auth::RequireAuth;
use crate::server::tls::{Ca, SslMode};
use openssl::ssl::SslVersion;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

/// The variables of libpq that are honoured or refused by name. Others of its variables say where the server is,
/// which `postgres.yaml` does, or protect nothing.
pub const LIBPQ_VARIABLES: [&str; 15] = [
    "PGCHANNELBINDING",
    "PGCONNECT_TIMEOUT",
    "PGGSSENCMODE",
    "PGREQUIREAUTH",
    "PGREQUIREPEER",
    "PGREQUIRESSL",
    "PGSSLCERT",
    "PGSSLCERTMODE",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLKEY",
    "PGSSLMAXPROTOCOLVERSION",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLNEGOTIATION",
    "PGSSLSNI",
];

/// Values of [`LIBPQ_VARIABLES`], by name. Empty ones count as not set.
pub type LibpqVariables = BTreeMap<&'static str, String>;

/// Whether SCRAM is bound to the TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChannelBinding {
    Disable,
    Prefer,
    Require,
}

/// A client certificate and its key.
#[derive(Debug, Clone)]
pub(super) struct ClientCertificate {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// What the variables ask for.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    pub(super) channel_binding: ChannelBinding,
    pub(super) require_auth: RequireAuth,
    pub(super) min_version: SslVersion,
    pub(super) max_version: Option<SslVersion>,
    pub(super) crl_file: Option<PathBuf>,
    pub(super) crl_directory: Option<PathBuf>,
    pub(super) client: Option<ClientCertificate>,
    pub(super) sends_server_name: bool,
    /// TLS from the first byte, without asking the server for it (17 and later).
    pub(super) is_direct: bool,
}

impl Policy {
    pub(super) fn new(
        variables: &LibpqVariables,
        host: &Host,
        mode: SslMode,
        ca: Option<&Ca>,
    ) -> Result<Self, ConfigError> {
        let variables = Variables(variables);
        variables.refuse_unsupported(host, mode)?;
        let policy = Self {
            channel_binding: variables.parse("PGCHANNELBINDING")?.unwrap_or(ChannelBinding::Prefer),
            require_auth: variables.parse("PGREQUIREAUTH")?.unwrap_or_default(),
            // As libpq: older versions only where they are asked for.
            min_version: variables.version("PGSSLMINPROTOCOLVERSION")?.unwrap_or(SslVersion::TLS1_2),
            max_version: variables.version("PGSSLMAXPROTOCOLVERSION")?,
            crl_file: variables.path("PGSSLCRL"),
            crl_directory: variables.path("PGSSLCRLDIR"),
            client: variables.client()?,
            sends_server_name: variables.one_of("PGSSLSNI", "0 or 1")? != Some("0"),
            is_direct: variables.one_of("PGSSLNEGOTIATION", "postgres or direct")? == Some("direct"),
        };
        if mode == SslMode::Disable {
            return Ok(policy);
        }
        let crl = if policy.crl_file.is_some() { "PGSSLCRL" } else { "PGSSLCRLDIR" };
        if ca.is_none() && (policy.crl_file.is_some() || policy.crl_directory.is_some()) {
            return Err(ConfigError::cannot_honour(
                crl,
                "without a CA no certificate is checked",
                "set PG_CA_FILE to the cluster's ca.crt",
            ));
        }
        if policy.is_direct && matches!(mode, SslMode::Allow | SslMode::Prefer) {
            return Err(ConfigError::cannot_honour(
                "PGSSLNEGOTIATION=direct",
                "sslmode allows connections without TLS",
                "set sslmode to require, verify-ca or verify-full",
            ));
        }
        Ok(policy)
    }

    /// Whether a connection without TLS cannot be what the operator asks for.
    pub(super) fn requires_tls(&self) -> bool {
        self.channel_binding == ChannelBinding::Require
    }
}

/// The variables that are set.
struct Variables<'a>(&'a LibpqVariables);

impl<'a> Variables<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn refuse_unsupported(&self, host: &Host, mode: SslMode) -> Result<(), ConfigError> {
        if self.one_of("PGGSSENCMODE", "disable, prefer or require")? == Some("require") {
            return Err(ConfigError::cannot_honour(
                "PGGSSENCMODE=require",
                "pgmig has no GSSAPI encryption",
                "unset it, and use TLS with sslmode: verify-full",
            ));
        }
        if self.get("PGREQUIREPEER").is_some() && matches!(host, Host::Socket(_)) {
            return Err(ConfigError::cannot_honour(
                "PGREQUIREPEER",
                "pgmig does not ask which user runs the server behind a socket",
                "unset it, and make sure that only the server's user can write to the socket's directory",
            ));
        }
        if self.one_of("PGSSLCERTMODE", "disable, allow or require")? == Some("require")
            && mode != SslMode::Disable
        {
            return Err(ConfigError::cannot_honour(
                "PGSSLCERTMODE=require",
                "pgmig does not know whether the server asked for a client certificate",
                "unset it, and have pg_hba.conf say clientcert=verify-full",
            ));
        }
        Ok(())
    }

    fn client(&self) -> Result<Option<ClientCertificate>, ConfigError> {
        let Some(certificate) = self.path("PGSSLCERT") else { return Ok(None) };
        if self.get("PGSSLCERTMODE") == Some("disable") {
            return Ok(None);
        }
        let Some(key) = self.path("PGSSLKEY") else {
            return Err(ConfigError::cannot_honour(
                "PGSSLCERT",
                "the certificate's key is not given",
                "set PGSSLKEY to the file of the key",
            ));
        };
        Ok(Some(ClientCertificate { certificate, key }))
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    fn parse<T: FromStr<Err = &'static str>>(&self, name: &'static str) -> Result<Option<T>, ConfigError> {
        let parsed = self.get(name).map(str::parse).transpose();
        parsed.map_err(|expected| ConfigError::InvalidEnvironment { variable: name, expected })
    }

    /// The value, which must be one of these words: "a, b or c".
    fn one_of(&self, name: &'static str, words: &'static str) -> Result<Option<&'a str>, ConfigError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        if words.split(", ").flat_map(|words| words.split(" or ")).any(|word| word == value) {
            return Ok(Some(value));
        }
        Err(ConfigError::InvalidEnvironment { variable: name, expected: words })
    }

    fn version(&self, name: &'static str) -> Result<Option<SslVersion>, ConfigError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        Ok(Some(match value.to_ascii_lowercase().as_str() {
            "tlsv1" => SslVersion::TLS1,
            "tlsv1.1" => SslVersion::TLS1_1,
            "tlsv1.2" => SslVersion::TLS1_2,
            "tlsv1.3" => SslVersion::TLS1_3,
            _ => {
                let expected = "TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3";
                return Err(ConfigError::InvalidEnvironment { variable: name, expected });
            }
        }))
    }
}

impl FromStr for ChannelBinding {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "disable" => Ok(Self::Disable),
            "prefer" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            _ => Err("disable, prefer or require"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn policy(variables: &[(&'static str, &str)], mode: SslMode) -> Result<Policy, String> {
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let host = Host::Tcp("db".to_owned());
        Policy::new(&variables, &host, mode, None).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_asked_for_unless_it_is_said() {
        let policy = policy(&[("PGCHANNELBINDING", "")], SslMode::Prefer).unwrap();
        assert_eq!(policy.channel_binding, ChannelBinding::Prefer);
        assert!(policy.client.is_none() && policy.sends_server_name && !policy.is_direct);
    }

    #[test]
    fn values_that_are_not_understood_name_their_variable() {
        for name in [
            "PGCHANNELBINDING",
            "PGGSSENCMODE",
            "PGREQUIREAUTH",
            "PGSSLCERTMODE",
            "PGSSLMAXPROTOCOLVERSION",
            "PGSSLMINPROTOCOLVERSION",
            "PGSSLNEGOTIATION",
            "PGSSLSNI",
        ] {
            let error = policy(&[(name, "s3cret")], SslMode::Prefer).unwrap_err();
            assert!(error.contains(name) && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn requests_that_cannot_be_honoured_are_refused_by_name() {
        for (name, value) in [
            ("PGGSSENCMODE", "require"),
            ("PGSSLCERTMODE", "require"),
            ("PGSSLCERT", "client.crt"),
            ("PGSSLCRL", "root.crl"),
            ("PGSSLCRLDIR", "crls"),
            ("PGSSLNEGOTIATION", "direct"),
        ] {
            let error = policy(&[(name, value)], SslMode::Prefer).unwrap_err();
            assert!(error.contains(name) && error.contains("; "), "{error}");
        }
        assert!(policy(&[("PGSSLCRL", "root.crl")], SslMode::Disable).is_ok());
    }
}
