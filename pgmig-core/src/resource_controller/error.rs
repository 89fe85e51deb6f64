//! What can go wrong with the Resource Controller. No token and no text of an answer is ever part of an error.

use super::ca::CaSource;
use super::certificate::CertificateInfo;
use super::config::ResourceControllerConfigError;
use crate::outcome::ErrorKind;
use std::fmt;
use thiserror::Error;

/// Why the provisioned instances could not be listed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ResourceControllerError {
    /// The configuration file is not acceptable.
    #[error(transparent)]
    Config(#[from] ResourceControllerConfigError),
    /// A file of CA certificates that was asked for is of no use.
    #[error("cannot use {file}: {reason}")]
    CaFile {
        /// The file, and who asked for it.
        file: CaSource,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no token.
    #[error("accessTokens is empty, expected at least one token")]
    NoToken,
    /// A token cannot be sent.
    #[error(
        "token {position} of accessTokens has characters that no token has, such as a line break in the middle; paste it again"
    )]
    InvalidToken {
        /// 1-based.
        position: usize,
    },
    /// OpenSSL cannot be set up.
    #[error("cannot set up TLS: {0}")]
    TlsSetup(#[source] openssl::error::ErrorStack),
    /// The server's certificate cannot be verified. No token was sent.
    #[error(transparent)]
    UntrustedCertificate(Box<UntrustedCertificate>),
    /// No connection could be made, or it was lost before the answer began.
    #[error("no answer from the Resource Controller at {server}{}: {reason}; check host and port", Tries(*attempts))]
    Unreachable {
        /// Host and port.
        server: String,
        /// The operating system's reason.
        reason: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The server is too slow.
    #[error(
        "the Resource Controller at {server} did not {phase} within {seconds} s{}; check host and port, and whether it is overloaded",
        Tries(*attempts)
    )]
    Timeout {
        /// Host and port.
        server: String,
        /// What it did not do.
        phase: &'static str,
        /// The limit that was reached.
        seconds: f64,
        /// How often it was tried.
        attempts: u32,
    },
    /// The TLS handshake failed for another reason than the certificate.
    #[error(
        "no TLS connection to {server}: {reason}; check that host and port are those of an HTTPS service"
    )]
    Tls {
        /// Host and port.
        server: String,
        /// OpenSSL's reason.
        reason: String,
    },
    /// A token is not accepted.
    #[error("{url} does not accept token {position} of accessTokens (HTTP {status}){}; {}", Expired(expired_at.as_deref()), refused_advice(*status, expired_at.is_some()))]
    TokenRefused {
        /// What was asked.
        url: String,
        /// The token's place in `accessTokens`, 1-based.
        position: usize,
        /// 401 or 403.
        status: u16,
        /// When the token ended to be valid, in UTC, where that is known.
        expired_at: Option<String>,
    },
    /// There is no such service.
    #[error("{url} does not exist (HTTP 404): {advice}")]
    NotFound {
        /// What was asked.
        url: String,
        /// What to check.
        advice: &'static str,
    },
    /// The server sends elsewhere, where no token is sent to.
    #[error("{url} redirects elsewhere (HTTP {status}), which is not followed: {advice}")]
    Redirected {
        /// What was asked.
        url: String,
        /// 3xx.
        status: u16,
        /// What to check.
        advice: &'static str,
    },
    /// The server asks for a longer wait than pgmig waits.
    #[error("{url} asks to come back in {seconds} s (HTTP {status}); run pgmig again then")]
    Busy {
        /// What was asked.
        url: String,
        /// 429 or 503, usually.
        status: u16,
        /// `Retry-After`.
        seconds: u64,
    },
    /// Any other status that is no success.
    #[error("{url} answered HTTP {status}{}; {}", Tries(*attempts), status_advice(*status))]
    Status {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
        /// How often it was tried.
        attempts: u32,
    },
    /// The answer is a web page.
    #[error("{url} answered with a web page instead of JSON: {advice}")]
    WebPage {
        /// What was asked.
        url: String,
        /// What to check.
        advice: &'static str,
    },
    /// The answer ends too early.
    #[error("the answer of {url} ends too early{}; run pgmig again, then check the server", Tries(*attempts))]
    Truncated {
        /// What was asked.
        url: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The answer is too large.
    #[error("the answer of {url} has more than {limit} bytes, which no list of instances has: {advice}")]
    TooLarge {
        /// What was asked.
        url: String,
        /// The limit, in bytes.
        limit: usize,
        /// What to check.
        advice: &'static str,
    },
    /// The answer is not what a Resource Controller gives.
    #[error("the answer of {url} is not a list of instances: {reason}; {advice}")]
    UnexpectedAnswer {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        reason: String,
        /// What to check.
        advice: &'static str,
    },
    /// The server goes on listing.
    #[error("{server} lists more than {limit} instances, which is taken for a fault of the server")]
    TooManyInstances {
        /// Host and port.
        server: String,
        /// The limit.
        limit: usize,
    },
}

/// A certificate that cannot be verified, for a caller who may decide to trust it.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
#[error(
    "the certificate of {server} cannot be verified: {reason} ({}); name the CA that signed it in caFile or RC_CA_FILE, or accept any certificate with insecureSkipVerify: true",
    Shown(certificate)
)]
pub struct UntrustedCertificate {
    /// Host and port.
    pub server: String,
    /// OpenSSL's reason: `unable to get local issuer certificate`, `hostname mismatch` ...
    pub reason: String,
    /// The certificate. See [`ResourceController::trust`](super::ResourceController::trust).
    pub certificate: CertificateInfo,
}

impl ResourceControllerError {
    /// What a caller should conclude: only what a change of the configuration cures is bad usage.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(_)
            | Self::CaFile { .. }
            | Self::InvalidToken { .. }
            | Self::UntrustedCertificate(_) => ErrorKind::Usage,
            _ => ErrorKind::Failed,
        }
    }

    /// The same error, told how often it was tried.
    pub(super) fn after(mut self, tries: u32) -> Self {
        if let Self::Unreachable { attempts, .. }
        | Self::Timeout { attempts, .. }
        | Self::Status { attempts, .. }
        | Self::Truncated { attempts, .. } = &mut self
        {
            *attempts = tries;
        }
        self
    }
}

fn status_advice(status: u16) -> &'static str {
    match status {
        429 => "it has too many requests; run pgmig again later",
        500.. => "look into that service's log",
        _ => "check host, port and type",
    }
}

fn refused_advice(status: u16, expired: bool) -> &'static str {
    match (status, expired) {
        (_, true) => "get a new token",
        (403, _) => "its owner may not list instances; take a token of the instances' owner",
        _ => "get a new token, and check that it is for this cluster and for this `type`",
    }
}

struct Tries(u32);

impl fmt::Display for Tries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 1 { write!(f, " ({} tries)", self.0) } else { Ok(()) }
    }
}

struct Expired<'a>(Option<&'a str>);

impl fmt::Display for Expired<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |time| write!(f, ": it expired at {time}"))
    }
}

struct Shown<'a>(&'a CertificateInfo);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CertificateInfo { subject, issuer, not_after, fingerprint, .. } = self.0;
        let names = self.0.names_shown();
        write!(
            f,
            "subject {subject}; names {names}; issuer {issuer}; valid until {not_after}; SHA-256 fingerprint {fingerprint}"
        )
    }
}
