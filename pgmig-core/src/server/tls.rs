//! TLS to PostgreSQL: which mode applies, and the CA certificates to verify with.

use crate::server::config::Host;
use crate::server::error::TargetError;
use sqlx::postgres::PgSslMode;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A bundle of more certificates is refused: sqlx takes one certificate at a time, so each costs a handshake.
const MAX_CERTIFICATES: usize = 256;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS where the server offers it, unverified. libpq's `allow` is taken as this, too.
    Prefer,
    /// TLS, unverified (as in libpq, a CA file turns it into `verify-ca`).
    Require,
    /// TLS, and the server's certificate is signed by the CA.
    VerifyCa,
    /// As `verify-ca`, and the certificate names the host.
    VerifyFull,
}

/// Where CA certificates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ca {
    /// The certificates that the operating system trusts (`sslrootcert: system`).
    System,
    /// A PEM file of one or more certificates. The operating system's are trusted, too.
    File(PathBuf),
}

impl SslMode {
    /// The mode that applies: the one asked for, else by whether there is a CA.
    ///
    /// A cluster's certificates name its services only, so `localhost` and IP addresses (a port-forward, the pod
    /// itself) get `verify-ca` instead of `verify-full`. Sockets have no TLS.
    pub(super) fn effective(asked: Option<Self>, host: &Host, ca: Option<&Ca>) -> Self {
        let Host::Tcp(name) = host else { return Self::Disable };
        match (asked, ca) {
            (Some(Self::Require), Some(Ca::File(_))) => Self::VerifyCa,
            (Some(mode), _) => mode,
            (None, None) => Self::Prefer,
            (None, Some(Ca::File(_))) if is_local_or_address(name) => Self::VerifyCa,
            (None, Some(_)) => Self::VerifyFull,
        }
    }

    /// Whether the server's certificate is checked.
    pub(super) fn verifies(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyFull)
    }

    pub(super) fn to_sqlx(self) -> PgSslMode {
        match self {
            Self::Disable => PgSslMode::Disable,
            Self::Prefer => PgSslMode::Prefer,
            Self::Require => PgSslMode::Require,
            Self::VerifyCa => PgSslMode::VerifyCa,
            Self::VerifyFull => PgSslMode::VerifyFull,
        }
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disable => "disable",
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
            "allow" | "prefer" => Ok(Self::Prefer),
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

/// Reads a CA file and splits it into PEM certificates, each checked, without repetitions.
///
/// sqlx hands the whole file to a parser that reads the first certificate only, and says nothing of the others.
///
/// # Errors
///
/// [`TargetError::CaFile`] if it cannot be read, holds no PEM certificate, a damaged one, or too many.
pub(super) async fn read_certificates(path: &Path) -> Result<Vec<String>, TargetError> {
    let failed = |reason: String| TargetError::CaFile { path: path.to_owned(), reason };
    let bytes = tokio::fs::read(path).await.map_err(|error| failed(error.to_string()))?;
    split_certificates(&String::from_utf8_lossy(&bytes)).map_err(failed)
}

fn split_certificates(text: &str) -> Result<Vec<String>, String> {
    let mut certificates: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let number = certificates.len() + 1;
        let (body, after) =
            after.split_once(END).ok_or_else(|| format!("certificate {number} has no END line"))?;
        let pem = format!("{BEGIN}{body}{END}\n");
        native_tls::Certificate::from_pem(pem.as_bytes())
            .map_err(|_| format!("certificate {number} is damaged"))?;
        if !certificates.contains(&pem) {
            certificates.push(pem);
        }
        rest = after;
    }
    match certificates.len() {
        0 => Err(format!("it holds no PEM certificate (a line `{BEGIN}`)")),
        count if count > MAX_CERTIFICATES => Err(format!(
            "it holds {count} certificates, more than {MAX_CERTIFICATES}; give the cluster's CA only, or sslrootcert: system"
        )),
        _ => Ok(certificates),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn tcp(name: &str) -> Host {
        Host::Tcp(name.to_owned())
    }

    #[test]
    fn the_mode_follows_the_ca_and_the_host() {
        let file = Ca::File("ca.crt".into());
        let mode = |asked, host: &Host, ca| SslMode::effective(asked, host, ca);
        assert_eq!(mode(None, &tcp("wa_inst-postgres-16-rw"), Some(&file)), SslMode::VerifyFull);
        assert_eq!(mode(None, &tcp("localhost"), Some(&file)), SslMode::VerifyCa);
        assert_eq!(mode(None, &tcp("::1"), Some(&file)), SslMode::VerifyCa);
        assert_eq!(mode(None, &tcp("10.0.0.7"), Some(&Ca::System)), SslMode::VerifyFull);
        assert_eq!(mode(None, &tcp("db"), None), SslMode::Prefer);
        assert_eq!(mode(Some(SslMode::Require), &tcp("db"), Some(&file)), SslMode::VerifyCa);
        assert_eq!(mode(Some(SslMode::Require), &tcp("db"), None), SslMode::Require);
        assert_eq!(
            mode(Some(SslMode::VerifyFull), &Host::Socket("/run".into()), Some(&file)),
            SslMode::Disable
        );
    }

    #[test]
    fn garbage_is_no_ca_file() {
        assert!(split_certificates("").unwrap_err().contains("no PEM certificate"));
        assert!(split_certificates(BEGIN).unwrap_err().contains("no END line"));
        let damaged = format!("{BEGIN}\nAAAA\n{END}\n");
        assert_eq!(split_certificates(&damaged).unwrap_err(), "certificate 1 is damaged");
    }
}
