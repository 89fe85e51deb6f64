//! Errors of the Resource Controller. No error ever contains a token, or a text of an answer.

use super::ca::CaSource;
use super::certificate::CertificateInfo;
use super::config::ResourceControllerConfigError;
use crate::codes::Coded as _;
use crate::outcome::ErrorKind;
use std::fmt;
use thiserror::Error;

/// The provisioned instances could not be listed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ResourceControllerError {
    /// The configuration file cannot be used.
    #[error(transparent)]
    Config(#[from] ResourceControllerConfigError),
    /// A file of CA certificates that the user named cannot be used.
    #[error("cannot use {file}: {reason}")]
    CaFile {
        /// The file, and where the user named it.
        file: CaSource,
        /// The problem.
        reason: String,
    },
    /// The configuration contains no token.
    #[error("accessTokens is empty, expected at least one token")]
    NoToken,
    /// A token cannot be sent.
    #[error(
        "token {position} of accessTokens has characters that no token has, such as a line break in the middle; paste it again"
    )]
    InvalidToken {
        /// The token's place, from 1.
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
        /// The number of tries.
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
        /// The step that took too long.
        phase: &'static str,
        /// The time limit in seconds.
        seconds: f64,
        /// The number of tries.
        attempts: u32,
    },
    /// The TLS handshake failed for a reason other than the certificate.
    #[error(
        "no TLS connection to {server}: {reason}; check that host and port are those of an HTTPS service"
    )]
    Tls {
        /// Host and port.
        server: String,
        /// OpenSSL's reason.
        reason: String,
    },
    /// The server does not accept a token.
    #[error("{url} does not accept token {position} of accessTokens (HTTP {status}){}; {}", Expired(expired_at.as_deref()), refused_advice(*status, expired_at.is_some()))]
    TokenRefused {
        /// The URL of the request.
        url: String,
        /// The token's place in `accessTokens`, from 1.
        position: usize,
        /// 401 or 403.
        status: u16,
        /// The end of the token's validity, in UTC, if known.
        expired_at: Option<String>,
    },
    /// The server does not have this service.
    #[error("{url} does not exist (HTTP 404): {advice}")]
    NotFound {
        /// The URL of the request.
        url: String,
        /// Advice on settings to check.
        advice: &'static str,
    },
    /// The server redirects to another address. pgmig sends no token there.
    #[error("{url} redirects elsewhere (HTTP {status}), which is not followed: {advice}")]
    Redirected {
        /// The URL of the request.
        url: String,
        /// The HTTP status, 3xx.
        status: u16,
        /// Advice on settings to check.
        advice: &'static str,
    },
    /// The server asks for a longer wait than pgmig allows.
    #[error("{url} asks to come back in {seconds} s (HTTP {status}); run pgmig again then")]
    Busy {
        /// The URL of the request.
        url: String,
        /// The HTTP status, usually 429 or 503.
        status: u16,
        /// The value of `Retry-After`, in seconds.
        seconds: u64,
    },
    /// Any other unsuccessful status.
    #[error("{url} answered HTTP {status}{}; {}", Tries(*attempts), status_advice(*status))]
    Status {
        /// The URL of the request.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The number of tries.
        attempts: u32,
    },
    /// The answer is a web page.
    #[error("{url} answered with a web page instead of JSON: {advice}")]
    WebPage {
        /// The URL of the request.
        url: String,
        /// Advice on settings to check.
        advice: &'static str,
    },
    /// The answer ends too early.
    #[error("the answer of {url} ends too early{}; run pgmig again, then check the server", Tries(*attempts))]
    Truncated {
        /// The URL of the request.
        url: String,
        /// The number of tries.
        attempts: u32,
    },
    /// The answer is too large.
    #[error("the answer of {url} has more than {limit} bytes, which no list of instances has: {advice}")]
    TooLarge {
        /// The URL of the request.
        url: String,
        /// The limit, in bytes.
        limit: usize,
        /// Advice on settings to check.
        advice: &'static str,
    },
    /// The answer does not have the form of a Resource Controller's answer.
    #[error("the answer of {url} is not a list of instances: {reason}; {advice}")]
    UnexpectedAnswer {
        /// The URL of the request.
        url: String,
        /// The problem.
        reason: String,
        /// Advice on settings to check.
        advice: &'static str,
    },
    /// The server lists instances without end.
    #[error("{server} lists more than {limit} instances, which is taken for a fault of the server")]
    TooManyInstances {
        /// Host and port.
        server: String,
        /// The limit.
        limit: usize,
    },
}

/// A certificate that cannot be verified, for a caller that may decide to trust it.
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
    /// The kind of the error, from which the caller can draw its conclusion. It is bad usage only if another
    /// configuration helps.
    pub fn kind(&self) -> ErrorKind {
        self.code().kind
    }

    /// The same error, with the number of tries.
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
