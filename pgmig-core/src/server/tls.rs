//! TLS to PostgreSQL: which mode applies, and where the CA comes from.

use crate::server::config::Host;
use crate::server::config_error::ConfigError;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS only where the server refuses a connection without it.
    Allow,
    /// TLS where the server offers it. As in libpq, a CA is verified then, and without TLS nothing is.
    Prefer,
    /// TLS, unverified (as in libpq, a CA file turns it into `verify-ca`).
    Require,
    /// TLS, and the server's certificate is signed by the CA.
    VerifyCa,
    /// As `verify-ca`, and the certificate names the host.
    VerifyFull,
}

/// Where CA certificates come from. No others are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ca {
    /// The certificates that the operating system trusts (`sslrootcert: system`).
    System,
    /// A PEM file of one or more certificates.
    File {
        /// The file.
        path: PathBuf,
        /// The key or variable that names it.
        named_by: &'static str,
    },
}

impl Ca {
    /// A PEM file of one or more certificates.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File { path: path.into(), named_by: "Ca::file" }
    }
}

impl SslMode {
    /// The mode that applies: the one asked for, else by whether there is a CA.
    ///
    /// A cluster's certificates name its services only, so `localhost` and IP addresses (a port-forward, the pod
    /// itself) get `verify-ca` instead of `verify-full`. Sockets have no TLS.
    pub(super) fn effective(asked: Option<Self>, host: &Host, ca: Option<&Ca>) -> Result<Self, ConfigError> {
        let Host::Tcp(name) = host else { return Ok(Self::Disable) };
        match (asked, ca) {
            (Some(Self::Require), Some(Ca::File { .. })) => Ok(Self::VerifyCa),
            // As libpq: a public CA signs anybody's certificate, so the name must be verified.
            (None | Some(Self::VerifyFull), Some(Ca::System)) => Ok(Self::VerifyFull),
            (Some(_), Some(Ca::System)) => Err(ConfigError::cannot_honour(
                "sslrootcert: system",
                "this sslmode does not check the server's name, and public CAs sign for everybody",
                "set sslmode: verify-full",
            )),
            (Some(mode @ (Self::VerifyCa | Self::VerifyFull)), None) => Err(ConfigError::cannot_honour(
                if mode == Self::VerifyCa { "sslmode verify-ca" } else { "sslmode verify-full" },
                "no CA is given",
                "set PG_CA_FILE or sslrootcert to this cluster's ca.crt (or sslrootcert: system)",
            )),
            (Some(mode), _) => Ok(mode),
            (None, None) => Ok(Self::Prefer),
            (None, Some(Ca::File { .. })) if is_local_or_address(name) => Ok(Self::VerifyCa),
            (None, Some(Ca::File { .. })) => Ok(Self::VerifyFull),
        }
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        })
    }
}

impl FromStr for SslMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "disable" => Ok(Self::Disable),
            "allow" => Ok(Self::Allow),
            "prefer" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" => Ok(Self::VerifyFull),
            _ => Err("disable, allow, prefer, require, verify-ca or verify-full"),
        }
    }
}

fn is_local_or_address(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn tcp(name: &str) -> Host {
        Host::Tcp(name.to_owned())
    }

    fn mode(asked: Option<SslMode>, host: &Host, ca: Option<&Ca>) -> SslMode {
        SslMode::effective(asked, host, ca).unwrap()
    }

    #[test]
    fn the_mode_follows_the_ca_and_the_host() {
        let file = Ca::File { path: "ca.crt".into(), named_by: "PG_CA_FILE" };
        assert_eq!(mode(None, &tcp("wa_inst-postgres-16-rw"), Some(&file)), SslMode::VerifyFull);
        assert_eq!(mode(None, &tcp("localhost"), Some(&file)), SslMode::VerifyCa);
        assert_eq!(mode(None, &tcp("::1"), Some(&file)), SslMode::VerifyCa);
        assert_eq!(mode(None, &tcp("10.0.0.7"), Some(&Ca::System)), SslMode::VerifyFull);
        assert_eq!(mode(None, &tcp("db"), None), SslMode::Prefer);
        assert_eq!(mode(Some(SslMode::Require), &tcp("db"), Some(&file)), SslMode::VerifyCa);
        assert_eq!(mode(Some(SslMode::Require), &tcp("db"), None), SslMode::Require);
        let socket = Host::Socket("/run".into());
        assert_eq!(mode(Some(SslMode::VerifyFull), &socket, Some(&file)), SslMode::Disable);
        assert_eq!(mode(Some(SslMode::VerifyFull), &socket, None), SslMode::Disable);
    }

    #[test]
    fn modes_that_would_verify_nothing_are_refused() {
        for (asked, ca) in [
            (SslMode::VerifyCa, None),
            (SslMode::VerifyFull, None),
            (SslMode::Disable, Some(Ca::System)),
            (SslMode::Prefer, Some(Ca::System)),
            (SslMode::Require, Some(Ca::System)),
            (SslMode::VerifyCa, Some(Ca::System)),
        ] {
            let error = SslMode::effective(Some(asked), &tcp("db"), ca.as_ref()).unwrap_err();
            assert!(error.to_string().contains("cannot be honoured"), "{error}");
        }
    }
}
